//! Many apps in one repository, and many commits in a short time.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use ordain_reconciler_journal::{Event, verify};

use crate::world::{World, config};

const APPS: usize = 30;

fn name(number: usize) -> String {
    format!("app-{number:02}")
}

async fn fleet() -> World {
    let world = World::start().await;
    for number in 0..APPS {
        world.app(
            &name(number),
            &[config(&format!("{}-a", name(number)), "1")],
        );
    }
    let push = world.push("all").await;
    assert!(push.ok, "{}", push.text);
    world
}

pub(crate) async fn a_commit_to_one_app_is_nothing_to_the_others() {
    let world = fleet().await;
    world.settle().await;
    drop(world.api.take_asked());
    world.app(&name(7), &[config("app-07-a", "2")]);
    let push = world.push("one app").await;
    assert!(push.ok, "{}", push.text);
    assert!(!push.text.contains("app-08"), "{}", push.text);
    world.settle().await;
    let asked = world.api.take_asked();
    // Which cluster this is, is asked again when the answer is two seconds old.
    let own = [
        "/configmaps/app-07-a",
        "/namespaces/shop",
        "/namespaces/kube-system",
    ];
    let is_own = |asked: &&String| own.iter().any(|own| asked.ends_with(own));
    let others: Vec<_> = asked.iter().filter(|asked| !is_own(asked)).collect();
    assert!(others.is_empty(), "{others:?}");
    let (status, tip) = (world.status(), world.tip());
    assert_eq!(status.apps.len(), APPS);
    for app in status.apps {
        assert_eq!(app.commit, tip, "{} is at the tip too", app.name);
    }
    let deploys = |number| world.history(&name(number)).len();
    assert_eq!((deploys(7), deploys(8)), (2, 1));

    // A commit that changes no object asks nothing at all.
    world.write("README.md", "words");
    let push = world.push("words").await;
    assert!(
        push.ok && push.text.contains("no object of any app changes"),
        "{}",
        push.text
    );
    world.settle().await;
    assert_eq!(world.api.take_asked(), Vec::<String>::new());
    assert_eq!(world.status().apps[0].commit, world.tip());
    world.stop().await;
}

pub(crate) async fn an_app_that_fails_is_tried_again_by_the_next_commit() {
    let world = World::start().await;
    world.app("bad", &[config("bad-a", "1")]);
    world.app("good", &[config("good-a", "1")]);
    world.api.refuse("bad-a");
    let push = world.push("first").await;
    assert!(push.text.contains("bad-a"), "{}", push.text);
    world.api.refuse("");
    world.app("good", &[config("good-a", "2")]);
    let push = world.push("the other one").await;
    assert!(push.ok, "{}", push.text);
    assert!(world.api.get("v1/configmaps/shop/bad-a").is_some());
    world.stop().await;
}

/// Commits that come in one go, and how many of them one move of the branch brings.
const STORM: usize = 1_000;
const BURST: usize = 50;

pub(crate) async fn a_storm_of_commits_ends_at_the_tip() {
    let world = fleet().await;
    let first = world.tip();
    for burst in 0..STORM / BURST {
        let numbers = burst * BURST..(burst + 1) * BURST;
        import(&world, numbers);
        world.sync();
    }
    let last = config("app-03-a", &(STORM - 1).to_string());
    world
        .until(|world| {
            let live = world.api.get("v1/configmaps/shop/app-03-a");
            live.is_some_and(|live| live["data"] == last["data"])
                && world
                    .status()
                    .apps
                    .iter()
                    .all(|app| app.commit == world.tip())
        })
        .await;
    world.settle().await;
    let (deploys, others) = (world.history(&name(3)).len(), world.history(&name(4)).len());
    assert!((2..=1 + STORM / BURST).contains(&deploys), "{deploys}");
    assert_eq!(others, 1, "the storm is nothing to other apps");

    // Every commit was either the tip at a look, or is told to have been superseded.
    let folder = world.journal();
    let (mut taken, mut superseded) = (0, 0);
    let verified = verify(&folder, |record, _| match &record.event {
        Event::Commit { commit, .. } => taken += usize::from(*commit != first),
        Event::Note { topic, facts, .. } if topic == "superseded" => {
            superseded += facts["commits"].parse::<usize>().expect("a number");
        }
        _ => {}
    });
    verified.expect("the journal is whole");
    assert_eq!(taken + superseded, STORM);
    world.stop().await;
}

/// Puts commits on the branch of the hosted repository, one for each number.
fn import(world: &World, numbers: std::ops::Range<usize>) {
    let mut input = String::new();
    for number in numbers.clone() {
        let text =
            serde_json::to_string(&[config("app-03-a", &number.to_string())]).expect("plain JSON");
        let message = format!("change {number}");
        let from = match number == numbers.start {
            true => "from refs/heads/main^0\n",
            false => "",
        };
        input.push_str(&format!(
            "commit refs/heads/main\ncommitter Ada <ada@example.com> {} +0000\ndata {}\n{message}\n{from}\
             M 100644 inline apps/app-03.json\ndata {}\n{text}\n",
            1_700_000_000 + number,
            message.len(),
            text.len(),
        ));
    }
    let mut git = Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(world.hosted())
        .stdin(Stdio::piped())
        .spawn()
        .expect("git runs");
    let mut stdin = git.stdin.take().expect("it was asked for");
    stdin.write_all(input.as_bytes()).expect("git reads");
    drop(stdin);
    assert!(git.wait().expect("git ends").success());
}
