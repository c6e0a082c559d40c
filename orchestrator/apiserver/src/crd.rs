//! CustomResourceDefinitions in the store become resources of the registry, at once for the writer
//! of a definition and a moment later for other servers on the same store.

use std::sync::Arc;

use ordain_orchestrator_store::{Error as StoreError, Expect, Range, Revision};
use serde_json::Value;

use crate::{core::Core, custom, object};

/// Where definitions are stored.
pub(crate) const PREFIX: &str = "/registry/apiextensions.k8s.io/customresourcedefinitions/";

/// Reads all definitions and makes their resources the custom ones.
pub(crate) async fn load(core: &Arc<Core>) -> Result<Revision, StoreError> {
    let page = core.store.list(Range::prefix(PREFIX)).await?;
    let resources: Vec<_> = page
        .entries
        .iter()
        .filter_map(|e| object::decode(&e.value, e.mod_revision.0))
        .flat_map(|definition| custom::resources(&definition))
        .collect();
    if !(resources.is_empty() && core.registry.now().generation == 0) {
        core.registry.set_custom(resources);
    }
    Ok(page.revision)
}

/// Removes all objects of a definition that is gone.
pub(crate) async fn clean_up(core: &Core, definition: &Value) -> Result<(), StoreError> {
    let resources = custom::resources(definition);
    let Some(resource) = resources.first() else {
        return Ok(());
    };
    let page = core.store.list(Range::prefix(&resource.prefix)).await?;
    for entry in page.entries {
        match core.store.delete(&entry.key, Expect::Any).await {
            Ok(_) | Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
