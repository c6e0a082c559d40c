//! What can stop the engine, or one request to it.

use std::{io, path::PathBuf};

/// A failed operation of the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Source(#[from] ordain_reconciler_source::Error),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] ordain_reconciler_journal::Error),
    /// The engine stopped while something was written to its journal.
    #[error("the journal was closed")]
    Lost,
    /// The control socket could not be opened.
    #[error("cannot listen on the control socket in `{path}`")]
    Listen {
        /// The folder of the socket.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The port for metrics and webhooks could not be opened.
    #[error("cannot listen on {address} for metrics and webhooks")]
    Http {
        /// The address that was asked for.
        address: std::net::SocketAddr,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Nothing runs on this data directory.
    #[error("no `ordain up` or `ordain run` works in `{data_dir}`")]
    NotRunning {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// The connection to the running one broke.
    #[error("the running reconciler of {target} stopped answering")]
    Disconnected {
        /// Where it was reached.
        target: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A kubeconfig is missing or not one.
    #[error("the kubeconfig cannot be used")]
    Kubeconfig {
        /// Why it failed.
        #[source]
        source: Box<kube::config::KubeconfigError>,
    },
    /// The API server behind which the reconciler is did not do what was asked.
    #[error("cannot ask the reconciler in {target}")]
    Mailbox {
        /// Where it is.
        target: String,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// The cluster does not know requests.
    #[error("the cluster takes no requests for a reconciler in {target}")]
    NoMailbox {
        /// Where it was looked for.
        target: String,
    },
    /// Another reconciler does the work.
    #[error("this reconciler stands by{}", leader_hint(.leader))]
    StandsBy {
        /// Who does, when that is known.
        leader: String,
    },
    /// Nobody took the request on.
    #[error("no reconciler answers in {target}")]
    NotAnswered {
        /// Where it was looked for.
        target: String,
    },
    /// The running one said no.
    #[error("{message}")]
    Refused {
        /// In its words.
        message: String,
    },
    /// An inventory of the journal is not one.
    #[error("an inventory in the journal cannot be read")]
    Inventory {
        /// Why it failed.
        #[source]
        source: serde_json::Error,
    },
    /// Nothing to go back to.
    #[error("no earlier deploy of {app} with other objects was healthy")]
    NeverHealthy {
        /// The app.
        app: String,
    },
    /// No such plan waits.
    #[error("no plan `{plan}` waits for an approval{}", waiting_hint(.waiting))]
    NoPlan {
        /// As it was given.
        plan: String,
        /// The plans that wait, with their apps.
        waiting: Vec<String>,
    },
    /// Nothing to resume.
    #[error("{app}: not suspended{}", if *.of_all { "; all apps are: `ordain resume --all` ends that" } else { "" })]
    NotSuspended {
        /// The app, or `all apps`.
        app: String,
        /// True when all apps are.
        of_all: bool,
    },
    /// No such app.
    #[error("there is no app `{app}`{}", known_hint(.known))]
    UnknownApp {
        /// As it was given.
        app: String,
        /// The apps there are.
        known: Vec<String>,
    },
    /// No such object.
    #[error("app `{app}` declares no `{object}`")]
    UnknownObject {
        /// The app.
        app: String,
        /// As it was given.
        object: String,
    },
    /// The app is in several environments.
    #[error("app `{app}` is in the environments {}; say which one", .envs.join(", "))]
    WhichEnv {
        /// The app.
        app: String,
        /// Its environments.
        envs: Vec<String>,
    },
    /// The commit to compare or roll back to does not compile.
    #[error("commit {commit} does not compile:\n{errors}")]
    Compile {
        /// The commit, shortened.
        commit: String,
        /// Rendered errors.
        errors: String,
    },
    /// The app's files make other apps as well.
    #[error(
        "{app} cannot go back to {commit} alone: restoring {files} changes {others} as well; \
         roll back the whole repository with `ordain rollback --all --to {commit}`"
    )]
    SharedFiles {
        /// The app.
        app: String,
        /// The commit, shortened.
        commit: String,
        /// The files.
        files: String,
        /// The other apps.
        others: String,
    },
    /// The app's files alone do not do.
    #[error(
        "{app} cannot go back to {commit} alone: its own files do not give the objects it had then; \
         roll back the whole repository with `ordain rollback --all --to {commit}`"
    )]
    NotExact {
        /// The app.
        app: String,
        /// The commit, shortened.
        commit: String,
    },
    /// There is nothing to roll back.
    #[error("{app} has the objects of {commit} already: there is nothing to roll back")]
    SameObjects {
        /// The app.
        app: String,
        /// The commit, shortened.
        commit: String,
    },
    /// The repository lost the commit.
    #[error("commit {commit} is not in the repository any more")]
    Gone {
        /// The commit.
        commit: String,
    },
    /// Nothing was deployed and healthy then.
    #[error("nothing of {app} was healthy at {time}")]
    NotThen {
        /// The app.
        app: String,
        /// As it was given.
        time: String,
    },
    /// The commit could not be put on the branch.
    #[error("the commit cannot be put on the branch: {why}")]
    NotPublished {
        /// In words.
        why: String,
    },
    /// The app is not in the commit to roll back to.
    #[error("app `{app}` is not in commit {commit}")]
    NotInCommit {
        /// The app.
        app: String,
        /// The commit, shortened.
        commit: String,
    },
}

fn waiting_hint(waiting: &[String]) -> String {
    if waiting.is_empty() {
        "; none waits".to_owned()
    } else {
        format!("; these wait: {}", waiting.join(", "))
    }
}

fn leader_hint(leader: &str) -> String {
    match leader {
        "" => "; nobody leads yet".to_owned(),
        leader => format!("; ask `{leader}`"),
    }
}

fn known_hint(known: &[String]) -> String {
    if known.is_empty() {
        "; nothing was deployed yet".to_owned()
    } else {
        format!("; there is {}", known.join(", "))
    }
}

impl Error {
    /// The error with all its causes, for one line of a log or terminal.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// An error with all its causes, joined by colons.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // libgit2's class and code are for programs.
        let more = error.to_string();
        let more = more.split("; class=").next().unwrap_or_default().to_owned();
        // Transparent wrappers and kube's own messages repeat their cause.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
