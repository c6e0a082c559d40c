//! What stands at the top of a file, and the statements of tests and policies.

use super::{Expr, ForClause, Ident, NamePath, NodeId, Record, TypeExpr};
use crate::{Name, Span};

/// A top-level item.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its node.
    pub id: NodeId,
    /// From the first keyword to the end, without the doc comment.
    pub span: Span,
    /// Text of the `///` lines before it, joined by newlines.
    pub doc: Option<Box<str>>,
    /// What it is.
    pub kind: ItemKind,
}

/// The kinds of items.
#[derive(Clone, Debug)]
pub enum ItemKind {
    /// Could not be read; reported.
    Error,
    /// `use std.web`, `use crd "file" as name`, `use secrets "file" as name`.
    Use(Use),
    /// `type Shop { … }`, `type Port = Int(1..=65535)`.
    Type(TypeDecl),
    /// `fn labels(s: Shop) -> Map<String, String> = …`.
    Fn(FnDecl),
    /// `let name: Type = value`: a constant of the module.
    Let(Binding),
    /// `export name = value` or `export value`: what a file without an app emits.
    Export(Export),
    /// `app shop { config: Shop = …, objects = […] }`.
    App(App),
    /// `env prod extends base { … }`.
    Env(Env),
    /// `test "name" in prod { … }`.
    Test(Test),
    /// `policy "name" { … }`.
    Policy(Policy),
    /// `external k8s.Secret "tls"`, `allow E0601, "reason"`: for the objects of this file.
    Exempt(Exemption),
}

/// Brings a module, the types of a CRD or the values of a secrets file into scope.
#[derive(Clone, Debug)]
pub struct Use {
    /// What is brought in.
    pub target: UseTarget,
    /// The name after `as`; without it the last part of the path is the name in scope.
    pub alias: Option<Ident>,
}

/// The target of a [`Use`].
#[derive(Clone, Debug)]
pub enum UseTarget {
    /// A module by its path in the project, in `std` or in a dependency.
    Module(NamePath),
    /// A CRD file, relative to the project's root.
    Crd {
        /// The path as written.
        path: Box<str>,
        /// The string literal.
        span: Span,
    },
    /// A file whose content is a text, relative to the module's folder or the project's root.
    Text {
        /// The path as written.
        path: Box<str>,
        /// The string literal.
        span: Span,
    },
    /// A file of encrypted values, relative to the project's root.
    Secrets {
        /// The path as written.
        path: Box<str>,
        /// The string literal.
        span: Span,
    },
}

/// A named type: a record, or another name for a type.
#[derive(Clone, Debug)]
pub struct TypeDecl {
    /// The name.
    pub name: Ident,
    /// Type parameters: `type Pair<A, B> { … }`.
    pub params: Vec<Ident>,
    /// What the name stands for.
    pub body: TypeBody,
}

/// The right-hand side of a [`TypeDecl`].
#[derive(Clone, Debug)]
pub enum TypeBody {
    /// A nominal record, closed.
    Record(RecordType),
    /// `type Port = Int(1..=65535)`.
    Alias(TypeExpr),
}

/// The fields and assertions of a record type.
#[derive(Clone, Debug)]
pub struct RecordType {
    /// Declared fields in order.
    pub fields: Vec<FieldDecl>,
    /// What must hold between fields.
    pub asserts: Vec<Assert>,
    /// The braces and what is between them.
    pub span: Span,
}

/// `name: Type = default`.
#[derive(Clone, Debug)]
pub struct FieldDecl {
    /// Its node.
    pub id: NodeId,
    /// From the name (or `final`) to the end of the default.
    pub span: Span,
    /// Text of the `///` lines before it.
    pub doc: Option<Box<str>>,
    /// `final`: no layer may override the default.
    pub is_final: bool,
    /// The field's name; may be quoted in the source.
    pub name: Ident,
    /// Its type.
    pub ty: TypeExpr,
    /// Its default, in whose scope all fields of the record are (late-bound).
    pub default: Option<Expr>,
}

/// `assert condition, "message"`.
#[derive(Clone, Debug)]
pub struct Assert {
    /// Its node.
    pub id: NodeId,
    /// From `assert` to the end.
    pub span: Span,
    /// What must hold.
    pub condition: Expr,
    /// What is said when it does not.
    pub message: Option<Expr>,
}

/// A function.
#[derive(Clone, Debug)]
pub struct FnDecl {
    /// The name.
    pub name: Ident,
    /// Type parameters.
    pub type_params: Vec<Ident>,
    /// Parameters in order.
    pub params: Vec<Param>,
    /// The declared result type.
    pub result: Option<TypeExpr>,
    /// The body.
    pub body: Expr,
}

/// A parameter of a function or lambda.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its node.
    pub id: NodeId,
    /// From the name to the end of the default.
    pub span: Span,
    /// The name.
    pub name: Ident,
    /// The type; lambdas may leave it out.
    pub ty: Option<TypeExpr>,
    /// The value when the caller gives none.
    pub default: Option<Expr>,
}

