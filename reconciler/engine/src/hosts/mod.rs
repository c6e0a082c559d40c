//! What git hosts offer beside git: requests to merge a branch, and a word on each commit. Optional: nothing waits for a
//! host, and what it does not take is told and tried again when there is something new to say.
//!
//! Calls are made as data here and sent by [`call`]; the token is read at each call and is in no message.

pub(crate) mod call;
pub(crate) mod statuses;

use std::path::PathBuf;

use serde_json::{Value, json};

/// Letters of a description that GitHub takes (docs.github.com, "Create a commit status").
const DESCRIPTION_MAX: usize = 140;

/// Which API a host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKind {
    /// GitHub, and GitHub Enterprise below `/api/v3`.
    GitHub,
    /// GitLab, version 4 of its API.
    GitLab,
    /// Gitea and Forgejo, version 1.
    Gitea,
}

/// A git host and how to talk to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its API.
    pub kind: HostKind,
    /// Where the API is, such as `https://api.github.com`.
    pub api: String,
    /// The repository there: `owner/name`, or groups and a name.
    pub repository: String,
    /// Holds the token; a line break at its end does not count.
    pub token_file: PathBuf,
    /// Certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Says of each commit how its apps are.
    pub statuses: bool,
}

impl Host {
    /// Returns what the API of a well-known host is, by the URL of a repository: its kind and address.
    #[must_use]
    pub fn known(url: &str) -> Option<(HostKind, &'static str)> {
        match server(url)? {
            "github.com" => Some((HostKind::GitHub, "https://api.github.com")),
            "gitlab.com" => Some((HostKind::GitLab, "https://gitlab.com/api/v4")),
            "codeberg.org" => Some((HostKind::Gitea, "https://codeberg.org/api/v1")),
            _ => None,
        }
    }

    /// Returns the repository's name at its host, by its URL: `owner/name`.
    #[must_use]
    pub fn repository_of(url: &str) -> Option<String> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let path = match url.contains("://") {
            true => rest.split_once('/')?.1,
            false => rest.split_once(':')?.1,
        };
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        path.contains('/').then(|| path.to_owned())
    }
}

/// The name of the server in a URL.
fn server(url: &str) -> Option<&str> {
    let rest = match url.split_once("://") {
        Some((_, rest)) => rest.split('/').next()?,
        None => url.split_once(':')?.0,
    };
    let host = rest.rsplit('@').next()?;
    Some(host.split(':').next().unwrap_or(host))
}

/// One call of an API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) method: http::Method,
    /// Below the address of the API.
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
}

/// How an app is after a commit, in the words that all hosts know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Pending,
    Success,
    Failure,
}

/// A request to merge a branch.
#[derive(Debug, Clone)]
pub(crate) struct Merge<'a> {
    pub(crate) from: &'a str,
    pub(crate) into: &'a str,
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
}

impl Host {
    /// Asks for a branch to be merged.
    pub(crate) fn merge(&self, merge: &Merge<'_>) -> Call {
        let Merge {
            from,
            into,
            title,
            text,
        } = merge;
        let (path, body) = match self.kind {
            HostKind::GitHub | HostKind::Gitea => (
                format!("/repos/{}/pulls", self.repository),
                json!({"title": title, "head": from, "base": into, "body": text}),
            ),
            HostKind::GitLab => (
                format!("/projects/{}/merge_requests", encoded(&self.repository)),
                json!({"title": title, "source_branch": from, "target_branch": into, "description": text}),
            ),
        };
        Call {
            method: http::Method::POST,
            path,
            body: Some(body),
        }
    }

    /// Looks for an open request to merge a branch.
    pub(crate) fn merges(&self, from: &str) -> Call {
        let path = match self.kind {
            HostKind::GitHub => {
                let owner = self.repository.split('/').next().unwrap_or_default();
                let head = encoded(&format!("{owner}:{from}"));
                format!("/repos/{}/pulls?state=open&head={head}", self.repository)
            }
            HostKind::Gitea => format!("/repos/{}/pulls?state=open", self.repository),
            HostKind::GitLab => format!(
                "/projects/{}/merge_requests?state=opened&source_branch={}",
                encoded(&self.repository),
                encoded(from)
            ),
        };
        Call {
            method: http::Method::GET,
            path,
            body: None,
        }
    }

