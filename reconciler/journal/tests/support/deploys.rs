//! Deploys of numbered apps, in a log of many short segments.

use ordain_reconciler_journal::{AppRef, Event, Intent, Journal, ObjectSet, Outcome, Sizes};

/// Every batch fills a segment.
pub(crate) const TINY: Sizes = Sizes {
    segment_bytes: Some(1),
    pack_bytes: None,
};

/// An app by its number.
pub(crate) fn app(number: u64) -> AppRef {
    AppRef {
        env: "prod".to_owned(),
        name: format!("service-{number}"),
    }
}

/// Records a deploy of one object and how it went, in one batch.
pub(crate) fn deploy(
    journal: &Journal,
    time_ms: i64,
    object: String,
    intent: Intent,
    outcome: Outcome,
) {
    let mut batch = journal.batch().expect("it writes");
    let app = intent.app.clone();
    let intent = Intent {
        set: batch.put_set(&ObjectSet::new([object])),
        inventory: batch.put(b"[]"),
        ..intent
    };
    let deploy = batch.append(time_ms, Event::Intent(Box::new(intent))).seq;
    let event = Event::Outcome {
        deploy,
        app,
        outcome,
        inventory: None,
        writes: Vec::new(),
    };
    batch.append(time_ms + 1, event);
    batch.commit().expect("it is durable");
}
