//! `use text "file" as name`: the content of a file as a constant.
//!
//! `use secrets "file" as vault`: the keys of a secrets file as a constant whose values are all `Secret<…>`.
//!
//! The keys stand in the clear in such a file, so the checker knows them; the values nobody knows before they are applied.
//! Each is a text that stands for it. How files are read and what that text looks like is the business of others.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use ordain_lang_syntax::ast::{Expr, ExprKind as Ast, Ident, NodeId};
use ordain_lang_syntax::{Diagnostic, FileId, Name, Span};

use crate::checker::{Checker, Global, LetItem, State};
use crate::hir::{Body, ExprId, ExprKind, FieldInit, Init, Item, RecordItem};
use crate::program::LetId;
use crate::ty::{FieldDef, Origin, RecordDef, Ty, TyKind};

/// A secrets file that the project reads.
#[derive(Clone, Debug)]
pub struct SecretsInput {
    /// Its path, as `use secrets` names it.
    pub path: Arc<str>,
    /// Its keys; none when it could not be read, which was reported.
    pub shape: Option<SecretShape>,
}

/// A file that the project reads as a text.
#[derive(Clone, Debug)]
pub struct TextInput {
    /// The module whose `use text` it is.
    pub module: FileId,
    /// Its path, as that names it.
    pub path: Arc<str>,
    /// Its content; none when it could not be read, which was reported.
    pub text: Option<Arc<str>>,
}

/// What a secrets file has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretShape {
    /// Keys with what is below them, in the order of the file.
    Map(Vec<(String, SecretShape)>),
    /// Elements in their order.
    List(Vec<SecretShape>),
    /// A value.
    Value {
        /// What it was before it was encrypted.
        kind: SecretKind,
        /// The text that stands for it.
        reference: Arc<str>,
    },
}

/// What a secret value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SecretKind {
    /// `Secret<String>`.
    String,
    /// `Secret<Int>`.
    Int,
    /// `Secret<Float>`.
    Float,
    /// `Secret<Bool>`.
    Bool,
}

impl Checker<'_> {
    /// Declares the constant of a `use secrets`.
    pub(crate) fn use_secrets(
        &mut self,
        module: usize,
        path: &str,
        span: Span,
        alias: Option<Ident>,
    ) {
        let file = self.secrets.iter().find(|file| *file.path == *path);
        let shape = file.and_then(|file| file.shape.clone());
        let expr = match shape {
            Some(shape) => self.vault(&shape, path, span),
            None => self.error,
        };
        self.use_constant(module, expr, span, alias);
    }

    /// Declares the constant of a `use text`.
    pub(crate) fn use_text(
        &mut self,
        module: usize,
        (file, path): (FileId, &str),
        span: Span,
        alias: Option<Ident>,
    ) {
        let mut texts = self.texts.iter();
        let text = texts
            .find(|text| text.module == file && *text.path == *path)
            .and_then(|text| text.text.clone());
        let expr = match text {
            Some(text) => self.add(ExprKind::Str(text), Ty::STRING, span),
            None => self.error,
        };
        self.use_constant(module, expr, span, alias);
    }

    fn use_constant(&mut self, module: usize, expr: ExprId, span: Span, alias: Option<Ident>) {
        let Some(alias) = alias.filter(|name| !name.name.is_empty()) else {
            return;
        };
        let id = LetId::new(self.lets.len());
        self.lets.push(LetItem {
            module,
            name: alias,
            declared: None,
            value: nothing(),
            exported: false,
            state: State::Done,
            ty: self.hir.ty(expr),
            body: Body { expr, slots: 0 },
            constant: None,
            used: true,
            used_in: Vec::new(),
        });
        self.vaults.push((id, span));
        self.declare(module, alias, Global::Let(id));
    }

    /// The value of a shape, and of what is below it. `name` is what messages call it.
    fn vault(&mut self, shape: &SecretShape, name: &str, span: Span) -> ExprId {
        match shape {
            SecretShape::Value { kind, reference } => {
                let inner = match kind {
                    SecretKind::String => Ty::STRING,
                    SecretKind::Int => Ty::INT,
                    SecretKind::Float => Ty::FLOAT,
                    SecretKind::Bool => Ty::BOOL,
                };
                let ty = self.types.intern(TyKind::Secret(inner));
                self.add(ExprKind::Secret(Arc::clone(reference)), ty, span)
            }
            SecretShape::List(items) => {
                let mut item_ty = Ty::NEVER;
                let mut made = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    let id = self.vault(item, &format!("{name}[{at}]"), span);
                    item_ty = self.join(item_ty, self.hir.ty(id));
                    made.push(Item::Expr(id));
                }
                let ty = self.types.list(item_ty);
                self.add(ExprKind::List(made.into()), ty, span)
            }
            SecretShape::Map(entries) => {
                let mut fields = Vec::with_capacity(entries.len());
                let mut items = Vec::with_capacity(entries.len());
                for (at, (key, shape)) in entries.iter().enumerate() {
                    let value = self.vault(shape, &format!("{name}: {key}"), span);
                    items.push(RecordItem::Field(FieldInit {
                        field: at as u32,
                        span,
                        init: Init::Set(value),
                    }));
                    fields.push(FieldDef {
                        name: Name::new(key),
                        ty: self.hir.ty(value),
                        required: true,
                        default: None,
                        is_final: false,
                        span: Some(span),
                        doc: None,
                    });
                }
                let by_name: HashMap<_, _, _> =
                    (0..).zip(&fields).map(|(at, f)| (f.name, at)).collect();
                let record = self.types.add_record(RecordDef {
                    name: name.into(),
                    origin: Origin::Anonymous,
                    // With a place, so that what it holds is asked for where plain data is wanted.
                    span: Some(span),
                    required: (0..fields.len() as u32).collect(),
                    fields,
                    by_name,
                    asserts: Vec::new(),
                    open: false,
                    doc: None,
                });
                let ty = self.types.intern(TyKind::Record(record));
                self.add(ExprKind::Record(record, items.into()), ty, span)
            }
        }
    }

    /// Warns of secrets files and texts that nothing uses.
    pub(crate) fn unused_vaults(&mut self) {
        for (id, span) in self.vaults.clone() {
            let item = &self.lets[id.index()];
            let name = item.name.name;
            if self.used_vaults.contains(&id)
                || name.starts_with('_')
                || self.modules[item.module].path.starts_with("std.")
            {
                continue;
            }
            self.report(
                Diagnostic::warning("W0101", format!("nothing uses the import `{name}`"))
                    .label(span, "imported here")
                    .help("remove it"),
            );
        }
    }
}

/// The expression of a constant that no source wrote.
fn nothing() -> &'static Expr {
    static NOTHING: OnceLock<Expr> = OnceLock::new();
    NOTHING.get_or_init(|| Expr {
        id: NodeId(0),
        span: Span::new(FileId(0), 0, 0),
        kind: Ast::Error,
    })
}
