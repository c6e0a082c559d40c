//! The container images of the demo: made of this binary, served by a registry on loopback.

use miette::IntoDiagnostic;
use ordain_orchestrator_node::images::ImageError;
use ordain_orchestrator_node::images::build::{BuiltImage, ImageBuilder};
use ordain_orchestrator_node::images::registry::Registry;
use std::net::SocketAddr;
use std::path::Path;

/// The name that the shop's image references use for the registry.
pub(crate) const REGISTRY: &str = "registry.local";
/// The parts of the shop that have an image.
pub(crate) const PARTS: [&str; 4] = ["shop-web", "shop-cart", "shop-catalog", "shop-payments"];
/// The versions that exist. The story deploys the first, then the second, then one that does not exist.
pub(crate) const VERSIONS: [&str; 2] = ["1.0.0", "1.1.0"];

/// Builds every image from `program`, the running binary, and serves them on a free loopback port.
///
/// # Errors
/// Returns an error when the binary or its libraries cannot be read, or no port can be had.
pub(crate) async fn serve(program: &Path) -> miette::Result<Registry> {
    let path = program.to_owned();
    let image = tokio::task::spawn_blocking(move || image(&path))
        .await
        .expect("building does not panic");
    let image = image.into_diagnostic()?;
    let registry = Registry::start().await.into_diagnostic()?;
    for part in PARTS {
        for version in VERSIONS {
            registry.push(part, version, &image);
        }
    }
    Ok(registry)
}

/// Every part and version has the same content: what it is called and which version it shows comes from its pod's
/// environment, and a demo that builds one image starts sooner than one that builds eight.
fn image(program: &Path) -> Result<BuiltImage, ImageError> {
    let image = ImageBuilder::new()
        .program("/bin/shop", program)?
        .entrypoint(["/bin/shop", "__shop"])
        .port(8080);
    Ok(image.build())
}

/// Returns `registry.local=ADDRESS`, as `ordain up --registry` takes it.
pub(crate) fn alias(address: SocketAddr) -> (String, String) {
    (REGISTRY.to_owned(), address.to_string())
}
