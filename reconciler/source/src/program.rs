//! The installed git, for transports that the library does not speak. It never asks anybody anything.

use std::{
    io::{self, Read},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{Access, Error, Follow, error::Branches};

/// How long git may take before it is stopped; a first fetch of a large repository is slow.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// Bytes of its messages that are kept; the end says why.
const SAID_BYTES_MAX: usize = 2000;

/// Why git did not do it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It could not be run.
    Run(io::Error),
    /// It said no.
    Said(String),
}

impl Failure {
    pub(crate) fn fetching(self, url: &str, follow: &Follow) -> Error {
        match (self, follow) {
            (Self::Said(said), Follow::Branch(branch))
                if said.contains("couldn't find remote ref") =>
            {
                Error::NoBranch {
                    branch: branch.clone(),
                    url: url.to_owned(),
                    known: Branches::unknown(),
                }
            }
            (Self::Said(said), follow)
                if said.contains("couldn't find remote ref") || said.contains("not our ref") =>
            {
                Error::UnknownRevision {
                    revision: follow.to_string(),
                    repository: url.to_owned(),
                }
            }
            (failure, _) => failure.into_error("fetch", url),
        }
    }

    pub(crate) fn pushing(self, url: &str, branch: &str) -> Error {
        match self {
            Self::Said(reason) if reason.contains("rejected") => Error::Refused {
                branch: branch.to_owned(),
                url: url.to_owned(),
                reason,
            },
            failure => failure.into_error("push to", url),
        }
    }

    pub(crate) fn into_error(self, action: &'static str, url: &str) -> Error {
        let url = url.to_owned();
        match self {
            Self::Run(source) => Error::NoGit { url, source },
            Self::Said(said) => Error::Git { action, url, said },
        }
    }
}

/// Runs git in a repository. Without a terminal, a missing password or host key is an error, not a question.
pub(crate) fn run(repository: &Path, access: &Access, args: &[&str]) -> Result<(), Failure> {
    let mut command = Command::new("git");
    // A connection over which nothing comes is given up, so that it does not hold up a shutdown.
    command.args(["-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=30"]);
    for setting in access.settings() {
        command.args(["-c", &setting]);
    }
    if let Some(file) = &access.ca_file {
        // The setting of the same meaning gives way to this variable, which may be set for us.
        command.env("GIT_SSL_CAINFO", file);
    }
    if let Some(ssh) = access.ssh_command() {
        command.env("GIT_SSH_COMMAND", ssh);
    }
    let mut child = command
        .arg("--git-dir")
        .arg(repository)
        .args(args)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        // Whoever writes a `.gitmodules` must not choose a program for us to run (`ext::`).
        .env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Failure::Run)?;
    let stderr = child.stderr.take();
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(mut stderr) = stderr {
            let _ = stderr.read_to_end(&mut said);
        }
        said
    });
    let deadline = Instant::now() + WAIT_MAX;
    let status = loop {
        match child.try_wait().map_err(Failure::Run)? {
            Some(status) => break status,
            None if Instant::now() >= deadline => {
                let _ = child.kill();
                let _ = child.wait();
                let seconds = WAIT_MAX.as_secs();
                return Err(Failure::Said(format!("no answer within {seconds} s")));
            }
            None => thread::sleep(LOOK),
        }
    };
    let said = reader.join().unwrap_or_default();
    if status.success() {
        return Ok(());
    }
    let start = said.len().saturating_sub(SAID_BYTES_MAX);
    let said = String::from_utf8_lossy(&said[start..])
        .trim()
        .replace('\n', "; ");
    Err(Failure::Said(if said.is_empty() {
        status.to_string()
    } else {
        said
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_branch_is_told_from_other_failures() {
        let dir = tempfile::tempdir().expect("a folder");
        let (origin, copy) = (dir.path().join("origin"), dir.path().join("copy"));
        git2::Repository::init_bare(&origin).expect("created");
        git2::Repository::init_bare(&copy).expect("created");
        let fetch = |url: &str| {
            let refspec = "+refs/heads/main:refs/remotes/origin/main";
            let failure = run(&copy, &Access::default(), &["fetch", "--", url, refspec])
                .expect_err("nothing to fetch");
            failure.fetching(url, &Follow::Branch("main".to_owned()))
        };
        let error = fetch(&origin.display().to_string());
        assert!(matches!(error, Error::NoBranch { .. }), "{error}");
        let error = fetch("/nowhere");
        assert!(
            matches!(&error, Error::Git { said, .. } if said.contains("/nowhere")),
            "{error}"
        );
    }
}
