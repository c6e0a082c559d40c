//! Label selectors, as Kubernetes reads them (apimachinery, `labels.Selector`).

use crate::facts::Label;
use crate::tree::Tree;

/// Which labels are meant. An empty one means everything.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Selector {
    pub(crate) labels: Vec<Label>,
    pub(crate) terms: Vec<Term>,
}

/// An element of `matchExpressions`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Term {
    key: Box<str>,
    op: Op,
    values: Vec<Box<str>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl Selector {
    /// Reads a `LabelSelector`.
    pub(crate) fn read<T: Tree>(tree: &T, node: T::Node) -> Selector {
        let labels = tree
            .get(node, "matchLabels")
            .map(|node| labels(tree, node))
            .unwrap_or_default();
        let mut terms = Vec::new();
        if let Some(list) = tree.get(node, "matchExpressions") {
            for item in tree.items(list) {
                let op = match tree.text_at(item, &["operator"]) {
                    Some("In") => Op::In,
                    Some("NotIn") => Op::NotIn,
                    Some("Exists") => Op::Exists,
                    Some("DoesNotExist") => Op::DoesNotExist,
                    _ => continue,
                };
                let Some(key) = tree.text_at(item, &["key"]) else {
                    continue;
                };
                let values = tree.get(item, "values").map(|values| {
                    let texts = tree.items(values).filter_map(|value| tree.text(value));
                    texts.map(Box::from).collect()
                });
                terms.push(Term {
                    key: key.into(),
                    op,
                    values: values.unwrap_or_default(),
                });
            }
        }
        Selector { labels, terms }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.terms.is_empty()
    }

    /// Whether labels are meant.
    pub(crate) fn matches(&self, labels: &[Label]) -> bool {
        let value = |key: &str| {
            let found = labels.iter().find(|(own, _)| **own == *key);
            found.map(|(_, value)| &**value)
        };
        let has = |(key, wanted): &Label| value(key) == Some(&**wanted);
        let holds = |term: &Term| {
            let own = value(&term.key);
            let is_listed = || own.is_some_and(|own| term.values.iter().any(|v| **v == *own));
            match term.op {
                Op::In => is_listed(),
                Op::NotIn => !is_listed(),
                Op::Exists => own.is_some(),
                Op::DoesNotExist => own.is_none(),
            }
        };
        self.labels.iter().all(has) && self.terms.iter().all(holds)
    }

    /// As messages show it: `app=web,tier in (a, b)`.
    pub(crate) fn show(&self) -> String {
        let labels = self
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        let terms = self.terms.iter().map(|term| match term.op {
            Op::In => format!("{} in ({})", term.key, term.values.join(", ")),
            Op::NotIn => format!("{} notin ({})", term.key, term.values.join(", ")),
            Op::Exists => term.key.to_string(),
            Op::DoesNotExist => format!("!{}", term.key),
        });
        labels.chain(terms).collect::<Vec<_>>().join(",")
    }
}

/// Reads a map of labels.
pub(crate) fn labels<T: Tree>(tree: &T, node: T::Node) -> Vec<Label> {
    tree.entries(node)
        .filter_map(|(key, value)| Some((key.into(), tree.text(value)?.into())))
        .collect()
}
