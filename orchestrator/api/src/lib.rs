//! The object model of the Kubernetes API as pure functions on JSON values: errors, selectors,
//! patches, quantities, metadata, decoding. It knows no socket, store or clock; what a kind is made
//! of it reads from `ordain-schemas`.

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
