//! Edits of apps in many namespaces: what an open project says of the rules over the whole set, told from what is
//! near an edit, is what a build from scratch says.

use std::fmt::Write as _;
use std::sync::Arc;

use ordain_lang_project::{AppText, BuildOptions, Format, Memory, Project, Session, build_text};
use proptest::prelude::*;

const APPS: usize = 6;

/// What an app's file can say. Each number chooses one of a few pieces.
#[derive(Clone, Copy, Debug)]
struct Wish {
    namespace: u8,
    map: u8,
    selects: u8,
    exempts: u8,
    more: u8,
    shares: u8,
    shared: u8,
}

fn wish() -> impl Strategy<Value = Wish> {
    // Mostly what is right, so that the set is often without findings and an edit is told from what is near it.
    let choice = |kinds: u8| prop_oneof![6 => Just(0), 1 => 0..kinds];
    let pod = (choice(4), choice(3));
    (0..3_u8, pod, choice(7), choice(6), choice(4), choice(3)).prop_map(
        |(namespace, (map, selects), exempts, more, shares, shared)| Wish {
            namespace,
            map,
            selects,
            exempts,
            more,
            shares,
            shared,
        },
    )
}

/// Reads the file of an app: a ConfigMap, a Deployment that uses one, and a Service.
fn app(i: usize, wish: Wish) -> String {
    let one = |pieces: &[&str], at: u8| pieces[usize::from(at) % pieces.len()].to_owned();
    let namespace = one(&["n0", "n1", "n2"], wish.namespace);
    let map = one(&[&format!("map{i}"), "map0", "map1", "outside"], wish.map);
    let label = one(&[&format!("a{i}"), "a0", "nobody"], wish.selects);
    let exempts = one(
        &[
            "",
            "  external k8s.ConfigMap \"map*\"\n",
            "  external k8s.ConfigMap \"outside\"\n",
            &format!("  allow E0601 for k8s.Service \"s{i}\", \"a test\"\n"),
            "  allow E0602, \"a test\"\n",
            "  allow E0511 for k8s.PriorityClass \"high\", \"a test\"\n",
            "  allow E0703 for k8s.Deployment \"d*\", \"a test\"\n",
        ],
        wish.exempts,
    );
    // Most apps declare the same namespace, and give way.
    let shares = one(
        &[
            "  allow E0511 for k8s.Namespace \"shared\", \"a test\"\n",
            "",
            "  allow E0511 for k8s.ConfigMap \"map*\", \"a test\"\n  allow E0511 for k8s.Namespace \"shared\", \"a test\"\n",
            "  allow E0511, \"a test\"\n",
        ],
        wish.shares,
    );
    let shared = one(
        &[
            "    k8s.Namespace { metadata.name = \"shared\" }\n",
            "",
            "    k8s.Namespace { metadata = { name = \"shared\", labels = { team = \"web\" } } }\n",
        ],
        wish.shared,
    );
    let more = one(
        &[
            "",
            "    k8s.ConfigMap { metadata = { name = \"map0\", namespace = \"n0\" } }\n",
            "    k8s.PriorityClass { metadata.name = \"high\", value = 5 }\n",
            "    k8s.RoleBinding { metadata = { name = \"b\", namespace = \"n1\" }, roleRef = { apiGroup = \"rbac.authorization.k8s.io\", \
             kind = \"Role\", name = \"r\" }, subjects = [{ kind = \"ServiceAccount\", name = \"sa\", namespace = \"n2\" }] }\n",
            "    k8s.Role { metadata = { name = \"r\", namespace = \"n1\" } }\n    k8s.ServiceAccount { metadata = { name = \"sa\", namespace = \"n2\" } }\n",
            "    k8s.Pod { metadata = { name = \"p\", namespace = \"n0\" }, spec = { priorityClassName = \"high\", \
             containers = [{ name = \"c\", image = \"web:1\" }] } }\n",
        ],
        wish.more,
    );
    let mut text = format!("app a{i} {{\n{exempts}{shares}  objects = [\n{shared}");
    let meta =
        |name: &str| format!("metadata = {{ name = \"{name}\", namespace = \"{namespace}\" }}");
    let _ = writeln!(text, "    k8s.ConfigMap {{ {} }}", meta(&format!("map{i}")));
    let _ = writeln!(
        text,
        "    k8s.Deployment {{ {}, spec = {{ selector.matchLabels = {{ app = \"a{i}\" }}, template = {{ metadata.labels = {{ app = \
         \"a{i}\" }}, spec.containers = [{{ name = \"c\", image = \"web:1\", envFrom = [{{ configMapRef.name = \"{map}\" }}] }}] }} }} }}",
        meta(&format!("d{i}"))
    );
    let _ = writeln!(
        text,
        "    k8s.Service {{ {}, spec = {{ selector = {{ app = \"{label}\" }}, ports = [{{ port = 80 }}] }} }}",
        meta(&format!("s{i}"))
    );
    text + &more + "  ]\n}\n"
}

fn path(i: usize) -> String {
    format!("a{i}.ord")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_near_an_edit_tells_what_a_build_tells(
        edits in prop::collection::vec((0..APPS, wish()), 1..14),
        has_exemption in any::<bool>(),
    ) {
        let plain = Wish { namespace: 0, map: 0, selects: 0, exempts: 0, more: 0, shares: 0, shared: 0 };
        let mut files = Memory::new();
        files.insert("ordain.toml", "name = \"demo\"\n");
        let exempts = match has_exemption {
            true => "external k8s.ConfigMap \"outside\"",
            false => "",
        };
        files.insert("envs.ord", format!("env dev {{ cluster = \"dev\" {exempts} }}\n").replace("\" e", "\"\n  e"));
        for i in 0..APPS {
            let namespace = u8::try_from(i % 3).unwrap_or(0);
            files.insert(path(i), app(i, Wish { namespace, ..plain }));
        }
        let all = BuildOptions::default();
        let mut session = Session::new(files.clone());
        let mut last = session.build_text(&all, Format::Yaml).apps;
        let mut changed: Vec<usize> = Vec::new();
        for (i, wish) in edits {
            let text = app(i, wish);
            session.set_text(&path(i), Some(text.clone()));
            files.insert(path(i), text);
            let fresh = build_text(&Project::load(&files), &all, Format::Yaml);
            let kept = session.build_text(&all, Format::Yaml);
            prop_assert_eq!(&*kept.diagnostics, &*fresh.diagnostics);
            prop_assert!(kept.apps.iter().map(|app| &**app).eq(fresh.apps.iter()));
            let differs = |(at, app): &(usize, &Arc<AppText>)| {
                last.get(*at).is_none_or(|last| last != *app)
            };
            let differing = kept.apps.iter().enumerate().filter(differs);
            if kept.is_ok() {
                // What is not said to change did not, since there were objects last.
                let mut differing = differing.map(|(at, _)| at);
                prop_assert!(differing.all(|at| changed.contains(&at) || kept.changed.contains(&at)));
                last.clone_from(&kept.apps);
                changed.clear();
            } else {
                changed.extend(0..APPS);
            }
        }
    }
}
