//! CEL rules of a schema held against its types, before any object is there: what an API server does when a definition is
//! created, so that it refuses what cannot be right.
//!
//! Which type a schema has for rules is in k8s.io/apiserver/pkg/cel/common/schemas.go, SchemaDeclType; what must hold beside
//! types in apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go.

use ordain_cel::{Declared, Program, Type};

use crate::near::nearest;
use crate::problem::{Place, Problem};
use crate::schema::{self, Additional, ListType, Rule, Schema};

/// What is declared of an object.
#[derive(Clone, Copy)]
enum Object<'s> {
    /// The fields of a schema, and whether it has `apiVersion`, `kind` and `metadata` of its own.
    Fields(&'s Schema, bool),
    /// `metadata` of an object, of which rules may read the names alone.
    Metadata,
}

/// What of `metadata` is there for rules.
const METADATA: [&str; 2] = ["name", "generateName"];

impl PartialEq for Object<'_> {
    /// Types of objects are told apart by where they are declared, not by what they hold.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Object::Fields(one, _), Object::Fields(two, _)) => std::ptr::eq(*one, *two),
            (Object::Metadata, Object::Metadata) => true,
            _ => false,
        }
    }
}

impl Declared for Object<'_> {
    fn field(self, name: &str) -> Option<Type<Self>> {
        let Object::Fields(schema, is_object) = self else {
            return METADATA.contains(&name).then_some(Type::String);
        };
        let properties = schema.properties.iter();
        let property = properties
            .map(|property| (ordain_cel::escape(&property.name), property))
            .find(|(escaped, _)| *escaped == name);
        match (name, property) {
            ("apiVersion" | "kind", _) if is_object => Some(Type::String),
            ("metadata", Some((_, property))) if is_object && has_names(&property.schema) => {
                type_of(&property.schema, false)
            }
            ("metadata", _) if is_object => Some(Type::Object(Object::Metadata)),
            (_, Some((_, property))) => type_of(&property.schema, property.schema.embedded),
            (_, None) => None,
        }
    }

    fn names(self) -> Vec<String> {
        match self {
            Object::Fields(schema, _) => {
                let properties = schema.properties.iter();
                properties.map(|p| ordain_cel::escape(&p.name)).collect()
            }
            Object::Metadata => METADATA.map(str::to_owned).to_vec(),
        }
    }
}

/// How many names a help lists.
const MAX_LISTED: usize = 6;

/// Whether a schema of `metadata` says itself what rules may read.
fn has_names(schema: &Schema) -> bool {
    let is_text = |name| {
        let property = schema.property(name);
        property.is_some_and(|p| p.schema.type_of() == Some(schema::Type::String))
    };
    METADATA.into_iter().all(is_text)
}

/// The type that values of a schema have for rules; none when rules cannot see them.
// Recursion is as deep as lists and maps of the schema, which the reader bounds.
fn type_of(schema: &Schema, is_object: bool) -> Option<Type<Object<'_>>> {
    if schema.int_or_string {
        return Some(Type::Dyn);
    }
    let format = schema.format.as_ref().map(|format| &*format.value);
    Some(match schema.type_of()? {
        schema::Type::Array => {
            let items = schema.items.as_deref()?;
            Type::list(type_of(items, items.embedded)?)
        }
        schema::Type::Object => match &schema.additional {
            Some(Additional::Schema(inner)) => {
                Type::map(Type::String, type_of(inner, inner.embedded)?)
            }
            _ => Type::Object(Object::Fields(schema, is_object)),
        },
        schema::Type::String => match format {
            Some("byte") => Type::Bytes,
            Some("duration") => Type::Duration,
            Some("date" | "date-time") => Type::Timestamp,
            _ => Type::String,
        },
        schema::Type::Boolean => Type::Bool,
        schema::Type::Number => Type::Double,
        schema::Type::Integer => Type::Int,
    })
}

/// Checks the rules of a version's schema.
pub(crate) fn check(root: &Schema, problems: &mut Vec<Problem>) {
    Check { problems }.schema(root, true, None);
}

struct Check<'p> {
    problems: &'p mut Vec<Problem>,
}

