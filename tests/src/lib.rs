//! What the whole-system tests share. It knows where the checkout is, and nothing of the product.

use std::path::{Path, PathBuf};

/// Returns the root of the checkout.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the root")
        .to_path_buf()
}

/// Returns the folder `shared` beside the checkout, which holds the data of the extra suites, if it is there.
#[must_use]
pub fn shared() -> Option<PathBuf> {
    let path = root().parent()?.join("shared");
    path.is_dir().then_some(path)
}
