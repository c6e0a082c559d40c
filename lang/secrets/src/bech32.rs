//! Bech32 (BIP 173), in which age writes its keys. Without the length limit, as age has it.

use zeroize::Zeroizing;

const DIGITS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Digits of the checksum at the end.
const CHECKSUM: usize = 6;

/// Writes bytes behind a prefix, in small letters.
pub(crate) fn encode(prefix: &str, data: &[u8]) -> String {
    let mut digits = regroup(data, 8, 5, true).unwrap_or_default();
    let mut checked = expand(prefix);
    checked.extend_from_slice(&digits);
    checked.extend_from_slice(&[0; CHECKSUM]);
    let sum = polymod(&checked) ^ 1;
    digits.extend((0..CHECKSUM).map(|at| ((sum >> (5 * (5 - at))) & 31) as u8));
    let mut text = String::with_capacity(prefix.len() + 1 + digits.len());
    text.push_str(prefix);
    text.push('1');
    text.extend(
        digits
            .iter()
            .map(|digit| char::from(DIGITS[*digit as usize])),
    );
    text
}

/// Reads prefix and bytes; `None` when the text is not Bech32. The prefix comes in small letters.
pub(crate) fn decode(text: &str) -> Option<(String, Zeroizing<Vec<u8>>)> {
    let has = |upper: bool| {
        text.bytes()
            .any(|b| b.is_ascii_alphabetic() && b.is_ascii_uppercase() == upper)
    };
    if has(true) && has(false) {
        return None;
    }
    let text = Zeroizing::new(text.to_ascii_lowercase());
    let (prefix, rest) = text.rsplit_once('1')?;
    if prefix.is_empty() || rest.len() < CHECKSUM || !prefix.bytes().all(|b| (33..127).contains(&b))
    {
        return None;
    }
    let mut digits = Zeroizing::new(Vec::with_capacity(rest.len()));
    for byte in rest.bytes() {
        digits.push(DIGITS.iter().position(|digit| *digit == byte)? as u8);
    }
    let mut checked = Zeroizing::new(expand(prefix));
    checked.extend_from_slice(&digits);
    if polymod(&checked) != 1 {
        return None;
    }
    let data = regroup(&digits[..digits.len() - CHECKSUM], 5, 8, false)?;
    Some((prefix.to_owned(), Zeroizing::new(data)))
}

fn expand(prefix: &str) -> Vec<u8> {
    let high = prefix.bytes().map(|b| b >> 5);
    let low = prefix.bytes().map(|b| b & 31);
    high.chain([0]).chain(low).collect()
}

fn polymod(digits: &[u8]) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
    let mut sum: u32 = 1;
    for digit in digits {
        let top = sum >> 25;
        sum = ((sum & 0x01ff_ffff) << 5) ^ u32::from(*digit);
        for (bit, generator) in GENERATOR.iter().enumerate() {
            if (top >> bit) & 1 == 1 {
                sum ^= generator;
            }
        }
    }
    sum
}

/// Groups bits anew; `None` when what is left over is not padding.
fn regroup(data: &[u8], from: u32, to: u32, pad: bool) -> Option<Vec<u8>> {
    let (mut gathered, mut bits) = (0u32, 0u32);
    let mut out = Vec::with_capacity(data.len() * from as usize / to as usize + 1);
    for value in data {
        gathered = (gathered << from) | u32::from(*value);
        bits += from;
        while bits >= to {
            bits -= to;
            out.push(((gathered >> bits) & ((1 << to) - 1)) as u8);
        }
        gathered &= (1 << bits) - 1;
    }
    if pad {
        if bits > 0 {
            out.push(((gathered << (to - bits)) & ((1 << to) - 1)) as u8);
        }
    } else if bits >= from || gathered != 0 {
        return None;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_the_bip_are_read() {
        // BIP 173, test vectors.
        for good in [
            "A12UEL5L",
            "a12uel5l",
            "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
            "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
        ] {
            assert!(decode(good).is_some(), "{good}");
        }
        for bad in ["A12uEL5L", "10a06t8", "1qzzfhee", "a12uel5m", "abc", ""] {
            assert!(decode(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for length in [0, 1, 16, 32, 33] {
            let data: Vec<u8> = (0..length).map(|at| at as u8 ^ 0xa5).collect();
            let (prefix, read) = decode(&encode("age", &data)).expect("valid");
            assert_eq!((prefix.as_str(), &*read), ("age", &data));
        }
    }
}
