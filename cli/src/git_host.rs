//! The options that say which API the host of a repository has, and with which token it is called.

use miette::{Result, miette};
use ordain_reconciler_engine::{Host, HostKind};
use ordain_reconciler_source::Remote;
use std::path::PathBuf;

/// What a git host offers beside git. Used when the branch is protected, and for commit statuses.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Repository")]
pub(crate) struct GitHostArgs {
    /// Which API the git host has; known for github.com, gitlab.com and codeberg.org
    #[arg(long, value_enum, value_name = "API", requires = "repo")]
    git_host: Option<HostArg>,

    /// Where that API is, such as https://git.example.com/api/v4
    #[arg(long, value_name = "URL", requires = "git_host")]
    git_host_api: Option<String>,

    /// File with the token for it, when it is another one than that of --password-file
    #[arg(long, value_name = "FILE", requires = "repo")]
    git_host_token_file: Option<PathBuf>,

    /// Say at each commit how the apps are that it changes
    #[arg(long, requires = "repo")]
    commit_statuses: bool,
}

/// Which API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum HostArg {
    /// GitHub, also GitHub Enterprise
    Github,
    /// GitLab
    Gitlab,
    /// Gitea and Forgejo
    Gitea,
}

impl GitHostArgs {
    /// The host of a repository; none when nobody wants it called, or when nothing is known of it.
    ///
    /// # Errors
    /// When it is wanted and something is missing.
    pub(crate) fn look(&self, remote: Option<&Remote>) -> Result<Option<Host>> {
        let Some(remote) = remote else {
            return Ok(None);
        };
        let is_wanted = self.commit_statuses || self.git_host.is_some();
        let known = Host::known(&remote.url);
        let kind = self.git_host.map(|kind| match kind {
            HostArg::Github => HostKind::GitHub,
            HostArg::Gitlab => HostKind::GitLab,
            HostArg::Gitea => HostKind::Gitea,
        });
        let api = self.git_host_api.clone();
        let api = api.or_else(|| {
            let (own, api) = known?;
            (kind.is_none() || kind == Some(own)).then(|| api.to_owned())
        });
        let kind = kind.or_else(|| known.map(|(kind, _)| kind));
        let token_file = self.git_host_token_file.clone();
        let token_file = token_file.or_else(|| remote.access.password_file.clone());
        let repository = Host::repository_of(&remote.url);
        let (Some(kind), Some(api), Some(token_file), Some(repository)) =
            (kind, api, token_file, repository)
        else {
            return match is_wanted {
                false => Ok(None),
                true => Err(miette!(
                    help = "name it with --git-host, --git-host-api and --git-host-token-file",
                    "it is not known how to call the git host of `{}`",
                    remote.url
                )),
            };
        };
        if let Err(error) = std::fs::File::open(&token_file) {
            return Err(miette!(
                help = "name a file that can be read with --git-host-token-file",
                "cannot read the token of the git host in {}: {error}",
                token_file.display()
            ));
        }
        Ok(Some(Host {
            kind,
            api,
            repository,
            token_file: std::path::absolute(&token_file).unwrap_or(token_file),
            ca_file: remote.access.ca_file.clone(),
            statuses: self.commit_statuses,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_host_needs_a_token_alone() {
        let token = tempfile::NamedTempFile::new().expect("a file");
        let mut remote = Remote::branch("https://github.com/team/shop.git", "main");
        let none = GitHostArgs::default();
        assert_eq!(none.look(Some(&remote)).expect("right"), None);
        remote.access.password_file = Some(token.path().to_owned());
        let host = none.look(Some(&remote)).expect("right").expect("a host");
        assert_eq!(
            (host.kind, host.repository.as_str(), host.statuses),
            (HostKind::GitHub, "team/shop", false)
        );
        let wanted = GitHostArgs {
            commit_statuses: true,
            ..GitHostArgs::default()
        };
        let other = Remote::branch("https://git.example.com/team/shop.git", "main");
        let refused = wanted.look(Some(&other)).expect_err("not known");
        assert!(refused.to_string().contains("it is not known how to call"));
    }
}
