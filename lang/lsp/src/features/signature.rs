//! Which parameter of which function is being written.

use ordain_lang_syntax::ast::{Arg, Expr, ExprKind, ItemKind};
use ordain_lang_types::index::{Def, methods};

use super::describe::{describe, item_named, params, signature as head};
use crate::nodes::{Node, path_at};
use crate::view::View;

/// A function's head and the parameter at hand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Signature {
    /// The head.
    pub(crate) label: String,
    /// Its documentation.
    pub(crate) doc: Option<String>,
    /// Parts of the label which are parameters.
    pub(crate) params: Vec<String>,
    /// Which one is being written.
    pub(crate) active: Option<u32>,
}

/// Finds the call around a place.
pub(crate) fn signature(view: &View<'_>, offset: u32) -> Option<Signature> {
    let path = path_at(view.tree()?, offset);
    let (callee, args) = path.iter().rev().find_map(|node| match node {
        Node::Expr(Expr {
            kind: ExprKind::Call { callee, args },
            ..
        }) if callee.span.end < offset => Some((callee, args)),
        _ => None,
    })?;
    let found = view
        .index()
        .use_at(view.file, callee.span.end.saturating_sub(1))?;
    let (label, doc, params, names) = match found.def {
        Def::Fn(id) => {
            let function = view.program().fns.get(id.index())?;
            let item = item_named(view, function.span)?;
            let ItemKind::Fn(decl) = &item.kind else {
                return None;
            };
            let names: Vec<&str> = decl.params.iter().map(|p| p.name.name.as_str()).collect();
            let doc = item.doc.as_deref().map(str::to_owned);
            (head(view, decl), doc, params(view, decl), names)
        }
        Def::Builtin(name, ty) => {
            let all = methods(&view.program().types, ty);
            let (_, names) = all.into_iter().find(|(known, _)| name == *known)?;
            let shown = describe(view, found)?;
            let params = names.iter().map(|name| (*name).to_owned()).collect();
            (shown.code, shown.doc, params, names)
        }
        _ => return None,
    };
    let active = active(args, &names, offset).filter(|at| (*at as usize) < params.len());
    Some(Signature {
        label,
        doc,
        params,
        active,
    })
}

/// The parameter that the argument at a place is for.
fn active(args: &[Arg], names: &[&str], offset: u32) -> Option<u32> {
    let mut next = 0;
    let mut given: Vec<usize> = Vec::new();
    // A value without a name after named ones is the next that is still open.
    let open = |next: u32, given: &[usize]| -> u32 {
        let mut at = next;
        while given.contains(&(at as usize)) {
            at += 1;
        }
        at
    };
    for arg in args {
        let to = arg.value.span.end;
        let at = match arg.name {
            Some(name) => names.iter().position(|known| name.name == *known)? as u32,
            None => open(next, &given),
        };
        if offset <= to {
            return Some(at);
        }
        given.push(at as usize);
        if arg.name.is_none() {
            next = at + 1;
        }
    }
    Some(open(next, &given))
}
