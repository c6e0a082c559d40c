//! The options that say which repository is deployed, how it lets us in and whose commits count.
//!
//! Shared by every command that runs the reconciler. Looks whether named files are there, since a typo in a
//! path is best told at once; reads no key and no password itself but the webhooks' one.

use crate::git_host::GitHostArgs;
use crate::policies::PolicyArgs;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use ordain_reconciler_engine::{Config, Host, Ownership, Source, Trust};
use ordain_reconciler_source::{
    Access, CommitId, Follow, HookSecret, Remote, Repository, Signers, Verify,
};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a repository on this machine is looked at: that costs one small file.
const LOCAL_POLL: Duration = Duration::from_secs(1);

/// Which repository is deployed.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Repository")]
pub(crate) struct SourceArgs {
    /// Follow this repository instead of serving one: a path or URL
    #[arg(long, value_name = "PATH|URL")]
    pub(crate) repo: Option<String>,

    /// Branch that is deployed; rollbacks are pushed to it
    #[arg(long, value_name = "NAME", default_value = "main")]
    pub(crate) branch: String,

    /// Deploy what this tag points at, instead of a branch
    #[arg(long, value_name = "NAME", requires = "repo", conflicts_with_all = ["branch", "commit"])]
    tag: Option<String>,

    /// Deploy this commit, whatever comes after it
    #[arg(long, value_name = "ID", requires = "repo", conflicts_with = "branch")]
    commit: Option<CommitId>,

    /// Fetch only so many commits of history at first
    #[arg(long, value_name = "COMMITS", requires = "repo", value_parser = clap::value_parser!(u32).range(1..))]
    depth: Option<u32>,

    /// Private key for a repository over ssh
    #[arg(long, value_name = "FILE", requires = "repo")]
    ssh_key: Option<PathBuf>,

    /// The only hosts that ssh may talk to
    #[arg(long, value_name = "FILE", requires = "repo")]
    known_hosts: Option<PathBuf>,

    /// User for a repository over https
    #[arg(long, value_name = "NAME", requires = "password_file")]
    username: Option<String>,

    /// File with the password or token for a repository over https; read at each fetch, so it may rotate
    #[arg(long, value_name = "FILE", requires = "repo")]
    password_file: Option<PathBuf>,

    /// Certificates that https trusts instead of the system's
    #[arg(long, value_name = "FILE", requires = "repo")]
    ca_file: Option<PathBuf>,

    /// Which commits must be signed
    #[arg(long, value_enum, default_value_t = VerifyArg::None)]
    verify: VerifyArg,

    /// SSH keys of those who may sign, as ssh-keygen's "allowed signers" file
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<PathBuf>,

    /// Exported PGP keys of those who may sign
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,

    /// Hold a branch whose history was rewritten until `ordain approve COMMIT`
    #[arg(long)]
    hold_rewrites: bool,

    /// Answer /metrics, /healthz, /readyz and webhooks at /hooks/git here; port 0 picks a free one
    #[arg(long, value_name = "ADDR:PORT")]
    http: Option<SocketAddr>,

    /// File with the secret that webhooks are signed with
    #[arg(long, value_name = "FILE", requires = "http")]
    webhook_secret_file: Option<PathBuf>,

    #[command(flatten)]
    git_host: GitHostArgs,

    #[command(flatten)]
    policies: PolicyArgs,
}

/// Which commits must be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum VerifyArg {
    /// None
    #[default]
    None,
    /// The one that is deployed
    Head,
    /// It and every commit since the one that was deployed before it
    Strict,
}

/// The options with everything looked at that can be wrong before anything starts.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    remote: Option<Remote>,
    branch: String,
    trust: Trust,
    ownership: Ownership,
    http: Option<SocketAddr>,
    hook_secret: Option<HookSecret>,
    host: Option<Host>,
}

impl Default for Sources {
    /// A repository of our own with the branch `main`.
    fn default() -> Self {
        Self {
            remote: None,
            branch: "main".to_owned(),
            trust: Trust::default(),
            ownership: Ownership::default(),
            http: None,
            hook_secret: None,
            host: None,
        }
    }
}

