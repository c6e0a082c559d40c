//! The age file format, version 1, with X25519 recipients (c2sp.org/age). Passphrases and plugins are left out.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use crate::error::AgeError;
use crate::keys::{Identity, Random, Recipient};

const VERSION: &str = "age-encryption.org/v1\n";
const LABEL: &[u8] = b"age-encryption.org/v1/X25519";
const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const END: &str = "-----END AGE ENCRYPTED FILE-----";

/// Bytes of one encrypted piece of the payload, without its tag.
const CHUNK: usize = 64 << 10;
/// Bytes of a Poly1305 tag.
const TAG: usize = 16;
/// Bytes of the key that everything else is derived from.
const FILE_KEY: usize = 16;
/// Columns of a line of a stanza or of the armor.
const COLUMNS: usize = 64;

/// Whether bytes look like an age file, armored or not.
#[must_use]
pub fn is_age(bytes: &[u8]) -> bool {
    bytes.starts_with(b"age-encryption.org/") || trim(bytes).starts_with(BEGIN.as_bytes())
}

/// Encrypts for every recipient. The result is binary; see [`armor`].
#[must_use]
pub fn encrypt(recipients: &[Recipient], plain: &[u8], random: &mut dyn Random) -> Vec<u8> {
    let mut file_key = Zeroizing::new([0; FILE_KEY]);
    random.fill(&mut *file_key);
    let mut out = Vec::from(VERSION);
    for recipient in recipients {
        let ephemeral = Identity::generate(random);
        let share = ephemeral.recipient().0;
        // Only a made-up recipient gives no secret; it then cannot open the file.
        let secret = ephemeral.shared(&recipient.0).unwrap_or_default();
        let wrap = wrap_key(&secret, &share, &recipient.0);
        let body = seal(&wrap, [0; NONCE_LEN], &*file_key);
        out.extend_from_slice(b"-> X25519 ");
        out.extend_from_slice(STANDARD_NO_PAD.encode(share).as_bytes());
        out.push(b'\n');
        out.extend_from_slice(STANDARD_NO_PAD.encode(body).as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"---");
    let mac = header_mac(&*file_key, &out);
    out.push(b' ');
    out.extend_from_slice(STANDARD_NO_PAD.encode(mac.as_ref()).as_bytes());
    out.push(b'\n');
    let mut nonce = [0; 16];
    random.fill(&mut nonce);
    out.extend_from_slice(&nonce);
    let key = derive(&nonce, &*file_key, b"payload");
    let last = plain.len().saturating_sub(1) / CHUNK;
    for at in 0..=last {
        let end = plain.len().min((at + 1) * CHUNK);
        out.extend(seal(
            &key,
            chunk_nonce(at as u64, at == last),
            &plain[at * CHUNK..end],
        ));
    }
    out
}

/// Decrypts a binary or armored file.
///
/// # Errors
/// When it is no age file, was changed, or none of the identities is among its recipients.
pub fn decrypt(bytes: &[u8], identities: &[Identity]) -> Result<Zeroizing<Vec<u8>>, AgeError> {
    let binary;
    let bytes = if bytes.starts_with(b"age-encryption.org/") {
        bytes
    } else {
        binary = unarmor(bytes)?;
        &binary
    };
    let header = header(bytes)?;
    let file_key = header
        .stanzas
        .iter()
        .find_map(|stanza| {
            identities
                .iter()
                .find_map(|identity| unwrap(stanza, identity))
        })
        .ok_or(AgeError::NoIdentity {
            identities: identities.len(),
        })?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &*derive(&[], &*file_key, b"header"));
    hmac::verify(&key, &bytes[..header.authenticated], &header.mac)
        .map_err(|_| AgeError::Damaged("its header was changed"))?;
    payload(&bytes[header.length..], &file_key)
}

/// Writes an encrypted file as text (RFC 7468, strictly).
#[must_use]
pub fn armor(binary: &[u8]) -> String {
    let body = STANDARD.encode(binary);
    let mut out = format!("{BEGIN}\n");
    for line in body.as_bytes().chunks(COLUMNS) {
        out.extend(line.iter().map(|byte| char::from(*byte)));
        out.push('\n');
    }
    out.push_str(END);
    out.push('\n');
    out
}

