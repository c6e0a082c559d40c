//! The type check of an expression against what is declared of its variables, as an API server makes it before it takes a
//! rule (cel-go/checker/checker.go, with the options of k8s.io/apiserver/pkg/cel/environment/base.go).
//!
//! Knows neither schemas nor CustomResourceDefinitions; [`Declared`] tells it the fields of objects.

mod overloads;
mod types;

use crate::ast::{Expr, Kind, Loop, Makes, Op};
use crate::program::Program;
use crate::value::Value;

use types::Known;
pub use types::{Declared, Type};

/// A mistake that the type check finds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeError {
    /// What is wrong, in small letters.
    pub message: String,
    /// Where, in bytes from the start of the text.
    pub offset: usize,
    /// The field that is not declared, with those that are.
    pub undeclared: Option<(String, Vec<String>)>,
}

impl Program {
    /// Finds the type of the expression, given those of its variables; what is not given may be anything.
    ///
    /// # Errors
    /// All independent mistakes, in the order of the text.
    pub fn check<T: Declared>(
        &self,
        variables: &[(&str, Type<T>)],
    ) -> Result<Type<T>, Vec<TypeError>> {
        let scope = self.variables.iter().map(|(name, _)| {
            let given = variables.iter().find(|(n, _)| **n == **name);
            given.map_or(Type::Dyn, |(_, ty)| ty.clone())
        });
        let mut checker = Checker {
            scope: scope.collect(),
            known: Known::new(),
            errors: Vec::new(),
        };
        let ty = checker.infer(&self.root);
        if checker.errors.is_empty() {
            return Ok(checker.known.whole(&ty));
        }
        checker.errors.sort_by_key(|error| error.offset);
        Err(checker.errors)
    }
}

struct Checker<T> {
    /// The types of the variables in scope, outermost first.
    scope: Vec<Type<T>>,
    known: Known<T>,
    errors: Vec<TypeError>,
}

impl<T: Declared> Checker<T> {
    /// Tells a mistake; what is wrong may be anything, so that nothing is told twice.
    fn wrong(&mut self, at: &Expr, message: String) -> Type<T> {
        self.errors.push(TypeError {
            message,
            offset: at.at as usize,
            undeclared: None,
        });
        Type::Dyn
    }

    fn infer(&mut self, expr: &Expr) -> Type<T> {
        match &expr.kind {
            Kind::Literal(value) => literal(value),
            Kind::Variable(at) => self.scope.get(*at).cloned().unwrap_or(Type::Dyn),
            Kind::Select {
                base,
                name,
                optional,
            } => self.select(expr, base, name, *optional),
            Kind::Has { base, name } => {
                self.select(expr, base, name, false);
                Type::Bool
            }
            Kind::Index {
                base,
                index,
                optional,
            } => {
                let given = vec![self.infer(base), self.infer(index)];
                let name = if *optional { "[?]" } else { "[]" };
                self.call(expr, name, false, given)
            }
            Kind::Call {
                function,
                is_method,
                args,
                ..
            } => {
                let given = args.iter().map(|arg| self.infer(arg)).collect();
                self.call(expr, function, *is_method, given)
            }
            Kind::List(items) => {
                let items = items.iter().map(|(item, optional)| {
                    let ty = self.infer(item);
                    let ty = if *optional {
                        self.present(item, ty)
                    } else {
                        ty
                    };
                    (item, ty)
                });
                let items: Vec<_> = items.collect();
                Type::list(self.join(items, "the elements of a list"))
            }
            Kind::Map(entries) => {
                let mut keys = Vec::new();
                let mut values = Vec::new();
                for (key, value, optional) in entries {
                    let key_type = self.infer(key);
                    keys.push((key, key_type));
                    let ty = self.infer(value);
                    let ty = if *optional {
                        self.present(value, ty)
                    } else {
                        ty
                    };
                    values.push((value, ty));
                }
                let key = self.join(keys, "the keys of a map");
                Type::map(key, self.join(values, "the values of a map"))
            }
            Kind::Not(inner) => {
                let given = vec![self.infer(inner)];
                self.call(expr, "!", false, given)
            }
            Kind::Negate(inner) => {
                let given = vec![self.infer(inner)];
                self.call(expr, "-x", false, given)
            }
            Kind::And(parts) => self.logic(parts, "&&"),
            Kind::Or(parts) => self.logic(parts, "||"),
            Kind::If(condition, then, otherwise) => {
                let given = [condition, then, otherwise];
                let given = given.into_iter().map(|part| self.infer(part)).collect();
                self.call(expr, "?", false, given)
            }
            Kind::Binary(op, left, right) => {
                let given = vec![self.infer(left), self.infer(right)];
                self.call(expr, sign(*op), false, given)
            }
            Kind::Loop(each) => self.each(expr, each),
            Kind::Bind(value, body) => {
                let value = self.infer(value);
                self.within([value], body)
            }
            Kind::OptMap { value, body, flat } => {
                let given = self.infer(value);
                let inner = self.present(value, given);
                let made = self.within([inner], body);
                match flat {
                    true => {
                        let inner = self.present(body, made);
                        Type::optional(inner)
                    }
                    false => Type::optional(made),
                }
            }
        }
    }

