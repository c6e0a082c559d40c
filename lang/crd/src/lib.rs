//! CustomResourceDefinitions as types: structural schemas and their CEL rules, from YAML.
//!
//! [`parse`] reads a file to plain [`Crd`]s in which every rule knows its place; [`check_object`] holds a finished object
//! against one version: what the API server would say to it, before there is one. Knows nothing of the language, opens
//! no file.
//!
//! ```
//! let (crds, problems) = ordain_lang_crd::parse(include_str!("../tests/crds/widgets.yaml"));
//! assert!(problems.is_empty());
//! let version = crds[0].preferred().expect("one is served");
//! assert_eq!(crds[0].api_version(version), "example.com/v1");
//! ```

mod cel;
mod cel_types;
mod crd;
mod formats;
mod near;
mod problem;
mod read;
mod read_schema;
mod schema;
mod structural;
mod validate;
mod yaml;

pub use cel::{OBJECT_COST_LIMIT, RULE_COST_LIMIT};
pub use crd::{Crd, Version};
pub use problem::{Place, Problem};
pub use read::{MAX_PROBLEMS, parse};
pub use schema::{Additional, At, ListType, Pattern, Property, Rule, Schema, Type};
pub use validate::{Step, Violation, check_object};
pub use yaml::{MAX_BYTES, MAX_DEPTH, MAX_NODES};
