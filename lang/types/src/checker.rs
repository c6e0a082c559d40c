//! The checker's state: what is known of the whole program while it is being checked, and local scopes.
//!
//! Checking is one pass over the items; what an item needs of another (the type of a constant, the result of a
//! function) is found on demand, each once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ordain_lang_syntax::ast::{self, Expr, Ident, TypeExpr};
use ordain_lang_syntax::{Diagnostic, FileId, Name, NameBuildHasher, Span};

use crate::constant::Constant;
use crate::graph::{Graph, Node};
use crate::hir::{Body, ExprId, ExprKind, Hir, Slot};
use crate::index::Def;
use crate::k8s::K8s;
use crate::program::{AppId, EnvId, FnId, LetId, Part};
use crate::ty::{RecordId, Ty, TyKind, Types};

/// How many items may wait for one another's types. Programs written by people need a handful; the limit keeps
/// the stack small whatever is thrown at the checker.
pub(crate) const DEPTH_LIMIT: u32 = 40;

/// How deep expressions may be nested. The parser has a limit for brackets; this one also counts long chains of operators.
pub(crate) const NESTING_LIMIT: u32 = 600;

/// How long a chain of type aliases may be.
pub(crate) const ALIAS_LIMIT: u32 = 100;

/// A map by name.
pub(crate) type NameMap<V> = HashMap<Name, V, NameBuildHasher>;

/// What a module's name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Global {
    /// A type declaration, by position in [`Checker::type_items`].
    Type(usize),
    Fn(FnId),
    Let(LetId),
    App(AppId),
}

/// A `use` and whether anything used it.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) span: Span,
    /// The module; none when it is missing (which was reported).
    pub(crate) module: Option<usize>,
    /// The CRD file, by position, when it is one.
    pub(crate) crd: Option<usize>,
    pub(crate) used: bool,
    /// The parts of the file that use it; some perhaps several times.
    pub(crate) used_in: Vec<Part>,
}

impl Import {
    /// Notes that a part of the file uses it.
    pub(crate) fn note(&mut self, part: Part) {
        self.used = true;
        if self.used_in.last() != Some(&part) {
            self.used_in.push(part);
        }
    }
}

/// The names of one module.
#[derive(Debug)]
pub(crate) struct ModuleScope<'a> {
    pub(crate) path: &'a str,
    pub(crate) file: &'a ast::File,
    pub(crate) items: NameMap<(Global, Span)>,
    pub(crate) imports: NameMap<Import>,
}

/// How far something on demand has got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Todo,
    Doing,
    Done,
}

/// A type declaration.
#[derive(Debug)]
pub(crate) struct TypeItem<'a> {
    pub(crate) module: usize,
    pub(crate) decl: &'a ast::TypeDecl,
    pub(crate) doc: Option<&'a str>,
    pub(crate) state: State,
    /// Whether any name means it.
    pub(crate) used: bool,
    /// The files with such names, and their parts; some perhaps several times.
    pub(crate) used_in: Vec<(FileId, Part)>,
}

/// A constant, or an `export`.
#[derive(Debug)]
pub(crate) struct LetItem<'a> {
    pub(crate) module: usize,
    pub(crate) name: Ident,
    pub(crate) declared: Option<&'a TypeExpr>,
    pub(crate) value: &'a Expr,
    pub(crate) exported: bool,
    pub(crate) state: State,
    pub(crate) ty: Ty,
    pub(crate) body: Body,
    /// Its value when it is known before evaluation.
    pub(crate) constant: Option<Constant>,
    /// Whether any name means it.
    pub(crate) used: bool,
    /// The files with such names, and their parts; some perhaps several times.
    pub(crate) used_in: Vec<(FileId, Part)>,
}

/// A function.
#[derive(Debug)]
pub(crate) struct FnItem<'a> {
    pub(crate) module: usize,
    pub(crate) decl: &'a ast::FnDecl,
    pub(crate) state: State,
    /// Types of the parameters, once the signature was looked at.
    pub(crate) params: Option<Arc<[Ty]>>,
    pub(crate) ret: Ty,
    pub(crate) body: Body,
    pub(crate) defaults: Vec<Option<ExprId>>,
    /// Whether any name means it.
    pub(crate) used: bool,
    /// The files with such names, and their parts; some perhaps several times.
    pub(crate) used_in: Vec<(FileId, Part)>,
}

/// An app.
#[derive(Debug)]
pub(crate) struct AppItem<'a> {
    pub(crate) module: usize,
    pub(crate) decl: &'a ast::App,
    pub(crate) record: RecordId,
    /// The member that sets each field, and how far its checking got.
    pub(crate) fields: Vec<AppField<'a>>,
}

/// A field of an app.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppField<'a> {
    pub(crate) declared: Option<&'a TypeExpr>,
    pub(crate) value: Option<&'a Expr>,
    pub(crate) state: State,
}

/// An environment.
#[derive(Debug)]
pub(crate) struct EnvItem<'a> {
    pub(crate) module: usize,
    pub(crate) decl: &'a ast::Env,
    pub(crate) chain: Vec<EnvId>,
}

