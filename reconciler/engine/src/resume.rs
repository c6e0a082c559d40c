//! Goes on from the journal while the repository cannot be reached.

use std::{collections::BTreeSet, sync::Arc};

use ordain_reconciler_journal::{AppRef, Journal};
use ordain_reconciler_source::CommitId;
use serde_json::Value;

use crate::{
    App, CompiledObject, SecretFiles,
    engine::{Follower, blocking},
    target::{CommitInfo, Target},
};

impl Follower {
    /// The encrypted files that objects name, from the copy of the repository that is here.
    async fn secret_files(&self, commit: &str, objects: &[CompiledObject]) -> SecretFiles {
        let paths: BTreeSet<String> = (objects.iter())
            .flat_map(|compiled| self.compile.compiler().secret_files(&compiled.object))
            .collect();
        let Ok(id) = commit.parse::<CommitId>() else {
            return SecretFiles::new();
        };
        if paths.is_empty() {
            return SecretFiles::new();
        }
        let origin = self.origin.clone();
        blocking(move || {
            let files = origin.repository().files(&id).ok();
            let read = |path: String| Some((path.clone(), files.as_ref()?.read(&path).ok()?));
            // What is missing is told when it is needed.
            paths.into_iter().filter_map(read).collect()
        })
        .await
    }

    /// Goes on from the journal while the repository cannot be reached: what was deployed last is kept
    /// as it was, and nothing is concluded from commits that cannot be seen.
    pub(crate) async fn resume(&mut self) {
        if self.sites.are_several() {
            // The journal does not say which of them an app is in.
            return;
        }
        let last = self
            .shared
            .journal(|journal| {
                let last = journal.apps().into_iter().filter_map(|app| {
                    let deploy = journal.healthy(&app)?;
                    let objects = journal.objects(&deploy.set).ok()?;
                    Some((app, deploy, objects))
                });
                last.collect::<Vec<_>>()
            })
            .await;
        let known = self.shared.journal(Journal::apps).await;
        self.shared.know_apps(&known);
        let mut targets = Vec::new();
        for (app, deploy, objects) in last {
            let objects: Result<Vec<Value>, _> = objects
                .iter()
                .map(|text| serde_json::from_str(text))
                .collect();
            let Ok(objects) = objects else { continue };
            let objects: Vec<_> = objects
                .into_iter()
                .map(|object| CompiledObject { object, at: None })
                .collect();
            if objects.is_empty() {
                continue;
            }
            let secrets = self.secret_files(&deploy.commit, &objects).await;
            tracing::info!(%app, commit = deploy.commit, "resumed from the journal");
            let rollout = self.shared.progress.of(&deploy.commit);
            let commit = CommitInfo {
                id: deploy.commit,
                author: deploy.author,
                subject: deploy.subject,
                rollback: None,
                approves: None,
                reason: String::new(),
                signature: None,
                inputs: String::new(),
            };
            let AppRef { env, name } = app;
            // Every object of a stored set carries its namespace.
            let namespace = String::new();
            let app = App::new(name, env, namespace, objects, secrets);
            targets.push(Target::new(Arc::new(app), commit, rollout));
        }
        targets.iter().for_each(|target| self.claim(target));
        for target in targets {
            self.hand_over(target);
        }
    }
}
