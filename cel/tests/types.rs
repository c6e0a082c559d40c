//! The type check: each line of the table is an expression with its type, or with what is wrong with it.

use ordain_cel::{Declared, Program, Type};

/// What `self` is in the cases.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Object {
    This,
    Port,
    Other,
}

impl Declared for Object {
    fn field(self, name: &str) -> Option<Type<Self>> {
        Some(match (self, name) {
            (Object::This, "name") => Type::String,
            (Object::This, "replicas") => Type::Int,
            (Object::This, "ratio") => Type::Double,
            (Object::This, "on") => Type::Bool,
            (Object::This, "since") => Type::Timestamp,
            (Object::This, "wait") => Type::Duration,
            (Object::This, "data") => Type::Bytes,
            (Object::This, "port") => Type::Dyn,
            (Object::This, "tags") => Type::list(Type::String),
            (Object::This, "labels") => Type::map(Type::String, Type::String),
            (Object::This, "ports") => Type::list(Type::Object(Object::Port)),
            (Object::This, "other") => Type::list(Type::Object(Object::Other)),
            (Object::Port | Object::Other, "name") => Type::String,
            (Object::Port | Object::Other, "port") => Type::Int,
            _ => return None,
        })
    }

    fn names(self) -> Vec<String> {
        vec!["name".to_owned()]
    }
}

fn check(text: &str) -> Result<String, Vec<String>> {
    let program = Program::compile(text, &["self", "oldSelf"]).map_err(|e| vec![e.to_string()])?;
    let this = Type::Object(Object::This);
    match program.check(&[("self", this.clone()), ("oldSelf", this)]) {
        Ok(ty) => Ok(ty.to_string()),
        Err(errors) => Err(errors.into_iter().map(|error| error.message).collect()),
    }
}

#[test]
fn expressions_have_their_types() {
    let mut wrong = Vec::new();
    let lines = include_str!("types.txt").lines();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (text, wanted) = line.rsplit_once(" -> ").expect("a line has a type");
        let found = check(text);
        let is_right = match (&found, wanted.strip_prefix("error: ")) {
            (Ok(ty), None) => ty == wanted,
            (Err(errors), Some(part)) => errors.len() == 1 && errors[0].contains(part),
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{line}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What an expression is found to be is what its value is, for expressions without variables.
#[test]
fn values_are_of_their_types() {
    let mut checked = 0;
    let tables = [include_str!("types.txt"), include_str!("true.txt")];
    for line in tables.iter().flat_map(|table| table.lines()) {
        let text = line.rsplit_once(" -> ").map_or(line, |(text, _)| text);
        let Ok(program) = Program::compile(text, &[]) else {
            continue;
        };
        let (Ok(ty), Ok(value)) = (
            program.check::<Object>(&[]),
            program.eval(&[], &mut 100_000),
        ) else {
            continue;
        };
        let ty = ty.to_string();
        let name = ty.split('<').next().unwrap_or_default();
        if matches!(
            name,
            "bool" | "int" | "uint" | "double" | "string" | "bytes" | "list" | "map"
        ) {
            assert_eq!(value.type_name(), name, "{text}");
            checked += 1;
        }
    }
    assert!(checked > 60, "{checked} expressions were compared");
}

#[test]
fn mistakes_are_told_apart_and_in_order() {
    let found =
        check("self.nothing > 1 && self.name + 1 == \"a\" || self.more.deeper == self.tags.sum()");
    let errors = found.expect_err("there are four mistakes");
    assert_eq!(
        errors,
        [
            "it reads `nothing`, which is not declared",
            "`+` does not take string and int",
            "it reads `more`, which is not declared",
            "list<string> has no `sum()`",
        ]
    );
}

#[test]
fn types_that_double_are_bounded() {
    let mut text = String::from("{1: 1}");
    for depth in 0..45 {
        text = format!("cel.bind(x{depth}, {text}, {{x{depth}: x{depth}}})");
    }
    let text = format!("cel.bind(a, {text}, cel.bind(b, {text}, a == b))");
    // Too deeply nested to be read, or checked in bounded time.
    let _ = check(&text);
    let mut text = String::from("{1: 1}");
    for _ in 0..40 {
        text = format!("[{text}].map(x, {{x: x}})[0]");
    }
    assert!(check(&format!("{text} == {text}")).is_ok());
}

proptest::proptest! {
    #[test]
    fn any_splice_is_safe(a in 0usize..200, b in 0usize..200, cut in 0usize..60, from in 0usize..60) {
        let lines: Vec<&str> = include_str!("types.txt").lines().filter_map(|l| Some(l.rsplit_once(" -> ")?.0)).collect();
        let (a, b) = (lines[a % lines.len()], lines[b % lines.len()]);
        let head: String = a.chars().take(cut).collect();
        let tail: String = b.chars().skip(from).collect();
        let _ = check(&format!("{head}{tail}"));
    }
}