    /// The page of the request for a branch, in what a host answers to [`merge`](Self::merge) or
    /// [`merges`](Self::merges).
    pub(crate) fn page(&self, answer: &Value, from: &str) -> Option<String> {
        let page = |one: &Value| {
            let page = match self.kind {
                HostKind::GitLab => one.get("web_url"),
                HostKind::GitHub | HostKind::Gitea => one.get("html_url"),
            };
            page.and_then(Value::as_str).map(str::to_owned)
        };
        let is_it = |one: &&Value| {
            let head = one
                .pointer("/head/ref")
                .or_else(|| one.get("source_branch"));
            head.and_then(Value::as_str) == Some(from)
        };
        match answer {
            Value::Array(all) => all.iter().find(is_it).and_then(page),
            one => page(one),
        }
    }

    /// Says how an app is after a commit.
    pub(crate) fn status(&self, commit: &str, context: &str, state: State, text: &str) -> Call {
        let text: String = match text.chars().count() > DESCRIPTION_MAX {
            true => text
                .chars()
                .take(DESCRIPTION_MAX - 1)
                .chain(['…'])
                .collect(),
            false => text.to_owned(),
        };
        let (path, body) = match self.kind {
            HostKind::GitHub | HostKind::Gitea => {
                let state = match state {
                    State::Pending => "pending",
                    State::Success => "success",
                    State::Failure => "failure",
                };
                (
                    format!("/repos/{}/statuses/{commit}", self.repository),
                    json!({"state": state, "context": context, "description": text}),
                )
            }
            HostKind::GitLab => {
                let state = match state {
                    State::Pending => "pending",
                    State::Success => "success",
                    State::Failure => "failed",
                };
                (
                    format!("/projects/{}/statuses/{commit}", encoded(&self.repository)),
                    json!({"state": state, "name": context, "description": text}),
                )
            }
        };
        Call {
            method: http::Method::POST,
            path,
            body: Some(body),
        }
    }
}

/// A name as one segment of a path (RFC 3986, section 2.3).
fn encoded(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(kind: HostKind) -> Host {
        Host {
            kind,
            api: "https://git.example.com/api".to_owned(),
            repository: "team/shop".to_owned(),
            token_file: "/run/token".into(),
            ca_file: None,
            statuses: true,
        }
    }

    #[test]
    fn urls_name_the_host_and_the_repository() {
        for (url, name) in [
            ("https://github.com/team/shop.git", "team/shop"),
            ("git@github.com:team/shop.git", "team/shop"),
            ("ssh://git@gitlab.com:22/group/sub/shop", "group/sub/shop"),
        ] {
            assert_eq!(Host::repository_of(url).as_deref(), Some(name), "{url}");
            assert!(Host::known(url).is_some(), "{url}");
        }
        assert_eq!(Host::known("https://git.example.com/a/b"), None);
        assert_eq!(Host::repository_of("/srv/shop.git"), None);
    }

    #[test]
    fn each_host_is_asked_in_its_own_way() {
        let merge = Merge {
            from: "ordain/rollback-web-1",
            into: "main",
            title: "t",
            text: "b",
        };
        let shown = |kind| {
            let host = host(kind);
            let (merge, list) = (host.merge(&merge), host.merges(merge.from));
            let status = host.status("abc", "ordain/dev/web", State::Failure, "not healthy");
            let show = |call: Call| format!("{} {} {:?}", call.method, call.path, call.body);
            [show(merge), show(list), show(status)].join("\n")
        };
        insta::assert_snapshot!(
            [HostKind::GitHub, HostKind::GitLab, HostKind::Gitea]
                .map(shown)
                .join("\n")
        );
    }

    #[test]
    fn the_page_of_a_request_is_found_again() {
        let own = json!({"html_url": "https://h/1", "head": {"ref": "b"}});
        let other = json!({"html_url": "https://h/2", "head": {"ref": "c"}});
        let github = host(HostKind::GitHub);
        assert_eq!(github.page(&own, "b").as_deref(), Some("https://h/1"));
        let list = json!([other, own]);
        assert_eq!(github.page(&list, "b").as_deref(), Some("https://h/1"));
        assert_eq!(github.page(&json!([]), "b"), None);
    }

    #[test]
    fn a_long_description_is_cut() {
        let call = host(HostKind::GitHub).status("a", "c", State::Pending, &"x".repeat(500));
        let body = call.body.expect("a body");
        let text = body["description"].as_str().unwrap_or_default();
        assert_eq!(text.chars().count(), DESCRIPTION_MAX);
    }
}
