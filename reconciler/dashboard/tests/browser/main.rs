//! The dashboard in a real browser: what a person sees, clicks and types. Needs Chromium; says so where there is none.

#![expect(
    clippy::print_stderr,
    reason = "whoever runs it must see whether a browser was there"
)]

mod chromium;
mod fake;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ordain_reconciler_dashboard::{Dashboard, Options, serve};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use chromium::Browser;
use fake::{EVIL, Fake};

/// A dashboard over a fake reconciler, and a browser that looks at it.
struct World {
    fake: Arc<Fake>,
    dashboard: Dashboard,
    browser: Browser,
    shutdown: CancellationToken,
}

impl World {
    async fn start(program: std::path::PathBuf) -> Self {
        let (fake, shutdown) = (Arc::new(Fake::new()), CancellationToken::new());
        let options = Options {
            listen: ([127, 0, 0, 1], 0).into(),
            each: Duration::from_millis(100),
            arguments: vec!["--data-dir".to_owned(), "/var/lib/it's here".to_owned()],
        };
        let dashboard = serve(options, fake.clone(), shutdown.clone()).await;
        let dashboard = dashboard.expect("it listens");
        let browser = Browser::start(program).await;
        Self {
            fake,
            dashboard,
            browser,
            shutdown,
        }
    }
}

fn main() {
    let Some(program) = chromium::program() else {
        eprintln!("left out: no chromium on PATH, so nobody looked at the dashboard");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let mut world = World::start(program).await;
        without_the_key_it_is_closed(&mut world).await;
        the_apps_and_what_is_wrong_with_them(&mut world).await;
        an_app_and_what_is_in_its_way(&mut world).await;
        who_wrote_a_field(&mut world).await;
        the_log_goes_back(&mut world).await;
        news_come_by_themselves(&mut world).await;
        nothing_of_the_page_complained(&world);
        world.shutdown.cancel();
    });
    eprintln!("6 pages looked at in a browser");
}

async fn without_the_key_it_is_closed(world: &mut World) {
    let address = format!("http://{}/", world.dashboard.address);
    world.browser.open(&address).await;
    world.browser.sees("This dashboard is closed").await;
}

async fn the_apps_and_what_is_wrong_with_them(world: &mut World) {
    let browser = &mut world.browser;
    browser.open(&world.dashboard.url).await;
    let text = browser.sees("quota is used up").await;
    let at = |word: &str| {
        text.find(word)
            .unwrap_or_else(|| panic!("`{word}` is missing:\n{text}"))
    };
    assert!(at("web") < at("settings"), "trouble comes first:\n{text}");
    assert!(text.contains("commit b0b0b0b0b0 was rolled back"), "{text}");
    browser.sees("/srv/shop.git").await;
    let address = browser.value("location.href").await;
    assert!(
        !address.to_string().contains("key="),
        "the key stays in {address}"
    );
    browser.shot("apps").await;

    browser.types("#search", "settings").await;
    let gone = "![...document.querySelectorAll('td')].some((one) => one.innerText === 'web')";
    browser.becomes(gone, &json!(true)).await;
    browser
        .value("document.querySelector('#search').select()")
        .await;
    browser.types("#search", "no such app").await;
    browser.sees("No app is like that.").await;
    browser
        .value("document.querySelector('#search').select()")
        .await;
    browser.types("#search", "shop").await;
    browser.click(".chip", "failed").await;
    let rows = "document.querySelectorAll('tbody tr').length";
    browser.becomes(rows, &json!(1)).await;
}

async fn an_app_and_what_is_in_its_way(world: &mut World) {
    let browser = &mut world.browser;
    browser.click("td a", "web").await;
    let text = browser.sees("Commands").await;
    for wanted in [
        "Deployment shop/web: quota is used up",
        "web.ord:7",
        "the first one",
        "lost data.a",
        EVIL,
    ] {
        assert!(text.contains(wanted), "`{wanted}` is missing:\n{text}");
    }
    assert_eq!(
        browser.value("window.evil ?? 0").await,
        0,
        "a commit message was run"
    );
    let command = r"ordain sync web --env prod --data-dir '/var/lib/it'\''s here'";
    assert!(text.contains(command), "{text}");
    browser.click("#compare", "Compare").await;
    browser.sees("spec.replicas: 1 → 40").await;
    browser.click("summary", "back to this").await;
    browser.sees("--to 600d600d60").await;
    browser.shot("app").await;
}

async fn who_wrote_a_field(world: &mut World) {
    let browser = &mut world.browser;
    browser.click("td a", "web").await;
    browser.sees("Choose a value").await;
    for (value, field) in [
        ("40", "spec.replicas"),
        (
            "localhost/web:1",
            "spec.template.spec.containers[\"main\"].image",
        ),
        ("--quiet", "spec.template.spec.containers[\"main\"].args[0]"),
        ("web", "metadata.name"),
    ] {
        browser
            .click(&format!("button[data-field='{field}']"), value)
            .await;
        browser.sees(&format!("{field}\n")).await;
        let text = browser.sees("more of them").await;
        assert!(
            text.contains("prod.ord:12") && text.contains("Grace"),
            "{text}"
        );
    }
    let label = r#"button[data-field='metadata.labels["app.kubernetes.io/name"]']"#;
    browser.click(label, "web").await;
    browser.shot("object").await;
}

async fn the_log_goes_back(world: &mut World) {
    let browser = &mut world.browser;
    browser.click("nav a", "Log").await;
    browser.sees("reason 150").await;
    let text = browser.text().await;
    assert!(
        text.contains("reason 51") && !text.contains("reason 50\n"),
        "{text}"
    );
    browser.click("#older", "Older").await;
    browser.sees("reason 2\n").await;
    assert_eq!(
        browser
            .value("document.querySelector('#older').hidden")
            .await,
        true
    );
    browser.shot("log").await;
}

async fn news_come_by_themselves(world: &mut World) {
    let browser = &mut world.browser;
    browser.value("location.hash = '#/app/prod/web'").await;
    browser.sees("quota is used up").await;
    world.fake.heal();
    let well = "document.querySelector('h1 .badge')?.innerText === 'synced'";
    browser.becomes(well, &json!(true)).await;
    assert!(browser.text().await.contains("live"));
    // Nobody looks any more: nobody asks.
    browser.open("about:blank").await;
    let asked = || world.fake.asked.load(Ordering::Relaxed);
    let mut before = asked();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if asked() == before {
            break;
        }
        before = asked();
    }
}

fn nothing_of_the_page_complained(world: &World) {
    // The browser itself tells of what was refused without the key, some time or other; that is no mistake of a page.
    let is_refusal = |said: &&String| said.contains("a status of 401");
    let said: Vec<&String> = (world.browser.said.iter())
        .filter(|said| !is_refusal(said))
        .collect();
    assert_eq!(said, [""; 0], "the page's console");
    let changed = world.fake.changed.load(Ordering::Relaxed);
    assert_eq!(changed, 0, "something was asked that changes something");
}
