//! Jobs: how they end, which failures count, what belongs to indexed ones.
//!
//! pkg/apis/batch/validation/validation.go validateJobSpec, validatePodFailurePolicy, validateSuccessPolicy,
//! validatePodReplacementPolicy.

use ordain_lang_syntax::Diagnostic;

use super::{Judge, Slot, View};

/// Most pods of an indexed Job at once.
const INDEXED_MAX: i64 = 100_000;

impl<V: View> Judge<'_, V> {
    pub(super) fn job_endings(&mut self, node: V::Node) {
        self.indexes(node);
        if let Some(manual) = self.get(node, "manualSelector")
            && self.view.flag(manual) == Some(true)
            && self.slot(node, "selector").is_absent()
        {
            let at = self.span(manual);
            self.say(
                Diagnostic::error("E0711", "a Job with `manualSelector` needs a `selector`")
                    .label(at, "nothing is selected")
                    .help("remove it; a Job makes its own selector"),
            );
        }
        if self.slot(node, "podFailurePolicy").is_set() {
            self.failure_policy(node);
        }
    }

    /// What only an indexed Job has.
    fn indexes(&mut self, node: V::Node) {
        let plain = match self.slot(node, "completionMode") {
            Slot::Absent => true,
            Slot::Unknown => return,
            Slot::Is(mode) => match self.text(mode) {
                Some(text) => text == "NonIndexed",
                None => return,
            },
        };
        if plain {
            for field in ["backoffLimitPerIndex", "successPolicy"] {
                if let Some(value) = self.get(node, field) {
                    let at = self.span(value);
                    self.say(
                        Diagnostic::error("E0710", format!("`{field}` belongs to an indexed Job"))
                            .label(at, "without indexes")
                            .help("set `completionMode = \"Indexed\"`"),
                    );
                }
            }
        } else if let Some(pods) = self.get(node, "parallelism")
            && self.view.int(pods).is_some_and(|n| n > INDEXED_MAX)
        {
            let at = self.span(pods);
            self.say(
                Diagnostic::error(
                    "E0203",
                    format!("an indexed Job has at most {INDEXED_MAX} pods at once"),
                )
                .label(at, "too many"),
            );
        }
        let Some(failed) = self.get(node, "maxFailedIndexes") else {
            return;
        };
        let at = self.span(failed);
        if self.slot(node, "backoffLimitPerIndex").is_absent() {
            self.say(
                Diagnostic::error("E0711", "`maxFailedIndexes` needs `backoffLimitPerIndex`")
                    .label(at, "when has an index failed?"),
            );
        }
        if let Some(all) = self.get(node, "completions")
            && let (Some(most), Some(count)) = (self.view.int(failed), self.view.int(all))
            && most > count
        {
            let all = self.span(all);
            self.say(
                Diagnostic::error("E0710", format!("{most} of {count} indexes cannot fail"))
                    .label(at, "may fail")
                    .label(all, "of these"),
            );
        }
    }

    fn failure_policy(&mut self, node: V::Node) {
        let Some(policy) = self.get(node, "podFailurePolicy") else {
            return;
        };
        if let Slot::Is(restart) = self.at(node, &["template", "spec", "restartPolicy"])
            && self.text(restart).is_some_and(|text| text == "OnFailure")
        {
            let (at, policy) = (self.span(restart), self.span(policy));
            self.say(
                Diagnostic::error("E0710", "failures are judged of pods that restart `Never`")
                    .label(at, "restarted instead")
                    .label(policy, "judges failures")
                    .help("write \"Never\""),
            );
        }
        if let Some(replaced) = self.get(node, "podReplacementPolicy")
            && self.text(replaced).is_some_and(|text| text != "Failed")
        {
            let at = self.span(replaced);
            self.say(
                Diagnostic::error(
                    "E0710",
                    "with `podFailurePolicy` only failed pods are replaced",
                )
                .label(at, "others too")
                .help("write \"Failed\", or remove it"),
            );
        }
        let per_index = !self.slot(node, "backoffLimitPerIndex").is_absent();
        let mut containers = Vec::new();
        let mut known = true;
        match self.at(node, &["template", "spec"]) {
            Slot::Is(pod) => {
                for list in ["initContainers", "containers"] {
                    let (names, all) = self.named(pod, list);
                    containers.extend(names);
                    known &= all;
                }
            }
            _ => known = false,
        }
        for rule in self.elements(policy, "rules").0 {
            if let Some(action) = self.get(rule, "action")
                && self.text(action).is_some_and(|text| text == "FailIndex")
                && !per_index
            {
                let at = self.span(action);
                self.say(
                    Diagnostic::error("E0711", "`FailIndex` needs `backoffLimitPerIndex`")
                        .label(at, "fails one index"),
                );
            }
            let Some(codes) = self.get(rule, "onExitCodes") else {
                continue;
            };
            self.exit_codes(codes);
            let Some(name) = self.get(codes, "containerName") else {
                continue;
            };
            let Some(text) = self.text(name) else {
                continue;
            };
            if known && !containers.iter().any(|container| *container == text) {
                let at = self.span(name);
                self.undeclared(
                    "container",
                    &text,
                    at,
                    containers.iter().map(String::as_str),
                    "this Job",
                );
            }
        }
    }

    fn exit_codes(&mut self, codes: V::Node) {
        let is_in = self
            .text_of(codes, "operator")
            .is_some_and(|text| text == "In");
        let mut last: Option<i64> = None;
        for value in self.elements(codes, "values").0 {
            let Some(code) = self.view.int(value) else {
                last = None;
                continue;
            };
            let at = self.span(value);
            if code == 0 && is_in {
                self.say(
                    Diagnostic::error("E0203", "the exit code 0 is no failure")
                        .label(at, "success"),
                );
            }
            if last.is_some_and(|last| last >= code) {
                self.say(
                    Diagnostic::error(
                        "E0710",
                        "exit codes are listed from small to large, each once",
                    )
                    .label(at, "not larger than the one before"),
                );
            }
            last = Some(code);
        }
    }
}
