//! What an editor asks of a checked program: which definition each written name means, and which type is expected where.
//!
//! Filled while checking, only when asked for ([`crate::check_recording`]); otherwise every note costs one comparison.
//! It knows places and types. Positions of a protocol, documentation and wording are an editor's business.

use std::collections::HashMap;

use ordain_lang_syntax::{FileId, Name, Span};

use crate::checker::Checker;
use crate::program::{AppId, EnvId, FnId, LetId, ModuleId, Program};
use crate::ty::{RecordId, Ty, Types};

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Def {
    /// A binding, parameter or pattern name, by the place of its name.
    Local(Span),
    /// A field of a record, an app or a Kubernetes type.
    Field(RecordId, u32),
    /// A declared type, by the place of its name.
    Type(Span),
    /// A type of the namespace `k8s`.
    Kubernetes(Ty),
    /// A function.
    Fn(FnId),
    /// A module's constant or export.
    Let(LetId),
    /// An app.
    App(AppId),
    /// An environment.
    Env(EnvId),
    /// A module, where its name (or the alias of a `use`) is written.
    Module(ModuleId),
    /// A function that is always there, or the method of a value of this type.
    Builtin(Name, Ty),
}

/// A name where it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Use {
    /// The name.
    pub span: Span,
    /// What it stands for.
    pub def: Def,
    /// The type of what it stands for.
    pub ty: Ty,
    /// Whether this is where it is defined.
    pub is_definition: bool,
}

/// What was noted while checking.
#[derive(Clone, Debug, Default)]
pub struct Index {
    uses: Vec<Use>,
    braces: Vec<(Span, Ty)>,
    wants: Vec<(Span, Ty)>,
    exprs: Vec<(Span, Ty)>,
    kubernetes: HashMap<RecordId, &'static str>,
}

impl Index {
    /// All names in the order of files and places.
    #[must_use]
    pub fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// The names of one file in order.
    #[must_use]
    pub fn uses_in(&self, file: FileId) -> &[Use] {
        let from = self.uses.partition_point(|u| u.span.file < file);
        let to = self.uses.partition_point(|u| u.span.file <= file);
        &self.uses[from..to]
    }

    /// The name at a place; its end counts as inside, since a cursor stands between characters.
    #[must_use]
    pub fn use_at(&self, file: FileId, offset: u32) -> Option<&Use> {
        let uses = self.uses_in(file);
        let until = uses.partition_point(|u| u.span.start <= offset);
        uses[..until]
            .iter()
            .rev()
            .take(8)
            .find(|u| offset <= u.span.end)
    }

    /// The type of the value that the innermost braces around a place make, with the place of the braces.
    #[must_use]
    pub fn braces_at(&self, file: FileId, offset: u32) -> Option<(Span, Ty)> {
        innermost(&self.braces, |span| {
            span.file == file && span.start < offset && offset < span.end
        })
    }

    /// The type that braces at exactly this place make.
    #[must_use]
    pub fn braces(&self, span: Span) -> Option<Ty> {
        exact(&self.braces, span)
    }

    /// The type that is expected of the expression at exactly this place.
    #[must_use]
    pub fn wanted(&self, span: Span) -> Option<Ty> {
        exact(&self.wants, span)
    }

    /// The type that is expected of the innermost expression which touches a place.
    #[must_use]
    pub fn wanted_at(&self, file: FileId, offset: u32) -> Option<(Span, Ty)> {
        innermost(&self.wants, |span| {
            span.file == file && span.start <= offset && offset <= span.end
        })
    }

    /// The type of the expression at exactly this place.
    #[must_use]
    pub fn expr(&self, span: Span) -> Option<Ty> {
        exact(&self.exprs, span)
    }

    /// The OpenAPI name of a Kubernetes record, such as `io.k8s.api.core.v1.PodSpec`.
    #[must_use]
    pub fn kubernetes(&self, record: RecordId) -> Option<&'static str> {
        self.kubernetes.get(&record).copied()
    }

    /// Sorts what was noted, and drops what was noted twice (generic types are checked once per instance).
    fn finish(&mut self) {
        self.uses
            .sort_by_key(|u| (u.span, std::cmp::Reverse(u.is_definition)));
        self.uses.dedup_by_key(|u| u.span);
        for list in [&mut self.braces, &mut self.wants, &mut self.exprs] {
            // The later note knows more: a union's braces are narrowed to one member.
            list.reverse();
            list.sort_by_key(|(span, _)| *span);
            list.dedup_by_key(|(span, _)| *span);
        }
    }
}

/// The methods of values of a type, with what their arguments are called; also through `?`.
#[must_use]
pub fn methods(types: &Types, ty: Ty) -> Vec<(&'static str, Vec<&'static str>)> {
    crate::infer::listed(types.kind(types.without_optional(ty)))
}

/// The scalar types of the namespace `k8s`, such as `Name` and `Port`.
pub const KUBERNETES_SCALARS: &[&str] = &crate::k8s::K8s::SCALARS;

/// The types which are always there, such as `Int` and `Map`.
pub const BUILTIN_TYPES: &[&str] = &crate::resolve::BUILTIN;

fn exact(list: &[(Span, Ty)], span: Span) -> Option<Ty> {
    let at = list.binary_search_by_key(&span, |(s, _)| *s).ok()?;
    Some(list[at].1)
}

