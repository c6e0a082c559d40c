//! Who owns whom. Pure data, from the metadata of all objects.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ObjectMeta;
use ordain_orchestrator_client::Key;

/// Set by a deletion that waits until the dependents are gone.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// Set by a deletion that lets the dependents live.
pub(super) const ORPHAN: &str = "orphan";

/// The uid of an object.
pub(super) type Uid = Arc<str>;

/// How an object is leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// It is not.
    No,
    /// Something else holds it.
    Plainly,
    /// After its dependents.
    Foreground,
    /// After its dependents have forgotten it.
    Orphaning,
}

impl Leaving {
    fn of(meta: &ObjectMeta) -> Leaving {
        let has = |name: &str| {
            meta.finalizers
                .iter()
                .flatten()
                .any(|finalizer| finalizer == name)
        };
        match meta.deletion_timestamp {
            None => Leaving::No,
            Some(_) if has(ORPHAN) => Leaving::Orphaning,
            Some(_) if has(FOREGROUND) => Leaving::Foreground,
            Some(_) => Leaving::Plainly,
        }
    }
}

/// What the graph keeps of an object.
#[derive(Clone, Debug)]
pub(super) struct Object {
    /// Which kind, as an index into the list of kinds.
    pub(super) kind: usize,
    pub(super) key: Key,
    /// Uid of each owner, and whether this object holds up its deletion.
    owners: Box<[(Uid, bool)]>,
    pub(super) leaving: Leaving,
}

/// All objects by uid, and the way from owners to dependents.
#[derive(Default)]
pub(super) struct Graph {
    objects: HashMap<Uid, Object>,
    dependents: HashMap<Uid, HashSet<Uid>>,
}

impl Graph {
    pub(super) fn get(&self, uid: &str) -> Option<&Object> {
        self.objects.get(uid)
    }

    /// Takes over an object; returns who wants to be looked at because of it.
    pub(super) fn apply(&mut self, kind: usize, meta: &ObjectMeta) -> Vec<Uid> {
        let Some(uid) = meta.uid.as_deref().map(Uid::from) else {
            return Vec::new();
        };
        let references: &[OwnerReference] = meta.owner_references.as_deref().unwrap_or_default();
        let owners: Box<[(Uid, bool)]> = references
            .iter()
            .map(|owner| {
                (
                    owner.uid.as_str().into(),
                    owner.block_owner_deletion == Some(true),
                )
            })
            .collect();
        let leaving = Leaving::of(meta);
        let before = self.objects.get(&uid);
        if before.is_some_and(|before| before.owners == owners && before.leaving == leaving) {
            return Vec::new();
        }
        let mut affected = self.unlink(&uid);
        for (owner, _) in &owners {
            self.dependents
                .entry(owner.clone())
                .or_default()
                .insert(uid.clone());
        }
        let key = Key::of(meta);
        self.objects.insert(
            uid.clone(),
            Object {
                kind,
                key,
                owners,
                leaving,
            },
        );
        // An owner that waits for this object may have been left by it.
        affected.retain(|owner| self.waits(owner));
        let looked_at = match leaving {
            Leaving::Foreground | Leaving::Orphaning => true,
            Leaving::No => self.lacks_owner(&uid) || self.has_leaving_owner(&uid),
            Leaving::Plainly => false,
        };
        affected.extend(looked_at.then_some(uid));
        affected
    }

    /// Forgets an object; returns who wants to be looked at because of it.
    pub(super) fn remove(&mut self, uid: &str) -> Vec<Uid> {
        let mut affected = self.unlink(uid);
        self.objects.remove(uid);
        affected.retain(|owner| self.waits(owner));
        affected.extend(self.dependents.get(uid).into_iter().flatten().cloned());
        affected
    }

