//! A live edit that should stay: what somebody changed in the cluster becomes a change of the sources.
//!
//! The cluster says what differs, the compiler finds the lines and proves the change; here both meet. Without the remote
//! the commit waits as a rollback's does, and what it adopts stands meanwhile.

mod edits;

use std::{collections::BTreeMap, sync::Arc};

use ordain_reconciler_journal::{AppRef, Event};
use ordain_reconciler_source::{CommitId, Edit};
use serde_json::Value;
use similar::TextDiff;

use crate::{
    App, CompiledObject, Error, FieldEdit,
    control::{Reply, Response},
    engine::blocking,
    origin::Origin,
    past::is_kind,
    requests::Requests,
    rollback::publish::{self, Published, publish},
    shared::now_ms,
    target::{CommitInfo, Target},
};

use edits::Edits;

/// Sources with edits in them.
struct Sources {
    /// Old and new text by path.
    files: BTreeMap<String, (String, String)>,
    /// Where each field was edited, and why there.
    notes: Vec<String>,
}

/// What somebody asks for.
#[derive(Debug)]
pub(crate) struct Adoption {
    /// `kind/name` or `kind/namespace/name`.
    pub(crate) object: String,
    /// None for every declared field that differs, and what people added beside them.
    pub(crate) fields: Vec<String>,
    pub(crate) env: Option<String>,
    pub(crate) reason: String,
    pub(crate) author: String,
    pub(crate) dry_run: bool,
}

/// The object that is meant, where the sources have it.
struct Found {
    app: Arc<App>,
    object: CompiledObject,
}

impl Requests {
    /// Makes a live edit a commit. Returns it, or nothing for a dry run.
    pub(crate) async fn adopt(
        &self,
        adoption: &Adoption,
        reply: &Reply,
    ) -> Result<Option<String>, Error> {
        let tip = self.newest(reply).await?;
        let found = self.declared(&tip, adoption).await?;
        let app = found.app.reference();
        self.nothing_waits(&app)?;
        let Edits { edits, left } = self.edits(&found, adoption).await?;
        for edit in &edits {
            let say = |value: &Option<Value>| {
                let value = value.as_ref();
                value.map_or("nothing".to_owned(), Value::to_string)
            };
            let (from, to) = (say(&edit.from), say(&edit.to));
            reply.line(&format!("{}: {from} -> {to}", edit.path)).await;
        }
        for line in left {
            reply.line(&line).await;
        }
        let Sources { files, notes } = self.rewritten(&tip, edits.clone()).await?;
        for note in notes {
            reply.line(&note).await;
        }
        if adoption.dry_run {
            for (path, (old, new)) in &files {
                reply.line(changed_lines(path, old, new).trim_end()).await;
            }
            return Ok(None);
        }
        let message = message(&found, adoption);
        let author = match adoption.author.parse() {
            Ok(author) => author,
            Err(never) => match never {},
        };
        let edit = Edit {
            onto: tip.clone(),
            files: (files.into_iter())
                .map(|(path, (_, new))| (path, Some(new.into_bytes())))
                .collect(),
            author,
            time: now_ms() / 1000,
            message,
        };
        let origin = self.origin.clone();
        let commit = blocking(move || origin.repository().write_edit(&edit, None)).await?;
        let after = self.proven(&commit, &found, &edits).await?;
        let (origin, compile) = (self.origin.clone(), self.compile.clone());
        let name = publish::adoption(&app);
        let (ours, to) = (commit.clone(), name.clone());
        let published =
            blocking(move || publish(&origin, &compile, &ours, None, &to, None)).await?;
        match published {
            Published::OnBranch(commit) => {
                self.shared.askers.asked(commit.as_str(), reply.asker());
                let commit = commit.to_string();
                let told = commit.clone();
                reply.send(Response::Commit { commit: told }).await;
                self.poke.notify_one();
                Ok(Some(commit))
            }
            Published::Waits(why) | Published::Conflict(why)
                if !matches!(self.origin, Origin::Foreign(_)) =>
            {
                Err(Error::NotPublished { why })
            }
            waits => {
                publish::remember(&self.origin, &name, &commit).await?;
                let stands = self.stand(&app, &found.app, after, &tip, &commit, adoption);
                if let Err(error) = stands.await {
                    publish::forget(&self.shared, &self.origin, &name).await?;
                    return Err(error);
                }
                publish::keep(
                    &self.shared,
                    &self.origin,
                    (&name, Some(&app)),
                    &commit,
                    &waits,
                )
                .await?;
                publish::tell(&self.shared, &name, &commit, &waits, reply).await;
                reply.line("what it adopts stands meanwhile").await;
                let told = commit.to_string();
                reply.send(Response::Commit { commit: told }).await;
                Ok(Some(commit.to_string()))
            }
        }
    }