/// A record whose defaults and asserts are still to be checked.
pub(crate) struct PendingRecord<'a> {
    pub(crate) record: RecordId,
    pub(crate) module: usize,
    pub(crate) body: &'a ast::RecordType,
    pub(crate) type_args: Vec<(Name, Ty)>,
}

/// Everything known so far.
pub(crate) struct Checker<'a> {
    pub(crate) types: Types,
    pub(crate) hir: Hir,
    pub(crate) k8s: K8s,
    pub(crate) crds: crate::crd_types::CrdTypes,
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) modules: Vec<ModuleScope<'a>>,
    pub(crate) module_paths: HashMap<&'a str, usize>,
    pub(crate) type_items: Vec<TypeItem<'a>>,
    pub(crate) fns: Vec<FnItem<'a>>,
    pub(crate) lets: Vec<LetItem<'a>>,
    pub(crate) apps: Vec<AppItem<'a>>,
    pub(crate) envs: Vec<EnvItem<'a>>,
    pub(crate) app_names: NameMap<AppId>,
    pub(crate) app_records: HashMap<RecordId, AppId>,
    pub(crate) env_names: NameMap<EnvId>,
    /// Instances of type declarations by their arguments.
    pub(crate) instances: HashMap<(usize, Vec<Ty>), Ty>,
    /// Anonymous records by their fields, so that equal shapes are one type.
    pub(crate) anonymous: HashMap<Vec<(Name, Ty)>, RecordId>,
    pub(crate) pending: Vec<PendingRecord<'a>>,
    pub(crate) graph: Graph,
    /// The Kubernetes objects around what is being checked, outermost first.
    pub(crate) objects: Vec<String>,
    /// What need not keep which rule. Known before any value is checked.
    pub(crate) exemptions: Vec<crate::program::Exemption>,
    /// The environment that is being checked.
    pub(crate) env: Option<String>,
    /// The change of an environment, the test or the policy that is being checked.
    pub(crate) part: Option<Span>,
    /// Types in use which were reported missing, so that each is told once per place.
    pub(crate) reported: HashSet<(Span, &'static str)>,
    /// How many items are being checked on behalf of one another.
    pub(crate) depth: u32,
    /// How many type aliases are being followed.
    pub(crate) aliases: u32,
    /// How deep the expression is nested that is being checked.
    pub(crate) nested: u32,
    /// Whether too deep nesting was told; once is enough.
    pub(crate) told_nesting: bool,
    /// Fields of the next record literal that its place in a keyed list gives.
    pub(crate) implied: Option<(RecordId, Vec<Name>)>,
    /// The error expression; one is enough.
    pub(crate) error: ExprId,
    /// Secrets files, and the constants that stand for them with the place of their `use`.
    pub(crate) secrets: Vec<crate::vault::SecretsInput>,
    /// The texts of `use text`; their constants are among the vaults.
    pub(crate) texts: Vec<crate::vault::TextInput>,
    pub(crate) vaults: Vec<(LetId, Span)>,
    pub(crate) used_vaults: std::collections::HashSet<LetId>,
    /// What an editor wants to know; none when nobody asks.
    pub(crate) index: Option<Box<crate::index::Index>>,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(k8s: K8s) -> Checker<'a> {
        let mut hir = Hir::default();
        let error = hir.add(ExprKind::Error, Ty::ERROR, crate::k8s::NOWHERE);
        Checker {
            types: Types::new(),
            hir,
            k8s,
            crds: crate::crd_types::CrdTypes::default(),
            diagnostics: Vec::new(),
            modules: Vec::new(),
            module_paths: HashMap::new(),
            type_items: Vec::new(),
            fns: Vec::new(),
            lets: Vec::new(),
            apps: Vec::new(),
            envs: Vec::new(),
            app_names: NameMap::default(),
            app_records: HashMap::new(),
            env_names: NameMap::default(),
            instances: HashMap::new(),
            anonymous: HashMap::new(),
            pending: Vec::new(),
            graph: Graph::default(),
            objects: Vec::new(),
            exemptions: Vec::new(),
            env: None,
            part: None,
            reported: HashSet::new(),
            depth: 0,
            aliases: 0,
            nested: 0,
            told_nesting: false,
            implied: None,
            error,
            secrets: Vec::new(),
            texts: Vec::new(),
            vaults: Vec::new(),
            used_vaults: std::collections::HashSet::new(),
            index: None,
        }
    }

    /// Reports a mistake, with the object it stands in.
    pub(crate) fn report(&mut self, mut diagnostic: Diagnostic) {
        if diagnostic.object.is_none() {
            diagnostic.object = self.objects.last().cloned();
        }
        if diagnostic.env.is_none() {
            diagnostic.env = self.env.clone();
        }
        if let Some(span) = diagnostic.span()
            && diagnostic.code != "E0204"
            && !self.reported.insert((span, diagnostic.code))
        {
            return;
        }
        self.diagnostics.push(diagnostic);
    }

    pub(crate) fn add(&mut self, kind: ExprKind, ty: Ty, span: Span) -> ExprId {
        self.hir.add(kind, ty, span)
    }

    /// The part of its file that a place is in, of what is being checked. What it needs may be checked on its behalf, and
    /// stands elsewhere.
    pub(crate) fn part_at(&self, at: Span) -> Part {
        let holds =
            |part: &Span| part.file == at.file && part.start <= at.start && at.end <= part.end;
        let part = self.part.filter(holds);
        part.map_or(Part::Frame, |part| Part::At(part.start))
    }

    pub(crate) fn kind(&self, ty: Ty) -> &TyKind {
        self.types.kind(ty)
    }

    /// How a type is written in messages.
    pub(crate) fn show(&self, ty: Ty) -> String {
        crate::show::show(&self.types, ty)
    }
}

