//! Who manages which field, and bodies in protobuf: the seam to `orchestrator-api`.

use bytes::Bytes;
use ordain_schemas::Table;
use serde_json::Value;

use crate::{body::Answer, pipeline::Call, status::Failure, write::Part};

/// Decodes a protobuf body into the JSON form of its object.
pub(crate) fn from_protobuf(table: &'static Table, body: &Bytes) -> Result<Value, Failure> {
    let _ = (table, body);
    Err(Failure::unsupported_media_type("application/json, application/yaml"))
}

/// Notes who wrote which fields in a create, update or patch.
pub(crate) fn track(call: &Call, live: Option<&Value>, new: &mut Value, manager: &str, subresource: &str) -> Result<(), Failure> {
    let _ = (call, live, new, manager, subresource);
    Ok(())
}

/// Answers a server-side apply.
pub(crate) async fn apply(call: &Call, part: Part) -> Result<Answer, Failure> {
    let _ = (call, part);
    Err(Failure::unsupported_media_type("application/merge-patch+json"))
}