/// `let name: Type = value`.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Its node.
    pub id: NodeId,
    /// From `let` to the end of the value.
    pub span: Span,
    /// The name.
    pub name: Ident,
    /// The declared type.
    pub ty: Option<TypeExpr>,
    /// The value.
    pub value: Expr,
}

/// `export name: Type = value` or `export value`.
#[derive(Clone, Debug)]
pub struct Export {
    /// The name other modules use, when it has one.
    pub name: Option<Ident>,
    /// The declared type.
    pub ty: Option<TypeExpr>,
    /// An object, or a list of objects.
    pub value: Expr,
}

/// An application: its configuration and its objects.
#[derive(Clone, Debug)]
pub struct App {
    /// The name.
    pub name: Ident,
    /// Its fields; they may carry types (`config: Shop = …`), see [`super::Field::ty`].
    pub body: Record,
}

/// An environment.
#[derive(Clone, Debug)]
pub struct Env {
    /// The name.
    pub name: Ident,
    /// The environment it builds on.
    pub extends: Option<Ident>,
    /// Settings (`namespace`, `cluster`, `kubernetes`) and amendments of apps (`shop.config { … }`).
    pub body: Record,
}

/// What a rule over the whole set of objects is not to complain of. At the top of a file it holds for
/// the file's apps or exports; in an app for its objects, in an environment for all of it.
#[derive(Clone, Debug)]
pub struct Exemption {
    /// Its node.
    pub id: NodeId,
    /// All of it.
    pub span: Span,
    /// What it is.
    pub kind: ExemptionKind,
}

/// The kinds of exemptions.
#[derive(Clone, Debug)]
pub enum ExemptionKind {
    /// `external k8s.Secret "tls" in "other"`: an object that others make.
    External {
        /// Its kind, a type.
        ty: TypeExpr,
        /// Its name; `*` stands for any text.
        name: Box<str>,
        /// Its namespace; any, when left out.
        namespace: Option<Box<str>>,
    },
    /// `allow E0601 for k8s.Service "web", "reason"`: a rule that an object need not keep.
    Allow {
        /// The rule.
        rule: AllowedRule,
        /// Where the rule is named.
        rule_span: Span,
        /// The kind and name of the object; all of them, when left out. `*` in the name stands for
        /// any text.
        object: Option<(TypeExpr, Box<str>)>,
        /// Why.
        reason: Box<str>,
    },
}

/// A rule that an object need not keep.
#[derive(Clone, Debug)]
pub enum AllowedRule {
    /// By its code.
    Code(Name),
    /// A policy of the project, by its name.
    Policy(Box<str>),
}

/// A test.
#[derive(Clone, Debug)]
pub struct Test {
    /// What it says of itself.
    pub name: Box<str>,
    /// The string literal.
    pub name_span: Span,
    /// The environment it runs in.
    pub env: Option<Ident>,
    /// Its statements.
    pub body: Vec<Stmt>,
}

/// A rule over all objects of a build.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What it demands.
    pub name: Box<str>,
    /// The string literal.
    pub name_span: Span,
    /// The environment it is for, with those that extend it; all, when there is none.
    pub env: Option<Ident>,
    /// Its statements.
    pub body: Vec<Stmt>,
}

/// A statement of a test or a policy.
#[derive(Clone, Debug)]
pub struct Stmt {
    /// Its node.
    pub id: NodeId,
    /// All of it.
    pub span: Span,
    /// What it is.
    pub kind: StmtKind,
}

/// The kinds of statements. Tests use assert, snapshot and must fail; policies use deny and warn;
/// both use let, for and if.
#[derive(Clone, Debug)]
pub enum StmtKind {
    /// Could not be read; reported.
    Error,
    /// `let name = value`.
    Let(Binding),
    /// `assert condition, "message"`.
    Assert(Assert),
    /// `snapshot value`.
    Snapshot(Expr),
    /// `must fail "E0203" { amendments }`.
    MustFail {
        /// The expected code.
        code: Option<(Box<str>, Span)>,
        /// Amendments of apps, as in an environment.
        body: Record,
    },
    /// `for a in xs, b in a.ys if condition { … }`.
    For {
        /// One or more clauses, the last one turning fastest.
        clauses: Vec<ForClause>,
        /// The condition after `if`.
        condition: Option<Expr>,
        /// What is done for each.
        body: Vec<Stmt>,
    },
    /// `if condition { … } else { … }`.
    If {
        /// The condition.
        condition: Expr,
        /// When it holds.
        then: Vec<Stmt>,
        /// When it does not.
        otherwise: Vec<Stmt>,
    },
    /// `deny if condition, "message"`.
    Deny {
        /// `warn` instead of `deny`.
        is_warning: bool,
        /// The condition; without one it always holds.
        condition: Option<Expr>,
        /// What is said.
        message: Option<Expr>,
    },
}
