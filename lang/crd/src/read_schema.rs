//! From YAML to a schema: every keyword read with its place, every misuse told.

use std::sync::Arc;

use regex::RegexBuilder;
use serde_json::{Number, Value as Json};

use crate::near::nearest;
use crate::problem::Problem;
use crate::read::{MAX_PROBLEMS, first_key};
use crate::schema::{Additional, At, ListType, Pattern, Property, Rule, Schema, Type};
use crate::structural;
use crate::yaml::{Key, Node, Yaml};

/// How large a compiled regular expression may be: what a schema's author writes stays far below.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// The keywords of a schema.
const KEYWORDS: [&str; 41] = [
    "type",
    "properties",
    "items",
    "additionalProperties",
    "required",
    "nullable",
    "default",
    "enum",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "description",
    "title",
    "example",
    "externalDocs",
    "id",
    "$schema",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
    "x-kubernetes-patch-strategy",
    "x-kubernetes-patch-merge-key",
];

/// Keywords of JSON schema which CustomResourceDefinitions must not use.
const FORBIDDEN: [&str; 6] = [
    "$ref",
    "definitions",
    "dependencies",
    "patternProperties",
    "additionalItems",
    "deprecated",
];

/// Reads a version's schema, and checks that it is a structural one.
pub(crate) fn root(node: &Node, problems: &mut Vec<Problem>) -> Schema {
    let mut reader = Reader { problems };
    let schema = reader.schema(node);
    structural::check(&schema, problems);
    crate::cel_types::check(&schema, problems);
    schema
}

struct Reader<'p> {
    problems: &'p mut Vec<Problem>,
}

