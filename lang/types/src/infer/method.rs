//! Methods of strings, lists, maps and numbers.

use std::sync::Arc;

use ordain_lang_syntax::ast::{Arg, ExprKind as Ast, Ident};
use ordain_lang_syntax::{Diagnostic, Span};

use super::Want;
use crate::builtin::Builtin as B;
use crate::checker::{Checker, Scope};
use crate::hir::{ExprId, ExprKind};
use crate::relate::Fit;
use crate::resolve::with_near;
use crate::suggest::nearest;
use crate::ty::{IntRange, Ty, TyKind};

/// What a method's argument must be.
#[derive(Clone, Copy)]
enum A {
    Int,
    Str,
    /// An element of the receiver.
    Item,
    /// A key of the receiver.
    Key,
    /// A lambda from an element (or key and value) to a Bool.
    Test,
    /// A lambda from an element (or key and value) to anything.
    Each,
    /// A regular expression.
    Pattern,
}

/// What a method gives.
#[derive(Clone, Copy)]
enum R {
    Len,
    Int,
    OptInt,
    Float,
    Bool,
    Str,
    Strs,
    Same,
    Item,
    OptItem,
    /// A list of the lambda's results.
    Results,
    /// A list of the elements of the lambda's results.
    Flat,
    Keys,
    Values,
    OptValue,
    /// A map from the lambda's results to the elements.
    ByResult,
    /// A map with the lambda's results as values.
    NewValues,
    /// The elements of a list of lists.
    Inner,
}

type Row = (&'static str, B, &'static [A], R);

const STRING: &[Row] = &[
    ("len", B::Len, &[], R::Len),
    ("is_empty", B::IsEmpty, &[], R::Bool),
    ("upper", B::Upper, &[], R::Str),
    ("lower", B::Lower, &[], R::Str),
    ("trim", B::Trim, &[], R::Str),
    ("split", B::Split, &[A::Str], R::Strs),
    ("lines", B::Lines, &[], R::Strs),
    ("replace", B::Replace, &[A::Str, A::Str], R::Str),
    ("starts_with", B::StartsWith, &[A::Str], R::Bool),
    ("ends_with", B::EndsWith, &[A::Str], R::Bool),
    ("contains", B::Contains, &[A::Str], R::Bool),
    ("matches", B::Matches, &[A::Pattern], R::Bool),
    ("pad_left", B::PadLeft, &[A::Int, A::Str], R::Str),
    ("pad_right", B::PadRight, &[A::Int, A::Str], R::Str),
    ("slice", B::SliceStr, &[A::Int, A::Int], R::Str),
    ("to_int", B::ToInt, &[], R::OptInt),
    ("base64", B::Base64, &[], R::Str),
    ("sha256", B::Sha256, &[], R::Str),
];

const INT: &[Row] = &[
    ("abs", B::Abs, &[], R::Int),
    ("to_float", B::ToFloat, &[], R::Float),
    ("pad_left", B::PadLeft, &[A::Int, A::Str], R::Str),
];

const FLOAT: &[Row] = &[
    ("abs", B::Abs, &[], R::Same),
    ("round", B::Round, &[], R::Int),
    ("floor", B::Floor, &[], R::Int),
    ("ceil", B::Ceil, &[], R::Int),
];

