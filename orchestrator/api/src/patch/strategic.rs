//! Strategic merge patch: a merge patch that knows which lists are maps in disguise. It reads merge
//! keys and strategies from the type table, so it works for built-in kinds only.
//!
//! Rules: k8s.io/apimachinery/pkg/util/strategicpatch and the directives `$patch`, `$retainKeys`,
//! `$setElementOrder/…` and `$deleteFromPrimitiveList/…`.

use ordain_schemas::{PatchStrategy, Shape, Table, TypeId};
use serde_json::{Map, Value};

use super::PatchError;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const SET_ELEMENT_ORDER: &str = "$setElementOrder/";
const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList/";

/// Applies a strategic merge patch to an object of a type.
///
/// # Errors
/// When a directive is malformed, an element lacks its merge key, or the patch names a field that
/// the type does not have inside of something that must be merged.
pub fn strategic_merge(
    table: &Table,
    ty: TypeId,
    object: &mut Value,
    patch: Value,
) -> Result<(), PatchError> {
    let Value::Object(patch) = patch else {
        return Err(PatchError::Malformed("invalid JSON document".into()));
    };
    let original = match object.take() {
        Value::Object(original) => original,
        _ => Map::new(),
    };
    let merge = Merge { table };
    *object = Value::Object(merge.map(original, patch, &Shape::Struct(ty))?);
    Ok(())
}

struct Merge<'t> {
    table: &'t Table,
}