    /// The branch's tip; where it was at the last look when nobody answers.
    async fn newest(&self, reply: &Reply) -> Result<CommitId, Error> {
        let origin = self.origin.clone();
        let (looked, here) = blocking(move || match origin.look() {
            Ok(tip) => (Ok(()), Ok(tip)),
            Err(error) => (Err(error), origin.here()),
        })
        .await;
        let nobody = || Error::Refused {
            message: "the branch has no commit yet".to_owned(),
        };
        match (looked, here?) {
            (Ok(()), tip) => tip.ok_or_else(nobody),
            (Err(error), None) => Err(error.into()),
            (Err(error), Some(tip)) => {
                let (short, why) = (tip.short(), crate::error::chain(&error));
                reply
                    .line(&format!(
                        "on top of commit {short}, the last one seen: {why}"
                    ))
                    .await;
                Ok(tip)
            }
        }
    }

    /// What waits to be pushed for the app would be lost below another commit.
    fn nothing_waits(&self, app: &AppRef) -> Result<(), Error> {
        let names = [publish::reference(Some(app)), publish::adoption(app)];
        let pending = self.shared.holds.pending();
        match pending.into_iter().find(|(name, _)| names.contains(name)) {
            Some((_, hold)) => Err(Error::Refused {
                message: format!(
                    "{app}: {}; `ordain resume {}` drops it",
                    hold.message, app.name
                ),
            }),
            None => Ok(()),
        }
    }

