//! Encrypted files in the repository: SOPS documents and age recipients; never a plain value in a message.
