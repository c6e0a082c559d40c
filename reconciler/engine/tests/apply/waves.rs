//! Waves: what people wrote down about order, ours and Argo CD's, on the way in and on the way out.

use serde_json::{Value, json};

use crate::world::{World, annotated, config, deployment, sync};

fn wave(object: Value, annotation: &str, wave: &str) -> Value {
    annotated(object, json!({annotation: wave}))
}

/// The names of written or deleted objects, in the order of their first request.
fn order(world: &World, from: usize, method: &http::Method) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for seen in world.tap.writes().into_iter().skip(from) {
        let name = seen.path.rsplit('/').next().unwrap_or_default().to_owned();
        if seen.method == *method && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

async fn waves_wait_for_health(annotation: &str) {
    let world = World::start().await;
    world.namespace().await;
    let objects = [
        wave(config("third", "1"), annotation, "5"),
        wave(deployment("second", "first"), annotation, "1"),
        config("none", "1"),
        wave(config("first", "1"), annotation, "-1"),
    ];
    world.app("web", &objects);
    let commit = world.commit();
    // The third wave waits for a Deployment whose pods are not ready.
    let app = world
        .until_app("web", |app| {
            let waits = |object: &ordain_reconciler_engine::ObjectStatus| {
                object.name == "third"
                    && object.message.contains("waits for Deployment shop/second")
            };
            app.commit == commit && app.objects.iter().any(waits)
        })
        .await;
    assert_eq!(sync(&app), "applying");
    let third = app.objects.iter().find(|object| object.name == "third");
    let third = &third.expect("it is listed").message;
    assert!(third.contains("(wave 1)"), "{third}");
    assert_eq!(
        order(&world, 0, &http::Method::PATCH),
        ["first", "none", "second"]
    );
    assert!(world.data("third").await.is_none());
    world.rolled_out("second").await;
    world.until_app("web", |app| sync(app) == "synced").await;
    assert_eq!(
        order(&world, 0, &http::Method::PATCH),
        ["first", "none", "second", "third"]
    );

    // On the way out the last wave goes first.
    let before = world.tap.writes().len();
    world.deploy("web", &[config("none", "1")]).await;
    assert_eq!(
        order(&world, before, &http::Method::DELETE),
        ["third", "second", "first"]
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_waves_wait_for_health_and_are_deleted_in_reverse() {
    waves_wait_for_health("ordain.dev/wave").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn argo_cds_waves_mean_the_same() {
    waves_wait_for_health("argocd.argoproj.io/sync-wave").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_wave_stops_the_later_ones_and_a_fix_lets_them_go_on() {
    let world = World::start().await;
    let mut broken = wave(config("first", "1"), "ordain.dev/wave", "-1");
    broken["data"] = json!({"not a key": "x"});
    let second = config("second", "1");
    let app = world.deploy_in_part("web", &[broken, second.clone()]).await;
    let words = "ConfigMap shop/second: waits for ConfigMap shop/first (wave -1), which failed";
    assert!(app.message.contains(words), "{}", app.message);
    assert!(world.data("second").await.is_none());
    let first = wave(config("first", "1"), "ordain.dev/wave", "-1");
    world.deploy("web", &[first, second]).await;
    assert!(world.data("second").await.is_some());

    let wrong = wave(config("first", "1"), "ordain.dev/wave", "early");
    let app = world
        .deploy_in_part("web", &[wrong, config("other", "1")])
        .await;
    let words = "`ordain.dev/wave`: `early` is not a whole number";
    assert!(app.message.contains(words), "{}", app.message);
    world.stop().await;
}
