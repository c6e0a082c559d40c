//! Every project below `examples/` is checked and built, and so is the one that `ordain new` makes.

use std::path::Path;

use ordain_lang_project::{
    BuildOptions, Disk, FieldRef, Format, Memory, Project, TestOptions, build, build_text, check,
    deciding_lines, explain, json, new_project, test, yaml,
};

/// Checks a project and builds it for all environments.
fn holds(name: &str, project: &Project) {
    let shown = |diagnostics: Vec<ordain_lang_syntax::Diagnostic>| -> Vec<String> {
        diagnostics
            .iter()
            .map(|diagnostic| {
                let place = diagnostic.span().map(|span| project.sources.place(span));
                format!(
                    "{} {} {}",
                    diagnostic.code,
                    place.unwrap_or_default(),
                    diagnostic.message
                )
            })
            .collect()
    };
    assert_eq!(shown(check(project)), Vec::<String>::new(), "{name}");
    let built = build(project, &BuildOptions::default());
    assert_eq!(shown(built.diagnostics), Vec::<String>::new(), "{name}");
}

#[test]
fn examples_check_and_build() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it is readable").path();
        if path.join("ordain.toml").is_file() {
            holds(
                &path.display().to_string(),
                &Project::load(&Disk::new(&path)),
            );
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn a_new_project_checks_and_builds() {
    let mut files = Memory::new();
    for (path, content) in new_project("my-shop").expect("the name is good") {
        files.insert(path, content);
    }
    holds("my-shop", &Project::load(&files));
}

/// What the shop emits in each environment; every object carries the namespace it goes to.
#[test]
fn the_shop_in_dev_and_prod() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop");
    let project = Project::load(&Disk::new(folder));
    for env in ["dev", "prod"] {
        let options = BuildOptions {
            env: Some(env.into()),
            cluster: None,
        };
        let built = build_text(&project, &options, Format::Yaml);
        assert_eq!(built.apps.len(), 1);
        insta::assert_snapshot!(format!("shop_{env}"), built.apps[0].text);
        let values = build(&project, &options);
        assert_eq!(yaml(&values.apps[0].objects), built.apps[0].text);
    }
}

/// The benchmark's program, as far as it can be judged without the reference.
#[test]
fn the_benchmark_makes_two_objects_for_each_app() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/compile/k8s-1000/main.ord");
    let text = std::fs::read_to_string(path).expect("the program is there");
    let project = Project::single("main.ord", text.replace("0..1000", "0..8"));
    holds("k8s-1000", &project);
    let built = build_text(&project, &BuildOptions::default(), Format::Json);
    assert_eq!(built.apps[0].objects, 16);
    insta::assert_snapshot!("k8s_1000_of_8", built.apps[0].text);
}

/// Several apps and environments are one stream, and one list.
#[test]
fn texts_join() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop");
    let project = Project::load(&Disk::new(folder));
    let all = BuildOptions::default();
    let values = build(&project, &all);
    let objects: Vec<_> = values.apps.iter().flat_map(|app| &app.objects).collect();
    assert_eq!(
        build_text(&project, &all, Format::Yaml).joined(Format::Yaml),
        yaml(objects.clone())
    );
    assert_eq!(
        build_text(&project, &all, Format::Json).joined(Format::Json),
        json(objects)
    );
    let nothing = Project::single("a.ord", "let a = 1\n");
    assert_eq!(
        build_text(&nothing, &all, Format::Json).joined(Format::Json),
        "[]\n"
    );
}

/// The shop's own tests pass, and a field's value is traced through the layers.
#[test]
fn the_shop_is_tested_and_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop");
    let project = Project::load(&Disk::new(folder));
    let tested = test(&project, &Memory::new(), &TestOptions::default())
        .expect("the shop has no mistakes")
        .tests;
    assert_eq!(tested.len(), 1);
    assert!(tested[0].passed(), "{:?}", tested[0].failures);
    let mut out = String::new();
    for (object, path) in [
        ("deployment/web", "spec.replicas"),
        (
            "Deployment/catalog",
            "spec.template.spec.containers[\"main\"].env[\"PAGE_SIZE\"].value",
        ),
        ("configmap/settings", "data.LOG_LEVEL"),
        ("deployment/cart", "spec.replicas"),
        ("deployment/nobody", "spec.replicas"),
    ] {
        for found in explain(&project, Some("prod"), object, path).expect("the shop builds") {
            out.push_str(&format!("{} {path} = {}\n", found.object, found.value));
            for origin in found.origins {
                out.push_str(&format!(
                    "  {} {} {:?}\n",
                    origin.at, origin.layer, origin.how
                ));
            }
        }
    }
    insta::assert_snapshot!(out);
}

/// A diff names the line that decides, not the library's.
#[test]
fn fields_lead_to_the_lines_that_decide_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop");
    let project = Project::load(&Disk::new(folder));
    let field = |env: &str, kind: &str, name: &str, path: &str| FieldRef {
        env: env.into(),
        kind: kind.into(),
        namespace: Some("shop".into()),
        name: name.into(),
        path: path.into(),
    };
    let fields = [
        field("prod", "Deployment", "web", "spec.replicas"),
        field("dev", "Deployment", "web", "spec.replicas"),
        field("prod", "ConfigMap", "settings", "data.LOG_LEVEL"),
        field(
            "prod",
            "Deployment",
            "web",
            "spec.template.spec.containers[main].resources.limits.memory",
        ),
        field("prod", "Service", "web", "metadata.namespace"),
        field("prod", "Service", "nobody", "metadata.namespace"),
    ];
    let lines = deciding_lines(&project, &BuildOptions::default(), &fields).expect("it builds");
    let lines: Vec<String> = lines
        .into_iter()
        .map(|line| line.map_or("-".into(), |line| format!("{} {}", line.at, line.layer)))
        .collect();
    assert_eq!(
        lines,
        [
            "envs.ord:10 env prod",
            "server.ord:13 default",
            "envs.ord:9 env prod",
            "envs.ord:10 env prod",
            "envs.ord:2 env base",
            "-",
        ]
    );
}
