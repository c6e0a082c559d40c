//! What a reconciler does when there is nothing to do: nothing, and not at a start either.

use kube::api::ListParams;
use serde_json::Value;

use crate::world::{World, config, sync};

/// Where the engine shows its apps.
const SHOWN: &str = "ordain-system";

/// The apps that are shown as ready, with the commit that they were deployed from.
async fn ready(world: &World) -> Vec<(String, String)> {
    let api = world.api_in(SHOWN, "ordain.dev/v1alpha1", "App");
    let Ok(list) = api.list(&ListParams::default()).await else {
        return Vec::new();
    };
    let apps = list.items.into_iter().filter_map(|object| {
        let status = object.data.get("status")?;
        let conditions = status.get("conditions")?.as_array()?;
        let ready = conditions.iter().find(|one| one["type"] == "Ready")?;
        let commit = status.get("commit").and_then(Value::as_str)?.to_owned();
        (ready["status"] == "True").then(|| (object.metadata.name.unwrap_or_default(), commit))
    });
    apps.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_nothing_changed_writes_nothing() {
    let world = World::showing(SHOWN).await;
    world.namespace().await;
    let names = ["one", "two", "three"];
    for name in names {
        world.app(name, &[config(name, "1")]);
    }
    let first = world.commit();
    let all = async |world: &World| ready(world).await.len() == names.len();
    world.until("every app is shown", all).await;
    // A commit of one app is no news of the others.
    let second = {
        world.app("one", &[config("one", "2")]);
        world.commit()
    };
    let shown = |commits: [(&str, &str); 3]| {
        let mut wanted = commits.map(|(name, commit)| (format!("dev.{name}"), commit.to_owned()));
        wanted.sort();
        move |found: Vec<(String, String)>| {
            let mut found = found;
            found.sort();
            found == wanted
        }
    };
    let is_shown = shown([("one", &second), ("two", &first), ("three", &first)]);
    world
        .until("the second commit is shown", async |world| {
            is_shown(ready(world).await)
        })
        .await;
    let sources = world.api_in(SHOWN, "ordain.dev/v1alpha1", "Source");
    world
        .until("the source is shown", async |_| {
            let source = sources.get_opt("repository").await.expect("an answer");
            source.is_some_and(|source| source.data["status"]["commit"] == second.as_str())
        })
        .await;

    let before = world.tap.writes().len();
    let world = world.restart(|_| {}).await;
    for name in names {
        let synced = |app: &_| sync(app) == "synced";
        world.until_app(name, synced).await;
    }
    // Whatever was to be written is written before this, or with it.
    world.app("three", &[config("three", "2")]);
    let third = world.commit();
    let is_shown = shown([("one", &second), ("two", &first), ("three", &third)]);
    world
        .until("the third commit is shown", async |world| {
            is_shown(ready(world).await)
        })
        .await;
    let writes = world.tap.writes().split_off(before);
    let others: Vec<_> = writes
        .iter()
        .map(|write| write.path.as_str())
        .filter(|path| !path.ends_with("/three") && !path.ends_with("/dev.three/status"))
        .filter(|path| !path.ends_with("/sources/repository/status"))
        .collect();
    assert_eq!(others, [""; 0], "{writes:#?}");
    world.stop().await;
}
