//! `ordain plan [APP]`: what the reconciler would do now, and why.

use crate::args::{Output, formats};
use crate::diffing::{Built, ClusterArg, build_side, cite, live, on_disk, planned};
use crate::{Outcome, envs, terminal};
use miette::Result;
use ordain_lang_project::BuildOptions;
use ordain_reconciler_diff::{
    Diff, Facts, Input, Live, MarkdownOptions, Side, TextOptions, compare, markdown, of_plan, text,
};
use ordain_reconciler_engine::Preview;
use ordain_reconciler_engine::control::{self, Request, Response};
use std::path::PathBuf;

/// Show what the reconciler would do now, and why
///
/// Asks the running `ordain up` for the plan of the deployed branch: every object as a dry run, with what it would do to pods and
/// data, and which deletions wait for which approval. With `--kubeconfig` it needs no `ordain up`: the project on disk is
/// compared with that cluster. Exit code 0 when there is nothing to do, 1 when there is something.
#[derive(clap::Args)]
pub(crate) struct PlanArgs {
    /// Only this app
    #[arg(value_name = "APP")]
    app: Option<String>,

    /// Only this environment
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Project folder, with `--kubeconfig`
    #[arg(long, value_name = "DIR", default_value = ".", requires = "kubeconfig")]
    path: PathBuf,

    #[command(flatten)]
    cluster: ClusterArg,

    /// How the plan is printed
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = formats(&[Output::Text, Output::Json, Output::Markdown]))]
    format: Output,
}

pub(crate) fn run(args: &PlanArgs) -> Result<Outcome> {
    let diff = match args.cluster.kubeconfig {
        Some(_) => of_project(args)?,
        None => of_engine(args)?,
    };
    match args.format {
        Output::Json => terminal::json(&diff)?,
        Output::Markdown => terminal::data(&markdown(&diff, &MarkdownOptions::default()))?,
        _ => {
            let color = terminal::has_color(&std::io::stdout());
            terminal::data(&text(&diff, TextOptions { color }))?;
        }
    }
    Ok(match diff.is_empty() {
        true => Outcome::Done,
        false => Outcome::Findings,
    })
}

/// The plan of the deployed branch.
fn of_engine(args: &PlanArgs) -> Result<Diff> {
    let request = Request::Plan {
        app: args.app.clone(),
        env: args.env.clone(),
    };
    let answers = control::call(args.cluster.data_dir.path(), &request, |_| {})
        .map_err(super::engine_error)?;
    let plans: Vec<Preview> = answers
        .into_iter()
        .filter_map(|answer| match answer {
            Response::Plans { plans } => Some(plans),
            _ => None,
        })
        .flatten()
        .collect();
    let commit = plans.iter().find_map(|plan| plan.commit.clone());
    let mut facts = Facts::default();
    for plan in &plans {
        let known = (ordain_schemas::KubeVersion::DEFAULT, plan.namespace.clone());
        facts.envs.entry(plan.env.clone()).or_insert(known);
    }
    let head = Side {
        name: commit.clone().unwrap_or_else(|| "the branch".to_owned()),
        commit,
    };
    let live = of_plan(
        Side::named("cluster local"),
        plans.into_iter().map(planned).collect(),
    );
    Ok(against(&live, &head, &Built::default(), &facts))
}

/// The project on disk against a cluster.
fn of_project(args: &PlanArgs) -> Result<Diff> {
    let side = on_disk(&args.path)?;
    let env = envs::choose(&side.project, args.env.as_deref(), "")?;
    let options = BuildOptions { env, cluster: None };
    let mut built = build_side(&side, &options)?;
    if let Some(app) = &args.app {
        if !built.apps.iter().any(|one| one.name == *app) {
            let known: Vec<&str> = built.apps.iter().map(|one| one.name.as_str()).collect();
            return Err(crate::usage::usage(
                format!("there is no app `{app}`"),
                crate::usage::did_you_mean(app, &known, "apps"),
            ));
        }
        built.apps.retain(|one| one.name == *app);
        built.objects.retain(|one| one.app == *app);
    }
    let mut facts = Facts::default();
    built.facts(&side, &mut facts);
    let mut live = live(&args.cluster, &side, &built, None)?;
    if let Some(app) = &args.app {
        live.looks.retain(|_, look| look.app == *app);
        live.held.retain(|held| held.app == *app);
    }
    let mut diff = against(&live, &side.name, &built, &facts);
    cite(&mut diff, None, Some(&side), &options, |_, field| {
        (field.env.clone(), field.key.namespace.clone())
    });
    Ok(diff)
}

fn against(live: &Live, head: &Side, built: &Built, facts: &Facts) -> Diff {
    compare(&Input {
        base: None,
        head: (head, &built.objects),
        live: Some(live),
        facts,
    })
}