fn innermost(list: &[(Span, Ty)], is_around: impl Fn(Span) -> bool) -> Option<(Span, Ty)> {
    let around = list.iter().filter(|(span, _)| is_around(*span));
    around
        .min_by_key(|(span, _)| span.end - span.start)
        .copied()
}

impl Program {
    /// Where a definition is written; none for Kubernetes' own and for what is built in.
    #[must_use]
    pub fn place(&self, def: Def) -> Option<Span> {
        match def {
            Def::Local(span) | Def::Type(span) => Some(span),
            Def::Field(record, at) => self
                .types
                .record(record)
                .fields
                .get(at as usize)?
                .span
                .map(|span| name_of_field(&self.types, record, at, span)),
            Def::Fn(id) => Some(self.fns.get(id.index())?.span),
            Def::Let(id) => Some(self.lets.get(id.index())?.span),
            Def::App(id) => Some(self.apps.get(id.index())?.span),
            Def::Env(id) => Some(self.envs.get(id.index())?.span),
            Def::Module(id) => Some(Span::new(self.modules.get(id.index())?.file, 0, 0)),
            Def::Kubernetes(_) | Def::Builtin(..) => None,
        }
    }
}

/// A field's declaration begins with its name.
fn name_of_field(types: &Types, record: RecordId, at: u32, span: Span) -> Span {
    let name = types.record(record).fields[at as usize].name;
    let end = span.start + name.as_str().len() as u32;
    Span {
        end: end.min(span.end),
        ..span
    }
}

impl Checker<'_> {
    /// Whether notes are wanted.
    pub(crate) fn is_recording(&self) -> bool {
        self.index.is_some()
    }

    /// Notes what a name stands for.
    pub(crate) fn note(&mut self, span: Span, def: Def, ty: Ty) {
        let here = (span.file, self.part_at(span));
        match def {
            Def::Fn(id) => {
                if let Some(item) = self.fns.get_mut(id.index()) {
                    item.used = true;
                    if item.used_in.last() != Some(&here) {
                        item.used_in.push(here);
                    }
                }
            }
            Def::Let(id) => {
                if let Some(item) = self.lets.get_mut(id.index()) {
                    item.used = true;
                    if item.used_in.last() != Some(&here) {
                        item.used_in.push(here);
                    }
                }
            }
            _ => {}
        }
        if let Some(index) = &mut self.index {
            index.uses.push(Use {
                span,
                def,
                ty,
                is_definition: false,
            });
        }
    }

    /// Notes that a name means a type declaration.
    pub(crate) fn note_type(&mut self, item: usize, at: Span) {
        let here = (at.file, self.part_at(at));
        let item = &mut self.type_items[item];
        item.used = true;
        if item.used_in.last() != Some(&here) {
            item.used_in.push(here);
        }
    }

    /// Notes where a name is defined.
    pub(crate) fn note_definition(&mut self, span: Span, def: Def, ty: Ty) {
        if let Some(index) = &mut self.index {
            index.uses.push(Use {
                span,
                def,
                ty,
                is_definition: true,
            });
        }
    }

    /// Notes which type braces make.
    pub(crate) fn note_braces(&mut self, span: Span, ty: Ty) {
        if let Some(index) = &mut self.index {
            index.braces.push((span, ty));
        }
    }

    /// Notes which type is expected of an expression.
    pub(crate) fn note_want(&mut self, span: Span, ty: Ty) {
        if let Some(index) = &mut self.index {
            index.wants.push((span, ty));
        }
    }

    /// Notes the type of an expression.
    pub(crate) fn note_expr(&mut self, span: Span, ty: Ty) {
        if ty != Ty::ERROR
            && let Some(index) = &mut self.index
        {
            index.exprs.push((span, ty));
        }
    }

    /// Takes the notes out, with the definitions of all items.
    pub(crate) fn take_index(&mut self) -> Index {
        if !self.is_recording() {
            return Index::default();
        }
        for at in 0..self.type_items.len() {
            let name = self.type_items[at].decl.name.span;
            let ty = self.instances.get(&(at, Vec::new())).copied();
            self.note_definition(name, Def::Type(name), ty.unwrap_or(Ty::ERROR));
        }
        for id in (0..self.fns.len()).map(FnId::new) {
            let item = &self.fns[id.index()];
            let (span, ret) = (item.decl.name.span, item.ret);
            self.note_definition(span, Def::Fn(id), ret);
        }
        for id in (0..self.lets.len()).map(LetId::new) {
            let item = &self.lets[id.index()];
            let (name, ty) = (item.name, item.ty);
            if !name.name.is_empty() {
                self.note_definition(name.span, Def::Let(id), ty);
            }
        }
        for id in (0..self.apps.len()).map(AppId::new) {
            let item = &self.apps[id.index()];
            let (span, record) = (item.decl.name.span, item.record);
            let ty = self.types.intern(crate::ty::TyKind::Record(record));
            self.note_definition(span, Def::App(id), ty);
        }
        for id in (0..self.envs.len()).map(EnvId::new) {
            let decl = self.envs[id.index()].decl;
            self.note_definition(decl.name.span, Def::Env(id), Ty::ERROR);
            if let Some(base) = decl.extends
                && let Some(known) = self.env_names.get(&base.name).copied()
            {
                self.note(base.span, Def::Env(known), Ty::ERROR);
            }
        }
        let mut index = self.index.take().map(|index| *index).unwrap_or_default();
        index.kubernetes = self.k8s.names().collect();
        index.finish();
        index
    }
}