const LIST: &[Row] = &[
    ("len", B::Len, &[], R::Len),
    ("is_empty", B::IsEmpty, &[], R::Bool),
    ("contains", B::Contains, &[A::Item], R::Bool),
    ("join", B::Join, &[A::Str], R::Str),
    ("map", B::Map, &[A::Each], R::Results),
    ("filter", B::Filter, &[A::Test], R::Same),
    ("flat_map", B::FlatMap, &[A::Each], R::Flat),
    ("any", B::Any, &[A::Test], R::Bool),
    ("all", B::All, &[A::Test], R::Bool),
    ("find", B::Find, &[A::Test], R::OptItem),
    ("first", B::First, &[], R::OptItem),
    ("last", B::Last, &[], R::OptItem),
    ("reverse", B::Reverse, &[], R::Same),
    ("sort", B::Sort, &[], R::Same),
    ("sort_by", B::SortBy, &[A::Each], R::Same),
    ("unique", B::Unique, &[], R::Same),
    ("flatten", B::Flatten, &[], R::Inner),
    ("sum", B::Sum, &[], R::Item),
    ("min", B::MinOf, &[], R::OptItem),
    ("max", B::MaxOf, &[], R::OptItem),
    ("to_map", B::ToMap, &[A::Each], R::ByResult),
];

const MAP: &[Row] = &[
    ("len", B::Len, &[], R::Len),
    ("is_empty", B::IsEmpty, &[], R::Bool),
    ("keys", B::Keys, &[], R::Keys),
    ("values", B::Values, &[], R::Values),
    ("get", B::Get, &[A::Key], R::OptValue),
    ("has", B::Has, &[A::Key], R::Bool),
    ("filter", B::Filter, &[A::Test], R::Same),
    ("map_values", B::MapValues, &[A::Each], R::NewValues),
    ("without", B::Without, &[A::Key], R::Same),
];

const ANY_VALUE: &[Row] = &[
    ("to_json", B::ToJson, &[], R::Str),
    ("to_yaml", B::ToYaml, &[], R::Str),
];
const SCALAR: &[Row] = &[("to_string", B::ToString, &[], R::Str)];
const QUANTITY: &[Row] = &[("value", B::QuantityValue, &[], R::Int)];
const DURATION: &[Row] = &[
    ("seconds", B::Seconds, &[], R::Int),
    ("milliseconds", B::Milliseconds, &[], R::Int),
];

fn own(kind: &TyKind) -> &'static [Row] {
    match kind {
        TyKind::String(_) | TyKind::Enum(_) | TyKind::Time | TyKind::MicroTime => STRING,
        TyKind::Int(_) | TyKind::Literal(_) => INT,
        TyKind::Float(_) => FLOAT,
        TyKind::List(_) => LIST,
        TyKind::Map(..) => MAP,
        TyKind::Quantity => QUANTITY,
        TyKind::Duration => DURATION,
        _ => &[],
    }
}

/// The methods of a value, with what their arguments are called, for completion.
pub(crate) fn listed(kind: &TyKind) -> Vec<(&'static str, Vec<&'static str>)> {
    let called = |param: &A| match param {
        A::Int => "number",
        A::Str => "text",
        A::Item => "value",
        A::Key => "key",
        A::Test => "condition",
        A::Each => "function",
        A::Pattern => "pattern",
    };
    rows(kind)
        .map(|(name, _, params, _)| (*name, params.iter().map(called).collect()))
        .collect()
}

fn rows(kind: &TyKind) -> impl Iterator<Item = &'static Row> + use<> {
    let scalar: &[Row] = match kind {
        TyKind::List(_) | TyKind::Map(..) | TyKind::Record(_) | TyKind::Object | TyKind::Fn(..) => {
            &[]
        }
        _ => SCALAR,
    };
    own(kind).iter().chain(scalar).chain(ANY_VALUE)
}

/// Whether values of a kind of type have a method.
pub(super) fn exists(kind: &TyKind, name: &str) -> bool {
    rows(kind).any(|(n, ..)| *n == name)
}

/// The method of a kind of type whose name is nearest to what was written.
pub(super) fn nearest_of(kind: &TyKind, name: &str) -> Option<&'static str> {
    let short = match name {
        "length" | "size" | "count" => "len",
        name => name,
    };
    match exists(kind, short) {
        true => rows(kind).map(|(n, ..)| *n).find(|n| *n == short),
        false => nearest(name, rows(kind).map(|(n, ..)| *n)),
    }
}

