//! A live edit that should stay: what somebody changed in the cluster becomes a change of the sources.
//!
//! The cluster says what differs, the compiler finds the lines and proves the change; here both meet.

use std::{collections::BTreeMap, sync::Arc};

use ordain_reconciler_plan::{Change, Inventory, Verb};
use ordain_reconciler_source::{CommitId, Edit};
use serde_json::Value;

use crate::{
    App, CompiledObject, Error, FieldEdit, Standing,
    control::{Reply, Response},
    engine::blocking,
    preview::{Ask, previews},
    requests::Requests,
    rollback::publish::{Published, publish},
    shared::now_ms,
};

/// What somebody asks for.
#[derive(Debug)]
pub(crate) struct Adoption {
    /// `kind/name` or `kind/namespace/name`.
    pub(crate) object: String,
    /// None for every declared field that differs.
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
        let origin = self.origin.clone();
        let tip = blocking(move || origin.look()).await?;
        let tip = tip.ok_or_else(|| Error::Refused {
            message: "the branch has no commit yet".to_owned(),
        })?;
        let found = self.declared(&tip, adoption).await?;
        let edits = self.edits(&found, adoption).await?;
        for edit in &edits {
            let from = edit
                .from
                .as_ref()
                .map_or("nothing".to_owned(), Value::to_string);
            reply
                .line(&format!("{}: {from} -> {}", edit.path, edit.to))
                .await;
        }
        let files = self.rewritten(&tip, edits).await?;
        if adoption.dry_run {
            for (path, (old, new)) in &files {
                reply.line(&changed_lines(path, old, new)).await;
            }
            return Ok(None);
        }
        let message = message(&found, adoption);
        let (origin, compile) = (self.origin.clone(), self.compile.clone());
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
        let app = found.app.reference();
        let published = blocking(move || {
            let commit = origin.repository().write_edit(&edit, None)?;
            publish(&origin, &compile, &commit, Some(&tip), Some(&app), None)
        })
        .await?;
        match published {
            Published::OnBranch(commit) => {
                self.shared.askers.asked(commit.as_str(), reply.asker());
                let commit = commit.to_string();
                let told = commit.clone();
                reply.send(Response::Commit { commit: told }).await;
                self.poke.notify_one();
                Ok(Some(commit))
            }
            Published::Waits(why) | Published::Conflict(why) => Err(Error::NotPublished { why }),
        }
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
                if text(json, "/kind").eq_ignore_ascii_case(kind)
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

