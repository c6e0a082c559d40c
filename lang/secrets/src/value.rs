//! One encrypted value of a SOPS document: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:str]` (getsops/sops, `aes/cipher.go`).

use aes_gcm::aead::array::{Array, ArraySize};
use aes_gcm::aead::consts::{U12, U32};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{AesGcm, aes::Aes256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::keys::Random;

/// Bytes of the key that encrypts every value of a document.
pub(crate) const DATA_KEY: usize = 32;
/// Bytes of the nonce that SOPS makes; AES-GCM takes other lengths than its usual 12.
const NONCE: usize = 32;
const TAG: usize = 16;

/// What a value was before it was encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Text.
    Str,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// True or false.
    Bool,
    /// Bytes.
    Bytes,
}

impl Kind {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "str" | "time" => Kind::Str,
            "int" | "int64" => Kind::Int,
            "float" => Kind::Float,
            "bool" => Kind::Bool,
            "bytes" => Kind::Bytes,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Str => "str",
            Kind::Int => "int",
            Kind::Float => "float",
            Kind::Bool => "bool",
            Kind::Bytes => "bytes",
        }
    }
}

/// A value in the clear, as SOPS spells it (`True`, `1.5`). Wiped when dropped, and not printable.
#[derive(Clone)]
pub struct Plain {
    /// What it is.
    pub kind: Kind,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

impl Plain {
    /// Text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Plain {
            kind: Kind::Str,
            bytes: Zeroizing::new(text.as_bytes().to_vec()),
        }
    }

    /// The value as text, `true` and `false` in small letters; `None` when its bytes are no text.
    #[must_use]
    pub fn to_text(&self) -> Option<Zeroizing<String>> {
        let text = std::str::from_utf8(&self.bytes).ok()?;
        Some(Zeroizing::new(match self.kind {
            Kind::Bool => text.to_ascii_lowercase(),
            _ => text.to_owned(),
        }))
    }
}

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// An encrypted value, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Encrypted {
    data: Vec<u8>,
    nonce: Vec<u8>,
    tag: [u8; TAG],
    pub(crate) kind: Kind,
}

impl Encrypted {
    /// Reads `ENC[…]`; `None` when the text is something else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text
            .strip_prefix("ENC[AES256_GCM,data:")?
            .strip_suffix(']')?;
        let mut part = |next: &str| {
            let (part, after) = rest.split_once(next)?;
            rest = after;
            Some(part)
        };
        let (data, nonce, tag) = (part(",iv:")?, part(",tag:")?, part(",type:")?);
        Some(Encrypted {
            data: STANDARD.decode(data).ok()?,
            nonce: STANDARD.decode(nonce).ok()?,
            tag: STANDARD.decode(tag).ok()?.try_into().ok()?,
            kind: Kind::parse(rest)?,
        })
    }

    /// Decrypts it; `None` when key, place or content are not those it was encrypted with.
    pub(crate) fn open(&self, key: &[u8; DATA_KEY], place: &str) -> Option<Plain> {
        let mut bytes = Zeroizing::new(self.data.clone());
        let done = match self.nonce.len() {
            32 => decrypt::<U32>(key, &self.nonce, place, &mut bytes, &self.tag),
            12 => decrypt::<U12>(key, &self.nonce, place, &mut bytes, &self.tag),
            _ => None,
        };
        done.map(|()| Plain {
            kind: self.kind,
            bytes,
        })
    }
}

fn decrypt<N: ArraySize>(
    key: &[u8; DATA_KEY],
    nonce: &[u8],
    place: &str,
    bytes: &mut [u8],
    tag: &[u8; TAG],
) -> Option<()> {
    let cipher = AesGcm::<Aes256, N>::new(&(*key).into());
    let nonce = Array::<u8, N>::try_from(nonce).ok()?;
    cipher
        .decrypt_inout_detached(&nonce, place.as_bytes(), bytes.into(), &(*tag).into())
        .ok()
}

/// Encrypts a value for a place. An empty one stays empty, as SOPS has it.
pub(crate) fn seal(
    plain: &Plain,
    key: &[u8; DATA_KEY],
    place: &str,
    random: &mut dyn Random,
) -> String {
    if plain.bytes.is_empty() {
        return String::new();
    }
    let mut nonce = [0; NONCE];
    random.fill(&mut nonce);
    let mut bytes = plain.bytes.to_vec();
    let cipher = AesGcm::<Aes256, U32>::new(&(*key).into());
    let tag = cipher
        .encrypt_inout_detached(&nonce.into(), place.as_bytes(), bytes.as_mut_slice().into())
        .expect("a secrets file is far below the cipher's limit");
    format!(
        "ENC[AES256_GCM,data:{},iv:{},tag:{},type:{}]",
        STANDARD.encode(bytes),
        STANDARD.encode(nonce),
        STANDARD.encode(tag),
        plain.kind.name(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_at_its_place_alone() {
        let key = [7; DATA_KEY];
        let mut next = 0u8;
        let mut random = |out: &mut [u8]| {
            for byte in out {
                next = next.wrapping_add(1);
                *byte = next;
            }
        };
        let text = seal(&Plain::text("hunter2"), &key, "db:password:", &mut random);
        let value = Encrypted::parse(&text).expect("its own form");
        assert_eq!(value.kind, Kind::Str);
        let opened = value.open(&key, "db:password:").expect("key and place");
        assert_eq!(opened.to_text().expect("text").as_str(), "hunter2");
        assert_eq!(format!("{opened:?}"), "***");
        assert!(value.open(&key, "db:other:").is_none());
        assert!(value.open(&[8; DATA_KEY], "db:password:").is_none());
    }

    #[test]
    fn what_is_not_encrypted_is_not_taken_for_it() {
        for text in [
            "",
            "plain",
            "ENC[]",
            "ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str]",
            "ENC[AES256_GCM,data:!,iv:YQ==,tag:YQ==,type:str]",
        ] {
            assert!(Encrypted::parse(text).is_none(), "{text}");
        }
    }
}
