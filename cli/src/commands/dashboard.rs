//! `ordain dashboard`: what a running reconciler does, in a browser.

use crate::Outcome;
use crate::args::{Format, TargetArg, arguments};
use crate::terminal;
use miette::{Context, IntoDiagnostic, Result};
use ordain_reconciler_dashboard::{Dashboard, Options, serve};
use ordain_reconciler_engine::control::{self, Request, Target};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How old what is shown may be; a reconciler on this machine answers in no time.
const EACH: Duration = Duration::from_secs(1);

/// The same where each question is an object of an API server.
const EACH_FAR: Duration = Duration::from_secs(5);

/// Show what a running reconciler does, in a browser
///
/// Serves the dashboard from this machine until Ctrl-C, and prints the address to open: all apps and how they stand, what is in the
/// way of one, its objects and deploys, what would be written now, which line of which commit wrote a field, and everything that
/// happened. It only looks; what can be done is shown as the command that does it. It asks as every command does, with the rights
/// of whoever starts it. The address has a key in it, which changes with each start; `ordain up` serves a dashboard by itself.
#[derive(clap::Args)]
pub(crate) struct DashboardArgs {
    /// Address of the dashboard; port 0 picks a free one
    ///
    /// It is plain HTTP: from another machine reach it through a tunnel, such as `ssh -L`.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    #[command(flatten)]
    target: TargetArg,
}

pub(crate) fn run(args: &DashboardArgs, format: Format) -> Result<Outcome> {
    let target = args.target.target();
    // Whoever cannot be asked is told here and not in the browser.
    control::call(&target, &Request::Status, |_| {}).map_err(super::engine_error)?;
    crate::cluster::block_on(async {
        let shutdown = CancellationToken::new();
        let dashboard = start(args.listen, target, &shutdown).await?;
        match format {
            Format::Json => terminal::json(&serde_json::json!({ "dashboard": dashboard.url }))?,
            Format::Text => terminal::data(&format!("{}\n", dashboard.url))?,
        }
        if terminal::is_watched(format) {
            terminal::say("open that address in a browser; Ctrl-C ends the dashboard");
        }
        crate::cluster::interrupted().await;
        shutdown.cancel();
        Ok(Outcome::Done)
    })
}

/// Serves a dashboard until `shutdown`.
///
/// # Errors
/// When the address cannot be listened at.
pub(crate) async fn start(
    listen: SocketAddr,
    target: Target,
    shutdown: &CancellationToken,
) -> Result<Dashboard> {
    let each = match target {
        Target::DataDir(_) => EACH,
        Target::Cluster { .. } => EACH_FAR,
    };
    let options = Options {
        listen,
        each,
        arguments: arguments(&target),
    };
    serve(options, Arc::new(target), shutdown.clone())
        .await
        .into_diagnostic()
        .wrap_err_with(|| format!("the dashboard cannot listen at {listen}"))
}
