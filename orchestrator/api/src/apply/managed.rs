//! The `managedFields` of an object: who owns which fields. It does not know how a request changes
//! them.

use serde_json::{Map, Value, json};

use super::set::FieldSet;
use crate::time;

/// How many managers that update may have entries of their own; the oldest are merged into one
/// entry per version, as upstream does above ten.
const UPDATE_MANAGERS_MAX: usize = 10;
/// The name of the entry that the oldest updates are merged into.
const ANCIENT_CHANGES: &str = "ancient-changes";

/// How a manager came to its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By server-side apply: the manager declares all that it wants.
    Apply,
    /// By any other write.
    Update,
}

/// Who owns an entry. An applier is the same one whatever version it applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ManagerId {
    pub(crate) manager: String,
    pub(crate) operation: Operation,
    pub(crate) api_version: String,
    pub(crate) subresource: String,
}

impl ManagerId {
    pub(crate) fn is(&self, other: &ManagerId) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }
}

/// One entry of `managedFields`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) id: ManagerId,
    /// When the fields were last taken, as RFC 3339 text; empty when unknown.
    pub(crate) time: String,
    pub(crate) fields: FieldSet,
}

/// All entries of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Managed(pub(crate) Vec<Entry>);

impl Managed {
    /// Reads the entries of an object; `None` when they are malformed.
    pub(crate) fn read(object: &Value) -> Option<Managed> {
        let list = match &object["metadata"]["managedFields"] {
            Value::Null => return Some(Managed::default()),
            list => list.as_array()?,
        };
        let mut managed = Managed::default();
        for entry in list {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let operation = match entry["operation"].as_str()? {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => return None,
            };
            if entry["fieldsType"] != "FieldsV1" || text("apiVersion").is_empty() {
                return None;
            }
            managed.0.push(Entry {
                id: ManagerId {
                    manager: text("manager"),
                    operation,
                    api_version: text("apiVersion"),
                    subresource: text("subresource"),
                },
                time: text("time"),
                fields: FieldSet::from_fields_v1(&entry["fieldsV1"]).ok()?,
            });
        }
        Some(managed)
    }

