//! Many apps that fail, few that do not, and a server that turns away what is too much for it.

use std::collections::BTreeMap;

use serde_json::json;

use crate::world::{World, config, sync, wrong};

/// Apps that no server accepts.
const FAILING: usize = 100;

/// Apps with nothing wrong.
const GOOD: usize = 20;

/// Requests that the narrow server takes at once.
const ROOM: usize = 4;

fn good(number: usize, value: &str) -> (String, Vec<serde_json::Value>) {
    let name = format!("good{number}");
    let objects = (0..5).map(|object| config(&format!("{name}-{object}"), value));
    (name.clone(), objects.collect())
}

/// Commits the good apps with this value and waits for all of them.
async fn round(world: &World, value: &str) {
    for number in 0..GOOD {
        let (name, objects) = good(number, value);
        world.app(&name, &objects);
    }
    let commit = world.commit();
    for number in 0..GOOD {
        let name = format!("good{number}");
        world
            .until_app(&name, |app| app.commit == commit && sync(app) == "synced")
            .await;
        let data = world.data(&format!("{name}-4")).await;
        assert_eq!(data, Some(json!({"value": value})));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_apps_go_on_among_failing_ones_and_the_pace_follows_the_server() {
    let world = World::start().await;
    world.namespace().await;
    {
        let mut narrow = world.tap.narrow();
        narrow.delay = std::time::Duration::from_millis(5);
        narrow.room = ROOM;
    }
    for number in 0..FAILING {
        let name = format!("bad{number}");
        world.app(&name, &[wrong(&name)]);
    }
    round(&world, "1").await;
    // The failing ones go on failing, each for itself; the good ones have their turns in between.
    for value in ["2", "3"] {
        let before = world.tap.writes().len();
        round(&world, value).await;
        let mut writes: BTreeMap<String, usize> = BTreeMap::new();
        for seen in world.tap.writes().split_off(before) {
            *writes.entry(seen.path).or_default() += 1;
        }
        let objects = writes.keys().filter(|path| path.contains("/good"));
        assert_eq!(objects.count(), GOOD * 5, "every object was written");
        assert!(
            !writes.keys().any(|path| path.contains("/bad")),
            "what is refused is not written"
        );
    }
    world
        .until_app("bad7", |app| sync(app) == "out-of-sync")
        .await;
    let (let_in, turned_away) = {
        let narrow = world.tap.narrow();
        assert!(
            narrow.turned_away > 0,
            "it never asked for too much: {narrow:?}"
        );
        (narrow.let_in, narrow.turned_away)
    };
    // It feels for the edge again and again, and steps back by half: few are turned away.
    assert!(
        turned_away * 3 < let_in,
        "{turned_away} turned away, {let_in} let in"
    );

    // There is room again: it is found out by itself.
    {
        let mut narrow = world.tap.narrow();
        narrow.room = 0;
        narrow.most = 0;
        narrow.delay = std::time::Duration::from_millis(50);
    }
    for value in 4.. {
        round(&world, &value.to_string()).await;
        let most = world.tap.narrow().most;
        if most >= 2 * ROOM {
            break;
        }
        assert!(value < 40, "there were never more than {most} at once");
    }
    world.stop().await;
}
