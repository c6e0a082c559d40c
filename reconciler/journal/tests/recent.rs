//! A history that is read from the newest records back ends as the whole history does, whatever happened.

#[path = "support/deploys.rs"]
mod deploys;
#[path = "support/folder.rs"]
mod folder;

use std::collections::BTreeSet;

use ordain_reconciler_journal::{AppRef, Deploy, Intent, Journal, Outcome, Rollback, last_healthy};
use proptest::prelude::*;

use deploys::{TINY, app, deploy};
use folder::folder;

/// What happens next.
#[derive(Debug, Clone)]
struct Step {
    app: u64,
    /// Of a few, so that two deploys of an app have the same objects now and then.
    objects: u64,
    is_healthy: bool,
    /// A rollback to the deploy of the app that is so many before its last one.
    back: Option<usize>,
}

fn step() -> impl Strategy<Value = Step> {
    let back = prop_oneof![4 => Just(None), 1 => (1..12_usize).prop_map(Some)];
    (0..3_u64, 0..4_u64, prop::bool::weighted(0.7), back).prop_map(
        |(app, objects, is_healthy, back)| Step {
            app,
            objects,
            is_healthy,
            back,
        },
    )
}

fn carry_out(journal: &Journal, number: usize, step: &Step, commits: &mut [Vec<String>]) {
    let own = &mut commits[step.app as usize];
    let commit = format!("{number:040x}");
    let at = |back: usize| own.len().checked_sub(back + 1).map(|at| own[at].clone());
    let rollback = step.back.and_then(|back| {
        Some(Rollback {
            of: at(0)?,
            to: at(back)?,
        })
    });
    own.push(commit.clone());
    let object = format!(r#"{{"value":{}}}"#, step.objects);
    let intent = Intent {
        app: app(step.app),
        commit,
        plan: "plan".to_owned(),
        rollback,
        ..Intent::default()
    };
    let outcome = match step.is_healthy {
        true => Outcome::Healthy,
        false => Outcome::Failed {
            reasons: vec!["no".to_owned()],
        },
    };
    deploy(journal, number as i64 * 1000, object, intent, outcome);
}

fn check(steps: &[Step], compacted: bool) {
    let dir = folder();
    let (journal, _) = Journal::open_with(dir.path(), TINY).expect("it opens");
    let mut commits = vec![Vec::new(); 3];
    for (number, step) in steps.iter().enumerate() {
        carry_out(&journal, number, step, &mut commits);
    }
    if compacted {
        let half = steps.len() as i64 * 500;
        journal
            .compact(half, i64::MAX / 2, "test")
            .expect("it compacts");
    }
    let apps: BTreeSet<AppRef> = (0..4).map(app).collect();
    let whole = journal.histories(&apps, |_| false).expect("it reads");
    for app in &apps {
        let full = journal.history(app).expect("it reads");
        assert_eq!(whole[app], full);
        let until = |is_enough: &dyn Fn(&[Deploy]) -> bool| {
            let rows = journal.history_until(app, is_enough).expect("it reads");
            assert!(full.ends_with(&rows), "{rows:#?}\nof\n{full:#?}");
            rows
        };
        let rows = until(&|rows| last_healthy(rows).is_some());
        assert_eq!(last_healthy(&rows), last_healthy(&full));
        let rows = until(&|rows| !rows.is_empty());
        assert_eq!(rows.last(), full.last());
        for wanted in full.iter().step_by(7) {
            let rows = until(&|rows| rows.iter().any(|row| row.commit == wanted.commit));
            assert!(rows.contains(wanted));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn the_end_of_a_history_is_the_same(
        steps in prop::collection::vec(step(), 1..120),
        compacted in any::<bool>(),
    ) {
        check(&steps, compacted);
    }
}
