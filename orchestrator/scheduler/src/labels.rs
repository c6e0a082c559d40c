//! Node selectors: labels and fields of a node against what a pod asks for.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, Pod};

pub(crate) type Labels = BTreeMap<String, String>;

/// Returns whether the pod's `nodeSelector` and required node affinity accept the node.
pub(crate) fn node_matches(pod: &Pod, name: &str, labels: &Labels) -> bool {
    let Some(spec) = &pod.spec else { return true };
    let selector = spec.node_selector.iter().flatten();
    if !selector
        .into_iter()
        .all(|(label, value)| labels.get(label) == Some(value))
    {
        return false;
    }
    let affinity = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| {
        affinity
            .required_during_scheduling_ignored_during_execution
            .as_ref()
    });
    required.is_none_or(|required| {
        required
            .node_selector_terms
            .iter()
            .any(|term| term_matches(term, name, labels))
    })
}

/// Returns whether a term accepts the node. A term that asks for nothing accepts nothing.
pub(crate) fn term_matches(term: &NodeSelectorTerm, name: &str, labels: &Labels) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    let by_label = |wanted: &NodeSelectorRequirement| {
        requirement_matches(wanted, labels.get(&wanted.key).map(String::as_str))
    };
    // `metadata.name` is the only field that can be selected.
    let by_field = |wanted: &NodeSelectorRequirement| {
        requirement_matches(wanted, (wanted.key == "metadata.name").then_some(name))
    };
    expressions.iter().all(by_label) && fields.iter().all(by_field)
}

fn requirement_matches(wanted: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = wanted.values.as_deref().unwrap_or_default();
    let listed = value.is_some_and(|value| values.iter().any(|wanted| wanted == value));
    let compared = || -> Option<std::cmp::Ordering> {
        let value: i64 = value?.parse().ok()?;
        Some(value.cmp(&values.first()?.parse().ok()?))
    };
    match wanted.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared() == Some(std::cmp::Ordering::Greater),
        "Lt" => compared() == Some(std::cmp::Ordering::Less),
        _ => false,
    }
}
