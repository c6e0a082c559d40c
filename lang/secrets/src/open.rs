//! Opening: the data key by age, every value by the data key, and the MAC over all of them.

use ring::digest as ring_digest;
use zeroize::Zeroizing;

use crate::age;
use crate::document::{Document, Format, Node, each, place, spelled};
use crate::error::{AgeError, OpenError};
use crate::keys::Identity;
use crate::value::{DATA_KEY, Encrypted, Kind, Plain};

/// Begins a MAC that is made over encrypted values alone, so that it differs from the other kind
/// (getsops/sops, `sops.go`: the SHA-256 of `sops`).
const MAC_ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b,
    0x0b, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// A file's values in the clear. Wiped when dropped.
pub struct Opened {
    pub(crate) data_key: Zeroizing<[u8; DATA_KEY]>,
    pub(crate) values: Vec<(Vec<String>, Plain)>,
}

impl Opened {
    /// A value by its path.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, path: &[String]) -> Result<&Plain, OpenError> {
        let found = self.values.iter().find(|(known, _)| known == path);
        found
            .map(|(_, plain)| plain)
            .ok_or_else(|| OpenError::NoKey {
                key: path.join("."),
            })
    }

    /// Every value with its path, in the order of the file.
    pub fn values(&self) -> impl Iterator<Item = (&[String], &Plain)> {
        self.values
            .iter()
            .map(|(path, plain)| (path.as_slice(), plain))
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opened({} values)", self.values.len())
    }
}

impl Document {
    /// Decrypts every value and verifies that all are there, unchanged and in their order.
    ///
    /// # Errors
    /// When no identity opens it, or anything in it was changed by somebody without the key.
    pub fn open(&self, identities: &[Identity]) -> Result<Opened, OpenError> {
        if self.format == Format::Age {
            let bytes = age::decrypt(&self.text, identities).map_err(|error| match error {
                AgeError::NoIdentity { .. } => OpenError::NoIdentity {
                    recipients: vec!["other age recipients".to_owned()],
                },
                other => OpenError::Document(other.into()),
            })?;
            let plain = Plain {
                kind: Kind::Str,
                bytes,
            };
            return Ok(Opened {
                data_key: Zeroizing::default(),
                values: vec![(Vec::new(), plain)],
            });
        }
        let data_key = self.data_key(identities)?;
        let mut values = Vec::new();
        let mut first_error = None;
        each(
            &self.root,
            &mut |path, node| match self.open_one(path, node, &data_key) {
                Ok(plain) => values.push((path.to_vec(), plain)),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            },
        );
        if let Some(error) = first_error {
            return Err(error);
        }
        let stored = Encrypted::parse(&self.metadata.mac)
            .and_then(|mac| mac.open(&data_key, &self.metadata.last_modified))
            .ok_or(OpenError::Mac)?;
        if *stored.bytes != mac(self, &values).into_bytes() {
            return Err(OpenError::Mac);
        }
        Ok(Opened { data_key, values })
    }

    fn open_one(
        &self,
        path: &[String],
        node: &Node,
        key: &[u8; DATA_KEY],
    ) -> Result<Plain, OpenError> {
        let shown = || path.join(".");
        if self.is_plain(path, node) {
            return Err(OpenError::Plain { key: shown() });
        }
        if let Node::Text(text) = node
            && self.metadata.is_secret(path) != Some(false)
            && let Some(value) = Encrypted::parse(text)
        {
            let place = place(path, &self.root);
            return value
                .open(key, &place)
                .ok_or_else(|| OpenError::Value { key: shown() });
        }
        let kind = match node {
            Node::Int(_) => Kind::Int,
            Node::Float(_) => Kind::Float,
            Node::Bool(_) => Kind::Bool,
            _ => Kind::Str,
        };
        let bytes = Zeroizing::new(spelled(node).unwrap_or_default().into_bytes());
        Ok(Plain { kind, bytes })
    }

    fn data_key(&self, identities: &[Identity]) -> Result<Zeroizing<[u8; DATA_KEY]>, OpenError> {
        if self.metadata.age.is_empty() {
            return Err(OpenError::NoRecipient);
        }
        for (_, armored) in &self.metadata.age {
            match age::decrypt(armored.as_bytes(), identities) {
                Ok(key) => {
                    let key = key
                        .as_slice()
                        .try_into()
                        .map_err(|_| AgeError::Damaged("the data key has the wrong length"));
                    return Ok(Zeroizing::new(key.map_err(crate::DocumentError::Age)?));
                }
                Err(AgeError::NoIdentity { .. }) => {}
                Err(other) => return Err(OpenError::Document(other.into())),
            }
        }
        Err(OpenError::NoIdentity {
            recipients: self.recipients(),
        })
    }
}

/// The MAC over values, in hexadecimal: SHA-512 of their spellings, one behind the other.
pub(crate) fn mac(document: &Document, values: &[(Vec<String>, Plain)]) -> String {
    let only = document.metadata.mac_only_encrypted;
    let mut context = ring_digest::Context::new(&ring_digest::SHA512);
    if only {
        context.update(&MAC_ONLY_ENCRYPTED);
    }
    for (path, plain) in values {
        if !only || document.metadata.is_secret(path) != Some(false) {
            context.update(&plain.bytes);
        }
    }
    let hash = context.finish();
    hash.as_ref()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect()
}
