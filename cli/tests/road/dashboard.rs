//! The dashboard of a running cluster, by the addresses that `ordain up` and `ordain dashboard` print: everything that its pages
//! ask is answered by the real reconciler. What the pages look like is for the dashboard's own test, in a browser.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::cluster::{Driver, Up, Work, text};

const PROJECT: &str = r#"
app hello {
  greeting: String = "hello"
  objects = [
    k8s.ConfigMap {
      metadata.name = "greeting"
      data = { text = greeting }
    }
  ]
}

env dev {
  cluster = "local", namespace = "hello"
  hello.greeting = "good morning"
}
"#;

/// A browser without eyes, which keeps the cookie.
struct Visitor<'a> {
    up: &'a Up,
    address: String,
    jar: tempfile::TempDir,
}

impl<'a> Visitor<'a> {
    fn new(up: &'a Up, url: &str) -> Self {
        let (address, _) = url.split_once("/?key=").expect("an address with a key");
        let jar = tempfile::tempdir().expect("a directory");
        let visitor = Self {
            up,
            address: address.to_owned(),
            jar,
        };
        let page = visitor.get(url);
        assert!(page.contains("main.js"), "{page}");
        visitor
    }

    fn get(&self, url: &str) -> String {
        let jar = self.jar.path().join("jar");
        let output = self
            .up
            .command("curl")
            .args(["-sL", "--max-time", "60", "-c"])
            .arg(&jar)
            .arg("-b")
            .arg(&jar)
            .arg(url)
            .output();
        let output = output.expect("curl starts");
        assert!(output.status.success(), "{url}: {}", text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The first thing that the page is told while it stays open.
    fn told(&self) -> Value {
        let mut listening = self
            .up
            .command("curl")
            .args(["-sN", "-b"])
            .arg(self.jar.path().join("jar"))
            .arg(format!("{}/api/events", self.address))
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl starts");
        let lines = BufReader::new(listening.stdout.take().expect("it is a pipe")).lines();
        let told = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("data: ").map(str::to_owned));
        listening.kill().expect("curl listens for ever");
        listening.wait().expect("curl ends");
        let told = told.unwrap_or_else(|| panic!("nothing is told: {}", self.up.log()));
        serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"))
    }

    fn ask(&self, what: &str) -> Value {
        let said = self.get(&format!("{}/api/{what}", self.address));
        serde_json::from_str(&said)
            .unwrap_or_else(|error| panic!("{what}: {error}: {said}{}", self.up.log()))
    }
}

#[test]
fn the_dashboard_tells_what_is_deployed_and_who_wrote_it() {
    let up = Up::start(Driver::Process);
    let work = Work::new(
        &up,
        &[
            ("ordain.toml", "name = \"hello\"\n"),
            ("hello.ord", PROJECT),
        ],
    );
    let commit = work.commit("say good morning");
    let (ok, said) = work.push();
    assert!(ok, "{said}{}", up.log());

    let visitor = Visitor::new(&up, &up.dashboard);
    let all = visitor.ask("overview?q=hello");
    assert_eq!(all["rows"][0]["name"], "hello", "{all}");
    assert_eq!(all["rows"][0]["state"], "synced", "{all}");
    let told = visitor.told();
    assert_eq!(told["source"]["commit"], *commit, "{told}");
    assert_eq!(
        all["arguments"][1],
        up.data_dir().display().to_string(),
        "{all}"
    );
    assert_eq!(visitor.ask("overview?q=nobody")["found"], 0);

    let app = visitor.ask("app?env=dev&app=hello");
    assert_eq!(app["deploys"][0]["subject"], "say good morning", "{app}");
    assert_eq!(app["app"]["objects"][0]["kind"], "ConfigMap", "{app}");
    let plan = visitor.ask("plan?env=dev&app=hello");
    assert_eq!(plan["plan"]["actions"][0]["verb"], "unchanged", "{plan}");

    let object = "env=dev&app=hello&kind=ConfigMap&namespace=hello&name=greeting";
    let found = visitor.ask(&format!("object?{object}"));
    assert_eq!(
        found["found"]["object"]["data"]["text"], "good morning",
        "{found}"
    );
    let blame = visitor.ask(&format!("blame?{object}&field=data.text"));
    let line = &blame["lines"][blame["decides"].as_u64().unwrap_or(9) as usize];
    assert_eq!(line["brought_by"], *commit, "{blame}");
    assert!(
        line["text"].as_str().unwrap_or("").contains("good morning"),
        "{blame}"
    );
    let none = visitor.ask(&format!("blame?{object}&field=data.nothing"));
    assert!(
        none["error"]
            .as_str()
            .unwrap_or("")
            .contains("no field `data.nothing`"),
        "{none}"
    );
    let log = visitor.ask("log?env=dev&app=hello");
    let said: Vec<&str> = log["records"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["what"].as_str())
        .collect();
    assert!(
        said.iter().any(|what| what.contains("say good morning")),
        "{log}"
    );

    // The same, served by a command of its own.
    let mut child = up
        .command(env!("CARGO_BIN_EXE_ordain"))
        .args(["dashboard", "--format", "json", "--data-dir"])
        .arg(up.data_dir())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe"))
        .read_line(&mut line)
        .expect("text");
    let printed: Value = serde_json::from_str(&line).expect("JSON");
    let second = Visitor::new(&up, printed["dashboard"].as_str().expect("an address"));
    assert_eq!(second.ask("overview")["rows"][0]["name"], "hello");
    child.kill().expect("it runs");
    let _ = child.wait();
}