fn unarmor(bytes: &[u8]) -> Result<Vec<u8>, AgeError> {
    let text = std::str::from_utf8(trim(bytes)).map_err(|_| AgeError::NotAge)?;
    let text = text.strip_prefix(BEGIN).ok_or(AgeError::NotAge)?;
    let text = text
        .strip_suffix(END)
        .ok_or(AgeError::Damaged("its armor has no end"))?;
    let body: String = text.lines().map(str::trim_end).collect();
    STANDARD
        .decode(body)
        .map_err(|_| AgeError::Damaged("its armor is not base64"))
}

fn trim(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii()
}

struct Stanza<'a> {
    arguments: Vec<&'a str>,
    body: Vec<u8>,
}

struct Header<'a> {
    stanzas: Vec<Stanza<'a>>,
    mac: Vec<u8>,
    /// Bytes the MAC is made over.
    authenticated: usize,
    /// Bytes before the payload.
    length: usize,
}

fn header(bytes: &[u8]) -> Result<Header<'_>, AgeError> {
    let damaged = || AgeError::Damaged("its header is cut or malformed");
    let mut at = VERSION.len();
    if !bytes.starts_with(VERSION.as_bytes()) {
        return Err(AgeError::Damaged("its version is not v1"));
    }
    let line = |from: usize| -> Result<&str, AgeError> {
        let rest = bytes.get(from..).ok_or_else(damaged)?;
        let end = rest.iter().position(|b| *b == b'\n').ok_or_else(damaged)?;
        std::str::from_utf8(&rest[..end]).map_err(|_| damaged())
    };
    let mut stanzas = Vec::new();
    loop {
        let first = line(at)?;
        if let Some(mac) = first.strip_prefix("--- ") {
            let mac = STANDARD_NO_PAD.decode(mac).map_err(|_| damaged())?;
            return Ok(Header {
                stanzas,
                mac,
                authenticated: at + 3,
                length: at + first.len() + 1,
            });
        }
        let arguments: Vec<&str> = first
            .strip_prefix("-> ")
            .ok_or_else(damaged)?
            .split(' ')
            .collect();
        if arguments.iter().any(|a| a.is_empty()) {
            return Err(damaged());
        }
        at += first.len() + 1;
        let mut body = String::new();
        loop {
            let next = line(at)?;
            at += next.len() + 1;
            body.push_str(next);
            match next.len() {
                COLUMNS => {}
                0..COLUMNS => break,
                _ => return Err(damaged()),
            }
        }
        let body = STANDARD_NO_PAD.decode(body).map_err(|_| damaged())?;
        stanzas.push(Stanza { arguments, body });
    }
}

/// The file key, when the stanza is for this identity.
fn unwrap(stanza: &Stanza<'_>, identity: &Identity) -> Option<Zeroizing<[u8; FILE_KEY]>> {
    let ["X25519", share] = *stanza.arguments else {
        return None;
    };
    let share: [u8; 32] = STANDARD_NO_PAD.decode(share).ok()?.try_into().ok()?;
    if stanza.body.len() != FILE_KEY + TAG {
        return None;
    }
    let secret = identity.shared(&share)?;
    let wrap = wrap_key(&secret, &share, &identity.recipient().0);
    let opened = unseal(&wrap, [0; NONCE_LEN], &stanza.body)?;
    Some(Zeroizing::new(opened.as_slice().try_into().ok()?))
}

