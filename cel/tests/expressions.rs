//! Expressions and their values: each line of the tables is one case.

use ordain_cel::{EvalError, Program, Value};
use serde_json::json;

/// What `self` is in the cases.
fn this() -> Value {
    Value::from_json(&json!({
        "name": "web-1", "replicas": 3, "min": 1, "max": 5, "ratio": 0.5, "on": true,
        "tags": ["a", "b", "c"], "labels": {"app": "web", "x/y": "z"},
        "ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443}],
        "memory": "512Mi", "empty": [], "a__dash__b": "dashed",
    }))
}

fn run(text: &str) -> Result<Value, String> {
    let program =
        Program::compile(text, &["self", "oldSelf"]).map_err(|e| format!("compile: {e}"))?;
    let mut budget = 100_000;
    program
        .eval(
            &[("self", this()), ("oldSelf", Value::Optional(None))],
            &mut budget,
        )
        .map_err(|e| e.to_string())
}

#[test]
fn these_are_true() {
    let mut wrong = Vec::new();
    for line in include_str!("true.txt")
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        match run(line) {
            Ok(Value::Bool(true)) => {}
            other => wrong.push(format!("{line}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn these_fail() {
    let mut wrong = Vec::new();
    for line in include_str!("fails.txt")
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        let (text, why) = line
            .split_once(" -> ")
            .expect("each line is `expression -> why`");
        match run(text) {
            Err(found) if found.contains(why) => {}
            other => wrong.push(format!("{line}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn work_is_bounded() {
    let list: Vec<i64> = (0..1000).collect();
    let value = Value::from_json(&json!({ "list": list }));
    let text = "self.list.all(a, self.list.all(b, self.list.all(c, a + b + c >= 0)))";
    let program = Program::compile(text, &["self"]).expect("it compiles");
    let mut budget = 1_000_000;
    assert_eq!(
        program.eval(&[("self", value)], &mut budget),
        Err(EvalError::Budget)
    );
    assert_eq!(budget, 0);
}

#[test]
fn strings_that_double_are_bounded() {
    let mut text = String::from("\"0123456789\"");
    for _ in 0..45 {
        text = format!("cel.bind(x, {text}, x + x)");
    }
    let program = Program::compile(&text, &[]).expect("it compiles");
    let mut budget = 1_000_000;
    assert_eq!(program.eval(&[], &mut budget), Err(EvalError::Budget));
}

#[test]
fn nesting_is_bounded() {
    for text in [
        "(".repeat(100_000),
        "!".repeat(60_000),
        format!("1{}", "+1".repeat(20_000)),
        format!("self{}", ".a".repeat(20_000)),
        "[".repeat(10_000),
        "a?b:".repeat(10_000),
    ] {
        assert!(Program::compile(&text, &["self", "a", "b"]).is_err());
    }
}

#[test]
fn the_deepest_expressions_are_evaluated() {
    let mut text = String::from("1");
    for depth in 0..45 {
        text = format!("[{text}].map(x{depth}, x{depth})[0]");
    }
    let program = Program::compile(&text, &[]).expect("it compiles");
    assert_eq!(program.eval(&[], &mut 1_000_000), Ok(Value::Int(1)));
    let inner = (0..45).fold("1".to_owned(), |inner, depth| {
        format!("[1].map(x{depth}, {inner})[0]")
    });
    let program = Program::compile(&inner, &[]).expect("it compiles");
    assert_eq!(program.eval(&[], &mut 1_000_000), Ok(Value::Int(1)));
    let sum = format!("1{}", " + 1".repeat(140));
    let program = Program::compile(&sum, &[]).expect("it compiles");
    assert_eq!(program.eval(&[], &mut 1_000_000), Ok(Value::Int(141)));
}

#[test]
fn variables_that_are_used_are_known() {
    let program =
        Program::compile("self.a == oldSelf.a", &["self", "oldSelf"]).expect("it compiles");
    assert!(program.uses("oldSelf"));
    let program = Program::compile("self.all(oldSelf, oldSelf > 1)", &["self", "oldSelf"])
        .expect("it compiles");
    assert!(!program.uses("oldSelf"));
}

#[test]
fn readings_explain_a_rule() {
    let text = "self.min > self.max || self.ports.all(p, p.port > self.?limit.orValue(self.min)) && self.name == self.nothing";
    let program = Program::compile(text, &["self"]).expect("it compiles");
    let readings = program.readings(&[("self", this())], &mut 1_000);
    let shown: Vec<String> = readings
        .iter()
        .map(|(text, value)| format!("{text} is {value:?}"))
        .collect();
    assert_eq!(
        shown,
        ["self.min is 1", "self.max is 5", "self.name is \"web-1\""]
    );
}

/// A text between two of its characters.
fn part(text: &str, from: usize, to: usize) -> &str {
    let at = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    &text[at(from.min(to))..at(from.max(to))]
}

proptest::proptest! {
    #[test]
    fn any_splice_is_safe(a in 0usize..100, b in 0usize..100, cuts in proptest::array::uniform4(0usize..90)) {
        let lines: Vec<&str> = include_str!("true.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
        let (a, b) = (lines[a % lines.len()], lines[b % lines.len()]);
        let text = format!("{}{}", part(a, 0, cuts[0]), part(b, cuts[1], cuts[2]));
        for text in [text, format!("{}{}", part(a, cuts[1], cuts[3]), part(b, cuts[0], cuts[2]))] {
            if let Ok(program) = Program::compile(&text, &["self", "oldSelf"]) {
                let mut budget = 10_000;
                let values = [("self", this()), ("oldSelf", Value::Optional(None))];
                let _ = program.eval(&values, &mut budget);
                let _ = program.readings(&values, &mut budget);
            }
        }
    }

    #[test]
    fn any_text_is_safe(text in "[a-z0-9\\[\\]{}()?:.,+*/%!<>=&|'\"\\\\ -]{0,60}") {
        if let Ok(program) = Program::compile(&text, &["self", "a", "b"]) {
            let mut budget = 10_000;
            let _ = program.eval(&[("self", this())], &mut budget);
        }
    }
}
