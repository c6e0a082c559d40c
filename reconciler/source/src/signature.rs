//! Who signed a commit, and whether he may: SSH and PGP signatures against files of allowed keys.
//!
//! The signature and what it covers come from the library; `ssh-keygen` and `gpg` judge them, so that no
//! cryptography and no rule about expired or revoked keys is written again here.

use std::{
    fmt,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::{CommitId, Error, Repository};

/// Which commits must be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// None.
    #[default]
    None,
    /// The one that is deployed.
    Head,
    /// It and every commit since the one that was accepted before it. The first look takes the tip alone.
    Strict,
}

/// Files with the keys of those who may sign. Both are read at each check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signers {
    /// SSH keys with their owners (ssh-keygen(1), "ALLOWED SIGNERS").
    pub allowed_signers: Option<PathBuf>,
    /// Exported PGP keys, armored or not.
    pub keyring: Option<PathBuf>,
}

/// What an SSH signature begins with.
const SSH: &[u8] = b"-----BEGIN SSH SIGNATURE-----";

/// What a PGP signature begins with.
const PGP: &[u8] = b"-----BEGIN PGP SIGNATURE-----";

/// What is known of a commit's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Somebody who may has signed it.
    Good {
        /// His name or address, as the file of keys has it.
        signer: String,
        /// The fingerprint of the key.
        key: String,
    },
    /// It has no signature.
    Unsigned,
    /// It has one that does not count.
    Bad {
        /// In words.
        reason: String,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good { signer, key } => write!(out, "signed by {signer} ({key})"),
            Self::Unsigned => out.write_str("it is not signed"),
            Self::Bad { reason } => out.write_str(reason),
        }
    }
}

impl Repository {
    /// How a commit is signed, whoever did: `ssh`, `pgp` or `other`; none when it is not.
    #[must_use]
    pub fn signature_method(&self, id: &CommitId) -> Option<&'static str> {
        let (signature, _) = self.lock().extract_signature(&id.oid(), None).ok()?;
        Some(if signature.starts_with(SSH) {
            "ssh"
        } else if signature.starts_with(PGP) {
            "pgp"
        } else {
            "other"
        })
    }

    /// Judges the signature of one commit.
    ///
    /// # Errors
    /// When a program or a file of keys is missing; that is never taken for a good signature.
    pub fn verdict(&self, id: &CommitId, signers: &Signers) -> Result<Verdict, Error> {
        let (signature, data) = {
            let guard = self.lock();
            match guard.extract_signature(&id.oid(), None) {
                Ok(parts) => parts,
                Err(error) if error.code() == git2::ErrorCode::NotFound => {
                    return Ok(Verdict::Unsigned);
                }
                Err(source) => {
                    return Err(Error::Read {
                        what: format!("the signature of commit {}", id.short()),
                        source,
                    });
                }
            }
        };
        let time = self.commit(id)?.time;
        let (program, judged) = if signature.starts_with(SSH) {
            ("ssh-keygen", ssh(&signature, &data, time, signers)?)
        } else if signature.starts_with(PGP) {
            ("gpg", pgp(&signature, &data, signers)?)
        } else {
            let reason = "its signature is neither an SSH nor a PGP one".to_owned();
            return Ok(Verdict::Bad { reason });
        };
        judged.map_err(|source| Error::Verify {
            commit: id.short().to_owned(),
            program,
            source,
        })
    }

    /// Holds a new tip to a policy; returns what is known of the tip's own signature.
    ///
    /// `accepted` is the commit that was deployed before it.
    ///
    /// # Errors
    /// [`Error::Untrusted`] with the first commit that does not pass, the tip first.
    pub fn hold_to(
        &self,
        policy: Verify,
        signers: &Signers,
        accepted: Option<&CommitId>,
        tip: &CommitId,
    ) -> Result<Option<Verdict>, Error> {
        if policy == Verify::None {
            return Ok(None);
        }
        let trusted = |id: &CommitId| match self.verdict(id, signers)? {
            good @ Verdict::Good { .. } => Ok(good),
            other => Err(Error::Untrusted {
                commit: id.short().to_owned(),
                reason: other.to_string(),
            }),
        };
        let verdict = trusted(tip)?;
        if let (Verify::Strict, Some(accepted)) = (policy, accepted) {
            for id in self.between(accepted, tip)? {
                trusted(&id)?;
            }
        }
        Ok(Some(verdict))
    }

    /// The commits that `tip` has and `accepted` has not, without the tip.
    fn between(&self, accepted: &CommitId, tip: &CommitId) -> Result<Vec<CommitId>, Error> {
        let guard = self.lock();
        let read = |source| Error::Read {
            what: format!("the history of commit {}", tip.short()),
            source,
        };
        let mut walk = guard.revwalk().map_err(read)?;
        walk.push(tip.oid()).map_err(read)?;
        // A commit that is gone hides nothing, and then the whole history has to be signed.
        let _ = walk.hide(accepted.oid());
        let mut found = Vec::new();
        for id in walk {
            let id = CommitId::from(id.map_err(read)?);
            if id != *tip {
                found.push(id);
            }
        }
        Ok(found)
    }
}

/// A verdict, or why the program that gives it could not be run.
type Judged = Result<io::Result<Verdict>, Error>;

fn bad(reason: impl Into<String>) -> io::Result<Verdict> {
    Ok(Verdict::Bad {
        reason: reason.into(),
    })
}

/// Opens a file of keys, so that one that is missing is not taken for an empty one.
fn readable(path: &Path) -> Result<(), Error> {
    std::fs::File::open(path)
        .map(drop)
        .map_err(|error| Error::Keys {
            path: path.to_owned(),
            said: Some(error.to_string()),
        })
}

