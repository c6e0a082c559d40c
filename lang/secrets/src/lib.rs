//! Encrypted files in the repository: SOPS documents and age recipients; never a plain value in a message.
//!
//! Three things that meet nowhere else: what a file *has* (its keys, in the clear, from which the
//! checker makes types), how a value is *named* without being known ([`Template`], which a built
//! object carries instead of the value), and how it is *opened* when the object is applied
//! ([`Revealer`]). No file, clock or source of chance is touched: whoever encrypts hands them in.

mod age;
mod bech32;
mod document;
mod edit;
mod emit;
mod error;
mod keys;
mod metadata;
mod open;
mod plain;
mod reveal;
mod rules;
mod template;
mod value;

pub use age::{armor, decrypt, encrypt, is_age};
pub use document::{Document, Entry, Format, Leaf, Shape};
pub use edit::Editor;
pub use error::{AgeError, DocumentError, KeyError, OpenError};
pub use keys::{Identity, Random, Recipient, identities};
pub use open::Opened;
pub use reveal::{RevealError, Revealed, Revealer, is_reference, references, scrub};
pub use rules::creation_rule;
pub use template::{MARK, Part, Reference, Template};
pub use value::{Kind, Plain};
pub use zeroize::Zeroizing as Wiped;
