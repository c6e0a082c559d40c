//! Finding objects by identity and pods by label, without looking at each.

use std::collections::HashMap;

use super::Member;
use crate::facts::{Facts, Label};
use crate::selector::Selector;

/// Group, kind, namespace and name. Objects of the whole cluster have no namespace.
type Key<'a> = (&'a str, &'a str, Option<&'a str>, &'a str);

/// See the module.
pub(crate) struct Index<'a> {
    objects: HashMap<Key<'a>, usize>,
    /// What a controller makes of an object.
    made: HashMap<Key<'a>, usize>,
    /// Objects that make pods, by namespace and label.
    labels: HashMap<(&'a str, &'a Label), Vec<usize>>,
    /// Objects that make pods, by namespace.
    pods: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Index<'a> {
    pub(crate) fn new(members: &[Member<'a>]) -> Self {
        let mut index = Index {
            objects: HashMap::with_capacity(members.len()),
            made: HashMap::new(),
            labels: HashMap::with_capacity(members.len()),
            pods: HashMap::new(),
        };
        for (at, member) in members.iter().enumerate() {
            let facts = member.facts;
            index.objects.insert(key(facts), at);
            for (kind, name) in &facts.makes {
                index.made.insert(("", kind, Some(facts.home()), name), at);
            }
            if let Some(pods) = &facts.pods {
                index.pods.entry(facts.home()).or_default().push(at);
                for label in &pods.labels {
                    let entry = index.labels.entry((facts.home(), label)).or_default();
                    entry.push(at);
                }
            }
        }
        index
    }

    /// The object with an identity. Objects that name no namespace are in their home.
    pub(crate) fn object(
        &self,
        group: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<usize> {
        self.objects.get(&(group, kind, namespace, name)).copied()
    }

    /// Whether a controller makes an object with this identity.
    pub(crate) fn is_made(
        &self,
        group: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> bool {
        self.made.contains_key(&(group, kind, namespace, name))
    }

    /// The objects whose pods a selector means.
    pub(crate) fn selected(
        &self,
        members: &[Member<'_>],
        namespace: &str,
        selector: &Selector,
    ) -> Vec<usize> {
        // The rarest of the labels leads to the fewest candidates.
        let by_label = selector
            .labels
            .iter()
            .map(|label| {
                self.labels
                    .get(&(namespace, label))
                    .map_or(&[][..], Vec::as_slice)
            })
            .min_by_key(|found| found.len());
        let candidates =
            by_label.unwrap_or_else(|| self.pods.get(namespace).map_or(&[], Vec::as_slice));
        let is_meant = |at: &usize| {
            let pods = members[*at].facts.pods.as_ref();
            pods.is_some_and(|pods| selector.matches(&pods.labels))
        };
        candidates.iter().copied().filter(is_meant).collect()
    }
}

fn key(facts: &Facts) -> Key<'_> {
    let identity = &facts.identity;
    let (group, kind) = (identity.group(), identity.kind.as_str());
    let namespace = (!facts.is_of_cluster()).then(|| facts.home());
    (group, kind, namespace, &identity.name)
}
