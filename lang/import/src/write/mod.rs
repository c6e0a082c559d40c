//! Values as the language would write them.

pub(crate) mod doc;
pub(crate) mod text;
pub(crate) mod value;
