//! What every object has: names, labels, owners, finalizers, generation. It does not know the kinds.

use serde_json::{Map, Value};

/// Returns a text of `metadata`, empty when it is absent.
pub fn text<'o>(object: &'o Value, field: &str) -> &'o str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// Returns `metadata.name`, empty when it is absent.
pub fn name(object: &Value) -> &str {
    text(object, "name")
}

/// Returns `metadata.namespace`, empty for an object of the cluster.
pub fn namespace(object: &Value) -> &str {
    text(object, "namespace")
}

/// Returns `metadata.uid`, empty when it is absent.
pub fn uid(object: &Value) -> &str {
    text(object, "uid")
}

/// Returns `metadata.resourceVersion`, empty when it is absent.
pub fn resource_version(object: &Value) -> &str {
    text(object, "resourceVersion")
}

/// Returns `metadata.generation`, 0 when it is absent.
pub fn generation(object: &Value) -> i64 {
    object["metadata"]["generation"]
        .as_i64()
        .unwrap_or_default()
}

/// Returns a label's value.
pub fn label<'o>(object: &'o Value, key: &str) -> Option<&'o str> {
    object["metadata"]["labels"][key].as_str()
}

/// Returns an annotation's value.
pub fn annotation<'o>(object: &'o Value, key: &str) -> Option<&'o str> {
    object["metadata"]["annotations"][key].as_str()
}

/// Returns the metadata for writing, which becomes an empty map if it was none. The object itself
/// becomes a map too if it was none.
pub fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    child(as_map(object), "metadata")
}

/// Sets an annotation.
pub fn set_annotation(object: &mut Value, key: &str, value: &str) {
    child(metadata_mut(object), "annotations").insert(key.to_owned(), value.into());
}

/// Sets a label.
pub fn set_label(object: &mut Value, key: &str, value: &str) {
    child(metadata_mut(object), "labels").insert(key.to_owned(), value.into());
}

/// Tells whether the object is being deleted.
pub fn is_deleting(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// Returns the finalizers, in order.
pub fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    object["metadata"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// Adds a finalizer at the end; returns whether it was not there.
pub fn add_finalizer(object: &mut Value, finalizer: &str) -> bool {
    if finalizers(object).any(|known| known == finalizer) {
        return false;
    }
    let list = metadata_mut(object)
        .entry("finalizers")
        .or_insert_with(|| Value::Array(Vec::new()));
    if !list.is_array() {
        *list = Value::Array(Vec::new());
    }
    if let Value::Array(list) = list {
        list.push(finalizer.into());
    }
    true
}

/// Removes a finalizer, and the list with the last one; returns whether it was there.
pub fn remove_finalizer(object: &mut Value, finalizer: &str) -> bool {
    let metadata = metadata_mut(object);
    let Some(Value::Array(list)) = metadata.get_mut("finalizers") else {
        return false;
    };
    let before = list.len();
    list.retain(|known| known != finalizer);
    let (after, removed) = (list.len(), list.len() < before);
    if after == 0 {
        metadata.shift_remove("finalizers");
    }
    removed
}

/// A reference to an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerRef<'o> {
    /// The owner's `apiVersion`.
    pub api_version: &'o str,
    /// The owner's kind.
    pub kind: &'o str,
    /// The owner's name, in the namespace of the owned object or in the cluster.
    pub name: &'o str,
    /// The owner's unique id.
    pub uid: &'o str,
    /// Whether this owner manages the object.
    pub controller: bool,
    /// Whether a foreground deletion of the owner waits for the object.
    pub block_owner_deletion: bool,
}

impl OwnerRef<'_> {
    /// Returns the group of the owner's `apiVersion`, empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }
}

/// Returns the owners, in order.
pub fn owner_refs(object: &Value) -> impl Iterator<Item = OwnerRef<'_>> {
    let references = object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten();
    references.map(|reference| {
        let text = |key: &str| reference[key].as_str().unwrap_or_default();
        OwnerRef {
            api_version: text("apiVersion"),
            kind: text("kind"),
            name: text("name"),
            uid: text("uid"),
            controller: reference["controller"].as_bool().unwrap_or_default(),
            block_owner_deletion: reference["blockOwnerDeletion"]
                .as_bool()
                .unwrap_or_default(),
        }
    })
}

/// Returns the owner that manages the object.
pub fn controller_of(object: &Value) -> Option<OwnerRef<'_>> {
    owner_refs(object).find(|reference| reference.controller)
}

/// Tells whether an update must raise `metadata.generation`: something beside `metadata` and
/// `status` differs. Kinds without a desired state (ConfigMap) have no generation at all.
pub fn desired_state_differs(old: &Value, new: &Value) -> bool {
    let relevant = |object: &Value| {
        let fields = object.as_object().cloned().unwrap_or_default();
        let fields = fields.into_iter();
        fields
            .filter(|(key, _)| key != "metadata" && key != "status")
            .collect::<Map<_, _>>()
    };
    relevant(old) != relevant(new)
}

/// The letters and digits of generated names: no vowels, nothing that looks like another.
const NAME_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// The longest prefix of a generated name: 63 less the five random characters.
const NAME_PREFIX_BYTES_MAX: usize = 58;

/// Returns a name for `metadata.generateName` from five random bytes.
pub fn generated_name(prefix: &str, random: [u8; 5]) -> String {
    let mut end = prefix.len().min(NAME_PREFIX_BYTES_MAX);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = prefix[..end].to_owned();
    name.extend(
        random
            .iter()
            .map(|byte| char::from(NAME_ALPHABET[usize::from(*byte) % NAME_ALPHABET.len()])),
    );
    name
}

/// Returns the value as a map for writing; anything else becomes an empty one.
fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was made an object above")
}

fn child<'m>(map: &'m mut Map<String, Value>, key: &str) -> &'m mut Map<String, Value> {
    as_map(map.entry(key).or_insert(Value::Null))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finalizers_come_and_go() {
        let mut object = json!({"metadata": {"name": "a"}});
        assert!(add_finalizer(&mut object, "x"));
        assert!(!add_finalizer(&mut object, "x"));
        assert!(add_finalizer(&mut object, "y"));
        assert!(remove_finalizer(&mut object, "x"));
        assert!(!remove_finalizer(&mut object, "x"));
        assert_eq!(finalizers(&object).collect::<Vec<_>>(), ["y"]);
        remove_finalizer(&mut object, "y");
        assert_eq!(object, json!({"metadata": {"name": "a"}}));
    }

    #[test]
    fn only_the_desired_state_raises_the_generation() {
        let old = json!({"metadata": {"name": "a"}, "spec": {"n": 1}, "status": {"n": 0}});
        let mut new = old.clone();
        new["status"]["n"] = 1.into();
        new["metadata"]["labels"] = json!({"a": "b"});
        assert!(!desired_state_differs(&old, &new));
        new["spec"]["n"] = 2.into();
        assert!(desired_state_differs(&old, &new));
    }

    #[test]
    fn generated_names_fit() {
        assert_eq!(generated_name("web-", [0, 1, 2, 3, 26]), "web-bcdf9");
        assert_eq!(generated_name(&"x".repeat(80), [0; 5]).len(), 63);
    }

    #[test]
    fn odd_objects_do_no_harm() {
        let mut object = json!({"metadata": 5});
        assert_eq!(name(&object), "");
        set_label(&mut object, "a", "b");
        assert_eq!(label(&object, "a"), Some("b"));
    }
}
