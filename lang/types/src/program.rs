//! The resolved program: everything of all modules, by number.
//!
//! What the checker makes and the evaluator reads. Immutable once made, and shared between threads.

use std::collections::HashMap;
use std::sync::Arc;

use ordain_lang_syntax::{FileId, Name, NameBuildHasher, Span};

use crate::hir::{Amend, Body, ExprId, Hir};
use crate::ty::{RecordId, Ty, Types};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
        pub struct $name(pub(crate) u32);

        impl $name {
            /// The position in its table.
            #[must_use]
            pub fn index(self) -> usize {
                self.0 as usize
            }

            /// The number at a position of its table.
            #[must_use]
            pub fn new(index: usize) -> $name {
                $name(u32::try_from(index).unwrap_or(u32::MAX))
            }
        }
    )*};
}

ids! {
    /// A module, by number.
    ModuleId;
    /// A function, by number.
    FnId;
    /// A module's constant, by number.
    LetId;
    /// An app, by number.
    AppId;
    /// An environment, by number.
    EnvId;
}

/// A whole checked program.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// All types and record definitions.
    pub types: Types,
    /// All expressions.
    pub hir: Hir,
    /// The modules, in the order they were given.
    pub modules: Vec<Module>,
    /// All functions.
    pub fns: Vec<Function>,
    /// All constants.
    pub lets: Vec<Let>,
    /// All apps. Their names are unique in a project.
    pub apps: Vec<App>,
    /// All environments. Their names are unique in a project.
    pub envs: Vec<Env>,
    /// All tests.
    pub tests: Vec<Test>,
    /// All policies.
    pub policies: Vec<Policy>,
    /// What the rules over the whole set are not to complain of.
    pub exemptions: Vec<Exemption>,
    /// The CRD files of the project; finished objects are held against their schemas.
    pub crds: crate::Crds,
    /// The Kubernetes version whose types were used, such as `1.36`.
    pub kubernetes: Arc<str>,
    /// Which files name which functions, constants, types and imports, in order.
    pub named: Vec<Named>,
    /// Where the types are named that modules declare.
    pub type_names: Vec<Span>,
}

impl Program {
    /// The environment with a name.
    #[must_use]
    pub fn env(&self, name: &str) -> Option<EnvId> {
        self.envs
            .iter()
            .position(|e| e.name == name)
            .map(EnvId::new)
    }

    /// The app with a name.
    #[must_use]
    pub fn app(&self, name: &str) -> Option<AppId> {
        self.apps
            .iter()
            .position(|a| a.name == name)
            .map(AppId::new)
    }

    /// Environments which no other one extends, in order of declaration: those a project is built for.
    #[must_use]
    pub fn leaf_envs(&self) -> Vec<EnvId> {
        let extended: Vec<EnvId> = self
            .envs
            .iter()
            .filter_map(|e| e.chain.iter().rev().nth(1).copied())
            .collect();
        (0..self.envs.len())
            .map(EnvId::new)
            .filter(|e| !extended.contains(e))
            .collect()
    }

    /// A setting of an environment, from the nearest of its chain: `program.setting(env, |e| e.cluster.as_ref())`.
    #[must_use]
    pub fn setting(&self, env: EnvId, pick: impl Fn(&Env) -> Option<&Setting>) -> Option<&Setting> {
        let chain = &self.envs.get(env.index())?.chain;
        chain.iter().rev().find_map(|e| pick(&self.envs[e.index()]))
    }

    /// How a type is written in messages: `Int(1..=100)`, `List<k8s.Container>`.
    #[must_use]
    pub fn show(&self, ty: Ty) -> String {
        crate::show::show(&self.types, ty)
    }
}

/// A file, or a part of one, that names something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Named {
    /// The file.
    pub file: FileId,
    /// The part of it that can be checked without the others.
    pub part: Part,
    /// Where the name is declared that it names; of an import, what is imported.
    pub declared: Span,
}

/// A part of a file that can be checked without its like: one change of an environment, a test, or a policy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// None of these: what every check of the file looks at.
    Frame,
    /// The one that begins at this byte.
    At(u32),
}

/// A module: one source file.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its path with dots: `apps.shop`, `std.web`.
    pub path: Arc<str>,
    /// Its file.
    pub file: FileId,
    /// The modules that it uses.
    pub uses: Vec<ModuleId>,
    /// What `export` emits when the project has no app in this file: objects or lists of objects.
    pub exports: Vec<LetId>,
    /// The module's types, functions and constants by name, for tools.
    pub items: HashMap<Name, ItemRef, NameBuildHasher>,
}

/// What a module's name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ItemRef {
    /// A record type, or an alias of any type.
    Type(Ty),
    /// A function.
    Fn(FnId),
    /// A constant.
    Let(LetId),
    /// An app.
    App(AppId),
}

/// A function.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name.
    pub name: Name,
    /// Where its name is.
    pub span: Span,
    /// Its parameters, in the first slots of the body's frame.
    pub params: Vec<Param>,
    /// The type of its value.
    pub ret: Ty,
    /// Its body; already checked against `ret`.
    pub body: Body,
}

/// A parameter of a function.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub ty: Ty,
    /// Its default, evaluated in the callee's frame (earlier parameters in scope).
    pub default: Option<ExprId>,
}

/// A module's constant.
#[derive(Clone, Debug)]
pub struct Let {
    /// Its name.
    pub name: Name,
    /// Where its name is.
    pub span: Span,
    /// Its type.
    pub ty: Ty,
    /// Its value, evaluated once.
    pub body: Body,
}

