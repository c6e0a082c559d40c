//! What is noted for an editor: every name knows its definition, every place the type that is expected there.

use ordain_lang_syntax::{FileId, Span, parse};
use ordain_lang_types::index::{Def, Use};
use ordain_lang_types::{Checked, Index, Input, ModuleInput, check_recording};
use ordain_schemas::KubeVersion;

const SOURCE: &str = r#"
type Shop {
  name: k8s.Name
  replicas: Int(1..=20) = 1
}

fn workload(s: Shop) -> k8s.ConfigMap = k8s.ConfigMap {
  metadata.name = s.name
}

app shop {
  config: Shop = { name = "shop" }
  objects = [workload(config)]
}

env prod { shop.config { replicas = 3 } }
"#;

fn record() -> (Checked, Index) {
    let parsed = parse(FileId(0), SOURCE);
    let modules = vec![ModuleInput {
        path: "shop",
        file: &parsed.file,
    }];
    let kubernetes = KubeVersion::DEFAULT;
    check_recording(&Input {
        modules,
        kubernetes,
        secrets: Vec::new(),
        texts: Vec::new(),
        crds: ordain_lang_types::Crds::new(),
    })
}

/// The note at the first place where `marker` stands, `inside` bytes into it.
fn at(index: &Index, marker: &str, inside: u32) -> Use {
    let start = SOURCE.find(marker).expect("the marker is in the source") as u32;
    *index
        .use_at(FileId(0), start + inside)
        .unwrap_or_else(|| panic!("nothing at {marker}"))
}

fn text(span: Span) -> &'static str {
    &SOURCE[span.range()]
}

#[test]
fn names_lead_to_their_definitions() {
    let (checked, index) = record();
    assert!(checked.is_ok(), "{:?}", checked.diagnostics);
    let program = &checked.program;
    let place = |found: Use| {
        let span = program.place(found.def).expect("it is written somewhere");
        (span.start, text(span))
    };
    let declared = |marker: &str| SOURCE.find(marker).map(|at| at as u32);

    let field = at(&index, "replicas = 3", 2);
    assert_eq!(
        place(field),
        (declared("replicas: Int").expect("declared"), "replicas")
    );
    assert_eq!(program.show(field.ty), "Int(1..=20)");

    let local = at(&index, "s.name", 0);
    assert!(matches!(local.def, Def::Local(_)));
    assert_eq!(place(local).0, declared("s: Shop").expect("declared"));

    let called = at(&index, "workload(config)", 3);
    assert!(matches!(called.def, Def::Fn(_)));
    assert_eq!(place(called).1, "workload");

    let ty = at(&index, "Shop = {", 1);
    assert!(matches!(ty.def, Def::Type(_)));
    assert!(matches!(
        at(&index, "ConfigMap {", 0).def,
        Def::Kubernetes(_)
    ));
    assert!(matches!(at(&index, "shop.config {", 0).def, Def::App(_)));
    assert!(at(&index, "config: Shop", 0).is_definition);
}

#[test]
fn braces_and_values_know_what_is_expected() {
    let (checked, index) = record();
    let inside = |marker: &str| SOURCE.find(marker).expect("it is there") as u32 + 1;
    let (_, ty) = index
        .braces_at(FileId(0), inside("{ name = \"shop\" }"))
        .expect("there are braces");
    assert_eq!(checked.program.show(ty), "Shop");
    let (_, ty) = index
        .wanted_at(FileId(0), inside("\"shop\""))
        .expect("a value is expected");
    assert_eq!(checked.program.show(ty), "k8s.Name");
}
