//! `ordain suspend` and `ordain resume`: keep the running instance from writing to an app, and let it again.

use super::approve::tell;
use crate::Outcome;
use crate::args::{Format, TargetArg};
use crate::usage;
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use ordain_reconciler_engine::control::Request;

/// Write nothing of an app until it is resumed
///
/// New commits wait, and live edits stay. The newest commit is what counts when it is resumed. The suspension survives
/// restarts, is recorded in the journal and shown by `ordain status`.
#[derive(clap::Args)]
#[group(id = "which", required = true, multiple = false, args = ["app", "all"])]
pub(crate) struct SuspendArgs {
    /// The app
    #[arg(value_name = "APP")]
    app: Option<String>,

    /// All apps
    #[arg(long)]
    all: bool,

    /// Why; shown wherever the suspension is
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,

    /// When it ends by itself: a time such as `2026-08-01 14:00`, or how long, such as `2h`
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    #[command(flatten)]
    who: WhoArgs,
}

/// Let a suspended app go on
///
/// With a rollback that is held because of a conflict, this drops the rollback's commit.
#[derive(clap::Args)]
#[group(id = "which", required = true, multiple = false, args = ["app", "all"])]
pub(crate) struct ResumeArgs {
    /// The app
    #[arg(value_name = "APP")]
    app: Option<String>,

    /// End the suspension of all apps
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    who: WhoArgs,
}

#[derive(clap::Args)]
struct WhoArgs {
    /// The app's environment, when it runs in several
    #[arg(long, value_name = "ENV")]
    env: Option<String>,

    /// Who asks, as `Name <address>`; taken from git's configuration when left out
    #[arg(long, value_name = "AUTHOR")]
    author: Option<String>,

    #[command(flatten)]
    target: TargetArg,
}

impl WhoArgs {
    fn author(&self) -> String {
        let author = self.author.clone();
        author.unwrap_or_else(super::rollback::author)
    }
}

pub(crate) fn suspend(args: &SuspendArgs, format: Format) -> miette::Result<Outcome> {
    let until_ms = match &args.until {
        None => None,
        Some(text) => Some(until(text, Timestamp::now()).ok_or_else(|| {
            usage::usage(
                format!("`{text}` is no time in the future"),
                "write a time such as `2026-08-01 14:00`, or how long, such as `2h30m`",
            )
        })?),
    };
    let request = Request::Suspend {
        app: args.app.clone(),
        env: args.who.env.clone(),
        reason: args.reason.clone(),
        until_ms,
        author: args.who.author(),
    };
    tell(&args.who.target, &request, format)
}

pub(crate) fn resume(args: &ResumeArgs, format: Format) -> miette::Result<Outcome> {
    let request = Request::Resume {
        app: args.app.clone(),
        env: args.who.env.clone(),
        author: args.who.author(),
    };
    tell(&args.who.target, &request, format)
}

/// Reads when something ends, in milliseconds since 1970-01-01 UTC. Times without a zone are in this machine's.
fn until(text: &str, now: Timestamp) -> Option<i64> {
    let time = if let Ok(time) = text.parse::<Timestamp>() {
        time
    } else if let Ok(local) = text.parse::<DateTime>() {
        TimeZone::system().to_timestamp(local).ok()?
    } else {
        let span: SignedDuration = text.parse().ok()?;
        now.checked_add(span).ok()?
    };
    (time > now).then(|| time.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::until;
    use jiff::Timestamp;

    #[test]
    fn an_end_is_a_time_or_a_span_in_the_future() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(until("2h30m", now), Some(9_000_000));
        assert_eq!(until("1970-01-01T00:01:00Z", now), Some(60_000));
        for text in ["1969-01-01T00:00:00Z", "-1h", "soon", ""] {
            assert_eq!(until(text, now), None, "{text}");
        }
    }
}
