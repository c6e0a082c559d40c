//! Takes old events away: they live for an hour (`--event-ttl`).
//!
//! An event that repeats is written again and lives on, as with upstream's leases.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use ordain_orchestrator_store::{Expect, Range};
use serde_json::Value;

use crate::{core::Core, json::str_at, object};

/// How long an event lives.
const LIFETIME_SECONDS: i64 = 3600;
/// How often old events are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(300);

/// Sweeps until the server stops.
pub(crate) async fn expire(core: Arc<Core>) {
    loop {
        tokio::select! {
            () = core.shutdown.cancelled() => return,
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
        if let Err(error) = sweep(&core, Timestamp::now()).await {
            tracing::warn!(%error, "cannot sweep old events");
        }
    }
}

async fn sweep(core: &Core, now: Timestamp) -> Result<(), ordain_orchestrator_store::Error> {
    let page = core
        .store
        .list(Range::prefix("/registry/core/events/"))
        .await?;
    for entry in page.entries {
        let Some(event) = object::decode(&entry.value, 0) else {
            continue;
        };
        if is_over(&event, now) {
            // Written again in between: it lives on.
            let _ = core
                .store
                .delete(&entry.key, Expect::Exactly(entry.mod_revision))
                .await;
        }
    }
    Ok(())
}

/// Tells whether the last sign of an event is older than its lifetime.
fn is_over(event: &Value, now: Timestamp) -> bool {
    let times = [
        &["series", "lastObservedTime"][..],
        &["lastTimestamp"],
        &["eventTime"],
        &["metadata", "creationTimestamp"],
    ];
    let last = times
        .iter()
        .filter_map(|path| str_at(event, path).parse::<Timestamp>().ok())
        .max();
    last.is_some_and(|time| now.as_second() - time.as_second() > LIFETIME_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_over_an_hour_after_its_last_sign() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().expect("a time");
        let created = "2026-01-01T10:00:00Z";
        assert!(is_over(
            &json!({"metadata": {"creationTimestamp": created}}),
            now
        ));
        let again = json!({"metadata": {"creationTimestamp": created}, "lastTimestamp": "2026-01-01T11:30:00Z"});
        assert!(!is_over(&again, now));
        assert!(!is_over(&json!({}), now));
    }
}
