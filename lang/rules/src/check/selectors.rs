//! What selects pods must mean some, and workloads must not mean each other's.

use ordain_lang_syntax::Diagnostic;

use super::{Member, Rules, placed};
use crate::facts::{SelectedBy, Selects};
use crate::near::nearest;
use crate::selector::Selector;

impl Rules<'_> {
    /// Looks at the pods that the object at a position selects.
    pub(crate) fn selection(&mut self, members: &[Member<'_>], at: usize, selects: &Selects) {
        let member = members[at];
        let home = member.facts.home();
        match selects.by {
            SelectedBy::Owner => self.overlap(members, at, selects),
            SelectedBy::User | SelectedBy::Policy => {
                // An empty selector of a policy means all pods, also those that others make.
                let is_policy = selects.by == SelectedBy::Policy;
                if is_policy && selects.selector.is_empty() {
                    return;
                }
                if self
                    .index
                    .selected(members, home, &selects.selector)
                    .is_empty()
                {
                    self.nothing(members, member, selects, is_policy);
                }
            }
        }
    }

    fn nothing(
        &mut self,
        members: &[Member<'_>],
        member: Member<'_>,
        selects: &Selects,
        is_policy: bool,
    ) {
        if self.is_full(if is_policy { "W0603" } else { "E0601" }, member) {
            return;
        }
        let identity = &member.facts.identity;
        let message = format!(
            "the {} `{}` selects no pod of the namespace `{}`",
            identity.kind,
            identity.name,
            member.facts.home()
        );
        let diagnostic = match is_policy {
            true => Diagnostic::warning("W0603", message),
            false => Diagnostic::error("E0601", message),
        };
        let shown = match selects.selector.is_empty() {
            true => "any pod".to_owned(),
            false => format!("`{}`", selects.selector.show()),
        };
        let text = format!("selects {shown}");
        let mut diagnostic = placed(diagnostic, selects.place, &text, member.facts);
        let code = diagnostic.code;
        if let Some((other, label, near)) = closest(members, member, &selects.selector) {
            diagnostic = diagnostic
                .label(
                    other.facts.at,
                    format!("its pods have `{}={near}`", label.0),
                )
                .help(format!("did you mean `{near}`?"));
        } else if let Some(facts) = members.iter().map(|other| other.facts).find(|other| {
            let pods = other.pods.as_ref();
            !selects.selector.is_empty()
                && pods.is_some_and(|pods| selects.selector.matches(&pods.labels))
        }) {
            diagnostic = diagnostic.help(format!(
                "the {} has such pods; one namespace does not see into another",
                facts.identity.title()
            ));
        } else {
            if let Some(note) = labels_there(members, member, &selects.selector) {
                diagnostic = diagnostic.note(note);
            }
            diagnostic = diagnostic.help(format!(
                "if others make its pods, say so: `allow {code} for {} \"{}\", \"…\"`",
                super::written(identity.group(), &identity.kind),
                identity.name
            ));
        }
        self.report(member, diagnostic);
    }

    /// Two workloads that mean the same pods take them from each other.
    fn overlap(&mut self, members: &[Member<'_>], at: usize, selects: &Selects) {
        let member = members[at];
        if selects.selector.is_empty() {
            return;
        }
        for other in self
            .index
            .selected(members, member.facts.home(), &selects.selector)
        {
            let Some(theirs) = &members[other].facts.selects else {
                continue;
            };
            if other == at || theirs.by != SelectedBy::Owner {
                continue;
            }
            // When each means the other's pods, the second of the two says so.
            let own = member.facts.pods.as_ref();
            let is_mutual = own.is_some_and(|pods| theirs.selector.matches(&pods.labels));
            if is_mutual && other > at {
                continue;
            }
            let title = members[other].facts.identity.title();
            let code = "E0611";
            if self
                .exemptions
                .allows(code, members[other].app, members[other].facts)
            {
                continue;
            }
            let diagnostic = Diagnostic::error(
                code,
                format!(
                    "the {} `{}` also selects the pods of the {title}",
                    member.facts.identity.kind, member.facts.identity.name
                ),
            );
            let text = format!("selects `{}`", selects.selector.show());
            let diagnostic = placed(diagnostic, selects.place, &text, member.facts)
                .label(members[other].facts.at, "makes pods with these labels")
                .help(
                    "give each of them a label of its own, such as `app.kubernetes.io/component`",
                );
            self.report(member, diagnostic);
        }
    }

    /// A Service's named target ports must be ports of the pods it selects.
    pub(crate) fn target_ports(&mut self, members: &[Member<'_>], member: Member<'_>) {
        let has_named = member.facts.ports.iter().any(|port| port.target.is_some());
        let Some(selects) = member.facts.selects.as_ref().filter(|_| has_named) else {
            return;
        };
        let selected = self
            .index
            .selected(members, member.facts.home(), &selects.selector);
        // Without any pods the selector is what is wrong.
        if selected.is_empty() {
            return;
        }
        let ports = || {
            let pods = selected
                .iter()
                .filter_map(|at| members[*at].facts.pods.as_ref());
            pods.flat_map(|pods| pods.ports.iter().map(|port| &**port))
        };
        for port in &member.facts.ports {
            let Some((name, place)) = &port.target else {
                continue;
            };
            if ports().any(|port| *port == **name) {
                continue;
            }
            let message = format!(
                "no pod of the Service `{}` has a port `{name}`",
                member.facts.identity.name
            );
            let diagnostic = Diagnostic::error("E0608", message);
            let mut diagnostic = placed(diagnostic, *place, "leads to this port", member.facts);
            if let Some(first) = selected.first() {
                diagnostic = diagnostic.label(members[*first].facts.at, "makes its pods");
            }
            let known: Vec<&str> = ports().collect();
            diagnostic = match nearest(name, known.iter().copied()) {
                Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                None if known.is_empty() => diagnostic.note("their ports have no names"),
                None => diagnostic.note(format!("they have {}", known.join(", "))),
            };
            self.report(member, diagnostic);
        }
    }
}

/// Values that are shown of a label.
const SHOWN: usize = 4;

/// Which values the pods of the namespace have for the first label of a selector that they have at all.
fn labels_there(members: &[Member<'_>], member: Member<'_>, selector: &Selector) -> Option<String> {
    let in_reach = || {
        let near = members
            .iter()
            .filter(|other| other.facts.home() == member.facts.home());
        near.filter_map(|other| Some((other, other.facts.pods.as_ref()?)))
    };
    selector.labels.iter().find_map(|(key, _)| {
        let mut shown: Vec<String> = Vec::new();
        for (other, pods) in in_reach() {
            if let Some((_, value)) = pods.labels.iter().find(|(own, _)| own == key) {
                let identity = &other.facts.identity;
                shown.push(format!(
                    "`{key}={value}` ({} {})",
                    identity.kind, identity.name
                ));
            }
        }
        let more = shown.len().saturating_sub(SHOWN);
        shown.truncate(SHOWN);
        let list = shown.join(", ");
        match (shown.is_empty(), more) {
            (true, _) => None,
            (false, 0) => Some(format!("pods there have {list}")),
            (false, more) => Some(format!("pods there have {list} and {more} more")),
        }
    })
}

/// The pods that differ from a selector in the value of one label only, by a slip: with the label
/// and the value they have.
fn closest<'m>(
    members: &'m [Member<'_>],
    member: Member<'_>,
    selector: &'m Selector,
) -> Option<(&'m Member<'m>, &'m crate::facts::Label, &'m str)> {
    for other in members {
        let Some(pods) = other
            .facts
            .pods
            .as_ref()
            .filter(|_| other.facts.home() == member.facts.home())
        else {
            continue;
        };
        let mut wrong = selector
            .labels
            .iter()
            .filter(|label| !pods.labels.contains(label));
        let (Some(label), None) = (wrong.next(), wrong.next()) else {
            continue;
        };
        let own = pods.labels.iter().find(|(key, _)| *key == label.0);
        if let Some((_, value)) = own
            && nearest(&label.1, [&**value]).is_some()
        {
            return Some((other, label, value));
        }
    }
    None
}
