//! What can be wrong with keys, age files and SOPS documents. No message holds a value or a key.

/// A key that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A recipient is not an age X25519 recipient.
    #[error("this is no age recipient; one begins with `age1`")]
    Recipient,
    /// A line of a key file is no identity. The line itself is not shown: it may be a broken key.
    #[error("line {line} of the keys is no age identity; one begins with `AGE-SECRET-KEY-1`")]
    Identity {
        /// The line, from 1.
        line: usize,
    },
}

/// An age file that cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgeError {
    /// It is no age file at all.
    #[error("this is no age file")]
    NotAge,
    /// It was cut or changed.
    #[error("the age file is damaged: {0}")]
    Damaged(&'static str),
    /// None of the identities can open it.
    #[error("none of {identities} age identities can open it")]
    NoIdentity {
        /// How many were tried.
        identities: usize,
    },
}

/// A secrets file whose structure cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The name says nothing that is known.
    #[error("a secrets file ends with .yaml, .yml, .json, .env or .age")]
    Ending,
    /// It is larger than is read.
    #[error("a secrets file has at most {max} bytes")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// It is not text.
    #[error("it is not UTF-8")]
    NotText,
    /// It is no YAML, JSON or dotenv. The parser's own words are left out: they may quote a value.
    #[error("it is not valid {format}{place}")]
    Syntax {
        /// The format that was expected.
        format: &'static str,
        /// ` (line 3, column 4)`, or nothing.
        place: String,
    },
    /// A key is no string, or values are nested too deep.
    #[error("{0}")]
    Structure(&'static str),
    /// There is no `sops` metadata: nothing encrypted it.
    #[error("it is not encrypted: it has no `sops` metadata")]
    NotEncrypted,
    /// The `sops` metadata lacks something, or has what is not supported.
    #[error("its `sops` metadata {0}")]
    Metadata(&'static str),
    /// An age file that is none.
    #[error(transparent)]
    Age(#[from] AgeError),
}

/// A secrets file that cannot be decrypted or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Its structure cannot be read.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It has no age recipient.
    #[error("it is not encrypted for any age recipient")]
    NoRecipient,
    /// The data key cannot be had.
    #[error("no key opens it: it is encrypted for {}", recipients.join(", "))]
    NoIdentity {
        /// The recipients that could open it.
        recipients: Vec<String>,
    },
    /// A value was changed, or belongs to another key or file.
    #[error("the value of `{key}` was changed or moved: it does not belong here")]
    Value {
        /// The key, with dots.
        key: String,
    },
    /// A value that should be encrypted is not.
    #[error("the value of `{key}` is not encrypted")]
    Plain {
        /// The key, with dots.
        key: String,
    },
    /// The message authentication code does not fit.
    #[error("its values were changed, removed or put in another order: the MAC does not fit")]
    Mac,
    /// There is no such key.
    #[error("it has no key `{key}`")]
    NoKey {
        /// The key, with dots.
        key: String,
    },
    /// A key cannot be set, because something else is there.
    #[error("`{key}` cannot be set: {why}")]
    CannotSet {
        /// The key, with dots.
        key: String,
        /// Why.
        why: &'static str,
    },
    /// Writing it anew would lose its comments.
    #[error("it has comments, which would be lost; change it with `sops` itself")]
    Comments,
}