impl<'a> Checker<'a> {
    /// `receiver.name(args)`.
    pub(super) fn method(
        &mut self,
        sc: &mut Scope,
        receiver: ExprId,
        name: Ident,
        args: &'a [Arg],
        span: Span,
    ) -> ExprId {
        let from = self.hir.ty(receiver);
        let ty = self.types.without_optional(from);
        let absent = ty != from;
        let kind = self.kind(ty).clone();
        if ty == Ty::ERROR {
            self.args_alone(sc, args);
            return self.error;
        }
        // A field that holds a function.
        if let TyKind::Record(id) = kind
            && self.types.record(id).field(name.name).is_some()
        {
            let field = self.field_of(receiver, name, span);
            return self.call_field(sc, field, args, span);
        }
        if let TyKind::Secret(inner) = kind
            && let Some(id) = self.of_secret(receiver, inner, name, args, span)
        {
            return match absent {
                true => self.maybe(id),
                false => id,
            };
        }
        if let TyKind::Secret(_) = kind {
            self.args_alone(sc, args);
            self.report(
                Diagnostic::error("E0207", "a secret cannot be computed with")
                    .label(
                        self.hir.span(receiver),
                        format!("this is `{}`", self.show(from)),
                    )
                    .help("refer to it by a Secret object"),
            );
            return self.error;
        }
        if name.name == "of" {
            return self.of_kind(sc, receiver, ty, args, span);
        }
        let Some((_, builtin, params, result)) =
            rows(&kind).find(|(n, ..)| name.name == *n).copied()
        else {
            self.args_alone(sc, args);
            let near = nearest_of(&kind, name.name.as_str());
            let diagnostic = Diagnostic::error(
                "E0106",
                format!("`{}` has no method `{}`", self.show(ty), name.name),
            )
            .label(name.span, "unknown method");
            self.report(with_near(diagnostic, near));
            return self.error;
        };
        let def = crate::index::Def::Builtin(name.name, ty);
        self.note(name.span, def, ty);
        if args.len() != params.len() {
            self.args_alone(sc, args);
            let takes = match params.len() {
                0 => "no arguments".to_owned(),
                1 => "one argument".to_owned(),
                n => format!("{n} arguments"),
            };
            self.report(
                Diagnostic::error(
                    "E0209",
                    format!("`{}` takes {takes}, {} given", name.name, args.len()),
                )
                .label(name.span, "called here"),
            );
            return self.error;
        }
        let (item, key) = match &kind {
            TyKind::List(list) => (list.item, Ty::INT),
            TyKind::Map(key, value) => (*value, *key),
            _ => (ty, Ty::STRING),
        };
        let lambda_params: Vec<Ty> = match kind {
            TyKind::Map(..) => vec![key, item],
            _ => vec![item],
        };
        let mut made = vec![receiver];
        let mut lambda_ret = Ty::ERROR;
        for (arg, param) in args.iter().zip(params) {
            let e = &arg.value;
            made.push(match param {
                A::Int => self.check(sc, e, Want::new(Ty::INT)),
                A::Str => self.check(sc, e, Want::new(Ty::STRING)),
                A::Item => self.check(sc, e, Want::new(item)),
                A::Key => self.check(sc, e, Want::new(key)),
                A::Test => self.lambda_arg(sc, e, &lambda_params, Some(Ty::BOOL)).0,
                A::Each => {
                    let (id, ret) = self.lambda_arg(sc, e, &lambda_params, None);
                    lambda_ret = ret;
                    id
                }
                A::Pattern => self.pattern(sc, arg),
            });
        }
        if made.contains(&self.error) {
            return self.error;
        }
        if matches!(builtin, B::Join) && !self.joinable(item, receiver) {
            return self.error;
        }
        let holds_secret = self.holds_secret(ty, 0);
        if holds_secret && matches!(builtin, B::ToYaml) {
            let diagnostic = Diagnostic::error("E0207", "a secret cannot become part of YAML text")
                .label(
                    self.hir.span(receiver),
                    format!("this `{}` holds one", self.show(from)),
                )
                .help("write `.to_json()`, which gives a `Secret<String>`");
            self.report(diagnostic);
            return self.error;
        }
        let mut ty = self.method_result(result, ty, (item, key), lambda_ret);
        if holds_secret && matches!(builtin, B::ToJson) {
            ty = self.types.intern(TyKind::Secret(Ty::STRING));
        }
        let ty = if absent { self.types.optional(ty) } else { ty };
        self.add(ExprKind::Builtin(builtin, made.into()), ty, span)
    }