impl SourceArgs {
    /// Looks at the options.
    ///
    /// # Errors
    /// When a file that one names is not there, or two do not go together.
    pub(crate) fn look(&self) -> Result<Sources> {
        let files = [
            ("--ssh-key", &self.ssh_key),
            ("--known-hosts", &self.known_hosts),
            ("--password-file", &self.password_file),
            ("--ca-file", &self.ca_file),
            ("--allowed-signers", &self.allowed_signers),
            ("--keyring", &self.keyring),
        ];
        for (option, file) in files {
            let Some(file) = file else { continue };
            std::fs::File::open(file)
                .into_diagnostic()
                .wrap_err_with(|| {
                    format!("cannot read the file of {option}, {}", file.display())
                })?;
        }
        let has_keys = self.allowed_signers.is_some() || self.keyring.is_some();
        let verify = match self.verify {
            VerifyArg::None if has_keys => {
                return Err(miette!(
                    help = "add `--verify head` or `--verify strict`",
                    "keys of signers are given, but no commit has to be signed"
                ));
            }
            VerifyArg::None => Verify::None,
            _ if !has_keys => {
                return Err(miette!(
                    help = "name the keys with --allowed-signers (SSH) or --keyring (PGP)",
                    "commits have to be signed, but nobody may sign"
                ));
            }
            VerifyArg::Head => Verify::Head,
            VerifyArg::Strict => Verify::Strict,
        };
        let follow = match (&self.tag, &self.commit) {
            (Some(tag), _) => Follow::Tag(tag.clone()),
            (None, Some(commit)) => Follow::Commit(commit.clone()),
            (None, None) => Follow::Branch(self.branch.clone()),
        };
        let remote = match &self.repo {
            Some(url) => {
                local_repository(url)?;
                let access = Access {
                    ssh_key: self.ssh_key.clone(),
                    known_hosts: self.known_hosts.clone(),
                    username: self.username.clone(),
                    password_file: self.password_file.clone(),
                    ca_file: self.ca_file.clone(),
                };
                Some(Remote {
                    url: url.clone(),
                    follow,
                    access: absolute(access),
                    depth: self.depth,
                })
            }
            None => None,
        };
        let host = self.git_host.look(remote.as_ref())?;
        Ok(Sources {
            remote,
            branch: self.branch.clone(),
            trust: Trust {
                verify,
                signers: Signers {
                    allowed_signers: self.allowed_signers.clone(),
                    keyring: self.keyring.clone(),
                },
                hold_rewrites: self.hold_rewrites,
            },
            ownership: self.policies.look()?,
            http: self.http,
            hook_secret: self.hook_secret()?,
            host,
        })
    }

    fn hook_secret(&self) -> Result<Option<HookSecret>> {
        let Some(file) = &self.webhook_secret_file else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(file)
            .into_diagnostic()
            .wrap_err_with(|| {
                let file = file.display();
                format!("cannot read the file of --webhook-secret-file, {file}")
            })?;
        let secret = HookSecret::new(&text);
        let empty = || {
            miette!(
                help = "write a long random text into it, and the same one at the git host",
                "the webhook secret in {} is empty",
                file.display()
            )
        };
        secret.ok_or_else(empty).map(Some)
    }
}

impl Sources {
    /// Returns whether the repository is our own, so that it can be pushed to.
    pub(crate) fn is_hosted(&self) -> bool {
        self.remote.is_none()
    }

    /// The engine's source.
    ///
    /// # Errors
    /// When the running program cannot be found, which hooks of a hosted repository call.
    pub(crate) fn source(&self) -> Result<Source> {
        Ok(match &self.remote {
            Some(remote) => Source::Foreign(remote.clone()),
            None => Source::Hosted {
                program: std::env::current_exe()
                    .into_diagnostic()
                    .wrap_err("cannot find the running program")?,
                branch: self.branch.clone(),
            },
        })
    }

    /// Sets the rest of what the engine has to know.
    pub(crate) fn set(&self, config: &mut Config) {
        let is_local = |remote: &Remote| Path::new(&remote.url).is_dir();
        if self.remote.as_ref().is_some_and(is_local) {
            config.poll = LOCAL_POLL;
        }
        config.trust = self.trust.clone();
        config.ownership = self.ownership.clone();
        config.listen = self.http;
        config.hook_secret.clone_from(&self.hook_secret);
        config.host.clone_from(&self.host);
    }
}

/// Git runs somewhere else than we were called.
fn absolute(access: Access) -> Access {
    let whole = |path: Option<PathBuf>| path.map(|path| std::path::absolute(&path).unwrap_or(path));
    Access {
        ssh_key: whole(access.ssh_key),
        known_hosts: whole(access.known_hosts),
        username: access.username,
        password_file: whole(access.password_file),
        ca_file: whole(access.ca_file),
    }
}

/// Refuses a path that leads to no repository. A host that does not answer is no mistake: it is asked again.
fn local_repository(url: &str) -> Result<()> {
    let is_remote = url.contains("://")
        || url
            .split('/')
            .next()
            .is_some_and(|first| first.contains(':'));
    if is_remote {
        return Ok(());
    }
    let help =
        "name a folder with a git repository, or a URL such as https://host/team/project.git";
    let opened = Repository::open(Path::new(url));
    opened
        .map(drop)
        .map_err(|error| crate::commands::report(error, Some(help.to_owned())))
}