fn ssh(signature: &[u8], data: &[u8], time: i64, signers: &Signers) -> Judged {
    let Some(allowed) = &signers.allowed_signers else {
        return Ok(bad("it has an SSH signature, and no SSH keys are allowed"));
    };
    readable(allowed)?;
    Ok(judge_ssh(signature, data, time, allowed))
}

fn judge_ssh(signature: &[u8], data: &[u8], time: i64, allowed: &Path) -> io::Result<Verdict> {
    let mut file = Scratch::new("signature")?;
    file.write(signature)?;
    let valid_at = verify_time(time);
    let who = run(
        Command::new("ssh-keygen")
            .args(["-Y", "find-principals", "-s"])
            .arg(file.path())
            .arg("-f")
            .arg(allowed)
            .arg(format!("-Overify-time={valid_at}")),
        &[],
    )?;
    let said = String::from_utf8_lossy(&who.stdout).into_owned();
    let Some(signer) = said.lines().next().filter(|_| who.status.success()) else {
        return bad("it is signed with an SSH key that is not allowed, or was not at that time");
    };
    let seen = run(
        Command::new("ssh-keygen")
            .args(["-Y", "verify", "-n", "git", "-I", signer, "-s"])
            .arg(file.path())
            .arg("-f")
            .arg(allowed)
            .arg(format!("-Overify-time={valid_at}")),
        data,
    )?;
    if !seen.status.success() {
        return bad("its SSH signature does not fit its content");
    }
    // `Good "git" signature for ada@example.com with ED25519 key SHA256:…`
    let said = String::from_utf8_lossy(&seen.stdout).into_owned();
    let key = said.split_whitespace().last().unwrap_or_default();
    Ok(Verdict::Good {
        signer: signer.to_owned(),
        key: key.to_owned(),
    })
}

/// A time as ssh-keygen reads it: a key may have been allowed only for a while.
fn verify_time(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime("%Y%m%d%H%M%SZ").to_string()
}

fn pgp(signature: &[u8], data: &[u8], signers: &Signers) -> Judged {
    let Some(keyring) = &signers.keyring else {
        return Ok(bad("it has a PGP signature, and no PGP keys are allowed"));
    };
    readable(keyring)?;
    let home = match Scratch::new("gnupg") {
        Ok(home) => home,
        Err(error) => return Ok(Err(error)),
    };
    // A home of its own holds the allowed keys and no others, and none of the user's settings.
    let gpg = || {
        let mut command = Command::new("gpg");
        command
            .args([
                "--batch",
                "--no-tty",
                "--no-autostart",
                "--quiet",
                "--homedir",
            ])
            .arg(home.folder());
        command
    };
    match run(gpg().arg("--import").arg(keyring), &[]) {
        Ok(imported) if imported.status.success() => {}
        Ok(imported) => {
            return Err(Error::Keys {
                path: keyring.clone(),
                said: Some(String::from_utf8_lossy(&imported.stderr).trim().to_owned()),
            });
        }
        Err(error) => return Ok(Err(error)),
    }
    let mut gpg = gpg();
    gpg.args(["--status-fd", "1", "--verify"]);
    Ok(judge_pgp(gpg, signature, data))
}

fn judge_pgp(mut gpg: Command, signature: &[u8], data: &[u8]) -> io::Result<Verdict> {
    let mut file = Scratch::new("signature")?;
    file.write(signature)?;
    let seen = run(gpg.arg(file.path()).arg("-"), data)?;
    let said = String::from_utf8_lossy(&seen.stdout).into_owned();
    // Status lines (GnuPG doc/DETAILS); a key may have expired since, and that does not count then.
    let status = |word: &str| {
        let mut lines = said
            .lines()
            .filter_map(|line| line.strip_prefix("[GNUPG:] "));
        lines.find_map(|line| {
            line.strip_prefix(word)?
                .strip_prefix(' ')
                .map(str::to_owned)
        })
    };
    let reasons = [
        ("REVKEYSIG", "it is signed with a PGP key that was revoked"),
        ("EXPKEYSIG", "it is signed with a PGP key that has expired"),
        ("EXPSIG", "its PGP signature has expired"),
        ("BADSIG", "its PGP signature does not fit its content"),
        ("ERRSIG", "it is signed with a PGP key that is not allowed"),
    ];
    for (word, reason) in reasons {
        if status(word).is_some() {
            return bad(reason);
        }
    }
    match (status("GOODSIG"), status("VALIDSIG")) {
        (Some(good), Some(valid)) if seen.status.success() => Ok(Verdict::Good {
            signer: good.split_once(' ').map_or("", |(_, name)| name).to_owned(),
            key: valid.split(' ').next().unwrap_or_default().to_owned(),
        }),
        _ => bad("its PGP signature cannot be read"),
    }
}

/// Runs a program with something on its standard input.
fn run(command: &mut Command, input: &[u8]) -> io::Result<Output> {
    let mut child = command
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(input) {
            // It has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written?,
        }
    }
    child.wait_with_output()
}

/// A folder for the duration of one check, only for us, with a file in it.
struct Scratch {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Scratch {
    fn new(name: &str) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("ordain-").tempdir()?;
        let path = folder.path().join(name);
        Ok(Self { folder, path })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        std::fs::write(&self.path, bytes)
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }
}

#[cfg(test)]
mod tests {
    use super::verify_time;

    #[test]
    fn times_are_written_for_ssh_keygen() {
        for (seconds, wanted) in [
            (0, "19700101000000Z"),
            (951_782_400, "20000229000000Z"),
            (1_700_000_000, "20231114221320Z"),
        ] {
            assert_eq!(verify_time(seconds), wanted);
        }
    }
}
