//! `ordain image load`: puts an image archive where the node agent finds it.

use crate::Outcome;
use crate::args::{DataDirArg, Format};
use crate::terminal;
use std::path::PathBuf;

/// Work with the container images of this machine
#[derive(clap::Args)]
pub(crate) struct ImageArgs {
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(clap::Subcommand)]
enum ImageCommand {
    Load(LoadArgs),
}

/// Load images from an archive, so that no registry is needed
///
/// Reads what `docker save` and OCI layout tools write (a tar file). A running `ordain up` on the same data directory finds
/// the images at once.
#[derive(clap::Args)]
struct LoadArgs {
    /// The tar file
    #[arg(value_name = "ARCHIVE")]
    archive: PathBuf,

    #[command(flatten)]
    data_dir: DataDirArg,
}

#[cfg(target_os = "linux")]
pub(crate) fn run(args: &ImageArgs, format: Format) -> miette::Result<Outcome> {
    let ImageCommand::Load(args) = &args.command;
    let store = crate::cluster::node_dir(&args.data_dir.path()).join("image-store");
    let names =
        ordain_orchestrator_node::images::load_archive(&store, &args.archive).map_err(|e| {
            super::report(
                e,
                Some("write one with `docker save IMAGE -o FILE`".to_owned()),
            )
        })?;
    match format {
        Format::Text => {
            terminal::data(&names.iter().map(|n| format!("{n}\n")).collect::<String>())?
        }
        Format::Json => terminal::json(&serde_json::json!({ "images": names }))?,
    }
    Ok(Outcome::Done)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn run(args: &ImageArgs, _: Format) -> miette::Result<Outcome> {
    let ImageCommand::Load(args) = &args.command;
    Err(miette::miette!(
        "containers need Linux; `{}` was not loaded",
        args.archive.display()
    ))
}