fn payload(bytes: &[u8], file_key: &[u8; FILE_KEY]) -> Result<Zeroizing<Vec<u8>>, AgeError> {
    let damaged = AgeError::Damaged("its content was cut or changed");
    let (nonce, sealed) = bytes.split_at_checked(16).ok_or(damaged.clone())?;
    let key = derive(nonce, file_key, b"payload");
    let chunks: Vec<&[u8]> = sealed.chunks(CHUNK + TAG).collect();
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
    let last = chunks.len().checked_sub(1).ok_or(damaged.clone())?;
    for (at, chunk) in chunks.iter().enumerate() {
        let opened =
            unseal(&key, chunk_nonce(at as u64, at == last), chunk).ok_or(damaged.clone())?;
        if opened.is_empty() && at > 0 {
            return Err(damaged);
        }
        plain.extend_from_slice(&opened);
    }
    Ok(plain)
}

fn wrap_key(secret: &[u8; 32], share: &[u8; 32], recipient: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    derive(&[*share, *recipient].concat(), secret, LABEL)
}

fn header_mac(file_key: &[u8], header: &[u8]) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &*derive(&[], file_key, b"header"));
    hmac::sign(&key, header)
}

/// HKDF-SHA-256 to 32 bytes (RFC 5869).
fn derive(salt: &[u8], secret: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    let _ = hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(secret)
        .expand(&[info], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut *out));
    out
}

/// The piece's number in 11 bytes, and whether it is the last.
fn chunk_nonce(at: u64, last: bool) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[3..11].copy_from_slice(&at.to_be_bytes());
    nonce[11] = u8::from(last);
    nonce
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(
        UnboundKey::new(&CHACHA20_POLY1305, key).expect("a ChaCha20-Poly1305 key has 32 bytes"),
    )
}

fn seal(key: &[u8; 32], nonce: [u8; NONCE_LEN], plain: &[u8]) -> Vec<u8> {
    let mut buffer = plain.to_vec();
    cipher(key)
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::empty(),
            &mut buffer,
        )
        .expect("a piece is far below the cipher's limit");
    buffer
}

fn unseal(key: &[u8; 32], nonce: [u8; NONCE_LEN], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let length = cipher(key)
        .open_in_place(
            Nonce::assume_unique_for_key(nonce),
            Aad::empty(),
            &mut buffer,
        )
        .ok()?
        .len();
    buffer.truncate(length);
    Some(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::identities;

    fn counting() -> impl FnMut(&mut [u8]) {
        let mut state = 1u64;
        move |out: &mut [u8]| {
            for byte in out {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                *byte = (state >> 33) as u8;
            }
        }
    }

    #[test]
    fn every_recipient_opens_what_was_encrypted() {
        let mut random = counting();
        let (a, b, c) = (
            Identity::generate(&mut random),
            Identity::generate(&mut random),
            Identity::generate(&mut random),
        );
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK] {
            let plain = vec![7; length];
            let sealed = encrypt(&[a.recipient(), b.recipient()], &plain, &mut random);
            assert!(is_age(&sealed));
            for identity in [&a, &b] {
                let opened = decrypt(&sealed, std::slice::from_ref(identity)).expect("a recipient");
                assert_eq!(*opened, plain);
            }
            let armored = armor(&sealed);
            assert!(is_age(armored.as_bytes()));
            assert_eq!(
                *decrypt(armored.as_bytes(), std::slice::from_ref(&b)).expect("armored"),
                plain
            );
            assert_eq!(
                decrypt(&sealed, std::slice::from_ref(&c)).expect_err("not a recipient"),
                AgeError::NoIdentity { identities: 1 }
            );
        }
    }

    #[test]
    fn a_change_anywhere_is_noticed() {
        let mut random = counting();
        let key = Identity::generate(&mut random);
        let sealed = encrypt(&[key.recipient()], b"plain", &mut random);
        let keys = std::slice::from_ref(&key);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(decrypt(&changed, keys).is_err(), "byte {at}");
            assert!(decrypt(&sealed[..at], keys).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn rubbish_is_refused() {
        for rubbish in [
            "",
            "age",
            "age-encryption.org/v1\n",
            "age-encryption.org/v2\n-> a\n",
            BEGIN,
        ] {
            assert!(decrypt(rubbish.as_bytes(), &[]).is_err(), "{rubbish}");
        }
        assert!(identities("").expect("nothing").is_empty());
    }
}
