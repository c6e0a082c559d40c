//! What must hold of amendments whatever the values are.

mod common;

use common::Program;
use proptest::prelude::*;

/// A type with a field of each form, and a default that derives from the others.
const TYPE: &str = r#"type T {
  n: Int = 1
  s: String = "s"
  m: Map<String, String> = { a = "1", b = "2" }
  l: List<Int> = [1, 2]
  d: String = "{n}-{s}-{m.len()}-{l.len()}"
}

fn out(name: String, t: T) -> k8s.ConfigMap = k8s.ConfigMap {
  metadata.name = name
  data = { n = "{t.n}", s = t.s, m = t.m.to_json(), l = t.l.to_json(), d = t.d }
}
"#;

/// One change, by the field it is of.
#[derive(Clone, Debug)]
enum Change {
    N(i32),
    S(String),
    Put(char, u8),
    Delete(char),
    Map(Vec<char>),
    Push(u8),
    List(Vec<u8>),
}

impl Change {
    fn field(&self) -> char {
        match self {
            Change::N(_) => 'n',
            Change::S(_) => 's',
            Change::Put(..) | Change::Delete(_) | Change::Map(_) => 'm',
            Change::Push(_) | Change::List(_) => 'l',
        }
    }

    fn source(&self) -> String {
        match self {
            Change::N(n) => format!("n = {n}"),
            Change::S(s) => format!("s = \"{s}\""),
            Change::Put(k, v) => format!("m {{ {k} = \"{v}\" }}"),
            Change::Delete(k) => format!("delete m.{k}"),
            Change::Map(keys) => {
                let entries: Vec<String> = keys.iter().map(|k| format!("{k} = \"new\"")).collect();
                format!("m = {{ {} }}", entries.join(", "))
            }
            Change::Push(n) => format!("l += [{n}]"),
            Change::List(list) => format!("l = {list:?}"),
        }
    }
}

fn key() -> impl Strategy<Value = char> {
    proptest::char::range('a', 'e')
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<i32>().prop_map(|n| Change::N(n / 2)),
        "[a-z]{0,5}".prop_map(Change::S),
        (key(), any::<u8>()).prop_map(|(k, v)| Change::Put(k, v)),
        key().prop_map(Change::Delete),
        prop::collection::btree_set(key(), 0..4)
            .prop_map(|keys| Change::Map(keys.into_iter().collect())),
        any::<u8>().prop_map(Change::Push),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(Change::List),
    ]
}

/// Changes of different fields, so that they may stand in one block.
fn block() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(change(), 0..4).prop_map(|changes| {
        let mut fields = Vec::new();
        changes
            .into_iter()
            .filter(|c| {
                !fields.contains(&c.field()) && {
                    fields.push(c.field());
                    true
                }
            })
            .collect()
    })
}

fn braces(block: &[Change]) -> String {
    let lines: Vec<String> = block.iter().map(Change::source).collect();
    format!("{{ {} }}", lines.join(", "))
}

/// The values of some expressions of type `T`, as the text of their fields.
fn values(prelude: &str, expressions: &[&str]) -> Vec<String> {
    let objects: Vec<String> = expressions
        .iter()
        .enumerate()
        .map(|(at, e)| format!("out(\"o{at}\", {e})"))
        .collect();
    let source = format!(
        "{TYPE}{prelude}\nexport objects = [{}]\n",
        objects.join(", ")
    );
    let program = Program::new(&[("laws.ord", &source)]);
    assert_eq!(program.checked(), "", "{source}");
    let (text, diagnostics) = program.build(None);
    // Deleting what is not there is told, and changes nothing.
    let errors = diagnostics.lines().filter(|line| line.starts_with('E'));
    assert_eq!(errors.count(), 0, "{source}\n{diagnostics}");
    text.split("---\n")
        .map(|document| {
            document
                .split_once("\ndata:")
                .expect("a config map")
                .1
                .to_owned()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn an_empty_block_changes_nothing(block in block()) {
        let base = format!("let base = T {{}} {}", braces(&block));
        let values = values(&base, &["base", "base {}", "base {} {}"]);
        prop_assert_eq!(&values[0], &values[1]);
        prop_assert_eq!(&values[0], &values[2]);
    }

    #[test]
    fn the_later_layer_wins(first in block(), second in block()) {
        let set = |c: &&Change| !matches!(c, Change::Put(..) | Change::Delete(_) | Change::Push(_));
        let last: Vec<Change> = second.iter().filter(set).cloned().collect();
        let fields: Vec<char> = last.iter().map(Change::field).collect();
        let rest: Vec<Change> = first.iter().filter(|c| !fields.contains(&c.field())).cloned().collect();
        let lets = format!(
            "let both = T {{}} {} {}\nlet once = T {{}} {} {}",
            braces(&first), braces(&last), braces(&rest), braces(&last),
        );
        let values = values(&lets, &["both", "once"]);
        prop_assert_eq!(&values[0], &values[1]);
    }

    #[test]
    fn blocks_compose(first in block(), second in block()) {
        // A function that amends and an amendment in place are the same, however they are grouped.
        let lets = format!(
            "fn f(t: T) -> T = t {}\nfn g(t: T) -> T = t {}\nfn fg(t: T) -> T = g(f(t))\nlet in_place = T {{}} {} {}",
            braces(&first), braces(&second), braces(&first), braces(&second),
        );
        let values = values(&lets, &["g(f(T {}))", "fg(T {})", "in_place"]);
        prop_assert_eq!(&values[0], &values[1]);
        prop_assert_eq!(&values[0], &values[2]);
    }

    #[test]
    fn changes_of_different_fields_commute(block in block()) {
        let mut back = block.clone();
        back.reverse();
        let lets = format!("let there = T {{}} {}\nlet back = T {{}} {}", braces(&block), braces(&back));
        let values = values(&lets, &["there", "back"]);
        prop_assert_eq!(&values[0], &values[1]);
    }

    #[test]
    fn an_environment_amends_as_a_block_does(block in block()) {
        let source = |env: &str| format!(
            "{TYPE}app x {{\n  t: T = {{}}\n  objects = [out(\"x\", {})]\n}}\n{env}",
            if env.is_empty() { format!("t {}", braces(&block)) } else { "t".to_owned() },
        );
        let in_place = source("");
        let by_env = source(&format!("env e {{ x.t {} }}", braces(&block)));
        let (here, there) = (Program::new(&[("a.ord", &in_place)]), Program::new(&[("a.ord", &by_env)]));
        prop_assert_eq!(here.checked() + &there.checked(), "", "{}{}", in_place, by_env);
        prop_assert_eq!(here.build(None).0, there.build(Some("e")).0);
    }
}
