//! The site of a small project: its pages, whether every link leads somewhere, and that nothing comes from elsewhere.

use ordain_lang_doc::{Page, site};
use ordain_lang_project::{Memory, Project};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

const APP: &str = r#"// The shop, as a whole.
use std.web
use types.server as s

/// A *web* shop. See `small`, and [the manual](https://example.com/).
///
/// ```ord
/// let a = "<b>"
/// ```
app shop {
  /// What runs.
  web: s.Server = { name = "web" }
  objects = [s.deployment(web), web_service(web)]
}

/// Its address: <script>alert(1)</script>
fn web_service(server: s.Server) -> k8s.Service = web.service(server.name, 8080)

let small = 1

env base { namespace = "shop" }
env prod extends base { cluster = "prod", shop.web.replicas = 3 }

test "it is redundant" in prod { assert shop.web.replicas >= 3 }

policy "names are short" {
  for d in objects.of(k8s.Deployment) { deny if d.metadata.name.len() > 20, "`{d.metadata.name}` is long" }
}
"#;

const SERVER: &str = r#"
/// How it is reached.
type Exposure = "inside" | "outside"

/// A server.
type Server {
  name: k8s.Name
  /// How many.
  replicas: Int(1..=20) = 1
  exposure: Exposure = "inside"
  note: String?
  final kind: String = "Server"
  assert replicas > 1 or exposure == "inside", "what is outside is redundant"
}

fn deployment(server: Server) -> k8s.Deployment = k8s.Deployment {
  metadata.name = server.name
  spec = {
    replicas = server.replicas
    selector.matchLabels = { app = server.name }
    template = {
      metadata.labels = { app = server.name }
      spec.containers = [{ name = "main", image = "registry.local/web:1" }]
    }
  }
}
"#;

/// Made once: the Kubernetes pages are many.
fn pages() -> Vec<Page> {
    static PAGES: OnceLock<Vec<Page>> = OnceLock::new();
    PAGES.get_or_init(fresh).clone()
}

fn fresh() -> Vec<Page> {
    let files = Memory::new()
        .with("ordain.toml", "name = \"shop\"\n")
        .with("app.ord", APP)
        .with("types/server.ord", SERVER);
    site(Project::load(&files))
}

fn page(path: &str) -> String {
    let pages = pages();
    let found = pages.iter().find(|page| page.path == path);
    found
        .unwrap_or_else(|| panic!("no page {path}"))
        .text
        .clone()
}

fn main_of(path: &str) -> String {
    let text = page(path);
    let (_, rest) = text
        .split_once("<main id=\"content\">")
        .expect("a main part");
    rest.split_once("</main>").expect("its end").0.to_owned()
}

#[test]
fn pages_read_well() {
    insta::assert_snapshot!("overview", main_of("index.html"));
    insta::assert_snapshot!("app", main_of("module/app.html"));
    insta::assert_snapshot!("server", main_of("module/types.server.html"));
    insta::assert_snapshot!(
        "frame",
        page("module/app.html").replace(&main_of("module/app.html"), "[main]")
    );
}

#[test]
fn every_link_leads_to_a_page_and_an_anchor() {
    let pages = pages();
    let ids: BTreeMap<&str, BTreeSet<&str>> = pages
        .iter()
        .map(|page| (page.path.as_str(), attributes(&page.text, "id").collect()))
        .collect();
    let mut broken = Vec::new();
    for page in pages.iter().filter(|page| page.path.ends_with(".html")) {
        for link in attributes(&page.text, "href").chain(attributes(&page.text, "src")) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.path.clone(),
                file => resolve(&page.path, file),
            };
            let fits = ids
                .get(&*target)
                .is_some_and(|ids| anchor.is_empty() || ids.contains(anchor));
            if !fits {
                broken.push(format!("{} -> {link}", page.path));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn what_the_search_finds_is_there() {
    let pages = pages();
    let index = &pages
        .iter()
        .find(|p| p.path == "search-index.js")
        .expect("an index")
        .text;
    for line in index.lines().filter(|line| line.starts_with('[')) {
        let address = line.split("\",\"").nth(2).expect("an address");
        let (file, anchor) = address.split_once('#').unwrap_or((address, ""));
        let page = pages.iter().find(|page| page.path == file).expect(file);
        assert!(
            anchor.is_empty() || attributes(&page.text, "id").any(|id| id == anchor),
            "{address}"
        );
    }
    assert!(index.contains("types.server.Server.replicas"));
    assert!(index.contains("\"k8s.Deployment\",\"kubernetes\""));
}

#[test]
fn nothing_is_loaded_from_elsewhere_and_comments_are_no_markup() {
    for page in pages() {
        assert!(!page.text.contains("<script>alert"), "{}", page.path);
        for link in attributes(&page.text, "src") {
            assert!(!link.contains("//"), "{}: {link}", page.path);
        }
        assert!(
            !page.text.contains("@import") && !page.text.contains("url("),
            "{}",
            page.path
        );
    }
}

#[test]
fn anchors_are_unique_and_the_site_is_the_same_every_time() {
    let first = pages();
    for page in first.iter().filter(|page| page.path.ends_with(".html")) {
        let mut seen = BTreeSet::new();
        for id in attributes(&page.text, "id") {
            assert!(seen.insert(id), "{}: {id} twice", page.path);
        }
    }
    assert!(first == fresh(), "two runs differ");
}

#[test]
fn a_broken_project_still_has_pages() {
    let files = Memory::new().with("ordain.toml", "name = \"shop\"\n").with(
        "app.ord",
        "/// A\ntype T { a: Nope, b: Int = \n}\nfn f( -> \nlet x = = 2\n",
    );
    assert!(
        site(Project::load(&files))
            .iter()
            .any(|page| page.path == "module/app.html")
    );
    assert!(!site(Project::single("x.ord", "")).is_empty());
}

/// The values of an attribute, in order.
fn attributes<'t>(text: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let start = format!(" {name}=\"");
    text.match_indices(&*start)
        .map(move |(at, found)| &text[at + found.len()..])
        .filter_map(|rest| rest.split('"').next())
        .collect::<Vec<_>>()
        .into_iter()
}

fn resolve(from: &str, to: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in to.split('/') {
        match part {
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
