//! Commits of ours, signed with an ed25519 key as git and `ssh-keygen -Y verify` read it.
//!
//! The format is OpenSSH's PROTOCOL.sshsig with the namespace `git` (gitformat-signature(5)).

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::digest::{SHA512, digest};

use crate::{CommitId, Error, Person};

/// Characters in a line of the armor, as ssh-keygen has them.
const ARMOR_CHARS: usize = 70;

/// Signs with a key that stays where it is.
pub struct Signer<'a> {
    /// The public half, 32 bytes of ed25519.
    pub public_key: [u8; 32],
    /// Signs bytes with the private half.
    pub sign: &'a (dyn Fn(&[u8]) -> [u8; 64] + Send + Sync),
}

impl fmt::Debug for Signer<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Signer({})", self.public_line())
    }
}

impl Signer<'_> {
    /// The public key as a line of `authorized_keys` or `allowed_signers` has it, without a name.
    #[must_use]
    pub fn public_line(&self) -> String {
        format!("ssh-ed25519 {}", STANDARD.encode(self.wire_key()))
    }

    fn wire_key(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        string(&mut bytes, b"ssh-ed25519");
        string(&mut bytes, &self.public_key);
        bytes
    }

    /// The armored signature of a commit's bytes.
    fn armored(&self, content: &[u8]) -> String {
        let mut signed = b"SSHSIG".to_vec();
        string(&mut signed, b"git");
        string(&mut signed, b"");
        string(&mut signed, b"sha512");
        string(&mut signed, digest(&SHA512, content).as_ref());
        let mut signature = Vec::new();
        string(&mut signature, b"ssh-ed25519");
        string(&mut signature, &(self.sign)(&signed));
        let mut blob = b"SSHSIG".to_vec();
        blob.extend(1_u32.to_be_bytes());
        string(&mut blob, &self.wire_key());
        string(&mut blob, b"git");
        string(&mut blob, b"");
        string(&mut blob, b"sha512");
        string(&mut blob, &signature);
        let text = STANDARD.encode(blob);
        let mut armor = "-----BEGIN SSH SIGNATURE-----\n".to_owned();
        for line in text.as_bytes().chunks(ARMOR_CHARS) {
            armor.push_str(&String::from_utf8_lossy(line));
            armor.push('\n');
        }
        armor.push_str("-----END SSH SIGNATURE-----");
        armor
    }
}

/// RFC 4251, section 5: a length of four bytes, then the bytes.
fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend(length.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// A commit that is not written yet.
pub(crate) struct NewCommit<'a> {
    pub(crate) author: &'a Person,
    /// Seconds since 1970-01-01 UTC.
    pub(crate) time: i64,
    pub(crate) message: &'a str,
    pub(crate) tree: git2::Oid,
    pub(crate) parent: git2::Oid,
}

impl NewCommit<'_> {
    /// Writes the commit without moving a reference.
    pub(crate) fn write(
        &self,
        repository: &git2::Repository,
        signer: Option<&Signer<'_>>,
    ) -> Result<CommitId, Error> {
        let write = |source| Error::Write {
            what: "the commit".to_owned(),
            source,
        };
        let time = git2::Time::new(self.time, 0);
        // Git refuses an empty name, and a missing address is common on fresh machines.
        let name = match self.author.name.as_str() {
            "" => "unknown",
            name => name,
        };
        let author = git2::Signature::new(name, &self.author.email, &time).map_err(write)?;
        let tree = repository.find_tree(self.tree).map_err(write)?;
        let parent = repository.find_commit(self.parent).map_err(write)?;
        let (message, parents) = (self.message, [&parent]);
        let Some(signer) = signer else {
            let id = repository.commit(None, &author, &author, message, &tree, &parents);
            return Ok(id.map_err(write)?.into());
        };
        let content = repository
            .commit_create_buffer(&author, &author, message, &tree, &parents)
            .map_err(write)?;
        let content = String::from_utf8_lossy(&content).into_owned();
        let signature = signer.armored(content.as_bytes());
        let id = repository.commit_signed(&content, &signature, Some("gpgsig"));
        Ok(id.map_err(write)?.into())
    }
}