    fn within<const N: usize>(&mut self, more: [Type<T>; N], body: &Expr) -> Type<T> {
        let before = self.scope.len();
        self.scope.extend(more);
        let made = self.infer(body);
        self.scope.truncate(before);
        made
    }

    /// `base.name`
    fn select(&mut self, expr: &Expr, base: &Expr, name: &str, optional: bool) -> Type<T> {
        let given = self.infer(base);
        let (given, is_optional) = match self.known.resolve(&given) {
            Type::Optional(inner) => (self.known.resolve(&inner), true),
            given => (given, false),
        };
        let found = match given {
            Type::Map(_, value) => (*value).clone(),
            Type::Object(object) => match object.field(name) {
                Some(ty) => ty,
                None => {
                    self.errors.push(TypeError {
                        message: format!("it reads `{name}`, which is not declared"),
                        offset: expr.at as usize,
                        undeclared: Some((name.to_owned(), object.names())),
                    });
                    Type::Dyn
                }
            },
            Type::Dyn => Type::Dyn,
            Type::Unknown(_) => {
                self.known.all_fit(&[Type::Dyn], &[given]);
                Type::Dyn
            }
            other => {
                let other = self.known.whole(&other);
                self.wrong(expr, format!("{other} has no field `{name}`"))
            }
        };
        match is_optional || optional {
            true => Type::optional(found),
            false => found,
        }
    }

    /// What is in an optional value, where one is needed.
    fn present(&mut self, at: &Expr, ty: Type<T>) -> Type<T> {
        match self.known.resolve(&ty) {
            Type::Optional(inner) => (*inner).clone(),
            ty @ (Type::Dyn | Type::Unknown(_)) => {
                let inner = self.known.fresh();
                self.known.all_fit(&[ty], &[Type::optional(inner.clone())]);
                inner
            }
            other => {
                let other = self.known.whole(&other);
                self.wrong(at, format!("{other} is not optional"))
            }
        }
    }

    /// The type that several values have.
    fn join(&mut self, items: Vec<(&Expr, Type<T>)>, what: &str) -> Type<T> {
        let joined = self.known.fresh();
        for (item, ty) in items {
            if !self
                .known
                .all_fit(std::slice::from_ref(&ty), std::slice::from_ref(&joined))
            {
                let (one, two) = (self.known.whole(&joined), self.known.whole(&ty));
                return self.wrong(item, format!("{what} are {one} and {two}"));
            }
        }
        joined
    }

    fn logic(&mut self, parts: &[Expr], sign: &str) -> Type<T> {
        for part in parts {
            self.condition(part, || format!("`{sign}`"));
        }
        Type::Bool
    }

    fn condition(&mut self, part: &Expr, of: impl Fn() -> String) {
        let ty = self.infer(part);
        if !self.known.all_fit(std::slice::from_ref(&ty), &[Type::Bool]) {
            let ty = self.known.whole(&ty);
            self.wrong(
                part,
                format!("{} takes true or false, and this is {ty}", of()),
            );
        }
    }

