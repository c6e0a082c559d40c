//! The objects of one kind as last seen, and what changed with each event. Pure data.
//!
//! `kube`'s own reflector store keeps neither the object before a change nor an index by
//! namespace, and controllers need both; the watch protocol itself stays `kube`'s.

use std::{collections::HashMap, sync::Arc};

use kube::runtime::watcher;

use crate::{Key, Object};

/// What happened to one object.
#[derive(Debug)]
pub enum Change<'a, K> {
    /// It was not known before.
    Added(&'a Arc<K>),
    /// It was known in another state.
    Updated {
        /// As it was.
        old: &'a Arc<K>,
        /// As it is.
        new: &'a Arc<K>,
    },
    /// It is gone; this is the last state that was seen.
    Deleted(&'a Arc<K>),
}

impl<'a, K> Change<'a, K> {
    /// Returns the object in its newest state.
    pub fn object(&self) -> &'a Arc<K> {
        match self {
            Change::Added(object) | Change::Deleted(object) => object,
            Change::Updated { new, .. } => new,
        }
    }

    /// Returns the object before the change, if it was known.
    pub fn old(&self) -> Option<&'a Arc<K>> {
        match self {
            Change::Updated { old, .. } => Some(old),
            Change::Added(_) | Change::Deleted(_) => None,
        }
    }
}

type Names<K> = HashMap<Arc<str>, Arc<K>>;

/// The objects of one kind, by namespace and name.
pub(crate) struct Cache<K> {
    namespaces: HashMap<Arc<str>, Names<K>>,
    /// Objects of a list that is not complete yet.
    incoming: Option<HashMap<Arc<str>, Names<K>>>,
    /// Set once a list was complete.
    pub(crate) listed: bool,
    /// The newest resource version of any object that was seen.
    pub(crate) revision: u64,
}

impl<K> Default for Cache<K> {
    fn default() -> Cache<K> {
        Cache {
            namespaces: HashMap::new(),
            incoming: None,
            listed: false,
            revision: 0,
        }
    }
}