    pub(crate) fn get(&self, id: &ManagerId) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.id.is(id))
    }

    /// Sets the fields of a manager, who loses the entry when there are none.
    pub(crate) fn set(&mut self, id: &ManagerId, fields: FieldSet) {
        let place = self.0.iter().position(|entry| entry.id.is(id));
        match (place, fields.is_empty()) {
            (Some(place), true) => drop(self.0.remove(place)),
            (Some(place), false) => {
                self.0[place].id = id.clone();
                self.0[place].fields = fields;
            }
            (None, true) => {}
            (None, false) => self.0.push(Entry {
                id: id.clone(),
                time: String::new(),
                fields,
            }),
        }
    }

    pub(crate) fn set_time(&mut self, id: &ManagerId, now: &str) {
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.id.is(id)) {
            now.clone_into(&mut entry.time);
        }
    }

    /// Takes fields from all managers but one.
    pub(crate) fn take_from_others(&mut self, id: &ManagerId, fields: &FieldSet) {
        for entry in self.0.iter_mut().filter(|entry| !entry.id.is(id)) {
            entry.fields = entry.fields.difference(fields);
        }
        self.0.retain(|entry| !entry.fields.is_empty());
    }

    /// Returns the fields of all managers.
    pub(crate) fn all_fields(&self) -> FieldSet {
        self.0
            .iter()
            .fold(FieldSet::default(), |all, entry| all.union(&entry.fields))
    }

    /// Merges the oldest updates when there are too many.
    pub(crate) fn cap_updates(&mut self) {
        let mut updaters: Vec<ManagerId> = self
            .sorted()
            .into_iter()
            .filter(|entry| entry.id.operation == Operation::Update)
            .map(|entry| entry.id.clone())
            .collect();
        let mut count = updaters.len();
        let mut first_of_version: Vec<(String, ManagerId)> = Vec::new();
        for id in updaters.drain(..) {
            if count <= UPDATE_MANAGERS_MAX {
                break;
            }
            let known = first_of_version
                .iter()
                .find(|(version, _)| *version == id.api_version);
            let Some((_, first)) = known else {
                first_of_version.push((id.api_version.clone(), id));
                continue;
            };
            let bucket = ManagerId {
                manager: ANCIENT_CHANGES.to_owned(),
                operation: Operation::Update,
                api_version: id.api_version.clone(),
                subresource: String::new(),
            };
            if self.get(&bucket).is_none()
                && let Some(entry) = self.0.iter_mut().find(|entry| entry.id.is(first))
            {
                entry.id = bucket.clone();
            }
            let Some(place) = self.0.iter().position(|entry| entry.id.is(&id)) else {
                continue;
            };
            let merged = self.0.remove(place);
            if let Some(entry) = self.0.iter_mut().find(|entry| entry.id.is(&bucket)) {
                entry.fields = entry.fields.union(&merged.fields);
                entry.time = merged.time;
            }
            count -= 1;
        }
    }

    /// Returns the entries in upstream's order: appliers first, then by time and name.
    fn sorted(&self) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> = self.0.iter().collect();
        entries.sort_by_cached_key(|entry| {
            let seconds = time::parse_time(&entry.time).map_or(0, |time| time.as_second());
            let id = &entry.id;
            let names = (
                id.manager.clone(),
                id.api_version.clone(),
                id.subresource.clone(),
            );
            (id.operation, seconds, names)
        });
        entries
    }

    /// Writes the entries into an object; none of them removes the list.
    pub(crate) fn write(&self, object: &mut Value) {
        let metadata = crate::meta::metadata_mut(object);
        metadata.shift_remove("managedFields");
        if !self.0.is_empty() {
            let list = self.sorted().into_iter().map(entry_value).collect();
            metadata.insert("managedFields".to_owned(), Value::Array(list));
        }
    }

    /// Tells whether two lists differ in their times at most.
    pub(crate) fn same_but_times(&self, other: &Managed) -> bool {
        let key = |entry: &&Entry| (entry.id.manager.clone(), entry.id.subresource.clone());
        let sorted = |managed: &Managed| {
            let mut entries: Vec<(ManagerId, FieldSet)> = Vec::new();
            let mut all = managed.sorted();
            all.sort_by_key(key);
            entries.extend(all.into_iter().map(|e| (e.id.clone(), e.fields.clone())));
            entries.sort_by(|(a, _), (b, _)| {
                let key = |id: &ManagerId| (id.operation, id.api_version.clone());
                key(a).cmp(&key(b)).then(a.manager.cmp(&b.manager))
            });
            entries
        };
        sorted(self) == sorted(other)
    }
}

fn entry_value(entry: &Entry) -> Value {
    let mut map = Map::new();
    map.insert("manager".into(), entry.id.manager.as_str().into());
    let operation = match entry.id.operation {
        Operation::Apply => "Apply",
        Operation::Update => "Update",
    };
    map.insert("operation".into(), operation.into());
    map.insert("apiVersion".into(), entry.id.api_version.as_str().into());
    if !entry.time.is_empty() {
        map.insert("time".into(), entry.time.as_str().into());
    }
    map.insert("fieldsType".into(), "FieldsV1".into());
    map.insert("fieldsV1".into(), entry.fields.to_fields_v1());
    if !entry.id.subresource.is_empty() {
        map.insert("subresource".into(), entry.id.subresource.as_str().into());
    }
    Value::Object(map)
}

/// Tells whether a request asks to forget all managers: an empty list, or one empty entry.
pub(crate) fn is_reset(object: &Value) -> bool {
    match object["metadata"]["managedFields"]
        .as_array()
        .map(Vec::as_slice)
    {
        Some([]) => true,
        Some([entry]) => *entry == json!({}),
        _ => false,
    }
}