    /// What may be done with a secret: nothing that tells something of it. None for everything else.
    fn of_secret(
        &mut self,
        receiver: ExprId,
        inner: Ty,
        name: Ident,
        args: &'a [Arg],
        span: Span,
    ) -> Option<ExprId> {
        if !args.is_empty() {
            return None;
        }
        let (builtin, to) = match (name.name.as_str(), self.kind(inner)) {
            ("base64", TyKind::String(_)) => {
                let base64 = crate::k8s::K8s::scalar(&mut self.types, "Base64")?;
                (B::Base64, base64)
            }
            ("to_string", TyKind::String(_) | TyKind::Int(_) | TyKind::Float(_) | TyKind::Bool) => {
                (B::ToString, Ty::STRING)
            }
            ("to_json", _) => (B::ToJson, Ty::STRING),
            _ => return None,
        };
        let ty = self.types.intern(TyKind::Secret(to));
        Some(self.add(ExprKind::Builtin(builtin, [receiver].into()), ty, span))
    }

    /// The same value, with a type that says that it may be absent.
    fn maybe(&mut self, id: ExprId) -> ExprId {
        let ty = self.types.optional(self.hir.ty(id));
        let (kind, span) = (self.hir.kind(id).clone(), self.hir.span(id));
        self.add(kind, ty, span)
    }

    fn method_result(&mut self, result: R, own: Ty, (item, key): (Ty, Ty), ret: Ty) -> Ty {
        match result {
            R::Len => self.types.intern(TyKind::Int(IntRange {
                min: 0,
                max: i64::MAX,
            })),
            R::Int => Ty::INT,
            R::OptInt => self.types.optional(Ty::INT),
            R::Float => Ty::FLOAT,
            R::Bool => Ty::BOOL,
            R::Str => Ty::STRING,
            R::Strs => self.types.list(Ty::STRING),
            R::Same => match self.kind(own).clone() {
                TyKind::List(list) => self.types.list(list.item),
                _ => own,
            },
            R::Item => match self.kind(item) {
                TyKind::Int(_) => Ty::INT,
                _ => item,
            },
            R::OptItem => self.types.optional(item),
            R::Results => self.types.list(ret),
            R::Flat => match self.kind(ret).clone() {
                TyKind::List(list) => self.types.list(list.item),
                _ => self.types.list(ret),
            },
            R::Keys => self.types.list(key),
            R::Values => self.types.list(item),
            R::OptValue => self.types.optional(item),
            R::ByResult => self.types.intern(TyKind::Map(ret, item)),
            R::NewValues => self.types.intern(TyKind::Map(key, ret)),
            R::Inner => match self.kind(item).clone() {
                TyKind::List(list) => self.types.list(list.item),
                _ => self.types.list(item),
            },
        }
    }

    /// Whether elements can be joined to one string; reports when not.
    fn joinable(&mut self, item: Ty, receiver: ExprId) -> bool {
        let plain = matches!(
            self.kind(item),
            TyKind::Int(_)
                | TyKind::Float(_)
                | TyKind::Bool
                | TyKind::String(_)
                | TyKind::Enum(_)
                | TyKind::Literal(_)
                | TyKind::Quantity
                | TyKind::Duration
                | TyKind::IntOrString
                | TyKind::Any
                | TyKind::Never
                | TyKind::Error
        );
        if !plain {
            let shown = self.show(item);
            let code = if matches!(self.kind(item), TyKind::Secret(_)) {
                "E0207"
            } else {
                "E0220"
            };
            self.report(
                Diagnostic::error(code, format!("`{shown}` cannot be joined to a string"))
                    .label(
                        self.hir.span(receiver),
                        format!("its elements are `{shown}`"),
                    )
                    .help("map them to strings first: `.map(x => …)`"),
            );
        }
        plain
    }

