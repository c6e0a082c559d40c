//! Custom resources: definitions become resources of the registry.

use std::sync::Arc;

use ordain_orchestrator_store::{Error as StoreError, Range, Revision};

use crate::core::Core;

/// Where definitions are stored.
pub(crate) const PREFIX: &str = "/registry/apiextensions.k8s.io/customresourcedefinitions/";

/// Reads all definitions and makes their resources the custom ones.
pub(crate) async fn load(core: &Arc<Core>) -> Result<Revision, StoreError> {
    let page = core.store.list(Range::prefix(PREFIX)).await?;
    Ok(page.revision)
}
