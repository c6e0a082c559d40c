//! ConfigMaps, Secrets and metadata: keys, overlaps and sizes.
//!
//! pkg/apis/core/validation/validation.go ValidateConfigMap, ValidateSecret; apimachinery pkg/util/validation
//! IsConfigMapKey; apimachinery pkg/api/validation/objectmeta.go ValidateAnnotationsSize.

use ordain_lang_syntax::Diagnostic;

use super::{Judge, Slot, View};
use crate::format::check_format;
use crate::ty::Format;

/// Most bytes in a ConfigMap or Secret.
const DATA_MAX: usize = 1 << 20;
/// Most bytes in the annotations of an object.
const ANNOTATIONS_MAX: usize = 256 << 10;
/// Longest key.
const KEY_MAX: usize = 253;

/// The type of Secret that holds an account's token, and where it says which (ValidateSecret).
const TOKEN: &str = "kubernetes.io/service-account-token";
const TOKEN_OWNER: &str = "kubernetes.io/service-account.name";

/// Keys that a type of Secret must have: one of each group.
const SECRET_KEYS: &[(&str, &[&[&str]])] = &[
    ("kubernetes.io/tls", &[&["tls.crt"], &["tls.key"]]),
    ("kubernetes.io/dockerconfigjson", &[&[".dockerconfigjson"]]),
    ("kubernetes.io/dockercfg", &[&[".dockercfg"]]),
    ("kubernetes.io/basic-auth", &[&["username", "password"]]),
    ("kubernetes.io/ssh-auth", &[&["ssh-privatekey"]]),
];

pub(super) fn check_key(key: &str) -> Result<(), String> {
    if key.is_empty() {
        return Err("it is empty".into());
    }
    if key.len() > KEY_MAX {
        return Err(format!(
            "it has {} characters, {KEY_MAX} are allowed",
            key.len()
        ));
    }
    if key == "." || key.starts_with("..") {
        return Err("it would leave the folder it is mounted to".into());
    }
    let good = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match key.chars().find(|c| !good(c)) {
        Some(' ') => Err("it has spaces".into()),
        Some(c) => Err(format!(
            "it has a `{c}`; letters, digits, `-`, `_` and `.` are allowed"
        )),
        None => Ok(()),
    }
}

impl<V: View> Judge<'_, V> {
    pub(super) fn config_map(&mut self, node: V::Node) {
        self.data_keys(node, &["data", "binaryData"], "a ConfigMap");
        let (Some(data), Some(binary)) = (self.get(node, "data"), self.get(node, "binaryData"))
        else {
            return;
        };
        for part in self.parts(binary).0 {
            let Slot::Is(first) = self.slot(data, &part.key) else {
                continue;
            };
            let first = self.span(first);
            self.say(
                Diagnostic::error(
                    "E0707",
                    format!("`{}` is both in `data` and in `binaryData`", part.key),
                )
                .label(part.key_span, "in `binaryData`")
                .label(first, "in `data`")
                .help("remove one of them"),
            );
        }
    }

    pub(super) fn secret(&mut self, node: V::Node) {
        self.data_keys(node, &["data", "stringData"], "a Secret");
        let Some(kind) = self.get(node, "type") else {
            return;
        };
        let Some(name) = self.text(kind) else { return };
        if name == TOKEN
            && self
                .at(node, &["metadata", "annotations", TOKEN_OWNER])
                .is_absent()
        {
            let at = self.span(kind);
            self.say(
                Diagnostic::error("E0711", "a token needs the annotation of its account")
                    .label(at, "this type")
                    .help(format!("annotate it with `\"{TOKEN_OWNER}\" = …`")),
            );
        }
        let Some((_, groups)) = SECRET_KEYS.iter().find(|(known, _)| *known == name) else {
            return;
        };
        for group in *groups {
            let absent = |field: &str, key: &str| match self.slot(node, field) {
                Slot::Absent => true,
                Slot::Unknown => false,
                Slot::Is(map) => self.slot(map, key).is_absent(),
            };
            let none = group
                .iter()
                .all(|key| absent("data", key) && absent("stringData", key));
            if none {
                let at = self.span(kind);
                let keys = group.join("` or `");
                self.say(
                    Diagnostic::error("E0711", format!("a Secret of type `{name}` needs `{keys}`"))
                        .label(at, "this type")
                        .help(format!("add `\"{}\" = …` to its data", group[0])),
                );
            }
        }
    }

    fn data_keys(&mut self, node: V::Node, fields: &[&str], what: &str) {
        let mut size = 0;
        for field in fields {
            let Some(map) = self.get(node, field) else {
                continue;
            };
            for part in self.parts(map).0 {
                if let Err(why) = check_key(&part.key) {
                    self.say(
                        Diagnostic::error(
                            "E0707",
                            format!("\"{}\" is no key of {what}: {why}", part.key),
                        )
                        .label(part.key_span, "no such key"),
                    );
                }
                size += part.key.len() + self.text(part.node).map_or(0, |text| text.len());
            }
        }
        if size > DATA_MAX {
            let at = self.span(node);
            self.say(
                Diagnostic::error(
                    "E0712",
                    format!("{what} holds {DATA_MAX} bytes, this has {size}"),
                )
                .label(at, "too large")
                .help("split it, or put the data into a volume"),
            );
        }
    }

    pub(super) fn object_meta(&mut self, node: V::Node) {
        self.owners(node);
        let Some(annotations) = self.get(node, "annotations") else {
            return;
        };
        let mut size = 0;
        for part in self.parts(annotations).0 {
            // ValidateAnnotations compares keys in small letters.
            if let Err(why) = check_format(Format::LabelKey, &part.key.to_ascii_lowercase()) {
                self.say(
                    Diagnostic::error(
                        "E0205",
                        format!("\"{}\" is no key of an annotation: {why}", part.key),
                    )
                    .label(part.key_span, "no such key"),
                );
            }
            size += part.key.len() + self.text(part.node).map_or(0, |text| text.len());
        }
        if size > ANNOTATIONS_MAX {
            let at = self.span(annotations);
            self.say(
                Diagnostic::error(
                    "E0712",
                    format!("annotations hold {ANNOTATIONS_MAX} bytes in all, these have {size}"),
                )
                .label(at, "too large"),
            );
        }
    }
}
