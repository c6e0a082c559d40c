//! What a file declares, as a tree, and where in a project a name is declared.

use ordain_lang_project::Project;
use ordain_lang_syntax::Span;
use ordain_lang_syntax::ast::{
    Expr, ExprKind, FieldOp, File, Ident, ItemKind, Member, MemberKind, Record, SegmentKind,
    TypeBody, TypeExpr,
};

/// What a symbol is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SymbolKind {
    /// A record type.
    Record,
    /// Another name for a type.
    Alias,
    /// A field.
    Field,
    /// A function.
    Function,
    /// A constant.
    Constant,
    /// An export.
    Export,
    /// An app.
    App,
    /// An environment.
    Env,
    /// A test.
    Test,
    /// A policy.
    Policy,
}

/// A declaration, with those inside it.
#[derive(Clone, Debug)]
pub(crate) struct Symbol {
    /// Its name.
    pub(crate) name: String,
    /// What stands behind the name: a type, a base.
    pub(crate) detail: String,
    /// What it is.
    pub(crate) kind: SymbolKind,
    /// All of it.
    pub(crate) span: Span,
    /// Its name.
    pub(crate) name_span: Span,
    /// What it contains.
    pub(crate) children: Vec<Symbol>,
}

/// Returns what a file declares, in order.
pub(crate) fn of_file(file: &File, text: &str) -> Vec<Symbol> {
    let slice = |span: Span| text.get(span.range()).unwrap_or("").to_owned();
    let mut symbols = Vec::new();
    for item in &file.items {
        let (name, kind, detail, children) = match &item.kind {
            ItemKind::Type(decl) => match &decl.body {
                TypeBody::Record(record) => {
                    let fields = record.fields.iter().map(|field| Symbol {
                        name: field.name.name.to_string(),
                        detail: slice(field.ty.span),
                        kind: SymbolKind::Field,
                        span: field.span,
                        name_span: field.name.span,
                        children: Vec::new(),
                    });
                    (
                        decl.name,
                        SymbolKind::Record,
                        String::new(),
                        fields.collect(),
                    )
                }
                TypeBody::Alias(ty) => (decl.name, SymbolKind::Alias, slice(ty.span), Vec::new()),
            },
            ItemKind::Fn(decl) => {
                let ends = decl.result.as_ref().map(|ty| ty.span.end);
                let end = ends.unwrap_or(decl.name.span.end);
                let span = Span {
                    start: decl.name.span.end,
                    end,
                    ..decl.name.span
                };
                (decl.name, SymbolKind::Function, slice(span), Vec::new())
            }
            ItemKind::Let(binding) => (
                binding.name,
                SymbolKind::Constant,
                shown(binding.ty.as_ref(), &slice),
                Vec::new(),
            ),
            ItemKind::Export(export) => {
                let name = export.name.unwrap_or(Ident {
                    name: "export".into(),
                    span: export.value.span,
                });
                let detail = shown(export.ty.as_ref(), &slice);
                (name, SymbolKind::Export, detail, Vec::new())
            }
            ItemKind::App(app) => (
                app.name,
                SymbolKind::App,
                String::new(),
                members(&app.body, &slice),
            ),
            ItemKind::Env(env) => {
                let detail = env.extends.map(|base| format!("extends {}", base.name));
                (
                    env.name,
                    SymbolKind::Env,
                    detail.unwrap_or_default(),
                    members(&env.body, &slice),
                )
            }
            ItemKind::Test(test) => {
                let detail = test.env.map(|env| format!("in {}", env.name));
                let name = quoted(&test.name, test.name_span);
                (
                    name,
                    SymbolKind::Test,
                    detail.unwrap_or_default(),
                    Vec::new(),
                )
            }
            ItemKind::Policy(policy) => {
                let name = quoted(&policy.name, policy.name_span);
                (name, SymbolKind::Policy, String::new(), Vec::new())
            }
            _ => continue,
        };
        // After a syntax error there may be no name, which the protocol does not allow.
        let shown = if name.name.is_empty() {
            "?"
        } else {
            name.name.as_str()
        };
        symbols.push(Symbol {
            name: shown.to_owned(),
            detail,
            kind,
            span: item.span.to(name.span),
            name_span: name.span,
            children,
        });
    }
    symbols
}

fn quoted(text: &str, span: Span) -> Ident {
    Ident {
        name: text.into(),
        span,
    }
}

fn shown(ty: Option<&TypeExpr>, slice: &impl Fn(Span) -> String) -> String {
    ty.map(|ty| slice(ty.span)).unwrap_or_default()
}

/// The fields of an app, and what an environment sets.
fn members(record: &Record, slice: &impl Fn(Span) -> String) -> Vec<Symbol> {
    let symbol = |member: &Member| match &member.kind {
        MemberKind::Field(field) => {
            let (first, last) = (field.path.first()?, field.path.last()?);
            let name_span = first.span.to(last.span);
            let name = match &*field.path {
                [only] => match &only.kind {
                    SegmentKind::Name(name) => name.to_string(),
                    _ => slice(name_span),
                },
                _ => slice(name_span),
            };
            let detail = match (&field.ty, &field.op) {
                (Some(ty), _) => slice(ty.span),
                (None, FieldOp::Set(value)) if is_plain(value) => {
                    format!("= {}", slice(value.span))
                }
                _ => String::new(),
            };
            (!name.is_empty()).then(|| Symbol {
                name,
                detail: detail.replace('\n', " "),
                kind: SymbolKind::Field,
                span: member.span.to(name_span),
                name_span,
                children: Vec::new(),
            })
        }
        _ => None,
    };
    record.members.iter().filter_map(symbol).collect()
}

/// Whether a value is short and no text: a text may be a secret.
fn is_plain(value: &Expr) -> bool {
    matches!(
        value.kind,
        ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Bool(_) | ExprKind::Unit(_)
    )
}

/// A declaration somewhere in a project.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// What it is.
    pub(crate) symbol: Symbol,
    /// The module it stands in.
    pub(crate) module: String,
}

/// How many declarations are shown; more letters make them fewer.
const FOUND_MAX: usize = 256;

/// Finds declarations whose name contains the letters of a query, in order and in any case.
pub(crate) fn find(project: &Project, query: &str) -> Vec<Found> {
    let mut found: Vec<(usize, Found)> = Vec::new();
    for module in project.modules.iter().filter(|module| module.is_own) {
        let text = project.sources.text(module.file);
        let mut todo = of_file(&module.parsed.file, text);
        while let Some(mut symbol) = todo.pop() {
            todo.append(&mut symbol.children);
            if let Some(rank) = rank(query, &symbol.name) {
                let module = module.path.clone();
                found.push((rank, Found { symbol, module }));
            }
        }
    }
    found.sort_by(|(a, x), (b, y)| {
        let key = |f: &Found| (f.symbol.name.len(), f.symbol.name.clone(), f.symbol.span);
        a.cmp(b).then_with(|| key(x).cmp(&key(y)))
    });
    found.truncate(FOUND_MAX);
    found.into_iter().map(|(_, found)| found).collect()
}

/// How well a name fits: 0 begins with the query, 1 contains it, 2 has its letters in order.
pub(crate) fn rank(query: &str, name: &str) -> Option<usize> {
    let (query, name) = (query.to_lowercase(), name.to_lowercase());
    if name.starts_with(&query) {
        return Some(0);
    }
    if name.contains(&query) {
        return Some(1);
    }
    let mut letters = name.chars();
    query
        .chars()
        .all(|wanted| letters.any(|letter| letter == wanted))
        .then_some(2)
}
