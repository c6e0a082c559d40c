//! What rollback commits say of themselves, held against what the journal recorded. It reads neither by itself.

use ordain_reconciler_journal::{AppRef, Deploy, Event, Record};
use ordain_reconciler_source::{trailer, trailers};
use std::collections::{BTreeMap, BTreeSet};

/// What a rollback commit carries.
const OF: &str = "Rollback-Of";
const TO: &str = "Rollback-To";
const PLAN: &str = "Plan-Hash";

/// Stands for the hash of a plan that could not be made: the cluster was not there.
const UNKNOWN: &str = "unknown";

/// What the journal recorded of one deployed commit.
#[derive(Default)]
struct Recorded {
    /// The apps that it was deployed for, each with the numbers of its records and the hashes of its plans.
    apps: BTreeMap<AppRef, (Vec<u64>, Vec<String>)>,
    /// What a record says is undone, and what comes back.
    rollback: Option<(String, String)>,
    /// Which compiler made its objects; another one may make others.
    compiler: String,
}

/// What the journal recorded when it wrote a rollback commit.
struct Written {
    record: u64,
    of: String,
    to: String,
}

/// Everything of a journal that trailers are compared with.
#[derive(Default)]
pub(crate) struct Rollbacks {
    deployed: BTreeMap<String, Recorded>,
    written: BTreeMap<String, Written>,
    /// Tips of the branch.
    tips: BTreeSet<String>,
}

/// What a comparison came to.
#[derive(Default)]
pub(crate) struct Compared {
    /// Rollback commits that were compared.
    pub(crate) commits: usize,
    /// What does not fit, naming commit and trailer.
    pub(crate) findings: Vec<String>,
}

impl Rollbacks {
    /// Takes note of a record.
    pub(crate) fn see(&mut self, record: &Record) {
        match &record.event {
            Event::Intent(intent) => {
                let one = self.deployed.entry(intent.commit.clone()).or_default();
                one.compiler.clone_from(&intent.compiler);
                let (records, plans) = one.apps.entry(intent.app.clone()).or_default();
                records.push(record.seq);
                plans.extend(Some(intent.plan.clone()).filter(|plan| !plan.is_empty()));
                if let Some(rollback) = &intent.rollback {
                    one.rollback = Some((rollback.of.clone(), rollback.to.clone()));
                }
            }
            Event::Quarantine {
                commit,
                to,
                rollback: Some(rollback),
                ..
            } => {
                let written = Written {
                    record: record.seq,
                    of: commit.clone(),
                    to: to.clone(),
                };
                self.written.insert(rollback.clone(), written);
            }
            Event::Commit { commit, .. } => {
                self.tips.insert(commit.clone());
            }
            _ => {}
        }
    }

    /// The commits whose messages are needed.
    pub(crate) fn commits(&self) -> Vec<String> {
        self.deployed.keys().cloned().collect()
    }

    /// True when the journal says that something was rolled back by a commit.
    pub(crate) fn has_some(&self) -> bool {
        let is_commit =
            |(id, one): (&String, &Recorded)| one.rollback.as_ref().is_some_and(|(_, to)| to != id);
        self.deployed.iter().any(is_commit)
    }

    /// Compares. A commit without a message is not in the repository any more; then the journal alone tells. `history`
    /// gives the deploys of an app, `knows` whether the repository has a commit.
    pub(crate) fn compare(
        &self,
        messages: &BTreeMap<String, String>,
        mut history: impl FnMut(&AppRef) -> Vec<Deploy>,
        mut knows: impl FnMut(&str) -> bool,
    ) -> Compared {
        let mut compared = Compared::default();
        for (id, recorded) in &self.deployed {
            let Some(message) = messages.get(id) else {
                continue;
            };
            let one = One {
                id,
                message,
                recorded,
                written: self.written.get(id),
            };
            // The sources could not be restored: the objects came from the journal, and there is no rollback commit.
            if recorded.rollback.as_ref().is_some_and(|(_, to)| to == id) {
                continue;
            }
            let is_rollback = [OF, TO, PLAN]
                .iter()
                .any(|key| trailer(message, key).is_some());
            if recorded.rollback.is_none() && one.written.is_none() && !is_rollback {
                continue;
            }
            compared.commits += 1;
            let findings = &mut compared.findings;
            one.says(findings);
            one.planned(findings);
            // What was recorded when it was written says more than what can be concluded from the deploys.
            if one.written.is_none() {
                let is_known = |of: &str| self.tips.contains(of) || self.deployed.contains_key(of);
                one.undoes(&mut history, |of| is_known(of) || knows(of), findings);
            }
            let to = recorded.rollback.as_ref().map(|(_, to)| to);
            let to = to.and_then(|to| self.deployed.get(to));
            if to.is_none_or(|to| to.compiler == recorded.compiler) {
                one.restores(&mut history, findings);
            }
        }
        compared
    }
}

