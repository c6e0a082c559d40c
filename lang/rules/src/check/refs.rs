//! What an object names must be there: in the set, in every cluster, or declared `external`.

use ordain_lang_syntax::Diagnostic;

use super::{Member, Rules, placed, written};
use crate::facts::{Facts, Need, Place, Ref};
use crate::known::is_known;
use crate::near::nearest;

/// Names that a note lists.
const SHOWN: usize = 6;

impl Rules<'_> {
    /// Looks whether a reference leads somewhere, and whether what is there has what it must.
    pub(crate) fn reference(&mut self, members: &[Member<'_>], member: Member<'_>, one: &Ref) {
        let namespace = leads_into(member, one);
        let (group, kind) = (one.to.group.as_str(), one.to.kind.as_str());
        match self.index.object(group, kind, namespace, &one.name) {
            Some(at) => {
                self.needs(member, one, members[at].facts);
                self.counted_twice(member, one, members[at].facts);
            }
            None => self.missing(members, member, one),
        }
    }

    fn missing(&mut self, members: &[Member<'_>], member: Member<'_>, one: &Ref) {
        let namespace = leads_into(member, one);
        let (group, kind, name) = (one.to.group.as_str(), one.to.kind.as_str(), &*one.name);
        if is_known(group, kind, namespace, name)
            || self.index.is_made(group, kind, namespace, name)
            || is_from_template(members, one, namespace)
            || self
                .exemptions
                .declares(member.app, (group, kind), namespace, name)
            || self.is_full(one.to.code, member)
        {
            return;
        }
        // One object says once that something is not there, however often it names it.
        let same = |other: &&Ref| {
            (&other.to, &other.name, &other.elsewhere) == (&one.to, &one.name, &one.elsewhere)
        };
        let mut alike = member.facts.refs.iter().filter(same);
        if alike.next().is_some_and(|first| !std::ptr::eq(first, one)) {
            return;
        }
        let message = match namespace {
            Some(namespace) => {
                format!("there is no {kind} `{name}` in the namespace `{namespace}`")
            }
            None => format!("there is no {kind} `{name}`"),
        };
        let is_class = one.to.code.starts_with('W');
        let diagnostic = match is_class {
            true => Diagnostic::warning(one.to.code, message),
            false => Diagnostic::error(one.to.code, message),
        };
        let mut diagnostic = placed(diagnostic, one.place, "named here", member.facts);
        for span in alike.filter_map(|other| Some(other.place?.span)) {
            let is_new = diagnostic.labels.iter().all(|label| label.span != span);
            if is_new && diagnostic.labels.len() < SHOWN {
                diagnostic = diagnostic.label(span, "and here");
            }
        }
        let others = || {
            members
                .iter()
                .map(|member| member.facts)
                .filter(|facts| facts.identity.group() == group && facts.identity.kind == *kind)
        };
        let in_reach = || {
            others()
                .filter(|facts| namespace.is_none_or(|namespace| *facts.home() == *namespace))
                .map(|facts| &*facts.identity.name)
        };
        let elsewhere = others().find(|facts| *facts.identity.name == *name);
        let known = crate::known::names(group, kind).iter().copied();
        let namesake = namesake(members, one, namespace);
        diagnostic = match (elsewhere, nearest(name, in_reach().chain(known))) {
            _ if namesake.is_some() => {
                let kind = namesake.unwrap_or_default();
                diagnostic.help(format!("there is a {kind} `{name}`: name its kind"))
            }
            (Some(facts), _) => diagnostic.help(format!(
                "it is in the namespace `{}`; one namespace does not see into another",
                facts.home()
            )),
            (None, Some(near)) => diagnostic.help(format!("did you mean `{near}`?")),
            (None, None) => {
                let names: Vec<&str> = in_reach().take(SHOWN).collect();
                match names.is_empty() {
                    true => diagnostic,
                    false => diagnostic.note(format!("there are {}", names.join(", "))),
                }
            }
        };
        let declared = format!("`external {} \"{name}\"`", written(group, kind));
        let remedy = format!("if others make it, declare it in the app or environment: {declared}");
        diagnostic = match diagnostic.help {
            Some(_) => diagnostic.note(remedy),
            None => diagnostic.help(remedy),
        };
        self.report(
            member,
            diagnostic.note(format!("the field is `{}`", one.field)),
        );
    }

    /// An autoscaler and the workload that it scales must not both say how many pods there are.
    fn counted_twice(&mut self, member: Member<'_>, one: &Ref, target: &Facts) {
        let Some(replicas) = target.replicas.filter(|_| one.to.code == "E0610") else {
            return;
        };
        let title = target.identity.title();
        let diagnostic = Diagnostic::warning(
            "W0604",
            format!("the {title} sets `replicas`, and an autoscaler scales it"),
        );
        // Not the number's own place: each environment may have another one, and it is one mistake.
        let scaled = one.place.map_or(member.facts.at, |place| place.span);
        let own = replicas
            .place
            .map(|place| place.through.unwrap_or(place.span));
        let diagnostic = diagnostic
            .label(scaled, "scaled here")
            .label(own.unwrap_or(target.at), "sets `replicas`");
        self.report(
            member,
            diagnostic
                .help("leave `replicas` out (`delete spec.replicas`; in `std`, `scaled = true`)")
                .note("each deploy would undo what the autoscaler decided"),
        );
    }

    /// Looks whether what is there has the key or port that is asked for.
    fn needs(&mut self, member: Member<'_>, one: &Ref, target: &Facts) {
        let Some((needs, place)) = one.needs.as_deref() else {
            return;
        };
        let place = place.or(one.place);
        let title = target.identity.title();
        match needs {
            Need::Key(key) => {
                let Some(keys) = &target.keys else { return };
                if keys.contains(key) {
                    return;
                }
                let diagnostic =
                    Diagnostic::error("E0606", format!("the {title} has no key `{key}`"));
                let mut diagnostic = placed(diagnostic, place, "asked for here", member.facts)
                    .label(target.at, format!("the {}", target.identity.kind));
                let keys = || keys.iter().map(|key| &**key);
                diagnostic = match nearest(key, keys()) {
                    Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                    None => diagnostic,
                };
                let listed: Vec<&str> = keys().take(SHOWN).collect();
                self.report(
                    member,
                    match listed.is_empty() {
                        true => diagnostic.note("it has no keys"),
                        false => diagnostic.note(format!("it has {}", listed.join(", "))),
                    },
                );
            }
            Need::Port(number) => {
                if !target.ports.is_empty()
                    && !target.ports.iter().any(|port| port.number == *number)
                {
                    self.no_port(member, place, target, &number.to_string());
                }
            }
            Need::PortName(name) => {
                let has = |name: &str| {
                    let named = |port: &crate::facts::Port| port.name.as_deref() == Some(name);
                    target.ports.iter().any(named)
                };
                if !has(name) {
                    self.no_port(member, place, target, name);
                }
            }
        }
    }

    fn no_port(&mut self, member: Member<'_>, place: Option<Place>, target: &Facts, port: &str) {
        let title = target.identity.title();
        let diagnostic = Diagnostic::error("E0608", format!("the {title} has no port `{port}`"));
        let diagnostic = placed(diagnostic, place, "asked for here", member.facts)
            .label(target.at, "the Service");
        let ports: Vec<String> = target
            .ports
            .iter()
            .map(|port| match &port.name {
                Some(name) => format!("{} ({name})", port.number),
                None => port.number.to_string(),
            })
            .collect();
        self.report(
            member,
            match ports.is_empty() {
                true => diagnostic,
                false => diagnostic.note(format!("it has {}", ports.join(", "))),
            },
        );
    }
}

/// The namespace that a reference leads into; none for kinds of the whole cluster.
fn leads_into<'a>(member: Member<'a>, one: &'a Ref) -> Option<&'a str> {
    let own = || one.elsewhere.as_deref().unwrap_or(member.facts.home());
    one.to.is_namespaced.then(own)
}

/// The kind of a workload that is called as one that is not there.
fn namesake(members: &[Member<'_>], one: &Ref, namespace: Option<&str>) -> Option<&'static str> {
    if one.to.code != "E0610" {
        return None;
    }
    let is_it = |facts: &&Facts| {
        facts.pods.is_some() && facts.identity.name == one.name && Some(facts.home()) == namespace
    };
    let found = members.iter().map(|member| member.facts).find(is_it)?;
    Some(found.identity.kind.as_str())
}

/// Whether a claim is one that a StatefulSet of the set makes: `TEMPLATE-SET-ORDINAL`.
fn is_from_template(members: &[Member<'_>], one: &Ref, namespace: Option<&str>) -> bool {
    if one.to.kind != "PersistentVolumeClaim" {
        return false;
    }
    let Some((stem, ordinal)) = one.name.rsplit_once('-') else {
        return false;
    };
    ordinal.bytes().all(|byte| byte.is_ascii_digit())
        && members.iter().any(|member| {
            let identity = &member.facts.identity;
            identity.kind == "StatefulSet"
                && Some(member.facts.home()) == namespace
                && stem.ends_with(&format!("-{}", identity.name))
        })
}