    fn call(&mut self, expr: &Expr, name: &str, is_method: bool, given: Vec<Type<T>>) -> Type<T> {
        let mut gives: Option<Type<T>> = None;
        let of_style = |one: &&overloads::Overload| one.is_method == is_method;
        for one in overloads::of(name).iter().filter(of_style) {
            let (takes, given_back) = one.instance(&mut self.known);
            if !self.known.all_fit(&given, &takes) {
                continue;
            }
            let made = self.known.resolve(&given_back);
            gives = Some(match gives {
                None => made,
                Some(before) if before == made => before,
                Some(_) => Type::Dyn,
            });
        }
        gives.unwrap_or_else(|| {
            let shown: Vec<String> = given
                .iter()
                .map(|ty| self.known.whole(ty).to_string())
                .collect();
            let message = mismatch(name, is_method, &shown);
            self.wrong(expr, message)
        })
    }

    /// A comprehension.
    fn each(&mut self, expr: &Expr, each: &Loop) -> Type<T> {
        let range = self.infer(&each.range);
        let (key, element, one) = match self.known.resolve(&range) {
            Type::List(element) => (Type::Int, (*element).clone(), (*element).clone()),
            Type::Map(key, value) => ((*key).clone(), (*value).clone(), (*key).clone()),
            Type::Dyn => (Type::Dyn, Type::Dyn, Type::Dyn),
            range @ Type::Unknown(_) => {
                self.known.all_fit(&[Type::Dyn], &[range]);
                (Type::Dyn, Type::Dyn, Type::Dyn)
            }
            other => {
                let other = self.known.whole(&other);
                self.wrong(
                    expr,
                    format!("{other} is no list or map that a macro could go through"),
                );
                (Type::Dyn, Type::Dyn, Type::Dyn)
            }
        };
        let before = self.scope.len();
        match each.two {
            true => self.scope.extend([key.clone(), element]),
            false => self.scope.push(one.clone()),
        }
        if let Some(condition) = &each.condition {
            self.condition(condition, || "the condition of a macro".to_owned());
        }
        let body = each.body.as_ref().map(|body| self.infer(body));
        self.scope.truncate(before);
        let body = body.unwrap_or(Type::Dyn);
        match each.makes {
            Makes::All | Makes::Exists | Makes::ExistsOne => Type::Bool,
            Makes::Kept | Makes::Sorted => Type::list(one),
            Makes::List => Type::list(body),
            Makes::Map => Type::map(key, body),
        }
    }
}

/// What no overload takes, in words.
fn mismatch(name: &str, is_method: bool, given: &[String]) -> String {
    let list = |given: &[String]| match given {
        [] => "no arguments".to_owned(),
        [one] => one.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    };
    match (name, given) {
        ("[]" | "[?]", [base, index]) => format!("{base} has no element by {index}"),
        ("?", [condition, then, otherwise]) => {
            format!(
                "`?` takes a condition and two of one type, not {condition}, {then} and {otherwise}"
            )
        }
        ("-x", [given]) => format!("`-` does not take {given}"),
        ("==" | "<", [one, two]) => format!("{one} and {two} cannot be compared"),
        (_, [receiver, rest @ ..]) if is_method => {
            let known = overloads::of(name);
            match known.iter().any(|one| one.is_method) {
                true if rest.is_empty() => format!("{receiver} has no `{name}()`"),
                true => format!("{receiver} has no `{name}` that takes {}", list(rest)),
                false => format!("`{name}` is called as `{name}(…)`, not behind a value"),
            }
        }
        _ if !overloads::of(name).iter().any(|one| !one.is_method) => {
            format!("`{name}` is called behind a value: `….{name}(…)`")
        }
        _ => format!("`{name}` does not take {}", list(given)),
    }
}

/// The line of the table that an operator has.
fn sign(op: Op) -> &'static str {
    match op {
        Op::Add => "+",
        Op::Sub => "-",
        Op::Mul => "*",
        Op::Div => "/",
        Op::Rem => "%",
        Op::Eq | Op::Ne => "==",
        Op::Lt | Op::Le | Op::Gt | Op::Ge => "<",
        Op::In => "in",
    }
}

/// The type of a literal.
fn literal<T>(value: &Value) -> Type<T> {
    match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => Type::Int,
        Value::Uint(_) => Type::Uint,
        Value::Double(_) => Type::Double,
        Value::String(_) => Type::String,
        Value::Bytes(_) => Type::Bytes,
        Value::Type(_) => Type::Type,
        _ => Type::Dyn,
    }
}