    /// What differs between the cluster and the sources, as far as it is asked for.
    async fn edits(&self, found: &Found, adoption: &Adoption) -> Result<Vec<FieldEdit>, Error> {
        let app = &found.app;
        let kind = found.object.object["kind"].as_str().unwrap_or_default();
        let name = found.object.object.pointer("/metadata/name");
        let name = name.and_then(Value::as_str).unwrap_or_default();
        let refused = |message: String| Error::Refused { message };
        if kind == "Secret" {
            return Err(refused(
                "a Secret's values do not go into the sources".to_owned(),
            ));
        }
        let alone = App::new(
            app.name.clone(),
            app.env.clone(),
            app.namespace.clone(),
            vec![found.object.clone()],
            app.secrets.as_ref().clone(),
        );
        let ask = Ask {
            app: Arc::new(alone.on(app.cluster.clone())),
            gone: Inventory::default(),
        };
        let none = std::collections::BTreeSet::new();
        let cluster = &self.shared.cluster;
        let of = |app: &App| Some(self.sites.of(&app.reference(), app.cluster.as_deref()));
        // Every field that differs is asked about, also one that is left to others.
        let standing = Standing::default();
        let compiler = self.compile.compiler();
        let plans = previews(cluster, of, compiler, vec![ask], &none, &standing).await?;
        let preview = plans.into_iter().next();
        let preview = preview.ok_or_else(|| refused("the cluster gave no answer".to_owned()))?;
        let live = preview.looks.first().and_then(|(_, live, _)| live.clone());
        let live = live.ok_or_else(|| refused(format!("{kind} {name} is not in the cluster")))?;
        let actions = preview.plan.actions.iter();
        let changes = actions
            .filter(|action| matches!(action.verb, Verb::Update | Verb::Unchanged))
            .flat_map(|action| &action.changes);
        let edit = |path: &str, from: Option<Value>, to: Value| FieldEdit {
            env: app.env.clone(),
            app: app.name.clone(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            path: path.to_owned(),
            from,
            to,
        };
        let is_wanted = |path: &str| {
            let own = path
                .strip_prefix("metadata.")
                .is_none_or(|rest| rest.starts_with("labels") || rest.starts_with("annotations"));
            match adoption.fields.is_empty() {
                true => own,
                false => adoption
                    .fields
                    .iter()
                    .any(|field| path == field || path.starts_with(&format!("{field}."))),
            }
        };
        let mut edits = Vec::new();
        for change in changes.filter(|change| is_wanted(&change.path)) {
            match &change.change {
                // The cluster has the old value, the sources the new one.
                Change::Changed { old, new } => {
                    edits.push(edit(&change.path, Some(new.clone()), old.clone()));
                }
                Change::Removed { old } => edits.push(edit(&change.path, None, old.clone())),
                Change::Added { .. } => {
                    return Err(refused(format!(
                        "{} was removed in the cluster; take it out of the sources{}",
                        change.path,
                        found
                            .object
                            .at
                            .as_ref()
                            .map_or_else(String::new, |at| format!(" at {at}"))
                    )));
                }
            }
        }
        for field in &adoption.fields {
            let known = edits
                .iter()
                .any(|edit| edit.path.starts_with(field.as_str()));
            if let (false, Some(value)) = (known, at(&live, field)) {
                if at(&found.object.object, field) == Some(value) {
                    continue;
                }
                edits.push(edit(field, None, value.clone()));
            }
        }
        if edits.is_empty() {
            return Err(refused(format!(
                "{kind} {name} is as the sources declare it; suspend the app to keep a live edit from \
                 being put right while you adopt it"
            )));
        }
        Ok(edits)
    }

    /// The sources with the edits in them, proven by compiling: old and new text by path.
    async fn rewritten(
        &self,
        tip: &CommitId,
        edits: Vec<FieldEdit>,
    ) -> Result<BTreeMap<String, (String, String)>, Error> {
        let (origin, compile, tip) = (self.origin.clone(), self.compile.clone(), tip.clone());
        blocking(move || {
            let tree = Arc::new(origin.repository().files(&tip)?);
            let files = compile.compiler().rewrite(&tree, &edits);
            let files = files.map_err(|message| Error::Refused { message })?;
            let mut both = BTreeMap::new();
            for (path, new) in files {
                let old = tree.read(&path)?;
                let old = String::from_utf8_lossy(&old).into_owned();
                both.insert(path, (old, new));
            }
            Ok(both)
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

/// The value at a path such as `spec.containers[web].image`.
fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = object;
    for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
        let step = step.trim_matches('"');
        value = match value {
            Value::Array(items) => items.iter().find(|item| {
                let named = item.as_object().into_iter().flat_map(|item| item.values());
                named.into_iter().any(|value| match value {
                    Value::String(text) => text == step,
                    Value::Number(number) => number.to_string() == step,
                    _ => false,
                })
            })?,
            other => other.get(step)?,
        };
    }
    Some(value)
}

/// The lines in which two texts differ, as a diff shows them.
fn changed_lines(path: &str, old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - same;
    let (a, b) = (old.iter().rev(), new.iter().rev());
    let tail = a.zip(b).take(rest).take_while(|(a, b)| a == b).count();
    let mut text = format!("--- {path}\n+++ {path}\n@@ line {} @@", same + 1);
    for line in &old[same..old.len() - tail] {
        text.push_str(&format!("\n-{line}"));
    }
    for line in &new[same..new.len() - tail] {
        text.push_str(&format!("\n+{line}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{at, changed_lines};

    #[test]
    fn paths_lead_to_values() {
        let object = json!({"spec": {"containers": [{"name": "web", "image": "web:1"}]}});
        assert_eq!(
            at(&object, "spec.containers[web].image"),
            Some(&json!("web:1"))
        );
        assert_eq!(at(&object, "spec.nothing"), None);
    }

    #[test]
    fn a_change_is_shown_with_its_lines() {
        assert_eq!(
            changed_lines("a.ord", "one\ntwo\nthree\n", "one\n2\nthree\n"),
            "--- a.ord\n+++ a.ord\n@@ line 2 @@\n-two\n+2"
        );
        assert_eq!(
            changed_lines("a.ord", "one\n", "one\ntwo\n"),
            "--- a.ord\n+++ a.ord\n@@ line 2 @@\n+two"
        );
    }
}
