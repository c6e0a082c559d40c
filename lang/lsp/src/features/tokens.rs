//! Colors by meaning: what each word of a file is, as names resolve.

use std::ops::Range;

use ordain_lang_syntax::ast::ItemKind;
use ordain_lang_syntax::{Child, NodeKind, TokenKind, TreeToken};
use ordain_lang_types::index::{Def, Use};
use ordain_lang_types::ty::{Origin, TyKind};

use crate::view::View;

/// What a word is; the position in [`NAMES`] is its number in the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
#[allow(missing_docs, reason = "they are the protocol's own names")]
pub(crate) enum TokenType {
    Namespace,
    Type,
    Struct,
    Class,
    TypeParameter,
    Parameter,
    Variable,
    Property,
    Function,
    Method,
    Keyword,
    Comment,
    String,
    Number,
    Regexp,
    Operator,
}

/// The protocol's names, in the order of [`TokenType`].
pub(crate) const NAMES: &[&str] = &[
    "namespace",
    "type",
    "struct",
    "class",
    "typeParameter",
    "parameter",
    "variable",
    "property",
    "function",
    "method",
    "keyword",
    "comment",
    "string",
    "number",
    "regexp",
    "operator",
];

/// The protocol's names of what may be said in addition, a bit each.
pub(crate) const MODIFIERS: &[&str] =
    &["declaration", "readonly", "defaultLibrary", "documentation"];

const DECLARATION: u32 = 1;
const READONLY: u32 = 1 << 1;
const LIBRARY: u32 = 1 << 2;
const DOCUMENTATION: u32 = 1 << 3;

/// A colored piece of text; it does not go over the end of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Colored {
    /// First byte.
    pub(crate) start: usize,
    /// After the last byte.
    pub(crate) end: usize,
    /// What it is.
    pub(crate) kind: TokenType,
    /// Bits of [`MODIFIERS`].
    pub(crate) modifiers: u32,
}

/// Returns the colors of a part of the asked file, in order.
pub(crate) fn colors(view: &View<'_>, part: Range<usize>) -> Vec<Colored> {
    let Some(parsed) = view.parsed_of(view.file) else {
        return Vec::new();
    };
    let text = view.text();
    let tree = parsed.tree();
    let mut out = Vec::new();
    let mut open = vec![(
        tree.root().kind(),
        tree.root().children().collect::<Vec<_>>().into_iter(),
    )];
    while let Some((kind, children)) = open.last_mut() {
        let kind = *kind;
        match children.next() {
            None => {
                open.pop();
            }
            Some(Child::Node(node)) => {
                let range = node.range();
                if range.start <= part.end && part.start <= range.end {
                    open.push((node.kind(), node.children().collect::<Vec<_>>().into_iter()));
                }
            }
            Some(Child::Token(token)) => {
                let range = token.start as usize..token.end as usize;
                if range.start > part.end || part.start > range.end {
                    continue;
                }
                if let Some((found, modifiers)) = color(view, kind, token) {
                    by_line(text, range, found, modifiers, &mut out);
                }
            }
        }
    }
    out
}

fn by_line(
    text: &str,
    range: Range<usize>,
    kind: TokenType,
    modifiers: u32,
    out: &mut Vec<Colored>,
) {
    let mut start = range.start;
    for line in text.get(range).unwrap_or("").split_inclusive('\n') {
        let shown = line.trim_end_matches(['\n', '\r']);
        if !shown.is_empty() {
            out.push(Colored {
                start,
                end: start + shown.len(),
                kind,
                modifiers,
            });
        }
        start += line.len();
    }
}

fn color(view: &View<'_>, node: NodeKind, token: TreeToken) -> Option<(TokenType, u32)> {
    use TokenKind as K;
    use TokenType as T;
    Some(match token.kind {
        K::Whitespace | K::Invalid | K::Eof => return None,
        K::LineComment | K::BlockComment => (T::Comment, 0),
        K::DocComment => (T::Comment, DOCUMENTATION),
        K::Int | K::Float | K::Unit => (T::Number, 0),
        K::Regex => (T::Regexp, 0),
        K::Quote | K::QuoteEnd | K::StrText => match node {
            NodeKind::Path => (T::Property, 0),
            _ => (T::String, 0),
        },
        kind if kind.is_word() => return word(view, node, token),
        K::InterpOpen
        | K::InterpClose
        | K::LBrace
        | K::RBrace
        | K::LBracket
        | K::RBracket
        | K::LParen
        | K::RParen
        | K::Comma
        | K::Colon
        | K::Semicolon
        | K::Dot => return None,
        _ => (T::Operator, 0),
    })
}

