//! Loading: manifests, module paths, environments, and what is said when they are wrong.

use ordain_lang_project::{
    Below, BuildOptions, Disk, Files, Memory, Project, build, check, new_project,
};

/// Renders diagnostics as one line each, with place.
fn said(project: &Project) -> String {
    check(project)
        .iter()
        .map(|diagnostic| {
            let place = diagnostic.span().map_or("-".to_owned(), |span| {
                let at = project.sources.line_col(span);
                format!(
                    "{}:{}:{}",
                    project.sources.path(span.file),
                    at.line,
                    at.column
                )
            });
            let help = diagnostic
                .help
                .as_ref()
                .map_or(String::new(), |help| format!(" ({help})"));
            format!("{} {place} {}{help}\n", diagnostic.code, diagnostic.message)
        })
        .collect()
}

fn manifest(text: &str) -> String {
    said(&Project::load(&Memory::new().with("ordain.toml", text)))
}

#[test]
fn manifests() {
    assert_eq!(manifest("name = \"shop\"\nkubernetes = \"1.35\"\n"), "");
    let mut out = said(&Project::load(&Memory::new()));
    for text in [
        "name = \"shop\"\nkubernets = \"1.35\"\n",
        "name = \"Shop\"\nkubernetes = \"1.12\"\n",
        "name = 1\nauthors = []\n",
        "name = \"shop\nx = 1\n",
        "",
    ] {
        out.push_str(&format!("--- {text:?}\n{}", manifest(text)));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn modules_are_named_by_their_paths() {
    let files = Memory::new()
        .with("ordain.toml", "name = \"a\"")
        .with("apps/shop.ord", "use std.web\n")
        .with("main.ord", "")
        .with("other/ordain.toml", "name = \"b\"")
        .with("other/main.ord", "")
        .with("readme.md", "");
    let project = Project::load(&files);
    let paths: Vec<&str> = project
        .modules
        .iter()
        .map(|module| module.path.as_str())
        .collect();
    assert_eq!(paths, ["apps.shop", "main", "std.web", "std.labels"]);
    let other = Project::load(&Below::new(&files, "other"));
    assert_eq!(other.manifest.name, "b");
    assert_eq!(other.modules.len(), 1);
    let single = Project::single("some/where.ord", "use std.web\n");
    let paths: Vec<&str> = single
        .modules
        .iter()
        .map(|module| module.path.as_str())
        .collect();
    assert_eq!(paths, ["where", "std.web", "std.labels"]);
}

#[test]
fn environments_inherit_their_settings() {
    let project = Project::single(
        "envs.ord",
        r#"
        env base { namespace = "shop", kubernetes = "1.35" }
        env dev extends base { cluster = "local" }
        env prod extends base { cluster = "prod", namespace = "live", kubernetes = "1.37" }
        "#,
    );
    let seen: Vec<String> = project
        .environments()
        .iter()
        .map(|env| {
            format!(
                "{} {:?} {:?} {} base={}",
                env.name, env.cluster, env.namespace, env.kubernetes, env.is_base
            )
        })
        .collect();
    insta::assert_snapshot!(seen.join("\n"));
}

#[test]
fn a_folder_on_disk_is_a_project() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (path, content) in new_project("my-shop").expect("the name is good") {
        std::fs::write(folder.path().join(path), content).expect("the folder is writable");
    }
    std::fs::create_dir(folder.path().join(".git")).expect("the folder is writable");
    std::fs::write(folder.path().join(".git/x.ord"), "{").expect("the folder is writable");
    let disk = Disk::find(&folder.path().join("app.ord")).expect("the project is found");
    assert!(disk.read("nothing").is_err());
    let project = Project::load(&disk);
    assert_eq!(project.manifest.name, "my-shop");
    assert_eq!(said(&project), "");
}

#[test]
fn environments_are_chosen_by_name_or_cluster() {
    let project = Project::single(
        "envs.ord",
        "env dev { cluster = \"local\" }\nenv prod { cluster = \"prod\" }\n",
    );
    let codes = |env: Option<&str>, cluster: Option<&str>| -> Vec<String> {
        let options = BuildOptions {
            env: env.map(str::to_owned),
            cluster: cluster.map(str::to_owned),
        };
        let found = build(&project, &options).diagnostics;
        found
            .iter()
            .map(|one| format!("{} {}", one.code, one.help.clone().unwrap_or_default()))
            .collect()
    };
    assert_eq!(codes(Some("dev"), None), Vec::<String>::new());
    assert_eq!(codes(None, Some("local")), Vec::<String>::new());
    assert_eq!(codes(Some("prdo"), None), ["E0903 did you mean `prod`?"]);
    assert_eq!(codes(Some("staging"), None), ["E0903 there are dev, prod"]);
    assert_eq!(
        codes(None, Some("lab")),
        ["E0906 set `cluster = \"lab\"` in one of them"]
    );
}

#[test]
fn bytes_that_are_no_text_are_refused_where_they_stand() {
    let project = Project::single("a.ord", b"let a = \"ab\xff\xfe\"\nlet b = x\n".to_vec());
    assert_eq!(
        said(&project),
        "E0002 a.ord:1:10 the text is not UTF-8\n\
         E0101 a.ord:2:9 there is no `x` here\n"
    );
}

#[test]
#[cfg(unix)]
fn links_to_nothing_and_capital_endings_are_told() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("ordain.toml"), "name = \"a\"\n").expect("the folder is writable");
    std::fs::write(path("UP.ORD"), "let a = 1\n").expect("the folder is writable");
    std::os::unix::fs::symlink("gone.ord", path("link.ord")).expect("links are possible");
    std::os::unix::fs::symlink("gone.txt", path("other.txt")).expect("links are possible");
    let project = Project::load(&Disk::new(folder.path()));
    let found = check(&project);
    let told: Vec<String> = found
        .iter()
        .map(|d| format!("{} {}", d.code, d.message))
        .collect();
    assert_eq!(
        told,
        [
            "W0901 `UP.ORD` is not read",
            "E0902 there is no file `link.ord`"
        ]
    );
}

#[test]
fn a_single_file_uses_the_modules_beside_it() {
    let beside = Memory::new()
        .with(
            "deep/more.ord",
            "use other\nlet more = other.two + names.one\nuse names\n",
        )
        .with("deep/other.ord", "let two = 2\nlet idle = 3\n")
        .with("names.ord", "let one = 1\n")
        .with("never.ord", "this is not read");
    let text = "use deep.more\nuse std.labels\napp a { n: Int = more.more, m = labels.selector(\"a\"), objects = [] }\n";
    let project = Project::single_beside("some/where/a.ord", text, &beside);
    let paths: Vec<&str> = project
        .modules
        .iter()
        .map(|module| project.sources.path(module.file))
        .collect();
    assert_eq!(
        paths,
        [
            "some/where/a.ord",
            "some/where/deep/more.ord",
            "some/where/deep/other.ord",
            "some/where/names.ord",
            "std/labels.ord",
        ]
    );
    assert_eq!(said(&project), "");
    let broken = Project::single_beside("a.ord", "use gone\n", &beside);
    assert!(said(&broken).contains("E0104"), "{}", said(&broken));
}