impl<K: Object> Cache<K> {
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<&Arc<K>> {
        self.namespaces.get(namespace)?.get(name)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<K>> {
        self.namespaces.values().flat_map(HashMap::values)
    }

    pub(crate) fn namespace(&self, namespace: &str) -> impl Iterator<Item = &Arc<K>> {
        self.namespaces
            .get(namespace)
            .into_iter()
            .flat_map(HashMap::values)
    }

    /// Takes an event of the watch over and tells `changed` what it means.
    pub(crate) fn apply(
        &mut self,
        event: watcher::Event<K>,
        mut changed: impl FnMut(Change<'_, K>),
    ) {
        match event {
            watcher::Event::Init => self.incoming = Some(HashMap::new()),
            watcher::Event::InitApply(object) => {
                self.note_revision(&object);
                let key = Key::of(object.meta());
                let incoming = self.incoming.get_or_insert_default();
                incoming
                    .entry(key.namespace)
                    .or_default()
                    .insert(key.name, Arc::new(object));
            }
            watcher::Event::InitDone => {
                let incoming = self.incoming.take().unwrap_or_default();
                let before = std::mem::replace(&mut self.namespaces, incoming);
                self.listed = true;
                for old in before.values().flat_map(HashMap::values) {
                    let key = Key::of(old.meta());
                    // Another object under the same name is a delete and an add.
                    match self.get(&key.namespace, &key.name) {
                        Some(new) if new.meta().uid == old.meta().uid => {
                            if new.meta().resource_version != old.meta().resource_version {
                                changed(Change::Updated { old, new });
                            }
                        }
                        Some(new) => {
                            changed(Change::Deleted(old));
                            changed(Change::Added(new));
                        }
                        None => changed(Change::Deleted(old)),
                    }
                }
                for new in self.all() {
                    let key = Key::of(new.meta());
                    let known = before
                        .get(&key.namespace)
                        .and_then(|names| names.get(&key.name));
                    if known.is_none() {
                        changed(Change::Added(new));
                    }
                }
            }
            watcher::Event::Apply(object) => {
                self.note_revision(&object);
                let key = Key::of(object.meta());
                let new = Arc::new(object);
                let names = self.namespaces.entry(key.namespace).or_default();
                match names.insert(key.name, new.clone()) {
                    Some(old) if old.meta().uid == new.meta().uid => {
                        changed(Change::Updated {
                            old: &old,
                            new: &new,
                        });
                    }
                    Some(old) => {
                        changed(Change::Deleted(&old));
                        changed(Change::Added(&new));
                    }
                    None => changed(Change::Added(&new)),
                }
            }
            watcher::Event::Delete(object) => {
                self.note_revision(&object);
                let key = Key::of(object.meta());
                if let Some(names) = self.namespaces.get_mut(&key.namespace) {
                    names.remove(&key.name);
                    if names.is_empty() {
                        self.namespaces.remove(&key.namespace);
                    }
                }
                changed(Change::Deleted(&Arc::new(object)));
            }
        }
    }

    fn note_revision(&mut self, object: &K) {
        self.revision = self.revision.max(revision_of(object.meta()));
    }
}

/// Returns the resource version as a number. Kubernetes 1.35 made the comparison official
/// (KEP-5504); etcd revisions and ours always were numbers.
pub(crate) fn revision_of(meta: &kube::api::ObjectMeta) -> u64 {
    meta.resource_version
        .as_deref()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::watcher::Event;

    use super::{Cache, Change};

    /// `name`, `name#uid` or `name#uid@revision`
    fn object(text: &str) -> ConfigMap {
        let (text, revision) = text.split_once('@').unwrap_or((text, "1"));
        let (name, uid) = text.split_once('#').unwrap_or((text, "u"));
        let mut map = ConfigMap::default();
        map.metadata.namespace = Some("shop".into());
        map.metadata.name = Some(name.into());
        map.metadata.uid = Some(uid.into());
        map.metadata.resource_version = Some(revision.into());
        map
    }

    #[track_caller]
    fn check(cache: &mut Cache<ConfigMap>, event: Event<ConfigMap>, expected: &[&str]) {
        let mut changes = Vec::new();
        cache.apply(event, |change| {
            let sign = match change {
                Change::Added(_) => '+',
                Change::Updated { .. } => '~',
                Change::Deleted(_) => '-',
            };
            let meta = &change.object().metadata;
            changes.push(format!(
                "{sign}{}#{}",
                meta.name.as_ref().unwrap(),
                meta.uid.as_ref().unwrap()
            ));
        });
        changes.sort();
        assert_eq!(changes, expected);
    }

    #[test]
    fn changes_are_told_with_what_was_there_before() {
        let cache = &mut Cache::default();
        check(cache, Event::Init, &[]);
        check(cache, Event::InitApply(object("a")), &[]);
        check(cache, Event::InitApply(object("b")), &[]);
        assert!(!cache.listed);
        check(cache, Event::InitDone, &["+a#u", "+b#u"]);
        assert!(cache.listed);
        check(cache, Event::Apply(object("a#u@2")), &["~a#u"]);
        check(cache, Event::Apply(object("c#u@3")), &["+c#u"]);
        check(cache, Event::Delete(object("b#u@4")), &["-b#u"]);
        check(cache, Event::Apply(object("a#v@5")), &["+a#v", "-a#u"]);
        assert_eq!(cache.revision, 5);
    }

    #[test]
    fn a_new_list_tells_what_was_missed() {
        let cache = &mut Cache::default();
        for name in ["same", "changed", "replaced", "gone"] {
            check(cache, Event::Apply(object(name)), &[&format!("+{name}#u")]);
        }
        check(cache, Event::Init, &[]);
        for name in ["same", "changed#u@2", "replaced#v@3", "new@4"] {
            check(cache, Event::InitApply(object(name)), &[]);
        }
        assert!(
            cache.get("shop", "gone").is_some(),
            "the old list holds until the new is complete"
        );
        let expected = [
            "+new#u",
            "+replaced#v",
            "-gone#u",
            "-replaced#u",
            "~changed#u",
        ];
        check(cache, Event::InitDone, &expected);
    }
}
