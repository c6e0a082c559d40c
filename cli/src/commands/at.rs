//! `ordain at TIME get`: what was declared and applied at a time, from the journal.

use crate::Outcome;
use crate::args::{Output, TargetArg, formats};
use crate::journal::Reader;
use crate::{terminal, when};
use clap::{Args, Subcommand};
use miette::{Result, miette};
use ordain_lang_project::{Object, yaml};
use ordain_reconciler_engine::{Deployed, Lookup};
use serde_json::Value;

/// Look at what was declared and applied at a time
///
/// TIME is RFC 3339 as in `2026-08-01T14:03:00Z`, local time as in `2026-08-01 14:03`, or a while ago as in `2h ago`. The journal
/// of the data directory is read; nothing has to run. With --kubeconfig the reconciler that runs behind the cluster is asked. Secrets
/// are never shown.
#[derive(Args)]
pub(crate) struct AtArgs {
    /// The time
    #[arg(value_name = "TIME")]
    time: String,

    #[command(subcommand)]
    command: AtCommand,
}

#[derive(Subcommand)]
enum AtCommand {
    Get(GetArgs),
}

/// List objects, or print them
#[derive(Args)]
struct GetArgs {
    /// A kind, or one object as KIND/NAME; everything when it is left out
    #[arg(value_name = "KIND[/NAME]")]
    object: Option<String>,

    /// Only objects of this namespace
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// Only objects of this app
    #[arg(long, value_name = "APP")]
    app: Option<String>,

    /// Only objects of this environment
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Print whole objects
    #[arg(short, long, value_name = "FORMAT", value_parser = formats(&[Output::Yaml, Output::Json]))]
    output: Option<Output>,

    #[command(flatten)]
    target: TargetArg,
}

pub(crate) fn run(args: &AtArgs, format: Output) -> Result<Outcome> {
    let at = when::milliseconds(&args.time)?;
    let AtCommand::Get(get) = &args.command;
    let reader = Reader::of(get.target.target())?;
    let lookup = Lookup {
        namespace: get.namespace.clone(),
        app: get.app.clone(),
        env: get.env.clone(),
        ..Lookup::of(get.object.as_deref(), at)
    };
    let found = reader.objects(&lookup)?;
    if found.is_empty() {
        let what = get.object.as_deref().unwrap_or("object");
        return Err(miette!(
            help = "`ordain log` tells what was deployed when",
            "no {what} was deployed at {}",
            ordain_reconciler_journal::time(at)
        ));
    }
    let asked = get
        .output
        .or(Some(format).filter(|format| *format == Output::Json));
    match asked {
        None => terminal::data(&table(&found))?,
        Some(Output::Yaml) => {
            let objects: Vec<Object> = plain(found)
                .into_iter()
                .map(|json| Object {
                    json,
                    at: String::new(),
                    is_message: false,
                })
                .collect();
            terminal::data(&yaml(&objects))?;
        }
        Some(_) => {
            let single = get.object.as_deref().is_some_and(|one| one.contains('/'));
            let mut objects = plain(found);
            match (single, objects.len()) {
                (true, 1) => terminal::json(&objects.remove(0))?,
                _ => terminal::json(
                    &serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects}),
                )?,
            }
        }
    }
    Ok(Outcome::Done)
}

fn plain(found: Vec<Deployed>) -> Vec<Value> {
    found.into_iter().map(|one| one.object).collect()
}

fn table(found: &[Deployed]) -> String {
    let rows = found.iter().map(|one| {
        let deploy = &one.deploy;
        [
            one.text("/metadata/namespace").to_owned(),
            one.text("/kind").to_owned(),
            one.text("/metadata/name").to_owned(),
            deploy.app.to_string(),
            format!("#{}", deploy.number),
            super::status::short(&deploy.commit),
            ordain_reconciler_journal::time(deploy.started_ms),
            super::log::state(&deploy.state).to_owned(),
        ]
    });
    super::table(
        [
            "NAMESPACE",
            "KIND",
            "NAME",
            "APP",
            "DEPLOY",
            "COMMIT",
            "DEPLOYED",
            "RESULT",
        ],
        rows,
    )
}
