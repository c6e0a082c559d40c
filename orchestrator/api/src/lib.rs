//! The object model of the Kubernetes API as pure functions on JSON values: errors, selectors,
//! patches, quantities, metadata, decoding. It knows no socket, store or clock; what a kind is made
//! of it reads from `ordain-schemas`.
//!
//! A write goes through it like this; what lies between is the API server's:
//!
//! ```
//! use jiff::Timestamp;
//! use ordain_orchestrator_api::{apply, conform, decode, protobuf};
//! use ordain_schemas::{KubeVersion, table};
//! use serde_json::{Value, json};
//!
//! let table = table(KubeVersion::DEFAULT);
//! let ty = table.kind("", "v1", "ConfigMap").expect("it is built in").ty;
//! let schema = apply::Schema::of_type(table, ty);
//! let ignored = apply::FieldSet::default();
//! let writer = apply::Writer {
//!     manager: "kubectl",
//!     api_version: "v1",
//!     subresource: "",
//!     now: Timestamp::UNIX_EPOCH,
//!     ignored: &ignored,
//! };
//!
//! // A create: decode, bring into the form of the type, note who wrote what.
//! let body = br#"{"apiVersion":"v1","kind":"ConfigMap","dat":{},"data":{"k":"1"}}"#;
//! let mut new = if protobuf::is_protobuf(body) {
//!     protobuf::decode(table, body)?
//! } else {
//!     decode::from_json(body)?.value
//! };
//! let unknown = conform::conform(table, ty, &mut new)?;
//! assert_eq!(unknown, ["dat"]);
//! let live = apply::track_update(&schema, &Value::Null, new, writer);
//!
//! // A server-side apply by someone else, who meets the owner of the field.
//! let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "2"}});
//! let other = apply::Writer { manager: "other", ..writer };
//! let refused = apply::apply(&schema, &live, &config, other, false).expect_err("a conflict");
//! assert_eq!(
//!     refused.message,
//!     "Apply failed with 1 conflict: conflict with \"kubectl\" using v1: .data.k"
//! );
//! let mut forced = apply::apply(&schema, &live, &config, other, true)?;
//! conform::conform(table, ty, &mut forced)?;
//! assert!(!apply::is_no_op(&live, &forced));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod apply;
pub mod conform;
pub mod decode;
pub mod fields;
pub mod invalid;
pub mod labels;
pub mod meta;
pub mod names;
pub mod patch;
pub mod protobuf;
pub mod quantity;
pub mod status;
pub mod time;

pub use self::{
    fields::FieldSelector,
    invalid::{FieldError, FieldErrorKind},
    labels::LabelSelector,
    quantity::Quantity,
    status::{Details, GroupResource, Status, StatusCause},
};