impl Check<'_> {
    /// Checks the rules of a schema and of what is below it. `loose` is the list or map, if any, whose elements cannot be
    /// found again in the object that was there before.
    fn schema(&mut self, schema: &Schema, is_root: bool, loose: Option<Place>) {
        if !schema.rules.is_empty() {
            let this = type_of(schema, is_root || schema.embedded);
            for rule in &schema.rules {
                self.rule(rule, this.clone().unwrap_or(Type::Dyn), loose);
            }
        }
        let loose_map = loose.or(schema.atomic_map.then_some(schema.place));
        for property in &schema.properties {
            self.schema(&property.schema, false, loose_map);
        }
        if let Some(Additional::Schema(inner)) = &schema.additional {
            self.schema(inner, false, loose_map);
        }
        if let Some(items) = &schema.items {
            let is_map = matches!(schema.list_type, ListType::Map(_));
            let loose = loose.or((!is_map).then_some(schema.place));
            self.schema(items, false, loose);
        }
    }

    fn rule(&mut self, rule: &Rule, this: Type<Object<'_>>, loose: Option<Place>) {
        let old = match rule.optional_old_self {
            true => Type::optional(this.clone()),
            false => this.clone(),
        };
        let variables = [("self", this), ("oldSelf", old)];
        if let Some(program) = &rule.program {
            self.expression(rule, program, &rule.text, &variables, &Type::Bool);
            match (program.uses("oldSelf"), loose) {
                (true, Some(list)) => self.problems.push(
                    Problem::error(
                        "E0857",
                        "`oldSelf` is not there: elements of this list or map are not found again",
                        rule.place,
                        "this rule",
                    )
                    .label(list, "in here")
                    .help("give the list `x-kubernetes-list-type: map`, or put the rule above it"),
                ),
                (false, _) if rule.optional_old_self => self.problems.push(
                    Problem::error(
                        "E0857",
                        "`optionalOldSelf` is said of a rule that does not read `oldSelf`",
                        rule.place,
                        "this rule",
                    )
                    .help("remove `optionalOldSelf`"),
                ),
                _ => {}
            }
        }
        if let Some((text, program)) = &rule.message_expression {
            self.expression(rule, program, text, &variables, &Type::String);
        }
    }

    fn expression(
        &mut self,
        rule: &Rule,
        program: &Program,
        text: &str,
        variables: &[(&str, Type<Object<'_>>)],
        wanted: &Type<Object<'_>>,
    ) {
        let errors = match program.check(variables) {
            Ok(found) if found == *wanted => return,
            Ok(found) => {
                let what = match wanted {
                    Type::Bool => "a rule",
                    _ => "a `messageExpression`",
                };
                let problem = Problem::error(
                    "E0857",
                    format!("{what} gives {wanted}, and this one gives {found}"),
                    rule.place,
                    "this rule",
                );
                self.problems.push(match found {
                    Type::Dyn => problem.help(format!("say what it is: `{wanted}(…)`")),
                    _ => problem,
                });
                return;
            }
            Err(errors) => errors,
        };
        let mut told = Vec::new();
        for error in errors {
            // A name that is missing everywhere is one mistake.
            let name = error.undeclared.as_ref().map(|(name, _)| name.clone());
            if name.is_some() && told.contains(&name) {
                continue;
            }
            told.push(name);
            let problem = match &error.undeclared {
                Some((name, _)) => Problem::error(
                    "E0857",
                    format!("this CEL expression reads `{name}`, which is not declared"),
                    rule.place,
                    "this rule",
                ),
                None => Problem::error(
                    "E0857",
                    format!("this CEL expression cannot be right: {}", error.message),
                    rule.place,
                    format!("at `{}`", ordain_cel::excerpt(text, error.offset)),
                ),
            };
            let help = error.undeclared.as_ref().map(|(name, known)| {
                match (nearest(name, known.iter().map(String::as_str)), known.len()) {
                    (Some(near), _) => format!("did you mean `{near}`?"),
                    (None, 0) => {
                        "rules can read nothing in here, as nothing is declared".to_owned()
                    }
                    (None, 1..=MAX_LISTED) => format!("rules can read {} here", known.join(", ")),
                    (None, _) => "declare it in the schema".to_owned(),
                }
            });
            self.problems.push(match help {
                Some(help) => problem.help(help),
                None => problem,
            });
        }
    }
}
