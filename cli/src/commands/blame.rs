//! `ordain blame OBJECT FIELD`: who wrote the lines that a deployed field comes from.

use crate::args::{Format, TargetArg};
use crate::blame::{self, Answer, Blame, single};
use crate::journal::{self, Reader};
use crate::{Outcome, terminal, when};
use miette::Result;
use ordain_reconciler_engine::Lookup;
use ordain_reconciler_engine::control::{JournalAnswer, JournalAsk, Target};

/// Show who wrote the lines that a deployed field comes from
///
/// The field's value as it is deployed, and every line that had a say in it through the layers of the language, the winner first:
/// the file and line, the commit that brought it, its author and its subject. The journal and the repository of the data directory
/// are read; nothing has to run. With --kubeconfig the reconciler that runs behind the cluster is asked. Elements of lists are named by their key, as in
/// `ordain blame deployment/web 'spec.template.spec.containers["main"].image'`.
///
/// Exit code 2 when no deployed object is meant, or several are, or when the sources have no such field; 3 when the lines cannot be
/// found.
#[derive(clap::Args)]
pub(crate) struct BlameArgs {
    /// The object, as KIND/NAME
    #[arg(value_name = "OBJECT")]
    object: String,

    /// The field, such as `spec.replicas`
    #[arg(value_name = "FIELD")]
    field: String,

    /// The namespace, when several have such an object
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// The app, when several have such an object
    #[arg(long, value_name = "APP")]
    app: Option<String>,

    /// The environment, when several have such an object
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// As it was at this time, such as `2026-08-01 14:03` or `2h ago`
    #[arg(long, value_name = "TIME", default_value = "now")]
    at: String,

    #[command(flatten)]
    target: TargetArg,
}

pub(crate) fn run(args: &BlameArgs, format: Format) -> Result<Outcome> {
    if !args.object.contains('/') {
        return Err(crate::usage::usage(
            format!("`{}` is not an object", args.object),
            "name one as KIND/NAME, such as `deployment/web`",
        ));
    }
    let lookup = Lookup {
        namespace: args.namespace.clone(),
        app: args.app.clone(),
        env: args.env.clone(),
        ..Lookup::of(Some(&args.object), when::milliseconds(&args.at)?)
    };
    let blame = match args.target.target() {
        Target::DataDir(data_dir) => {
            let found = Reader::of(Target::DataDir(data_dir.clone()))?.objects(&lookup)?;
            let repository = journal::repository(&data_dir)?;
            blame::blame(&repository, &single(found, &args.object)?, &args.field)?
        }
        target @ Target::Cluster { .. } => {
            let field = args.field.clone();
            let found =
                journal::one(
                    &target,
                    JournalAsk::Blame { lookup, field },
                    |answer| match answer {
                        JournalAnswer::Blame { blame } => {
                            serde_json::from_value::<Answer>(blame).ok()
                        }
                        _ => None,
                    },
                );
            found?.known()?
        }
    };
    match format {
        Format::Json => terminal::json(&blame)?,
        Format::Text => terminal::data(&text(&blame))?,
    }
    Ok(Outcome::Done)
}

fn text(blame: &Blame) -> String {
    let mut text = format!(
        "{}  {} = {}  (deploy #{} of {}/{}, commit {})\n",
        blame.object,
        blame.field,
        blame.value,
        blame.deploy,
        blame.env,
        blame.app,
        super::status::short(&blame.commit)
    );
    let rows = blame.lines.iter().enumerate().map(|(at, line)| {
        let did = match (line.how.as_str(), at) {
            _ if at == blame.decides => "decides it",
            ("set", 0) => "sets it",
            ("set", _) => "overridden",
            ("changed", _) => "changes a part",
            ("from", _) => "copied from",
            _ => "deletes it",
        };
        let (at, author, subject) = match &line.origin {
            Some(origin) => (
                format!("{}@{}", line.at, super::status::short(&origin.brought_by)),
                format!("{} {}", origin.author, origin.time),
                origin.subject.clone(),
            ),
            None => (
                line.at.clone(),
                "not in the repository".to_owned(),
                String::new(),
            ),
        };
        [at, line.layer.clone(), did.to_owned(), author, subject]
    });
    for line in super::table(["", "", "", "", ""], rows).lines().skip(1) {
        text.push_str(&format!("  {line}\n"));
    }
    text
}
