//! What a SOPS document says of itself under `sops` (getsops/sops, `stores/stores.go`).

use regex::Regex;

use crate::document::Node;
use crate::error::DocumentError;

/// Whether a value's key is read as one that is left in the clear, when nothing else is said.
const UNENCRYPTED_SUFFIX: &str = "_unencrypted";

/// Which values are encrypted.
#[derive(Clone, Debug)]
enum Rule {
    UnencryptedSuffix(String),
    EncryptedSuffix(String),
    UnencryptedRegex(Regex),
    EncryptedRegex(Regex),
    /// Comments decide, which are not read here: what looks encrypted is.
    Comments,
}

/// The metadata.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    /// Recipients and the data key encrypted for each, armored.
    pub(crate) age: Vec<(String, String)>,
    pub(crate) last_modified: String,
    pub(crate) mac: String,
    pub(crate) mac_only_encrypted: bool,
    rule: Rule,
    /// Everything as it was read, to be written again.
    pub(crate) raw: Vec<(String, Node)>,
}

impl Metadata {
    /// The metadata of a new document.
    pub(crate) fn new() -> Self {
        Metadata {
            age: Vec::new(),
            last_modified: String::new(),
            mac: String::new(),
            mac_only_encrypted: false,
            rule: Rule::UnencryptedSuffix(UNENCRYPTED_SUFFIX.to_owned()),
            raw: vec![
                (
                    "unencrypted_suffix".into(),
                    Node::Text(UNENCRYPTED_SUFFIX.into()),
                ),
                ("version".into(), Node::Text("3.9.0".into())),
            ],
        }
    }

    pub(crate) fn read(raw: Vec<(String, Node)>) -> Result<Self, DocumentError> {
        let get = |name: &str| {
            raw.iter()
                .find(|(key, _)| key == name)
                .map(|(_, node)| node)
        };
        let text = |name: &str| match get(name) {
            Some(Node::Text(text)) if !text.is_empty() => Some(text.clone()),
            _ => None,
        };
        let groups = match get("key_groups") {
            Some(Node::List(groups)) => groups.as_slice(),
            _ => &[],
        };
        if groups.len() > 1 {
            return Err(DocumentError::Metadata(
                "splits the data key between several groups of keys, which is not supported",
            ));
        }
        let mut entries = match get("age") {
            Some(Node::List(entries)) => entries.clone(),
            _ => Vec::new(),
        };
        if let [Node::Map(group)] = groups
            && let Some((_, Node::List(more))) = group.iter().find(|(key, _)| key == "age")
        {
            entries.extend(more.iter().cloned());
        }
        let mut age = Vec::new();
        for entry in &entries {
            let Node::Map(entry) = entry else { continue };
            let part = |name: &str| match entry.iter().find(|(key, _)| key == name) {
                Some((_, Node::Text(text))) => Some(text.clone()),
                _ => None,
            };
            match (part("recipient"), part("enc")) {
                (Some(recipient), Some(enc)) => age.push((recipient, enc)),
                _ => {
                    return Err(DocumentError::Metadata(
                        "has an age key without `recipient` or `enc`",
                    ));
                }
            }
        }
        let regex = |name: &str| -> Result<Option<Regex>, DocumentError> {
            let made = text(name).map(|text| Regex::new(&text)).transpose();
            made.map_err(|_| {
                DocumentError::Metadata("has a regular expression that cannot be read")
            })
        };
        let rule = if get("encrypted_comment_regex").is_some()
            || get("unencrypted_comment_regex").is_some()
        {
            Rule::Comments
        } else if let Some(suffix) = text("encrypted_suffix") {
            Rule::EncryptedSuffix(suffix)
        } else if let Some(regex) = regex("encrypted_regex")? {
            Rule::EncryptedRegex(regex)
        } else if let Some(regex) = regex("unencrypted_regex")? {
            Rule::UnencryptedRegex(regex)
        } else {
            let suffix =
                text("unencrypted_suffix").unwrap_or_else(|| UNENCRYPTED_SUFFIX.to_owned());
            Rule::UnencryptedSuffix(suffix)
        };
        let mac_only_encrypted = match get("mac_only_encrypted") {
            Some(Node::Bool(only)) => *only,
            Some(Node::Text(text)) => text == "true",
            _ => false,
        };
        Ok(Metadata {
            age,
            last_modified: text("lastmodified")
                .ok_or(DocumentError::Metadata("has no `lastmodified`"))?,
            mac: text("mac").ok_or(DocumentError::Metadata("has no `mac`"))?,
            mac_only_encrypted,
            rule,
            raw,
        })
    }

    /// Whether the value of a key has to be encrypted; `None` where only comments know.
    pub(crate) fn is_secret(&self, path: &[String]) -> Option<bool> {
        let any = |test: &dyn Fn(&str) -> bool| path.iter().any(|part| test(part));
        Some(match &self.rule {
            Rule::UnencryptedSuffix(suffix) => !any(&|part| part.ends_with(suffix.as_str())),
            Rule::EncryptedSuffix(suffix) => any(&|part| part.ends_with(suffix.as_str())),
            Rule::UnencryptedRegex(regex) => !any(&|part| regex.is_match(part)),
            Rule::EncryptedRegex(regex) => any(&|part| regex.is_match(part)),
            Rule::Comments => return None,
        })
    }

    /// Whether something besides age can open the document, or its keys are in a group: that is kept as it is.
    pub(crate) fn has_other_keys(&self) -> bool {
        [
            "kms",
            "gcp_kms",
            "azure_kv",
            "hc_vault",
            "pgp",
            "key_groups",
        ]
        .iter()
        .any(|name| {
            self.raw.iter().any(|(key, node)| {
                key == name && matches!(node, Node::List(list) if !list.is_empty())
            })
        })
    }

    /// The metadata as it is written.
    pub(crate) fn to_node(&self) -> Vec<(String, Node)> {
        let mut out: Vec<(String, Node)> = Vec::new();
        let keys = self
            .age
            .iter()
            .map(|(recipient, enc)| {
                Node::Map(vec![
                    ("recipient".into(), Node::Text(recipient.clone())),
                    ("enc".into(), Node::Text(enc.clone())),
                ])
            })
            .collect();
        out.push(("age".into(), Node::List(keys)));
        out.push((
            "lastmodified".into(),
            Node::Text(self.last_modified.clone()),
        ));
        out.push(("mac".into(), Node::Text(self.mac.clone())));
        for (key, node) in &self.raw {
            if !matches!(key.as_str(), "age" | "lastmodified" | "mac") {
                out.push((key.clone(), node.clone()));
            }
        }
        out
    }
}
