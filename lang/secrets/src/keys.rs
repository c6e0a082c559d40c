//! age keys: identities that open, recipients that are encrypted for (c2sp.org/age, "The X25519 recipient type").

use std::fmt;
use std::str::FromStr;

use curve25519_dalek::MontgomeryPoint;
use zeroize::Zeroizing;

use crate::bech32;
use crate::error::KeyError;

/// Where unpredictable bytes come from. The crate has no source of its own.
pub trait Random {
    /// Fills the buffer.
    fn fill(&mut self, out: &mut [u8]);
}

impl<F: FnMut(&mut [u8])> Random for F {
    fn fill(&mut self, out: &mut [u8]) {
        self(out);
    }
}

/// A secret key. Wiped when dropped; printed by [`Identity::to_text`] alone.
pub struct Identity(Zeroizing<[u8; 32]>);

impl Identity {
    /// Makes a new one.
    #[must_use]
    pub fn generate(random: &mut dyn Random) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        random.fill(&mut *key);
        Identity(key)
    }

    /// The public half.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        Recipient(MontgomeryPoint::mul_base_clamped(*self.0).to_bytes())
    }

    /// `AGE-SECRET-KEY-1…`, for a key file.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let text = Zeroizing::new(bech32::encode("age-secret-key-", &*self.0));
        Zeroizing::new(text.to_ascii_uppercase())
    }

    /// X25519 with the public value of somebody else; `None` for a point that gives nothing away but zeros.
    pub(crate) fn shared(&self, other: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        shared(&self.0, other)
    }

    fn parse(text: &str) -> Option<Self> {
        let (prefix, data) = bech32::decode(text)?;
        if prefix != "age-secret-key-" || !text.starts_with("AGE-") {
            return None;
        }
        let key: [u8; 32] = data.as_slice().try_into().ok()?;
        Some(Identity(Zeroizing::new(key)))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.recipient())
    }
}

/// X25519 (RFC 7748, section 5).
pub(crate) fn shared(secret: &[u8; 32], public: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
    let shared = MontgomeryPoint(*public).mul_clamped(*secret).to_bytes();
    shared
        .iter()
        .any(|byte| *byte != 0)
        .then(|| Zeroizing::new(shared))
}

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Recipient(pub(crate) [u8; 32]);

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bech32::encode("age", &self.0))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Recipient {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (prefix, data) = bech32::decode(text.trim()).ok_or(KeyError::Recipient)?;
        let key = data
            .as_slice()
            .try_into()
            .map_err(|_| KeyError::Recipient)?;
        match prefix.as_str() {
            "age" => Ok(Recipient(key)),
            _ => Err(KeyError::Recipient),
        }
    }
}

/// Reads a key file: one identity per line, `#` begins a comment.
///
/// # Errors
/// When a line is something else. Keys of plugins, SSH keys and passphrases are not supported.
pub fn identities(text: &str) -> Result<Vec<Identity>, KeyError> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        found.push(Identity::parse(line).ok_or(KeyError::Identity { line: at + 1 })?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of c2sp.org/age.
    const IDENTITY: &str =
        "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    const RECIPIENT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

    #[test]
    fn the_example_of_the_specification_is_read_and_written() {
        let keys = identities(&format!("# created: 2024\n\n{IDENTITY}\n")).expect("valid");
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].to_text().as_str(), IDENTITY);
        assert_eq!(keys[0].recipient().to_string(), RECIPIENT);
        assert_eq!(RECIPIENT.parse::<Recipient>(), Ok(keys[0].recipient()));
    }

    #[test]
    fn what_is_no_key_is_named_by_its_line_alone() {
        let error =
            identities(&format!("{IDENTITY}\nAGE-SECRET-KEY-1BROKEN\n")).expect_err("no key");
        assert_eq!(error, KeyError::Identity { line: 2 });
        assert!(!error.to_string().contains("BROKEN"));
        assert_eq!("age1abc".parse::<Recipient>(), Err(KeyError::Recipient));
        assert_eq!(IDENTITY.parse::<Recipient>(), Err(KeyError::Recipient));
    }
}
