//! Text as CEL: reading, type-checking and evaluating it ends, without a panic, and what is of a type has values of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ordain_cel::{Declared, Program, Type, Value};
use serde_json::json;

#[derive(Clone, Copy, PartialEq)]
enum Object {
    This,
    Part,
}

impl Declared for Object {
    fn field(self, name: &str) -> Option<Type<Self>> {
        Some(match (self, name) {
            (_, "name") => Type::String,
            (_, "replicas" | "port") => Type::Int,
            (Object::This, "ratio") => Type::Double,
            (Object::This, "on") => Type::Bool,
            (Object::This, "any") => Type::Dyn,
            (Object::This, "tags") => Type::list(Type::String),
            (Object::This, "labels") => Type::map(Type::String, Type::String),
            (Object::This, "ports") => Type::list(Type::Object(Object::Part)),
            _ => return None,
        })
    }

    fn names(self) -> Vec<String> {
        vec!["name".to_owned(), "replicas".to_owned()]
    }
}

fuzz_target!(|source: &str| {
    let Ok(program) = Program::compile(source, &["self", "oldSelf"]) else {
        return;
    };
    let this = Value::from_json(&json!({
        "name": "web-1", "replicas": 3, "ratio": 0.5, "on": true, "any": [1, "a", null], "tags": ["a", "b"],
        "labels": { "app": "web" }, "ports": [{ "name": "http", "port": 80 }],
    }));
    let ty = Type::Object(Object::This);
    let old = Type::optional(ty.clone());
    let checked = program.check(&[("self", ty), ("oldSelf", old)]);
    let mut budget = 20_000;
    let values = [("self", this), ("oldSelf", Value::Optional(None))];
    let value = program.eval(&values, &mut budget);
    if let (Ok(ty), Ok(value)) = (checked, value) {
        let wanted = match ty {
            Type::Bool => "bool",
            Type::Int => "int",
            Type::String => "string",
            Type::List(_) => "list",
            _ => return,
        };
        assert_eq!(value.type_name(), wanted);
    }
});