    /// Compiles the commit, and asks the cluster whether what is adopted would stay as it is. Returns the app.
    async fn proven(
        &self,
        commit: &CommitId,
        found: &Found,
        edits: &[FieldEdit],
    ) -> Result<Arc<App>, Error> {
        let (origin, compile, id) = (self.origin.clone(), self.compile.clone(), commit.clone());
        let compiled = blocking(move || compile.commit(origin.repository(), &id)).await;
        let compiled = compiled.map_err(|error| Error::Compile {
            commit: commit.short().to_owned(),
            errors: error.text,
        })?;
        let refused = |message: String| Error::Refused { message };
        let app = found.app.reference();
        let mut apps = compiled.apps.iter();
        let after = apps
            .find(|one| one.reference() == app)
            .ok_or_else(|| refused(format!("{app} would not be there any more")))?;
        let named = |object: &Value| {
            ["/kind", "/metadata/namespace", "/metadata/name"]
                .map(|at| object.pointer(at).cloned().unwrap_or_default())
        };
        let wanted = named(&found.object.object);
        let objects = after.objects();
        let object = objects
            .iter()
            .find(|one| named(&one.object) == wanted)
            .ok_or_else(|| refused(format!("{app} would not have the object any more")))?;
        let changes = self.differences(&found.app, object).await?.changes;
        let is_ours = |path: &str| {
            let inside = |a: &str, b: &str| {
                let rest = a.strip_prefix(b);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            let mut edits = edits.iter();
            edits.any(|edit| inside(path, &edit.path) || inside(&edit.path, path))
        };
        match changes.into_iter().find(|change| is_ours(&change.path)) {
            Some(change) => Err(refused(format!(
                "{} would not stay as it is in the cluster: the server makes something else of it",
                change.path
            ))),
            None => Ok(Arc::clone(after)),
        }
    }

    /// Lets what is adopted stand while its commit is on its way to the branch.
    async fn stand(
        &self,
        app: &AppRef,
        before: &Arc<App>,
        after: Arc<App>,
        tip: &CommitId,
        commit: &CommitId,
        adoption: &Adoption,
    ) -> Result<(), Error> {
        let (origin, id) = (self.origin.clone(), commit.clone());
        let info = blocking(move || origin.repository().commit(&id)).await?;
        let rollout = self.shared.progress.of(commit.as_str());
        let target = Target::new(after, Arc::new(CommitInfo::from(&info)), rollout);
        // The tip's objects are not to come back before the branch has the commit.
        let event = Event::Quarantine {
            app: app.clone(),
            commit: tip.to_string(),
            objects: before.digest(),
            to: commit.to_string(),
            restores: None,
            rollback: Some(commit.to_string()),
            reasons: vec![adoption.reason.clone()],
            by: adoption.author.clone(),
        };
        self.shared.record(event).await?;
        self.shared.holds.put(Arc::new(target));
        Ok(())
    }

    /// The object as the tip declares it.
    async fn declared(&self, tip: &CommitId, adoption: &Adoption) -> Result<Found, Error> {
        let (origin, compile, id) = (self.origin.clone(), self.compile.clone(), tip.clone());
        let compiled = blocking(move || compile.commit(origin.repository(), &id)).await;
        let compiled = compiled.map_err(|error| Error::Compile {
            commit: tip.short().to_owned(),
            errors: error.text,
        })?;
        let mut parts = adoption.object.splitn(3, '/');
        let kind = parts.next().unwrap_or_default();
        let (first, second) = (parts.next(), parts.next());
        let (namespace, name) = match (first, second) {
            (Some(namespace), Some(name)) => (Some(namespace), name),
            (Some(name), None) => (None, name),
            _ => (None, ""),
        };
        let text = |object: &Value, at: &str| {
            let found = object.pointer(at).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        let mut found = Vec::new();
        for app in &compiled.apps {
            if adoption.env.as_ref().is_some_and(|env| *env != app.env) {
                continue;
            }
            for object in app.objects() {
                let json = &object.object;
                let own = match text(json, "/metadata/namespace") {
                    own if own.is_empty() => app.namespace.clone(),
                    own => own,
                };
                if is_kind(kind, &text(json, "/kind"))
                    && text(json, "/metadata/name") == name
                    && namespace.is_none_or(|namespace| namespace == own)
                {
                    let app = Arc::clone(app);
                    found.push(Found { app, object });
                }
            }
        }
        let message = match found.len() {
            1 => return Ok(found.remove(0)),
            0 => format!("no app declares `{}`", adoption.object),
            _ => {
                let apps: Vec<String> = found
                    .iter()
                    .map(|found| found.app.reference().to_string())
                    .collect();
                format!(
                    "`{}` is declared by {}; say which with --env or `kind/namespace/name`",
                    adoption.object,
                    apps.join(", ")
                )
            }
        };
        Err(Error::Refused { message })
    }

    /// The sources with the edits in them, proven by compiling.
    async fn rewritten(&self, tip: &CommitId, edits: Vec<FieldEdit>) -> Result<Sources, Error> {
        let (origin, compile, tip) = (self.origin.clone(), self.compile.clone(), tip.clone());
        blocking(move || {
            let tree = Arc::new(origin.repository().files(&tip)?);
            let rewritten = compile.compiler().rewrite(&tree, &edits);
            let rewritten = rewritten.map_err(|message| Error::Refused { message })?;
            let mut files = BTreeMap::new();
            for (path, new) in rewritten.files {
                let old = tree.read(&path)?;
                let old = String::from_utf8_lossy(&old).into_owned();
                files.insert(path, (old, new));
            }
            let notes = rewritten.notes;
            Ok(Sources { files, notes })
        })
        .await
    }
}

fn message(found: &Found, adoption: &Adoption) -> String {
    let object = &found.object.object;
    let kind = object["kind"].as_str().unwrap_or_default();
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    let name = name.unwrap_or_default();
    let reason = adoption.reason.trim();
    let reason = match reason {
        "" => String::new(),
        reason => format!("\n{reason}\n"),
    };
    format!(
        "adopt {} {name} of {}\n{reason}\nAdopt-Of: {kind} {}/{name}\n",
        kind.to_lowercase(),
        found.app.name,
        found.app.namespace,
    )
}

/// The lines in which two texts differ.
fn changed_lines(path: &str, old: &str, new: &str) -> String {
    let diff = TextDiff::from_lines(old, new);
    diff.unified_diff().header(path, path).to_string()
}