/// An app. Its body is a record whose fields all have defaults, so that environments amend it as any other value.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name.
    pub name: Name,
    /// Where its name is.
    pub span: Span,
    /// The module it stands in.
    pub module: ModuleId,
    /// The record of its fields: `config`, `objects` and others. Each field has a default, its value in the app; one which
    /// is only declared (`config: Shop`) is required, and environments must set it.
    pub record: RecordId,
    /// The position of `objects`, a `List<k8s.Object>`.
    pub objects: Option<u32>,
}

/// A setting of an environment.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The value.
    pub value: Arc<str>,
    /// Where it is written.
    pub span: Span,
}

/// An environment.
#[derive(Clone, Debug)]
pub struct Env {
    /// Its name.
    pub name: Name,
    /// Where its name is.
    pub span: Span,
    /// The chain of environments to apply, from the base to this one (itself last).
    pub chain: Vec<EnvId>,
    /// `cluster`, as set here.
    pub cluster: Option<Setting>,
    /// `namespace`, as set here.
    pub namespace: Option<Setting>,
    /// `kubernetes`, as set here.
    pub kubernetes: Option<Setting>,
    /// Changes to apps, in order.
    pub ops: Vec<EnvOp>,
    /// How many slots the frame of the changes' expressions has.
    pub slots: u32,
}

/// Changes which an environment (or a `must fail` block) makes to an app.
#[derive(Clone, Debug)]
pub struct EnvOp {
    /// The app.
    pub app: AppId,
    /// The changes, from the app's record.
    pub amend: Amend,
    /// Where they are written.
    pub span: Span,
}

/// Something that a rule over the whole set of objects is not to complain of.
#[derive(Clone, Debug)]
pub struct Exemption {
    /// What.
    pub what: Exempt,
    /// For which objects.
    pub place: ExemptIn,
    /// Where it is written.
    pub span: Span,
}

/// The objects an exemption is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExemptIn {
    /// Those of a module's apps or exports.
    Module(ModuleId),
    /// Those of an app.
    App(AppId),
    /// All of an environment, and of those that extend it.
    Env(EnvId),
}

/// What an exemption says.
#[derive(Clone, Debug)]
pub enum Exempt {
    /// `external`: the object is there, though nothing here makes it.
    External(ExemptObject, Option<Arc<str>>),
    /// `allow`: the rule need not be kept, by the object or by all.
    Allow {
        /// The rule.
        rule: ExemptRule,
        /// The object; all, when there is none.
        object: Option<ExemptObject>,
        /// Why.
        reason: Arc<str>,
    },
}

/// Names objects of a kind.
#[derive(Clone, Debug)]
pub struct ExemptObject {
    /// The API group; empty for the core group, `*` for any.
    pub group: Arc<str>,
    /// The kind.
    pub kind: Arc<str>,
    /// The name; `*` stands for any text.
    pub name: Arc<str>,
}

impl ExemptObject {
    /// Whether an object's name fits.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        let Some((first, rest)) = self.name.split_once('*') else {
            return *self.name == *name;
        };
        let Some(mut left) = name.strip_prefix(first) else {
            return false;
        };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            match left.find(part) {
                Some(at) => left = &left[at + part.len()..],
                None => return false,
            }
        }
        left.ends_with(last)
    }
}

/// The rule that an exemption is from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExemptRule {
    /// A rule of the language, by its code.
    Code(Name),
    /// A policy of the project, by its name.
    Policy(Arc<str>),
}

/// A test.
#[derive(Clone, Debug)]
pub struct Test {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is.
    pub span: Span,
    /// The environment it runs in.
    pub env: Option<EnvId>,
    /// What it does.
    pub steps: Vec<TestStep>,
    /// How many slots its frame has.
    pub slots: u32,
}

/// A step of a test.
#[derive(Clone, Debug)]
pub enum TestStep {
    /// `assert condition, "message"`.
    Assert(ExprId, Option<ExprId>, Span),
    /// `snapshot value`.
    Snapshot(ExprId, Span),
    /// `must fail "E0203" { … }`: these changes must be refused with the code.
    MustFail {
        /// The code, or any.
        code: Option<Arc<str>>,
        /// The changes, when the checker found nothing wrong with them: the evaluator must refuse them.
        ops: Vec<EnvOp>,
        /// Expressions to evaluate instead of changes.
        exprs: Vec<ExprId>,
        /// Whether the checker already refused it with the code: then there is nothing to evaluate.
        proven: bool,
        /// Where it is.
        span: Span,
    },
    /// `let x = value`.
    Let(crate::hir::Slot, ExprId),
}

/// A policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is.
    pub span: Span,
    /// The environment it is for, with those that extend it; all, when there is none.
    pub env: Option<EnvId>,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// How many slots its frame has.
    pub slots: u32,
}

/// A rule of a policy, or a loop around rules.
#[derive(Clone, Debug)]
pub enum Rule {
    /// `for … { … }`.
    For(crate::hir::For, Vec<Rule>),
    /// `if c { … } else { … }`.
    If(ExprId, Vec<Rule>, Vec<Rule>),
    /// `let x = value`.
    Let(crate::hir::Slot, ExprId),
    /// `deny if condition, "message"` (or `warn if`).
    Deny {
        /// When it holds, the build is refused.
        condition: ExprId,
        /// What to say.
        message: Option<ExprId>,
        /// Whether it only warns.
        warn: bool,
        /// Where it is.
        span: Span,
    },
}
