//! Resources: names that exist, requests within limits.
//!
//! pkg/apis/core/validation/validation.go ValidateContainerResourceRequirements, validateContainerResourceName;
//! pkg/apis/core/helper/helpers.go IsStandardContainerResourceName.

use ordain_lang_syntax::Diagnostic;

use super::{Judge, Slot, View};
use crate::literal::quantity_nanos;
use crate::suggest::nearest;

/// Resources of a container without a prefix of their own.
const STANDARD: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// One, as quantities are counted here.
const NANOS: i128 = 1_000_000_000;
/// Cores that no container asks for; `100Mi` of CPU is a hundred million.
const CORES_MAX: i128 = 10_000;

/// Whether requests of a resource may be less than its limit: extended resources and huge pages are never shared.
fn can_overcommit(name: &str) -> bool {
    STANDARD.contains(&name)
}

impl<V: View> Judge<'_, V> {
    pub(super) fn container_resources(&mut self, node: V::Node) {
        for field in ["limits", "requests"] {
            let Some(map) = self.get(node, field) else {
                continue;
            };
            for part in self.parts(map).0 {
                let name = &*part.key;
                if STANDARD.contains(&name) || name.starts_with("hugepages-") || name.contains('/')
                {
                    continue;
                }
                let mut diagnostic = Diagnostic::error(
                    "E0708",
                    format!("there is no resource `{name}` of a container"),
                )
                .label(part.key_span, "not known");
                diagnostic = match nearest(name, STANDARD) {
                    Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                    None => diagnostic
                        .help("write cpu, memory, ephemeral-storage, hugepages-SIZE or a name with its domain: `example.com/gpu`"),
                };
                self.say(diagnostic);
            }
        }
        self.whole_devices(node);
        self.requests_within_limits(node);
    }

    /// Devices are not divided, and huge pages need ordinary resources beside them.
    fn whole_devices(&mut self, node: V::Node) {
        let mut ordinary = false;
        let mut huge = None;
        for field in ["limits", "requests"] {
            let map = match self.slot(node, field) {
                Slot::Absent => continue,
                Slot::Unknown => return,
                Slot::Is(map) => map,
            };
            let (parts, all) = self.parts(map);
            let parts: Vec<_> = parts.collect();
            ordinary |= !all;
            for part in parts {
                let name = &*part.key;
                ordinary |= matches!(name, "cpu" | "memory");
                if name.starts_with("hugepages-") {
                    huge = Some(part.key_span);
                }
                let amount = self.text(part.node).as_deref().and_then(quantity_nanos);
                self.plausible(field, name, part.node, amount);
                // Names of Kubernetes' own domain are not those of devices (IsExtendedResourceName).
                if name.contains('/')
                    && !name.contains("kubernetes.io/")
                    && amount.is_some_and(|n| n % 1_000_000_000 != 0)
                {
                    let at = self.span(part.node);
                    self.say(
                        Diagnostic::error("E0203", format!("`{field}.{name}` is no whole number"))
                            .label(at, "cannot be divided"),
                    );
                }
            }
        }
        if let Some(huge) = huge
            && !ordinary
        {
            self.say(
                Diagnostic::error("E0711", "huge pages need `cpu` or `memory` beside them")
                    .label(huge, "alone")
                    .help("add `limits.memory = …`"),
            );
        }
    }

    /// The API server takes amounts that no machine has: parts of a byte (`100m`), and bytes of CPU.
    fn plausible(&mut self, field: &str, name: &str, node: V::Node, nanos: Option<i128>) {
        let Some(nanos) = nanos else { return };
        let bytes = matches!(name, "memory" | "ephemeral-storage" | "storage");
        let (message, help) = if bytes && nanos % NANOS != 0 {
            let text = self.text(node).unwrap_or_default().into_owned();
            let help = match text.strip_suffix('m') {
                Some(number) => format!("`m` is a thousandth: write `{number}Mi`"),
                None => "write whole bytes, as `64Mi`".to_owned(),
            };
            ("is a part of a byte", help)
        } else if name == "cpu" && nanos > CORES_MAX * NANOS {
            let help = "it counts cores: `500m` is half of one";
            ("is more than any machine has", help.to_owned())
        } else {
            return;
        };
        let at = self.span(node);
        self.say(
            Diagnostic::error("E0203", format!("`{field}.{name}` {message}"))
                .label(at, "not what is meant")
                .help(help),
        );
    }

    pub(super) fn claim_resources(&mut self, node: V::Node) {
        for field in ["limits", "requests"] {
            let Some(map) = self.get(node, field) else {
                continue;
            };
            for part in self.parts(map).0 {
                let amount = self.text(part.node).as_deref().and_then(quantity_nanos);
                self.plausible(field, &part.key, part.node, amount);
                if part.key != "storage" {
                    let diagnostic = Diagnostic::error(
                        "E0708",
                        format!("there is no resource `{}` of a volume claim", part.key),
                    )
                    .label(part.key_span, "not known")
                    .help("write `storage`");
                    self.say(diagnostic);
                }
            }
        }
        self.requests_within_limits(node);
    }

    fn requests_within_limits(&mut self, node: V::Node) {
        let negative = |judge: &mut Self, field: &str| {
            let Some(map) = judge.get(node, field) else {
                return;
            };
            for part in judge.parts(map).0 {
                let amount = judge.text(part.node);
                if amount
                    .as_deref()
                    .and_then(quantity_nanos)
                    .is_some_and(|n| n < 0)
                {
                    let at = judge.span(part.node);
                    judge.say(
                        Diagnostic::error("E0203", format!("`{field}.{}` is negative", part.key))
                            .label(at, "less than nothing")
                            .help("use 0 or more"),
                    );
                }
            }
        };
        negative(self, "limits");
        negative(self, "requests");
        let Some(requests) = self.get(node, "requests") else {
            return;
        };
        let limits = self.slot(node, "limits");
        for part in self.parts(requests).0 {
            let name = &*part.key;
            let limit = match limits {
                Slot::Is(limits) => self.slot(limits, name),
                other => other,
            };
            let at = self.span(part.node);
            if limit.is_absent() && !can_overcommit(name) && name != "storage" {
                self.say(
                    Diagnostic::error("E0701", format!("`{name}` is requested without a limit"))
                        .label(at, "requested here")
                        .help(format!("set `limits` of `{name}` to the same amount"))
                        .note("resources that cannot be shared need equal requests and limits"),
                );
                continue;
            }
            let Some(limit) = limit.known() else { continue };
            let (Some(wanted), Some(most)) = (self.text(part.node), self.text(limit)) else {
                continue;
            };
            let (Some(want), Some(max)) = (quantity_nanos(&wanted), quantity_nanos(&most)) else {
                continue;
            };
            let unequal = want != max && !can_overcommit(name) && name != "storage";
            if want <= max && !unequal {
                continue;
            }
            let message = match unequal {
                true => format!("`requests.{name}` {wanted} is not `limits.{name}` {most}"),
                false => format!("`requests.{name}` {wanted} is more than `limits.{name}` {most}"),
            };
            let limit_span = self.span(limit);
            self.say(
                Diagnostic::error("E0701", message)
                    .label(at, format!("requests {wanted}"))
                    .label(limit_span, format!("the limit is {most}"))
                    .help(format!("request {most} or less, or raise the limit")),
            );
        }
    }
}