impl Merge<'_> {
    fn map(
        &self,
        mut original: Map<String, Value>,
        mut patch: Map<String, Value>,
        shape: &Shape,
    ) -> Result<Map<String, Value>, PatchError> {
        match patch.get(PATCH).and_then(Value::as_str) {
            None if patch.contains_key(PATCH) => return Err(unknown_patch(&patch)),
            None => {}
            Some("replace") => {
                patch.shift_remove(PATCH);
                return Ok(patch);
            }
            Some("delete") => return Ok(Map::new()),
            // `merge` is what happens anyway; only upstream's client never sends it.
            Some("merge") => drop(patch.shift_remove(PATCH)),
            Some(_) => return Err(unknown_patch(&patch)),
        }
        retain_keys(&mut original, &mut patch)?;
        self.ordered_lists(&mut original, &mut patch, shape)?;
        for (key, value) in patch {
            if let Some(list) = key.strip_prefix(DELETE_FROM_PRIMITIVE_LIST) {
                let Value::Array(delete) = value else {
                    return Err(PatchError::Malformed(format!(
                        "invalid patch format of primitive list: {key} is not a list"
                    )));
                };
                if let Some(Value::Array(list)) = original.get_mut(list) {
                    list.retain(|element| !delete.contains(element));
                }
                continue;
            }
            if value.is_null() {
                original.shift_remove(&key);
                continue;
            }
            let merged = match (original.get_mut(&key).map(Value::take), value) {
                (Some(Value::Object(old)), Value::Object(new)) => {
                    let (shape, strategy) = self.field(shape, &key)?;
                    if strategy.replace {
                        Some(Value::Object(new))
                    } else {
                        Some(Value::Object(self.map(old, new, &shape)?))
                    }
                }
                (Some(Value::Array(old)), Value::Array(new)) => {
                    let (shape, strategy) = self.field(shape, &key)?;
                    if strategy.merge {
                        Some(Value::Array(self.list(
                            old,
                            new,
                            &shape,
                            strategy.merge_key,
                        )?))
                    } else {
                        Some(Value::Array(new))
                    }
                }
                (_, new) => without_directives(new),
            };
            match merged {
                Some(merged) => drop(original.insert(key, merged)),
                None => drop(original.shift_remove(&key)),
            }
        }
        Ok(original)
    }

    /// Merges the lists that the patch orders by `$setElementOrder`, and takes them from the patch.
    fn ordered_lists(
        &self,
        original: &mut Map<String, Value>,
        patch: &mut Map<String, Value>,
        shape: &Shape,
    ) -> Result<(), PatchError> {
        let directives: Vec<String> = patch
            .keys()
            .filter(|key| key.starts_with(SET_ELEMENT_ORDER))
            .cloned()
            .collect();
        for directive in directives {
            let wrong =
                || PatchError::Malformed("invalid patch format of setElementOrder list".into());
            let Some(Value::Array(order)) = patch.shift_remove(&directive) else {
                return Err(wrong());
            };
            let key = &directive[SET_ELEMENT_ORDER.len()..];
            let (shape, strategy) = self.field(shape, key)?;
            let merge_key = strategy.merge_key;
            let list = |value: Option<Value>| match value {
                None => Ok(None),
                Some(Value::Array(list)) => Ok(Some(list)),
                Some(_) => Err(wrong()),
            };
            let old = list(original.get(key).cloned())?;
            let new = list(patch.shift_remove(key))?;
            check_order(new.as_deref().unwrap_or_default(), &order, merge_key)?;
            let server_order = old.clone().unwrap_or_default();
            let merged = match (old, new) {
                (None, None) => continue,
                (Some(old), None) => old,
                (None, Some(new)) => match without_directives(Value::Array(new)) {
                    Some(Value::Array(new)) => new,
                    _ => continue,
                },
                (Some(old), Some(new)) if strategy.merge => {
                    self.list(old, new, &shape, merge_key)?
                }
                (Some(_), Some(new)) => new,
            };
            let merged = in_order(merged, &order, &server_order, merge_key)?;
            original.insert(key.to_owned(), Value::Array(merged));
        }
        Ok(())
    }

    fn list(
        &self,
        old: Vec<Value>,
        new: Vec<Value>,
        shape: &Shape,
        merge_key: Option<&str>,
    ) -> Result<Vec<Value>, PatchError> {
        if !old.iter().chain(&new).any(Value::is_object) {
            let server_order = old.clone();
            let mut merged = old;
            for element in &new {
                if !merged.contains(element) {
                    merged.push(element.clone());
                }
            }
            return in_order(merged, &new, &server_order, None);
        }
        let Some(merge_key) = merge_key else {
            let text = format!(
                "cannot merge lists without merge key for {}",
                self.table.show(shape)
            );
            return Err(PatchError::DoesNotFit(text));
        };
        let element_shape = shape.element().cloned().unwrap_or(Shape::Json);
        let mut merged = old;
        let mut elements = Vec::new();
        let mut replace = false;
        for element in new {
            let Value::Object(map) = &element else {
                let text = format!("expected a map in a list with merge key {merge_key}");
                return Err(PatchError::DoesNotFit(text));
            };
            match map.get(PATCH) {
                None => elements.push(element),
                Some(Value::String(directive)) if directive == "delete" => {
                    let key = key_of(&element, merge_key)?;
                    merged.retain(|known| known.get(merge_key) != Some(key));
                }
                Some(Value::String(directive)) if directive == "replace" => replace = true,
                Some(Value::String(directive)) if directive == "merge" => {
                    let text = "merging lists cannot yet be specified in the patch";
                    return Err(PatchError::DoesNotFit(text.into()));
                }
                Some(_) => return Err(unknown_patch(map)),
            }
        }
        if replace {
            return Ok(elements);
        }
        let server_order = merged.clone();
        let patch_order = elements.clone();
        for element in elements {
            let key = key_of(&element, merge_key)?;
            let known = merged
                .iter_mut()
                .find(|known| known.get(merge_key) == Some(key));
            match (known, element) {
                (Some(known), Value::Object(element)) => {
                    let old = match known.take() {
                        Value::Object(old) => old,
                        _ => Map::new(),
                    };
                    *known = Value::Object(self.map(old, element, &element_shape)?);
                }
                (_, element) => merged.extend(without_directives(element)),
            }
        }
        in_order(merged, &patch_order, &server_order, Some(merge_key))
    }

    /// Returns the shape and strategy of a key within a shape.
    fn field(&self, shape: &Shape, key: &str) -> Result<(Shape, PatchStrategy), PatchError> {
        match shape {
            Shape::Struct(id) => {
                let ty = self.table.ty(*id);
                match ty.field(key) {
                    Some(field) => Ok((field.shape.clone(), field.patch.clone())),
                    None if ty.is_struct() => Err(PatchError::DoesNotFit(format!(
                        "unable to find api field in struct {} for the json field {key:?}",
                        ty.short_name()
                    ))),
                    None => Ok((Shape::Json, PatchStrategy::default())),
                }
            }
            Shape::Map(element) => Ok(((**element).clone(), PatchStrategy::default())),
            _ => Ok((Shape::Json, PatchStrategy::default())),
        }
    }
}