/// A local variable.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) name: Name,
    pub(crate) span: Span,
    pub(crate) slot: Slot,
    pub(crate) ty: Ty,
    /// Which frame it lives in.
    pub(crate) depth: usize,
    pub(crate) used: bool,
    /// Whether it is told when nothing uses it.
    pub(crate) warn: bool,
}

/// A frame: a function's body, or a lambda in it.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    next: u32,
    captures: Vec<(Slot, Slot)>,
}

/// What the names of an expression can stand for.
pub(crate) struct Scope {
    pub(crate) module: usize,
    pub(crate) type_args: Vec<(Name, Ty)>,
    pub(crate) locals: Vec<Local>,
    frames: Vec<Frame>,
    /// The record or app whose fields are in scope.
    pub(crate) self_record: Option<RecordId>,
    /// The app, when the record is one.
    pub(crate) self_app: Option<AppId>,
    /// Whose dependencies these are.
    pub(crate) owner: Node,
    /// Whether all apps, and `objects`, are in scope (tests, policies, environments).
    pub(crate) whole: bool,
    /// Whether it is a test: what is compared and absent there fails the test when it runs.
    pub(crate) in_test: bool,
    /// Expressions known not to be absent, as they are written.
    pub(crate) present: Vec<String>,
}

impl Scope {
    pub(crate) fn new(module: usize, owner: Node) -> Scope {
        Scope {
            module,
            type_args: Vec::new(),
            locals: Vec::new(),
            frames: vec![Frame::default()],
            self_record: None,
            self_app: None,
            owner,
            whole: false,
            in_test: false,
            present: Vec::new(),
        }
    }

    /// Adds a local to the innermost frame.
    pub(crate) fn bind(&mut self, name: Ident, ty: Ty, warn: bool) -> Slot {
        let slot = self.fresh();
        let warn = warn && !name.name.starts_with('_');
        self.locals.push(Local {
            name: name.name,
            span: name.span,
            slot,
            ty,
            depth: self.frames.len() - 1,
            used: false,
            warn,
        });
        slot
    }

    /// A slot of the innermost frame without a name.
    pub(crate) fn fresh(&mut self) -> Slot {
        let frame = self.frames.last_mut().expect("a scope has a frame");
        let slot = Slot(frame.next);
        frame.next += 1;
        slot
    }

    /// A local by name: its slot in the innermost frame (captured when it lives further out) and its type.
    pub(crate) fn local(&mut self, name: Name) -> Option<(Slot, Ty)> {
        let at = self.locals.iter().rposition(|l| l.name == name)?;
        let local = &mut self.locals[at];
        local.used = true;
        let (mut slot, ty, depth) = (local.slot, local.ty, local.depth);
        for frame in &mut self.frames[depth + 1..] {
            slot = match frame.captures.iter().find(|(outer, _)| *outer == slot) {
                Some((_, inner)) => *inner,
                None => {
                    let inner = Slot(frame.next);
                    frame.next += 1;
                    frame.captures.push((slot, inner));
                    inner
                }
            };
        }
        Some((slot, ty))
    }

    /// Enters a lambda.
    pub(crate) fn push_frame(&mut self) {
        self.frames.push(Frame::default());
    }

    /// Leaves a lambda: how many slots it has, and what it captures.
    pub(crate) fn pop_frame(&mut self) -> (u32, Box<[(Slot, Slot)]>) {
        let frame = self.frames.pop().expect("pushed before");
        (frame.next, frame.captures.into())
    }

    /// How many slots the outermost frame has.
    pub(crate) fn slots(&self) -> u32 {
        self.frames.first().map_or(0, |f| f.next)
    }

    /// The locals so far, to come back to.
    pub(crate) fn mark(&self) -> usize {
        self.locals.len()
    }
}

impl Checker<'_> {
    /// Forgets the locals since `mark`, and warns of those which nothing used.
    pub(crate) fn leave(&mut self, sc: &mut Scope, mark: usize) {
        for local in sc.locals.drain(mark..) {
            self.note_definition(local.span, Def::Local(local.span), local.ty);
            if local.warn && !local.used {
                self.report(
                    Diagnostic::warning("W0102", format!("nothing uses `{}`", local.name))
                        .label(local.span, "named here")
                        .help(format!("remove it, or call it `_{}`", local.name)),
                );
            }
        }
    }
}