    fn pattern(&mut self, sc: &mut Scope, arg: &'a Arg) -> ExprId {
        let e = &arg.value;
        let (Ast::Regex(text) | Ast::Str(text)) = &e.kind else {
            self.infer(sc, e);
            self.report(
                Diagnostic::error("E0223", "a regular expression is meant here")
                    .label(e.span, "here")
                    .help("write `/^[a-z]+$/`"),
            );
            return self.error;
        };
        if let Err(why) = crate::refine::check_pattern(text) {
            self.report(
                Diagnostic::error(
                    "E0223",
                    format!("this regular expression cannot be read: {why}"),
                )
                .label(e.span, "here"),
            );
            return self.error;
        }
        self.add(ExprKind::Str(Arc::from(&**text)), Ty::STRING, e.span)
    }

    /// `objects.of(k8s.Deployment)`.
    fn of_kind(
        &mut self,
        sc: &mut Scope,
        receiver: ExprId,
        ty: Ty,
        args: &'a [Arg],
        span: Span,
    ) -> ExprId {
        let item = match self.kind(ty) {
            TyKind::List(list) => list.item,
            _ => Ty::ERROR,
        };
        let [arg] = args else {
            self.report(
                Diagnostic::error("E0209", "`of` takes one kind")
                    .label(span, "called here")
                    .help("write `.of(k8s.Deployment)`"),
            );
            return self.error;
        };
        let Some(kind) = self.expr_type(sc, &arg.value, None) else {
            self.infer(sc, &arg.value);
            self.report(
                Diagnostic::error("E0102", "a kind is meant here")
                    .label(arg.value.span, "not a type")
                    .help("write `.of(k8s.Deployment)`"),
            );
            return self.error;
        };
        if kind == Ty::ERROR {
            return self.error;
        }
        let record = self
            .types
            .as_record(kind)
            .filter(|r| self.types.record(*r).gvk().is_some());
        let fits = item != Ty::ERROR && !matches!(self.fit(kind, item), Fit::No(_));
        match record {
            Some(record) if fits => {
                let ty = self.types.list(kind);
                self.add(ExprKind::OfKind(receiver, record), ty, span)
            }
            _ => {
                let shown = self.show(kind);
                self.report(
                    Diagnostic::error(
                        "E0309",
                        format!("`{shown}` is no kind of object of this list"),
                    )
                    .label(arg.value.span, "here")
                    .help("name a kind such as `k8s.Deployment`"),
                );
                self.error
            }
        }
    }

    fn call_field(&mut self, sc: &mut Scope, field: ExprId, args: &'a [Arg], span: Span) -> ExprId {
        let ty = self.hir.ty(field);
        if let TyKind::Fn(params, ret) = self.kind(ty).clone()
            && params.len() == args.len()
        {
            let args: Vec<ExprId> = args
                .iter()
                .zip(&params)
                .map(|(a, p)| self.check(sc, &a.value, Want::new(*p)))
                .collect();
            return self.add(ExprKind::CallValue(field, args.into()), ret, span);
        }
        self.args_alone(sc, args);
        if ty != Ty::ERROR {
            let shown = self.show(ty);
            self.report(
                Diagnostic::error(
                    "E0218",
                    format!("`{shown}` cannot be called with {} arguments", args.len()),
                )
                .label(span, "called here")
                .help("remove the parentheses"),
            );
        }
        self.error
    }
}