fn unknown_patch(map: &Map<String, Value>) -> PatchError {
    let directive = map.get(PATCH).cloned().unwrap_or_default();
    PatchError::DoesNotFit(format!("unknown patch type: {directive}"))
}

fn key_of<'v>(element: &'v Value, merge_key: &str) -> Result<&'v Value, PatchError> {
    element.get(merge_key).ok_or_else(|| {
        let text = format!("map: {element} does not contain declared merge key: {merge_key}");
        PatchError::DoesNotFit(text)
    })
}

/// Removes what `$retainKeys` does not list.
fn retain_keys(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
) -> Result<(), PatchError> {
    let Some(retained) = patch.shift_remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let wrong = || PatchError::Malformed("invalid patch format of retainKeys".into());
    let Value::Array(retained) = retained else {
        return Err(wrong());
    };
    let listed = |key: &str| retained.iter().any(|retained| retained == key);
    let directive = |key: &str| {
        key.starts_with(DELETE_FROM_PRIMITIVE_LIST) || key.starts_with(SET_ELEMENT_ORDER)
    };
    if patch
        .iter()
        .any(|(key, value)| !value.is_null() && !directive(key) && !listed(key))
    {
        return Err(wrong());
    }
    original.retain(|key, _| listed(key));
    Ok(())
}

/// Removes directives from a value that is taken as a whole; `None` when the value itself is one.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(PATCH) => None,
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(key, value)| {
                let directive = key == RETAIN_KEYS
                    || key.starts_with(SET_ELEMENT_ORDER)
                    || key.starts_with(DELETE_FROM_PRIMITIVE_LIST);
                !value.is_null() && !directive
            });
            let kept = kept.filter_map(|(key, value)| Some((key, without_directives(value)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(list) => Some(Value::Array(
            list.into_iter().filter_map(without_directives).collect(),
        )),
        value => Some(value),
    }
}

/// Checks that the patch's elements stand in the order that `$setElementOrder` gives.
fn check_order(new: &[Value], order: &[Value], merge_key: Option<&str>) -> Result<(), PatchError> {
    let mut rest = order.iter();
    let kept = new.iter().filter(|element| element.get(PATCH).is_none());
    for element in kept {
        if !rest.any(|ordered| same(element, ordered, merge_key)) && !order.is_empty() {
            return Err(PatchError::DoesNotFit(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                Value::from(new),
                Value::from(order)
            )));
        }
    }
    Ok(())
}

fn same(a: &Value, b: &Value, merge_key: Option<&str>) -> bool {
    match merge_key {
        Some(key) => a.get(key).is_some() && a.get(key) == b.get(key),
        None => a == b,
    }
}

/// Puts elements into the order of the patch, those that only the server has at the place that
/// their order there gives them among the others.
fn in_order(
    merged: Vec<Value>,
    patch_order: &[Value],
    server_order: &[Value],
    merge_key: Option<&str>,
) -> Result<Vec<Value>, PatchError> {
    if let Some(key) = merge_key {
        for element in &merged {
            key_of(element, key)?;
        }
    }
    let place = |order: &[Value], element: &Value| {
        order
            .iter()
            .position(|ordered| same(element, ordered, merge_key))
    };
    let (mut patched, mut server): (Vec<Value>, Vec<Value>) = merged
        .into_iter()
        .partition(|element| place(patch_order, element).is_some());
    patched.sort_by_key(|element| place(patch_order, element));
    server.sort_by_key(|element| place(server_order, element).unwrap_or(usize::MAX));
    let mut ordered = Vec::with_capacity(patched.len() + server.len());
    let mut server = server.into_iter().peekable();
    for element in patched {
        let here = place(server_order, &element);
        while let (Some(next), Some(here)) = (server.peek(), here) {
            if place(server_order, next).is_none_or(|next| next >= here) {
                break;
            }
            ordered.extend(server.next());
        }
        ordered.push(element);
    }
    ordered.extend(server);
    Ok(ordered)
}
