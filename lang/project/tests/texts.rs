//! `use text`: files of the project as texts, and what is said when one cannot be used.

use ordain_lang_project::{BuildOptions, Format, Memory, Project, Session, build, build_text};
use ordain_lang_syntax::Diagnostic;

const NGINX: &str = "server {\n  location / { proxy_pass http://{upstream}; }\n}\n";

const PROGRAM: &str = r#"use text "nginx.conf" as nginx

export web = k8s.ConfigMap { metadata.name = "web", data = { "nginx.conf" = nginx.replace("\{upstream}", "shop") } }
"#;

fn files(path: &str, program: &str) -> Memory {
    Memory::new()
        .with("ordain.toml", "name = \"texts\"\n")
        .with("conf/nginx.conf", NGINX)
        .with(path, program)
}

fn said(found: &[Diagnostic]) -> Vec<String> {
    let one = |found: &Diagnostic| {
        let help = found.help.as_deref().unwrap_or_default();
        format!("{} {} | {help}", found.code, found.message)
    };
    found.iter().map(one).collect()
}

fn messages(program: &str) -> Vec<String> {
    let project = Project::load(&files("apps/web.ord", program));
    said(&build(&project, &BuildOptions::default()).diagnostics)
}

#[test]
fn a_text_is_the_files_content_as_it_is() {
    let beside = PROGRAM.replace("nginx.conf\" as", "conf/nginx.conf\" as");
    for (path, program) in [
        ("conf/web.ord", PROGRAM),
        ("web.ord", &*beside),
        ("apps/web.ord", &*beside),
    ] {
        let project = Project::load(&files(path, program));
        let built = build_text(&project, &BuildOptions::default(), Format::Yaml);
        assert_eq!(said(&built.diagnostics), Vec::<String>::new(), "{path}");
        assert!(
            built.apps[0].text.contains("proxy_pass http://shop;"),
            "{}",
            built.apps[0].text
        );
    }
}

#[test]
fn what_cannot_be_used_is_told_once() {
    let using = |path: &str| {
        format!(
            "use text {path:?} as t\nexport a = k8s.ConfigMap {{ metadata.name = \"a\", data = {{ t = t }} }}\n"
        )
    };
    insta::assert_debug_snapshot!(
        ["conf/ngnix.conf", "nothing", "../../out", "/etc/passwd", "",]
            .map(|path| messages(&using(path)))
    );
    let large = files("web.ord", &using("large")).with("large", vec![b'x'; (1 << 20) + 1]);
    let bytes = files("web.ord", &using("bytes")).with("bytes", vec![0xff, 0xfe]);
    insta::assert_debug_snapshot!(
        [large, bytes].map(|files| said(
            &build(&Project::load(&files), &BuildOptions::default()).diagnostics
        ))
    );
    insta::assert_debug_snapshot!(messages(
        "use text \"conf/nginx.conf\"\nuse text \"conf/nginx.conf\" as unused\n"
    ));
}

#[test]
fn a_single_file_uses_what_stands_beside_it() {
    let beside = Memory::new().with("nginx.conf", NGINX);
    let project = Project::single_beside("web.ord", PROGRAM, &beside);
    assert_eq!(
        said(&build(&project, &BuildOptions::default()).diagnostics),
        Vec::<String>::new()
    );
}

#[test]
fn a_session_follows_the_file() {
    let mut session = Session::new(files("conf/web.ord", PROGRAM));
    let text = |session: &mut Session| {
        let built = session.build_text(&BuildOptions::default(), Format::Yaml);
        built.joined(Format::Yaml)
    };
    assert!(text(&mut session).contains("http://shop"));
    let path = "conf/nginx.conf";
    session.set_text(path, Some("other\n".to_owned()));
    assert!(text(&mut session).contains("other"));
    session.set_text(path, None);
    assert!(text(&mut session).contains("http://shop"));
}

#[test]
fn the_page_tells_the_truth() {
    let page = ordain_lang_types::page("E0871").expect("it is listed");
    for (block, wanted) in page.split("```ord").skip(1).zip([&["E0871"][..], &[]]) {
        let source = block.split("```").next().unwrap_or_default();
        let source = source.split_once('\n').expect("a line").1;
        let project = Project::load(&files("main.ord", source));
        let codes: Vec<&str> = build(&project, &BuildOptions::default())
            .diagnostics
            .iter()
            .map(|found| found.code)
            .collect();
        assert_eq!(codes, wanted);
    }
}

/// A rollback restores what an app was made of; a text is a part of that.
#[test]
fn the_inputs_of_an_app_name_its_texts() {
    let program = "use text \"nginx.conf\" as nginx\n\
        app web { objects = [k8s.ConfigMap { metadata.name = \"web\", data = { nginx = nginx } }] }\n";
    let files = files("conf/web.ord", program).with("other.ord", "app other { objects = [] }\n");
    let mut session = Session::new(files);
    let inputs = session.inputs("web");
    assert!(inputs.contains(&"conf/nginx.conf".to_owned()), "{inputs:?}");
    assert!(inputs.contains(&"conf/web.ord".to_owned()), "{inputs:?}");
    assert_eq!(session.inputs("other"), ["other.ord"]);
}