    /// Removes the object from its owners' lists and returns the owners.
    fn unlink(&mut self, uid: &str) -> Vec<Uid> {
        let Some(object) = self.objects.get(uid) else {
            return Vec::new();
        };
        let owners: Vec<_> = object
            .owners
            .iter()
            .map(|(owner, _)| owner.clone())
            .collect();
        for owner in &owners {
            if let Some(dependents) = self.dependents.get_mut(owner) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
        owners
    }

    fn waits(&self, uid: &str) -> bool {
        self.get(uid).is_some_and(|object| {
            matches!(object.leaving, Leaving::Foreground | Leaving::Orphaning)
        })
    }

    /// Whether one of the object's owners is not known.
    pub(super) fn lacks_owner(&self, uid: &str) -> bool {
        self.get(uid).is_some_and(|object| {
            object
                .owners
                .iter()
                .any(|(owner, _)| !self.objects.contains_key(owner))
        })
    }

    fn has_leaving_owner(&self, uid: &str) -> bool {
        self.get(uid).is_some_and(|object| {
            object.owners.iter().any(|(owner, blocks)| {
                *blocks
                    && self
                        .get(owner)
                        .is_some_and(|o| o.leaving == Leaving::Foreground)
            })
        })
    }

    /// Returns the objects that name `uid` as an owner.
    pub(super) fn dependents(&self, uid: &str) -> Vec<Uid> {
        self.dependents
            .get(uid)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// Returns the dependents that hold up the deletion of `uid`.
    pub(super) fn blockers(&self, uid: &str) -> Vec<Uid> {
        let dependents = self.dependents.get(uid).into_iter().flatten();
        let blocks = |dependent: &&Uid| {
            self.get(dependent).is_some_and(|object| {
                object
                    .owners
                    .iter()
                    .any(|(owner, blocks)| **owner == *uid && *blocks)
            })
        };
        dependents.filter(blocks).cloned().collect()
    }

    /// Returns the objects of a kind, to find those that a new list lacks.
    pub(super) fn of_kind(&self, kind: usize) -> Vec<Uid> {
        let objects = self
            .objects
            .iter()
            .filter(|(_, object)| object.kind == kind);
        objects.map(|(uid, _)| uid.clone()).collect()
    }

    /// Returns everything that may want to be looked at.
    pub(super) fn suspects(&self) -> Vec<Uid> {
        let uids = self.objects.keys();
        uids.filter(|uid| self.waits(uid) || self.lacks_owner(uid) || self.has_leaving_owner(uid))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{
        apimachinery::pkg::apis::meta::v1::{OwnerReference, Time},
        jiff::Timestamp,
    };
    use kube::api::ObjectMeta;

    use super::{FOREGROUND, Graph, ORPHAN};

    /// `uid`, then words: `<owner` (blocking), `~owner` (not blocking), `foreground`, `orphan`.
    fn meta(text: &str) -> ObjectMeta {
        let mut words = text.split(' ');
        let mut meta = ObjectMeta {
            uid: words.next().map(Into::into),
            ..ObjectMeta::default()
        };
        meta.name = meta.uid.clone();
        for word in words {
            if let Some(owner) = word.strip_prefix(['<', '~']) {
                meta.owner_references
                    .get_or_insert_default()
                    .push(OwnerReference {
                        uid: owner.into(),
                        block_owner_deletion: Some(word.starts_with('<')),
                        ..OwnerReference::default()
                    });
            } else {
                let finalizer = if word == "orphan" { ORPHAN } else { FOREGROUND };
                meta.finalizers
                    .get_or_insert_default()
                    .push(finalizer.into());
                meta.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
            }
        }
        meta
    }

    #[track_caller]
    fn check(affected: Vec<super::Uid>, expected: &str) {
        let mut affected: Vec<_> = affected.iter().map(|uid| &**uid).collect();
        affected.sort_unstable();
        assert_eq!(affected.join(" "), expected);
    }

    #[test]
    fn the_dependents_of_what_is_gone_are_looked_at() {
        let mut graph = Graph::default();
        check(graph.apply(0, &meta("deployment")), "");
        check(graph.apply(1, &meta("set <deployment")), "");
        check(graph.apply(2, &meta("pod <set")), "");
        check(graph.remove("deployment"), "set");
        check(graph.remove("set"), "pod");
        check(graph.remove("pod"), "");
        assert!(graph.dependents.is_empty() && graph.objects.is_empty());
    }

    #[test]
    fn an_object_whose_owner_is_unknown_is_looked_at() {
        let mut graph = Graph::default();
        check(graph.apply(0, &meta("pod <gone")), "pod");
        check(graph.apply(0, &meta("pod <gone")), "");
        check(graph.suspects(), "pod");
        check(graph.apply(1, &meta("gone")), "");
        check(graph.suspects(), "");
    }

    #[test]
    fn a_foreground_deletion_waits_for_its_blockers() {
        let mut graph = Graph::default();
        graph.apply(0, &meta("owner"));
        graph.apply(1, &meta("a <owner"));
        graph.apply(1, &meta("b ~owner"));
        check(graph.apply(0, &meta("owner foreground")), "owner");
        check(graph.blockers("owner"), "a");
        check(graph.dependents("owner"), "a b");
        check(graph.apply(1, &meta("late <owner")), "late");
        graph.remove("late");
        check(graph.remove("a"), "owner");
        check(graph.blockers("owner"), "");
    }

    #[test]
    fn an_orphaning_owner_is_looked_at_when_it_is_forgotten() {
        let mut graph = Graph::default();
        graph.apply(0, &meta("owner"));
        graph.apply(1, &meta("a <owner"));
        check(graph.apply(0, &meta("owner orphan")), "owner");
        check(graph.apply(1, &meta("a")), "owner");
        check(graph.dependents("owner"), "");
    }
}
