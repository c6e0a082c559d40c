//! What is followed of a foreign repository, and how to get in: names of files, never what is in them.
//!
//! Keys and passwords are read by git itself at each call, so one that was rotated is used from then on.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::CommitId;

/// Which state of a repository is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Follow {
    /// The tip of a branch; rollbacks can be pushed to it.
    Branch(String),
    /// What a tag points at; a tag that moves is followed.
    Tag(String),
    /// One commit, for ever.
    Commit(CommitId),
}

impl Follow {
    /// What is asked of the remote.
    pub(crate) fn wanted(&self) -> String {
        match self {
            Self::Branch(branch) => format!("refs/heads/{branch}"),
            Self::Tag(tag) => format!("refs/tags/{tag}"),
            Self::Commit(commit) => commit.to_string(),
        }
    }

    /// Where it is kept with us.
    pub(crate) fn tracking(&self) -> String {
        match self {
            Self::Branch(branch) => format!("refs/remotes/origin/{branch}"),
            Self::Tag(tag) => format!("refs/ordain/tags/{tag}"),
            Self::Commit(commit) => format!("refs/ordain/commits/{commit}"),
        }
    }

    /// The branch, tag or commit without its kind.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Branch(name) | Self::Tag(name) => name,
            Self::Commit(commit) => commit.as_str(),
        }
    }
}

impl fmt::Display for Follow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(name) => write!(out, "branch `{name}`"),
            Self::Tag(name) => write!(out, "tag `{name}`"),
            Self::Commit(commit) => write!(out, "commit {}", commit.short()),
        }
    }
}

/// How a remote lets us in. What is left out is what the installed git is set up to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// The private key for ssh.
    pub ssh_key: Option<PathBuf>,
    /// The only hosts that ssh may talk to (sshd(8), "`SSH_KNOWN_HOSTS` FILE FORMAT").
    pub known_hosts: Option<PathBuf>,
    /// The user for http and https; hosts that take tokens accept any.
    pub username: Option<String>,
    /// Holds the password or token for http and https; a line break at its end does not count.
    pub password_file: Option<PathBuf>,
    /// Certificates that https trusts instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl Access {
    /// The command by which git is to call ssh, or `None` when the user's own stands.
    pub(crate) fn ssh_command(&self) -> Option<String> {
        let own = self.ssh_key.is_some() || self.known_hosts.is_some();
        if !own && std::env::var_os("GIT_SSH_COMMAND").is_some() {
            return None;
        }
        // Nobody can be asked, and a host that does not answer is given up.
        let mut command =
            "ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15".to_owned();
        if let Some(key) = &self.ssh_key {
            command.push_str(&format!(" -i {} -o IdentitiesOnly=yes", quote(key)));
        }
        if let Some(hosts) = &self.known_hosts {
            command.push_str(&format!(
                " -o UserKnownHostsFile={} -o StrictHostKeyChecking=yes",
                quote(hosts)
            ));
        }
        Some(command)
    }

    /// Settings for one call of git, as `key=value`. Secrets are not among them: every user of the machine
    /// can read the arguments of a process.
    pub(crate) fn settings(&self) -> Vec<String> {
        let mut settings = Vec::new();
        if let Some(file) = &self.password_file {
            let user = self.username.as_deref().unwrap_or("git");
            // An empty helper takes out those of the user, who is not asked here.
            settings.push("credential.helper=".to_owned());
            settings.push(format!(
                "credential.helper=!f() {{ test \"$1\" = get || exit 0; echo username={}; printf 'password=%s\\n' \"$(cat {})\"; }}; f",
                quote(Path::new(user)),
                quote(file),
            ));
        }
        settings
    }
}

/// A foreign repository and what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// A path, `file://`, `http://`, `https://`, `ssh://` or `user@host:path`.
    pub url: String,
    /// Which state.
    pub follow: Follow,
    /// How it lets us in.
    pub access: Access,
    /// Commits of history that the first fetch takes; `None` for all of it. Later ones are added on top.
    pub depth: Option<u32>,
}

impl Remote {
    /// A branch of a repository, with all of its history and nobody's credentials but the user's.
    #[must_use]
    pub fn branch(url: &str, branch: &str) -> Self {
        Self {
            url: url.to_owned(),
            follow: Follow::Branch(branch.to_owned()),
            access: Access::default(),
            depth: None,
        }
    }
}

/// How a remote is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// By libgit2: paths, `file://`, `git://`.
    Library,
    /// By the installed git: `http://`, `https://` and ssh. libgit2 would need OpenSSL and libssh2 for the last two, it
    /// reads nothing from some HTTP/1.0 servers (seen with a CGI one that the installed git reads), and the
    /// installed git knows the user's keys, agents, credential helpers and proxies besides.
    Program,
}

impl Transport {
    pub(crate) fn of(url: &str) -> Self {
        // `host:path` is git's short form of ssh, but `C:\repo` is a path.
        let short = url.split_once(':').is_some_and(|(host, rest)| {
            host.len() > 1
                && !host.contains('/')
                && !rest.starts_with("//")
                && !Path::new(url).exists()
        });
        let remote = ["http://", "https://", "ssh://"]
            .iter()
            .any(|scheme| url.starts_with(scheme));
        if short || remote {
            Self::Program
        } else {
            Self::Library
        }
    }
}

/// Quotes a path for `sh`: single quotes hold everything but themselves.
pub(crate) fn quote(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_installed_git_is_asked_only_where_the_library_cannot() {
        for (url, by) in [
            ("/srv/shop.git", Transport::Library),
            ("file:///srv/shop.git", Transport::Library),
            ("http://git.example.com/shop.git", Transport::Program),
            ("https://git.example.com/shop.git", Transport::Program),
            ("git@git.example.com:shop.git", Transport::Program),
            ("ssh://git@git.example.com/shop.git", Transport::Program),
            (r"C:\repos\shop", Transport::Library),
        ] {
            assert_eq!(Transport::of(url), by, "{url}");
        }
    }

    #[test]
    fn a_password_is_named_and_never_read() {
        let access = Access {
            ssh_key: Some("/etc/o'r/key".into()),
            known_hosts: Some("/etc/hosts known".into()),
            username: Some("bot".to_owned()),
            password_file: Some("/run/to ken".into()),
            ca_file: Some("/etc/ca.pem".into()),
        };
        insta::assert_snapshot!(access.ssh_command().unwrap_or_default(), @r"ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15 -i '/etc/o'\''r/key' -o IdentitiesOnly=yes -o UserKnownHostsFile='/etc/hosts known' -o StrictHostKeyChecking=yes");
        insta::assert_snapshot!(access.settings().join("\n"), @r#"
        credential.helper=
        credential.helper=!f() { test "$1" = get || exit 0; echo username='bot'; printf 'password=%s\n' "$(cat '/run/to ken')"; }; f
        "#);
    }
}
