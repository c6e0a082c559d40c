//! Images: a content-addressed store on disk, filled from registries and archives.
//!
//! `store` keeps blobs and names, `archive` and `pull` fill it, `unpack` turns layers into folders.
//! Nothing here knows pods or containers.

pub mod archive;
pub mod build;
pub mod model;
pub mod pull;
pub mod registry;
pub mod store;
pub mod unpack;

pub use archive::load_archive;
pub use model::{Image, ImageError};
pub use store::ImageStore;
