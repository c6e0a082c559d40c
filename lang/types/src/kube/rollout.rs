//! How many pods may be missing or too many: rollouts, disruption budgets, autoscalers.
//!
//! pkg/apis/apps/validation/validation.go ValidateRollingUpdateDeployment, ValidateRollingUpdateDaemonSet,
//! ValidatePositiveIntOrPercent, IsNotMoreThan100Percent; pkg/apis/policy/validation, pkg/apis/autoscaling/validation.

use ordain_lang_syntax::Diagnostic;

use super::{Judge, Slot, View};

/// How many pods, or which part of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    Pods(i64),
    Percent(i64),
}

impl Share {
    fn is_zero(self) -> bool {
        matches!(self, Share::Pods(0) | Share::Percent(0))
    }
}

impl<V: View> Judge<'_, V> {
    /// A number of pods or a percentage in a field; tells what it is otherwise.
    fn share(&mut self, node: V::Node, field: &str) -> Option<(Share, V::Node)> {
        let value = self.get(node, field)?;
        if let Some(pods) = self.view.int(value) {
            if pods < 0 {
                let at = self.span(value);
                self.say(
                    Diagnostic::error("E0203", format!("`{field}` is negative"))
                        .label(at, "less than no pod")
                        .help("use 0 or more"),
                );
                return None;
            }
            return Some((Share::Pods(pods), value));
        }
        let text = self.text(value)?;
        let percent = text
            .strip_suffix('%')
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse::<i64>().ok());
        if percent.is_none() {
            let at = self.span(value);
            self.say(
                Diagnostic::error(
                    "E0709",
                    format!("`{field}`: \"{text}\" is neither a number nor a percentage"),
                )
                .label(at, "how many?")
                .help("write `1` or `\"25%\"`"),
            );
        }
        Some((Share::Percent(percent?), value))
    }

    fn at_most_all(&mut self, field: &str, share: Option<(Share, V::Node)>) {
        if let Some((Share::Percent(percent), value)) = share
            && percent > 100
        {
            let at = self.span(value);
            self.say(
                Diagnostic::error("E0709", format!("`{field}` is more than 100%"))
                    .label(at, "more than all"),
            );
        }
    }

    /// Settings of a rolling update beside a strategy that is none.
    fn only_rolling(&mut self, node: V::Node) -> Option<V::Node> {
        let rolling = self.get(node, "rollingUpdate")?;
        if let Some(kind) = self.get(node, "type")
            && let Some(text) = self.text(kind)
            && text != "RollingUpdate"
        {
            let (at, kind) = (self.span(rolling), self.span(kind));
            self.say(
                Diagnostic::error(
                    "E0710",
                    format!("`rollingUpdate` does not belong to `{text}`"),
                )
                .label(at, "settings of a rolling update")
                .label(kind, "another strategy")
                .help("remove one of them"),
            );
            return None;
        }
        Some(rolling)
    }

    fn both_zero(&mut self, unavailable: V::Node, surge: Option<V::Node>) {
        let at = self.span(unavailable);
        let mut diagnostic = Diagnostic::error(
            "E0709",
            "with `maxUnavailable` and `maxSurge` 0 no pod can ever be replaced",
        )
        .label(at, "none may be missing");
        if let Some(surge) = surge {
            diagnostic = diagnostic.label(self.span(surge), "none may be added");
        }
        self.say(diagnostic.help("raise one of them to 1"));
    }

    pub(super) fn deployment_strategy(&mut self, node: V::Node) {
        let Some(rolling) = self.only_rolling(node) else {
            return;
        };
        let unavailable = self.share(rolling, "maxUnavailable");
        let surge = self.share(rolling, "maxSurge");
        self.at_most_all("maxUnavailable", unavailable);
        if let (Some((none, at)), Some((more, surge))) = (unavailable, surge)
            && none.is_zero()
            && more.is_zero()
        {
            self.both_zero(at, Some(surge));
        }
    }

    pub(super) fn daemon_set_strategy(&mut self, node: V::Node) {
        let Some(rolling) = self.only_rolling(node) else {
            return;
        };
        let unavailable = self.share(rolling, "maxUnavailable");
        let surge = self.share(rolling, "maxSurge");
        self.at_most_all("maxUnavailable", unavailable);
        self.at_most_all("maxSurge", surge);
        let no_surge = self.slot(rolling, "maxSurge").is_absent();
        match (unavailable, surge) {
            (Some((none, at)), Some((more, surge))) if none.is_zero() && more.is_zero() => {
                self.both_zero(at, Some(surge));
            }
            (Some((none, at)), None) if none.is_zero() && no_surge => self.both_zero(at, None),
            (unavailable, Some((more, surge))) if !more.is_zero() => {
                // One pod may be missing by default.
                let missing = match unavailable {
                    Some((share, at)) => (!share.is_zero()).then(|| self.span(at)),
                    None => self
                        .slot(rolling, "maxUnavailable")
                        .is_absent()
                        .then(|| self.span(rolling)),
                };
                if let Some(missing) = missing {
                    let at = self.span(surge);
                    self.say(
                        Diagnostic::error(
                            "E0709",
                            "a DaemonSet adds pods or misses some, not both",
                        )
                        .label(at, "pods are added")
                        .label(missing, "pods may be missing")
                        .help("set `maxUnavailable = 0`")
                        .note("`maxUnavailable` is 1 when nobody sets it"),
                    );
                }
            }
            _ => {}
        }
    }

    pub(super) fn stateful_set_strategy(&mut self, node: V::Node) {
        if let Some(rolling) = self.only_rolling(node) {
            let unavailable = self.share(rolling, "maxUnavailable");
            self.at_most_all("maxUnavailable", unavailable);
        }
    }

    pub(super) fn disruption_budget(&mut self, node: V::Node) {
        for field in ["minAvailable", "maxUnavailable"] {
            let share = self.share(node, field);
            self.at_most_all(field, share);
        }
    }

    /// Resources are not used by pods that are not there; something outside must ask for the first one.
    fn wakes_up(&mut self, node: V::Node) {
        let Some(min) = self.get(node, "minReplicas") else {
            return;
        };
        if self.view.int(min) != Some(0) {
            return;
        }
        let (metrics, all) = self.elements(node, "metrics");
        let outside = metrics.iter().any(|metric| {
            self.text_of(*metric, "type")
                .is_none_or(|text| matches!(&*text, "Object" | "External"))
        });
        if all && !outside {
            let at = self.span(min);
            self.say(
                Diagnostic::error("E0711", "no pods at all need a metric of the outside")
                    .label(at, "nothing would start the first pod")
                    .help("add a metric of type `Object` or `External`, or use 1"),
            );
        }
    }

    pub(super) fn autoscaler(&mut self, node: V::Node) {
        self.wakes_up(node);
        let (Some(min), Some(max)) = (self.get(node, "minReplicas"), self.get(node, "maxReplicas"))
        else {
            return;
        };
        let (Some(least), Some(most)) = (self.view.int(min), self.view.int(max)) else {
            return;
        };
        if least > most {
            let (min, max) = (self.span(min), self.span(max));
            self.say(
                Diagnostic::error(
                    "E0710",
                    format!("`minReplicas` {least} is more than `maxReplicas` {most}"),
                )
                .label(min, "the least")
                .label(max, "the most")
                .help(format!("set `minReplicas` to {most} or less")),
            );
        }
    }

    pub(super) fn metric(&mut self, node: V::Node) {
        let Some(kind) = self.get(node, "type") else {
            return;
        };
        let Some(text) = self.text(kind) else { return };
        // `ContainerResource` is described by `containerResource`.
        let mut field = text.to_string();
        if let Some(first) = field.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        if let Slot::Absent = self.slot(node, &field) {
            let at = self.span(kind);
            self.say(
                Diagnostic::error(
                    "E0711",
                    format!("a metric of type `{text}` needs `{field}`"),
                )
                .label(at, "this type")
                .help(format!("add `{field} = {{ … }}`")),
            );
        }
        for part in self.parts(node).0 {
            if part.key != "type" && part.key != field {
                self.say(
                    Diagnostic::error(
                        "E0710",
                        format!(
                            "`{}` does not belong to a metric of type `{text}`",
                            part.key
                        ),
                    )
                    .label(part.key_span, "of another type")
                    .label(self.span(kind), "the type"),
                );
            }
        }
    }
}
