//! `ordain export`: types in the notations of other tools.

use crate::Outcome;
use crate::args::SourceArg;
use crate::usage::usage;
use crate::{disk, report, terminal};
use miette::Result;
use ordain_lang_project::json_schema;

/// Write a type in another notation
#[derive(clap::Args)]
pub(crate) struct ExportArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Jsonschema(JsonSchemaArgs),
}

/// Print a type as JSON Schema 2020-12
///
/// For other tools that make or read what the language reads. Asserts between fields, and bounds of quantities and durations,
/// have no place in JSON Schema; they are named in `$comment`.
#[derive(clap::Args)]
struct JsonSchemaArgs {
    /// The type: `Shop`, `apps.shop.Shop`, `k8s.Deployment`, `List<Shop>`
    #[arg(value_name = "TYPE")]
    ty: String,

    #[command(flatten)]
    source: SourceArg,

    /// Take the types of this version of Kubernetes instead of the project's
    #[arg(long, value_name = "VERSION")]
    kubernetes: Option<String>,
}

pub(crate) fn run(args: &ExportArgs) -> Result<Outcome> {
    let What::Jsonschema(args) = &args.what;
    let kubernetes = match &args.kubernetes {
        None => None,
        Some(version) => Some(super::import::kubernetes(version)?),
    };
    let project = match disk::load(&args.source.path) {
        Ok(project) => project,
        // A type of Kubernetes needs no project.
        Err(_) if args.ty.starts_with("k8s.") => {
            ordain_lang_project::Project::single("none.ord", "")
        }
        Err(error) => return Err(error.into()),
    };
    match json_schema(project, &args.ty, kubernetes) {
        Ok(schema) => terminal::data(&format!("{schema:#}\n")).map(|()| Outcome::Done),
        Err(none) if none.diagnostics.is_empty() => {
            Err(usage(format!("there is no type `{}`", args.ty), ""))
        }
        Err(none) => {
            let color = terminal::has_color(&std::io::stderr());
            let text = report::render(&none.diagnostics, &none.sources, super::check::WIDTH, color);
            terminal::say(text.trim_end());
            Ok(Outcome::Findings)
        }
    }
}