/// One rollback commit.
struct One<'a> {
    id: &'a str,
    message: &'a str,
    recorded: &'a Recorded,
    written: Option<&'a Written>,
}

impl One<'_> {
    fn named(&self) -> String {
        format!("rollback commit {}", short(self.id))
    }

    fn first_record(&self) -> u64 {
        let records = self.recorded.apps.values().flat_map(|(records, _)| records);
        records.min().copied().unwrap_or_default()
    }

    /// `Rollback-Of` and `Rollback-To` are there, and say what was recorded.
    fn says(&self, findings: &mut Vec<String>) {
        let deployed = self.recorded.rollback.as_ref();
        let deployed = deployed.map(|(of, to)| (self.first_record(), of, to));
        let written = self.written.map(|one| (one.record, &one.of, &one.to));
        for (key, is_of) in [(OF, true), (TO, false)] {
            let Some(found) = trailer(self.message, key) else {
                findings.push(format!("{} has no trailer `{key}`", self.named()));
                continue;
            };
            for (record, of, to) in deployed.iter().chain(&written) {
                let wanted = if is_of { of } else { to };
                if found != wanted.as_str() {
                    findings.push(format!(
                        "{} says `{key}: {found}`, record {record} says {wanted}",
                        self.named()
                    ));
                    break;
                }
            }
        }
    }

    /// `Plan-Hash` is there, and names a plan of each app that was deployed with it.
    fn planned(&self, findings: &mut Vec<String>) {
        let said: Vec<&str> = trailers(self.message, PLAN).collect();
        if said.is_empty() {
            findings.push(format!("{} has no trailer `{PLAN}`", self.named()));
        }
        if said.is_empty() || said.contains(&UNKNOWN) {
            return;
        }
        for (app, (records, plans)) in &self.recorded.apps {
            // The hash is that of the plan as it was made before the commit. One that changed since has another, and an
            // approval of its own; the first record has the one that was meant.
            if plans.is_empty() || plans.iter().any(|plan| said.contains(&plan.as_str())) {
                continue;
            }
            findings.push(format!(
                "{} says `{PLAN}: {}`, record {} of {app} has plan {}",
                self.named(),
                said.join(", "),
                records.first().copied().unwrap_or_default(),
                plans[0]
            ));
        }
    }

    /// `Rollback-Of` names what stood before, or at least a commit that somebody knows.
    fn undoes(
        &self,
        history: &mut impl FnMut(&AppRef) -> Vec<Deploy>,
        mut knows: impl FnMut(&str) -> bool,
        findings: &mut Vec<String>,
    ) {
        let Some(of) = trailer(self.message, OF) else {
            return;
        };
        if !knows(of) {
            findings.push(format!(
                "{} says `{OF}: {of}`, and there is no such commit",
                self.named()
            ));
            return;
        }
        for app in self.recorded.apps.keys() {
            let rows = history(app);
            let before = rows.iter().take_while(|row| row.commit != self.id);
            // An earlier form of the same rollback does not count: it was amended, or put on top of newer commits.
            let undoes_it = |row: &Deploy| row.rollback.as_ref().is_some_and(|one| one.of == of);
            let before = before.filter(|row| row.was_planned() && !undoes_it(row));
            let before: Vec<&Deploy> = before.collect();
            let Some((last, older)) = before.split_last() else {
                continue;
            };
            if last.commit != of && older.iter().any(|row| row.commit == of) {
                findings.push(format!(
                    "{} says `{OF}: {of}`, record {} says that {} stood before it in {app}",
                    self.named(),
                    last.id,
                    last.commit
                ));
            }
        }
    }

    /// `Rollback-To` names a commit whose objects came back.
    fn restores(
        &self,
        history: &mut impl FnMut(&AppRef) -> Vec<Deploy>,
        findings: &mut Vec<String>,
    ) {
        let Some(to) = trailer(self.message, TO) else {
            return;
        };
        for app in self.recorded.apps.keys() {
            let rows = history(app);
            let Some(at) = rows.iter().position(|row| row.commit == self.id) else {
                continue;
            };
            let earlier = rows[..at].iter().rev();
            let earlier = earlier.filter(|row| row.was_planned());
            let Some(earlier) = earlier.into_iter().find(|row| row.commit == to) else {
                continue;
            };
            if earlier.set != rows[at].set {
                findings.push(format!(
                    "{} says `{TO}: {to}`, whose objects for {app} (record {}) are not those that it deployed (record {})",
                    self.named(),
                    earlier.id,
                    rows[at].id
                ));
            }
        }
    }
}

fn short(id: &str) -> &str {
    id.get(..10).unwrap_or(id)
}
