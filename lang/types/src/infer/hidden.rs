//! Modules that a name hides: a field, parameter or constant that is called as an import is.

use ordain_lang_syntax::ast::{Expr, ExprKind as Ast, Ident};
use ordain_lang_syntax::{Diagnostic, Span};

use crate::checker::{Checker, Scope};
use crate::hir::ExprId;
use crate::ty::{Ty, TyKind};

impl Checker<'_> {
    /// Reports `name.member` where `name` is a value without that member, while a module of that name, which the value
    /// hides, has it. `receiver` is the value. False when that is not so.
    pub(super) fn hides_module(
        &mut self,
        sc: &Scope,
        base: &Expr,
        member: Ident,
        receiver: ExprId,
    ) -> bool {
        let Ast::Name(first) = &base.kind else {
            return false;
        };
        let import = self.modules[sc.module].imports.get(first);
        let Some(module) = import.and_then(|import| import.module) else {
            return false;
        };
        let ty = self.types.without_optional(self.hir.ty(receiver));
        let has_it = match self.kind(ty) {
            TyKind::Record(id) => self.types.record(*id).field(member.name).is_some(),
            kind => super::method::exists(kind, member.name.as_str()),
        };
        if has_it
            || ty == Ty::ERROR
            || ty == Ty::ANY
            || !self.modules[module].items.contains_key(&member.name)
        {
            return false;
        }
        let local = sc.locals.iter().rev().find(|l| l.name == *first);
        let hider: Option<(Span, &str)> = match (local, sc.self_record) {
            (Some(local), _) => Some((local.span, "value")),
            (None, Some(record)) => {
                let def = self.types.record(record);
                let field = def.field(*first).map(|at| &def.fields[at as usize]);
                field.and_then(|field| Some((field.span?, "field")))
            }
            _ => None,
        };
        let Some((hider, what)) = hider else {
            return false;
        };
        let path = self.modules[module].path;
        let part = self.part_at(base.span);
        if let Some(import) = self.modules[sc.module].imports.get_mut(first) {
            import.note(part);
        }
        self.report(
            Diagnostic::error(
                "E0106",
                format!("`{first}` is a {what} here, which has no `{}`", member.name),
            )
            .label(base.span, format!("not the module `{path}`"))
            .label(hider, format!("this {what} hides the module"))
            .help(format!(
                "give one of them another name: `use {path} as …`, or call the {what} otherwise"
            )),
        );
        true
    }

    /// The standard library's modules are not read before they are used: how to use one that a name is.
    pub(crate) fn standard_module(&self, name: &str) -> Option<String> {
        let path = crate::STANDARD_MODULES
            .iter()
            .find(|path| path.strip_prefix("std.") == Some(name))?;
        Some(format!("add `use {path}`"))
    }
}