impl Reader<'_> {
    fn wrong(&mut self, key: &Key, node: &Node, wanted: &str) {
        self.problems.push(Problem::error(
            "E0854",
            format!("`{}` is {wanted}", key.name),
            node.place_of_start(),
            format!("this is {}", node.what()),
        ));
    }

    fn schema(&mut self, node: &Node) -> Schema {
        let mut schema = Schema {
            place: first_key(node),
            ..Schema::default()
        };
        let Yaml::Map(entries) = &node.value else {
            if !matches!(node.value, Yaml::Null) {
                self.problems.push(Problem::error(
                    "E0854",
                    "a schema is a mapping",
                    node.place_of_start(),
                    format!("this is {}", node.what()),
                ));
            }
            // So that nothing more is asked of it.
            schema.preserve_unknown = true;
            return schema;
        };
        let mut exclusive = (false, false);
        let (mut list_type, mut list_keys) = (None, None);
        for (key, value) in entries {
            match key.name.as_str() {
                "type" => {
                    schema.ty = self.type_of(key, value);
                    // What it might have been is not known, so nothing more is asked of it.
                    schema.preserve_unknown |= schema.ty.is_none();
                }
                "description" => schema.description = self.text(key, value).map(|t| t.value),
                "nullable" => schema.nullable = self.flag(key, value),
                "default" => {
                    schema.default = Some(At {
                        value: value.json(),
                        place: value.place_of_start(),
                    });
                }
                "enum" => {
                    schema.enum_values = self.list(key, value).map(|items| At {
                        value: items.iter().map(Node::json).collect(),
                        place: key.place,
                    })
                }
                "format" => schema.format = self.text(key, value),
                "pattern" => schema.pattern = self.pattern(key, value),
                "minimum" => {
                    schema.minimum = self.number(key, value).map(|n| n.map(|n| (n, false)))
                }
                "maximum" => {
                    schema.maximum = self.number(key, value).map(|n| n.map(|n| (n, false)))
                }
                "exclusiveMinimum" => exclusive.0 = self.flag(key, value),
                "exclusiveMaximum" => exclusive.1 = self.flag(key, value),
                "multipleOf" => schema.multiple_of = self.number(key, value),
                "minLength" => schema.min_length = self.count(key, value),
                "maxLength" => schema.max_length = self.count(key, value),
                "minItems" => schema.min_items = self.count(key, value),
                "maxItems" => schema.max_items = self.count(key, value),
                "minProperties" => schema.min_properties = self.count(key, value),
                "maxProperties" => schema.max_properties = self.count(key, value),
                "uniqueItems" => {
                    if self.flag(key, value) {
                        self.forbidden(key, "use `x-kubernetes-list-type: set`");
                    }
                }
                "properties" => {
                    schema.properties = self.properties(key, value);
                    let names = schema.properties.iter().map(|p| Arc::clone(&p.name));
                    schema.by_name = names.zip(0..).collect();
                }
                "required" => {
                    for item in self.list(key, value).unwrap_or_default() {
                        schema.required.extend(self.text(key, item));
                    }
                }
                "additionalProperties" => {
                    schema.additional = match value.value {
                        Yaml::Bool(true) => Some(Additional::Any),
                        Yaml::Bool(false) => {
                            self.forbidden(
                                key,
                                "leave it out: fields that are not declared are dropped anyway",
                            );
                            None
                        }
                        _ => Some(Additional::Schema(Box::new(self.schema(value)))),
                    }
                }
                "items" => match value.value {
                    Yaml::List(_) => {
                        self.wrong(key, value, "one schema for all elements");
                        schema.items = Some(Box::new(Schema {
                            preserve_unknown: true,
                            ..Schema::default()
                        }));
                    }
                    _ => schema.items = Some(Box::new(self.schema(value))),
                },
                "allOf" => schema.all_of = self.schemas(key, value),
                "anyOf" => schema.any_of = self.schemas(key, value),
                "oneOf" => schema.one_of = self.schemas(key, value),
                "not" => schema.not = Some(Box::new(self.schema(value))),
                "x-kubernetes-int-or-string" => schema.int_or_string = self.flag(key, value),
                "x-kubernetes-preserve-unknown-fields" => {
                    schema.preserve_unknown |= self.flag(key, value);
                }
                "x-kubernetes-embedded-resource" => schema.embedded = self.flag(key, value),
                "x-kubernetes-map-type" => {
                    let text = self.one_of(key, value, &["granular", "atomic"]);
                    schema.atomic_map = text.is_some_and(|t| &*t.value == "atomic");
                }
                "x-kubernetes-list-type" => {
                    list_type = self.one_of(key, value, &["atomic", "set", "map"]);
                }
                "x-kubernetes-list-map-keys" => {
                    let items = self.list(key, value).unwrap_or_default();
                    let names = items.iter().filter_map(|item| self.text(key, item));
                    list_keys = Some((
                        key.place,
                        names.map(|n| n.value.to_string()).collect::<Vec<_>>(),
                    ));
                }
                "x-kubernetes-validations" => {
                    for item in self.list(key, value).unwrap_or_default() {
                        schema.rules.extend(self.rule(item));
                    }
                }
                name if FORBIDDEN.contains(&name) => {
                    schema.preserve_unknown |= name == "$ref";
                    self.forbidden(key, "write the schema out in place");
                }
                name if KEYWORDS.contains(&name) => {}
                name => {
                    let near = match self.problems.len() < MAX_PROBLEMS {
                        true => nearest(name, KEYWORDS),
                        false => None,
                    };
                    if let Some(near) = near {
                        self.problems.push(
                            Problem::warning(
                                "W0852",
                                format!("schemas have no keyword `{name}`"),
                                key.place,
                                "the API server drops it",
                            )
                            .help(format!("did you mean `{near}`?")),
                        );
                    }
                }
            }
        }
        if let Some(minimum) = &mut schema.minimum {
            minimum.value.1 = exclusive.0;
        }
        if let Some(maximum) = &mut schema.maximum {
            maximum.value.1 = exclusive.1;
        }
        let keys = list_keys
            .as_ref()
            .map(|(_, keys)| keys.clone())
            .unwrap_or_default();
        match list_type.as_ref().map(|t| (&*t.value, t.place)) {
            Some(("set", _)) => schema.list_type = ListType::Set,
            Some(("map", place)) if keys.is_empty() => self.problems.push(
                Problem::error(
                    "E0854",
                    "a list of type `map` needs `x-kubernetes-list-map-keys`",
                    place,
                    "this list",
                )
                .help("name the fields that tell its elements apart"),
            ),
            Some(("map", _)) => schema.list_type = ListType::Map(keys),
            _ => {}
        }
        if let Some((place, _)) = list_keys
            && !matches!(schema.list_type, ListType::Map(_))
            && list_type.is_none_or(|t| &*t.value != "map")
        {
            self.problems.push(
                Problem::error(
                    "E0854",
                    "list-map keys are for lists of type `map`",
                    place,
                    "these keys",
                )
                .help("write `x-kubernetes-list-type: map` beside them"),
            );
        }
        schema
    }

    fn properties(&mut self, key: &Key, node: &Node) -> Vec<Property> {
        let Yaml::Map(entries) = &node.value else {
            self.wrong(key, node, "a mapping of fields to schemas");
            return Vec::new();
        };
        let mut properties: Vec<Property> = Vec::with_capacity(entries.len());
        let mut seen = std::collections::HashMap::with_capacity(entries.len());
        for (name, value) in entries {
            if let Some(first) = seen.insert(name.name.as_str(), name.place) {
                self.problems.push(
                    Problem::error(
                        "E0854",
                        format!("the field `{}` is there twice", name.name),
                        name.place,
                        "again here",
                    )
                    .label(first, "first here"),
                );
                continue;
            }
            properties.push(Property {
                name: name.name.as_str().into(),
                place: name.place,
                schema: self.schema(value),
            });
        }
        properties
    }

    fn schemas(&mut self, key: &Key, node: &Node) -> Vec<Schema> {
        let items = self.list(key, node).unwrap_or_default();
        items.iter().map(|item| self.schema(item)).collect()
    }

    fn type_of(&mut self, key: &Key, node: &Node) -> Option<At<Type>> {
        let text = self.text(key, node)?;
        let all = [
            Type::Object,
            Type::Array,
            Type::String,
            Type::Integer,
            Type::Number,
            Type::Boolean,
        ];
        let found = all.into_iter().find(|ty| ty.name() == &*text.value);
        if found.is_none() && !text.value.is_empty() {
            let problem = Problem::error(
                "E0854",
                format!("there is no type `{}`", text.value),
                text.place,
                "this type",
            );
            self.problems
                .push(match nearest(&text.value, all.map(Type::name)) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem.help(format!("there are {}", all.map(Type::name).join(", "))),
                });
            // Nothing more is said of what it might have been.
            return None;
        }
        found.map(|value| At {
            value,
            place: text.place,
        })
    }

    fn pattern(&mut self, key: &Key, node: &Node) -> Option<At<Pattern>> {
        let text = self.text(key, node)?;
        let regex = match RegexBuilder::new(&text.value)
            .size_limit(MAX_REGEX_BYTES)
            .build()
        {
            Ok(regex) => Some(regex),
            Err(error) => {
                let why = error.to_string();
                let why = why
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
                    .to_owned();
                self.problems.push(Problem::error(
                    "E0854",
                    "this is no regular expression",
                    text.place,
                    why,
                ));
                None
            }
        };
        Some(At {
            value: Pattern {
                text: text.value,
                regex,
            },
            place: text.place,
        })
    }

    fn rule(&mut self, node: &Node) -> Option<Rule> {
        let Some((key, value)) = node.entry("rule") else {
            self.problems.push(Problem::error(
                "E0854",
                "a validation needs a `rule`",
                node.place_of_start(),
                "this one",
            ));
            return None;
        };
        let text = self.text(key, value)?;
        let place = text.place;
        let message_expression = node.entry("messageExpression").and_then(|(key, value)| {
            let text = self.text(key, value)?;
            let program = self.compile(&text)?;
            Some((text.value, program))
        });
        let mut optional = |name: &str| {
            let (key, value) = node.entry(name)?;
            self.text(key, value).map(|t| t.value)
        };
        let (message, reason, field_path) = (
            optional("message"),
            optional("reason"),
            optional("fieldPath"),
        );
        let optional_old_self = match node.entry("optionalOldSelf") {
            Some((key, value)) => self.flag(key, value),
            None => false,
        };
        Some(Rule {
            program: self.compile(&text),
            text: text.value,
            place,
            message,
            message_expression,
            reason,
            field_path,
            optional_old_self,
        })
    }

    fn compile(&mut self, text: &At<Arc<str>>) -> Option<Arc<ordain_cel::Program>> {
        match ordain_cel::Program::compile(&text.value, &["self", "oldSelf"]) {
            Ok(program) => Some(Arc::new(program)),
            Err(error) => {
                let shown = error.excerpt(&text.value);
                self.problems.push(
                    Problem::error(
                        "E0857",
                        "this CEL expression cannot be compiled",
                        text.place,
                        error.to_string(),
                    )
                    .help(format!("it goes wrong at `{shown}`")),
                );
                None
            }
        }
    }

    fn text(&mut self, key: &Key, node: &Node) -> Option<At<Arc<str>>> {
        match node.as_str() {
            Some(text) => Some(At {
                value: text.into(),
                place: node.place,
            }),
            None => {
                self.wrong(key, node, "a string");
                None
            }
        }
    }

    fn one_of(&mut self, key: &Key, node: &Node, known: &[&str]) -> Option<At<Arc<str>>> {
        let text = self.text(key, node)?;
        if known.contains(&&*text.value) {
            return Some(text);
        }
        self.problems.push(
            Problem::error(
                "E0854",
                format!("`{}` cannot be `{}`", key.name, text.value),
                text.place,
                "this value",
            )
            .help(format!("there are {}", known.join(", "))),
        );
        None
    }

    fn flag(&mut self, key: &Key, node: &Node) -> bool {
        match node.value {
            Yaml::Bool(flag) => flag,
            _ => {
                self.wrong(key, node, "true or false");
                false
            }
        }
    }

    fn list<'n>(&mut self, key: &Key, node: &'n Node) -> Option<&'n [Node]> {
        match &node.value {
            Yaml::List(items) => Some(items),
            Yaml::Null => None,
            _ => {
                self.wrong(key, node, "a list");
                None
            }
        }
    }

    fn number(&mut self, key: &Key, node: &Node) -> Option<At<Number>> {
        let value = match node.json() {
            Json::Number(number) => number,
            _ => {
                self.wrong(key, node, "a number");
                return None;
            }
        };
        Some(At {
            value,
            place: key.place,
        })
    }

    fn count(&mut self, key: &Key, node: &Node) -> Option<At<u64>> {
        match node.value {
            Yaml::Int(n) if n >= 0 => Some(At {
                value: n as u64,
                place: key.place,
            }),
            _ => {
                self.wrong(key, node, "a whole number from 0");
                None
            }
        }
    }

    fn forbidden(&mut self, key: &Key, help: &str) {
        self.problems.push(
            Problem::error(
                "E0854",
                format!("`{}` is forbidden in a CustomResourceDefinition", key.name),
                key.place,
                "here",
            )
            .help(help),
        );
    }
}

impl<T> At<T> {
    fn map<U>(self, made: impl FnOnce(T) -> U) -> At<U> {
        At {
            value: made(self.value),
            place: self.place,
        }
    }
}