fn word(view: &View<'_>, node: NodeKind, token: TreeToken) -> Option<(TokenType, u32)> {
    use TokenType as T;
    let exact = |found: &&Use| found.span.start == token.start && found.span.end == token.end;
    let found = view.index().use_at(view.file, token.start).filter(exact);
    if let Some(found) = found {
        return Some(meaning(view, found));
    }
    let text = view.text().get(token.start as usize..token.end as usize)?;
    let is_capital = text.starts_with(|c: char| c.is_ascii_uppercase());
    if node == NodeKind::Path {
        return Some((T::Property, 0));
    }
    Some(match token.kind {
        TokenKind::Ident => match node {
            NodeKind::TypeParams => (T::TypeParameter, DECLARATION),
            NodeKind::FieldDecl | NodeKind::FieldAccess => (T::Property, 0),
            NodeKind::NamedType if text == "k8s" => (T::Namespace, LIBRARY),
            NodeKind::NamedType if !is_capital => (T::Namespace, 0),
            NodeKind::NamedType => (T::Type, LIBRARY),
            _ if text == "k8s" => (T::Namespace, LIBRARY),
            NodeKind::Name if is_import(view, text) => (T::Namespace, 0),
            NodeKind::Use => (T::Namespace, 0),
            NodeKind::Arg => (T::Parameter, 0),
            _ if is_capital => (T::Type, 0),
            NodeKind::Name if matches!(text, "min" | "max" | "quantity" | "fail") => {
                (T::Function, LIBRARY)
            }
            _ => (T::Variable, 0),
        },
        // A keyword that is a field's name.
        _ if matches!(node, NodeKind::FieldDecl | NodeKind::FieldAccess)
            && token.kind != TokenKind::Final =>
        {
            (T::Property, 0)
        }
        _ => (T::Keyword, 0),
    })
}

/// Whether a name is that of a file that the source uses.
fn is_import(view: &View<'_>, name: &str) -> bool {
    let items = view.tree().map_or(&[][..], |tree| &tree.items);
    items.iter().any(|item| match &item.kind {
        ItemKind::Use(used) => used.alias.is_some_and(|alias| alias.name == *name),
        _ => false,
    })
}

/// What a resolved name is.
fn meaning(view: &View<'_>, found: &Use) -> (TokenType, u32) {
    use TokenType as T;
    let program = view.program();
    let declared = match found.is_definition {
        true => DECLARATION,
        false => 0,
    };
    let library = match program.place(found.def) {
        Some(place) if !view.is_own(place.file) => LIBRARY,
        _ => 0,
    };
    let (kind, more) = match found.def {
        Def::Local(place) => match is_parameter(view, place) {
            true => (T::Parameter, 0),
            false => (T::Variable, READONLY),
        },
        Def::Field(record, at) => {
            let def = program.types.record(record);
            let is_final = def.fields.get(at as usize).is_some_and(|f| f.is_final);
            let library = match def.origin {
                Origin::Kubernetes(_) => LIBRARY,
                _ => 0,
            };
            (T::Property, library | if is_final { READONLY } else { 0 })
        }
        Def::Type(_) => match program.types.kind(found.ty) {
            TyKind::Record(_) => (T::Struct, 0),
            _ => (T::Type, 0),
        },
        Def::Kubernetes(_) => (T::Struct, LIBRARY),
        Def::Fn(_) => (T::Function, 0),
        Def::Let(_) => (T::Variable, READONLY),
        Def::App(_) => (T::Class, 0),
        Def::Env(_) | Def::Module(_) => (T::Namespace, 0),
        Def::Builtin(..) => (T::Method, LIBRARY),
    };
    (kind, declared | library | more)
}

/// Whether a local is a parameter: its declaration stands in one.
fn is_parameter(view: &View<'_>, place: ordain_lang_syntax::Span) -> bool {
    let Some(parsed) = view.parsed_of(place.file) else {
        return false;
    };
    let path = crate::nodes::path_at(&parsed.file, place.start);
    path.iter().any(|node| match node {
        crate::nodes::Node::Param(param) => param.name.span == place,
        crate::nodes::Node::Expr(expr) => match &expr.kind {
            ordain_lang_syntax::ast::ExprKind::Lambda { params, .. } => {
                params.iter().any(|param| param.name.span == place)
            }
            _ => false,
        },
        _ => false,
    })
}
