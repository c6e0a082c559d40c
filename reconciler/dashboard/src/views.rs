//! What the page shows of a status: counts, and the apps that were looked for, the troubled ones first.

use std::collections::BTreeMap;

use ordain_reconciler_engine::{AppStatus, Hold, Status, Sync};
use serde::Serialize;

/// Apps of one answer: nobody reads more, and a browser with ten thousand rows is slow.
pub(crate) const ROWS_MAX: usize = 200;

/// Which apps are looked for.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// Words that stand in a name, environment, cluster, namespace, commit or message.
    pub(crate) words: Vec<String>,
    /// How they stand.
    pub(crate) state: Option<String>,
}

/// The first page.
#[derive(Debug, Serialize)]
pub(crate) struct Overview<'a> {
    /// Changes when the page should be asked for again.
    pub(crate) number: u64,
    pub(crate) holds: Vec<&'a Hold>,
    /// How many apps stand how, whatever is looked for.
    pub(crate) counts: BTreeMap<&'static str, usize>,
    /// How many were found.
    pub(crate) found: usize,
    pub(crate) rows: Vec<Row<'a>>,
}

/// An app in a list.
#[derive(Debug, Serialize)]
pub(crate) struct Row<'a> {
    env: &'a str,
    name: &'a str,
    cluster: &'a str,
    namespace: &'a str,
    state: &'static str,
    sync: Sync,
    health: &'a str,
    commit: &'a str,
    message: &'a str,
    objects: usize,
    notes: usize,
}

/// How an app stands, in the one word that matters most, the worst first.
pub(crate) fn state(app: &AppStatus) -> &'static str {
    match (app.sync, app.health.as_str()) {
        (Sync::Failed, _) => "failed",
        (Sync::OutOfSync, _) => "out-of-sync",
        (_, "degraded") => "degraded",
        (Sync::Blocked, _) => "blocked",
        (Sync::Suspended, _) => "suspended",
        (Sync::Applying | Sync::Applied, _) | (_, "progressing" | "missing") => "progressing",
        (Sync::Unknown, _) => "unknown",
        (Sync::Synced, _) => "synced",
    }
}

/// The states, as they are listed.
const ORDER: [&str; 8] = [
    "failed",
    "out-of-sync",
    "degraded",
    "blocked",
    "progressing",
    "suspended",
    "unknown",
    "synced",
];

fn rank(state: &str) -> usize {
    ORDER
        .iter()
        .position(|one| *one == state)
        .unwrap_or(ORDER.len())
}

impl Filter {
    fn takes(&self, app: &AppStatus) -> bool {
        let has = |word: &String| {
            let texts = [
                &app.name,
                &app.env,
                &app.cluster,
                &app.namespace,
                &app.commit,
                &app.message,
            ];
            texts.iter().any(|text| text.to_lowercase().contains(word))
        };
        self.words.iter().all(has)
            && self
                .state
                .as_deref()
                .is_none_or(|wanted| wanted == state(app))
    }
}

/// The overview of a status.
pub(crate) fn overview<'a>(number: u64, status: &'a Status, filter: &Filter) -> Overview<'a> {
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for app in &status.apps {
        *counts.entry(state(app)).or_default() += 1;
    }
    let mut taken: Vec<&AppStatus> = status.apps.iter().filter(|app| filter.takes(app)).collect();
    // Stable: within a state they stay by environment and name.
    taken.sort_by_key(|app| rank(state(app)));
    let found = taken.len();
    let row = |app: &'a AppStatus| Row {
        env: &app.env,
        name: &app.name,
        cluster: &app.cluster,
        namespace: &app.namespace,
        state: state(app),
        sync: app.sync,
        health: &app.health,
        commit: &app.commit,
        message: &app.message,
        objects: app.objects.len(),
        notes: app.notes.len(),
    };
    Overview {
        number,
        holds: status.holds.iter().take(ROWS_MAX).collect(),
        counts,
        found,
        rows: taken.into_iter().take(ROWS_MAX).map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use ordain_reconciler_engine::SourceStatus;

    use super::*;

    fn app(name: &str, sync: Sync, health: &str) -> AppStatus {
        AppStatus {
            name: name.to_owned(),
            env: "prod".to_owned(),
            namespace: "shop".to_owned(),
            cluster: "local".to_owned(),
            commit: "c0ffee".to_owned(),
            deployed: None,
            sync,
            health: health.to_owned(),
            message: String::new(),
            objects: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn status() -> Status {
        Status {
            apps: vec![
                app("a", Sync::Synced, "healthy"),
                app("b", Sync::Applied, "progressing"),
                app("c", Sync::Synced, "degraded"),
                app("d", Sync::Failed, "unknown"),
                app("e", Sync::Synced, "healthy"),
            ],
            holds: Vec::new(),
            source: SourceStatus {
                repository: "/repo".to_owned(),
                branch: "main".to_owned(),
                commit: None,
                message: String::new(),
            },
        }
    }

    fn names(filter: &Filter) -> Vec<String> {
        let status = status();
        let overview = overview(1, &status, filter);
        overview
            .rows
            .iter()
            .map(|row| row.name.to_owned())
            .collect()
    }

    #[test]
    fn the_troubled_ones_come_first() {
        assert_eq!(names(&Filter::default()), ["d", "c", "b", "a", "e"]);
        let status = status();
        let counts = overview(1, &status, &Filter::default()).counts;
        let expected = [
            ("degraded", 1),
            ("failed", 1),
            ("progressing", 1),
            ("synced", 2),
        ];
        assert_eq!(counts, expected.into());
    }

    #[test]
    fn all_words_must_be_found_and_the_state_must_be_that() {
        let words = |words: &[&str], state: Option<&str>| Filter {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            state: state.map(str::to_owned),
        };
        assert_eq!(names(&words(&["shop", "local"], None)).len(), 5);
        assert_eq!(names(&words(&["shop", "nowhere"], None)).len(), 0);
        assert_eq!(names(&words(&[], Some("synced"))), ["a", "e"]);
    }

    #[test]
    fn ten_thousand_apps_are_counted_and_not_listed() {
        let mut status = status();
        status.apps = (0..10_000)
            .map(|at| app(&format!("app-{at}"), Sync::Synced, "healthy"))
            .collect();
        let overview = overview(1, &status, &Filter::default());
        assert_eq!((overview.found, overview.rows.len()), (10_000, ROWS_MAX));
    }
}
