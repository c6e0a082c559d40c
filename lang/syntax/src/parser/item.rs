//! What stands at the top of a file.

use super::Parser;
use super::record::Body;
use super::recover::foreign;
use crate::ast::{
    App, Binding, Env, Export, ExprKind, FnDecl, Ident, Item, ItemKind, NamePath, Param, Policy,
    Test, TypeBody, TypeDecl, Use, UseTarget,
};
use crate::kind::{NodeKind, TokenKind as T};
use crate::{Diagnostic, Name};

impl Parser<'_> {
    /// Reads all items up to the end of the file.
    pub(super) fn file_items(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        while self.peek() != T::Eof {
            let before = self.at;
            if matches!(
                self.peek(),
                T::RBrace | T::RBracket | T::RParen | T::InterpClose
            ) {
                self.unmatched();
                continue;
            }
            if self.peek() == T::Comma && !items.is_empty() {
                self.bump();
                continue;
            }
            let item = self.item();
            items.push(item);
            if !self.is_lost && self.same_line() && self.peek() != T::Eof && !self.unmatched_close()
            {
                self.unexpected("a new line");
                // What such a value is meant to be is not known, so nothing follows from it.
                match items.last_mut().map(|item| &mut item.kind) {
                    Some(ItemKind::Let(binding)) => binding.value.kind = ExprKind::Error,
                    Some(ItemKind::Export(export)) => export.value.kind = ExprKind::Error,
                    _ => {}
                }
            }
            if self.is_lost {
                if self.at == before {
                    self.skip_group();
                }
                while self.peek() != T::Eof && !self.at_item() {
                    self.skip_group();
                }
                self.is_lost = false;
            }
        }
        items
    }

    fn unmatched_close(&self) -> bool {
        matches!(self.peek(), T::RBrace | T::RBracket | T::RParen)
    }

    /// Whether an item begins here, at the beginning of any line.
    fn at_item(&self) -> bool {
        let next = self.peek_at(1);
        self.token().new_line
            && match self.peek() {
                T::Type | T::Fn | T::App | T::Env | T::Let | T::Use => next.is_word(),
                T::Export => next.is_word() || matches!(next, T::LBrace | T::LBracket),
                T::Test | T::Policy => next == T::Quote,
                T::External | T::Allow => next.is_word(),
                T::Ident => next.is_word() && foreign(self.text(self.token())).is_some(),
                _ => false,
            }
    }

    fn item(&mut self) -> Item {
        let doc = self.doc();
        let start = self.start();
        let (kind, node) = match self.peek() {
            T::Use => (self.use_item(), NodeKind::Use),
            T::Type => (self.type_decl(), NodeKind::TypeDecl),
            T::Fn => (self.fn_decl(), NodeKind::FnDecl),
            T::Let => (ItemKind::Let(self.binding()), NodeKind::Let),
            T::Export => (self.export(), NodeKind::Export),
            T::App => (self.app(), NodeKind::App),
            T::Env => (self.env(), NodeKind::Env),
            T::Test => (self.test(), NodeKind::Test),
            T::Policy => (self.policy(), NodeKind::Policy),
            T::External | T::Allow if self.at_exemption() => {
                let exemption = self.exemption();
                return Item {
                    id: self.id(),
                    span: exemption.span,
                    doc,
                    kind: ItemKind::Exempt(exemption),
                };
            }
            _ => (self.no_item(), NodeKind::Error),
        };
        let span = self.finish(start, node);
        Item {
            id: self.id(),
            span,
            doc,
            kind,
        }
    }

    /// Reports what is no item, with the remedy for the likely slips.
    fn no_item(&mut self) -> ItemKind {
        let word = self.text(self.token()).to_owned();
        let help = match self.peek() {
            T::LBrace | T::LBracket => {
                Some("a value on its own is exported with `export`: `export { … }`".to_owned())
            }
            T::Ident if matches!(self.peek_at(1), T::Dot | T::LBrace) && foreign(&word).is_none() => {
                Some(format!(
                    "a value on its own is exported: `export {word}…`; or it is an element of the `objects` of an app"
                ))
            }
            T::For => Some(
                "write a list: `export [for x in xs => …]`, or `objects = [for x in xs => …]` in an app"
                    .to_owned(),
            ),
            T::Ident if self.peek_at(1) == T::Eq => Some(format!(
                "write `let {word} = …`, or `export {word} = …` for an object to emit"
            )),
            T::Ident => match &*word {
                "import" | "from" | "include" | "require" => {
                    Some("write `use path.to.module`".into())
                }
                "var" | "val" | "const" | "local" => {
                    Some("write `let`: nothing is ever changed".to_owned())
                }
                "apiVersion" | "kind" => Some(
                    "this looks like YAML: `ordain import FILE` turns it into this language; JSON pastes in as it is"
                        .into(),
                ),
                _ => match foreign(&word) {
                    Some(T::Fn) => Some(format!("write `fn` instead of `{word}`")),
                    Some(T::Type) => Some(format!("write `type` instead of `{word}`")),
                    Some(T::Env) => Some(format!("write `env` instead of `{word}`")),
                    _ => None,
                },
            },
            _ => None,
        };
        let meant = foreign(&word).filter(|_| self.peek_at(1).is_word());
        let before = self.diagnostics.len();
        self.unexpected("an item (use, type, fn, let, export, app, env, test or policy)");
        if let (Some(help), Some(last)) = (help, self.diagnostics.get_mut(before)) {
            last.help = Some(help);
        }
        // It is read as what was meant, so that its name is known and its own mistakes are told.
        if let Some(meant) = meant {
            self.is_lost = false;
            return match meant {
                T::Fn => self.fn_decl(),
                T::Type => self.type_decl(),
                T::Env => self.env(),
                _ => ItemKind::Let(self.binding()),
            };
        }
        ItemKind::Error
    }

    fn use_item(&mut self) -> ItemKind {
        self.bump();
        let target = if self.peek() == T::Crd && self.peek_at(1) == T::Quote {
            self.bump();
            let (path, span) = self.plain_string("the path of a CRD file");
            UseTarget::Crd { path, span }
        } else if self.peek_at(1) == T::Quote && self.text(self.token()) == "secrets" {
            self.bump();
            let (path, span) = self.plain_string("the path of a secrets file");
            UseTarget::Secrets { path, span }
        } else if self.peek_at(1) == T::Quote && self.text(self.token()) == "text" {
            self.bump();
            let (path, span) = self.plain_string("the path of a text file");
            UseTarget::Text { path, span }
        } else {
            UseTarget::Module(self.module_path())
        };
        let alias = self.eat(T::As).then(|| self.ident("a name"));
        if alias.is_none() && !self.is_lost {
            let told = match &target {
                UseTarget::Crd { span, .. } => Some((*span, "the types of a CRD", "crd")),
                UseTarget::Secrets { span, .. } => Some((*span, "a secrets file", "secrets")),
                UseTarget::Text { span, .. } => Some((*span, "a text file", "text")),
                UseTarget::Module(_) => None,
            };
            if let Some((span, what, word)) = told {
                let verb = if word == "crd" { "need" } else { "needs" };
                let file = if word == "text" {
                    "file.conf"
                } else {
                    "file.yaml"
                };
                self.report(
                    Diagnostic::error("E0015", format!("{what} {verb} a name"))
                        .label(span, "used here")
                        .help(format!("write `use {word} \"{file}\" as name`")),
                );
            }
        }
        ItemKind::Use(Use { target, alias })
    }

    /// A module path; parts that are no names (`my-app`) are quoted.
    fn module_path(&mut self) -> NamePath {
        let mut parts = Vec::new();
        loop {
            parts.push(if self.peek() == T::Quote {
                let (text, span) = self.plain_string("a module name");
                Ident {
                    name: Name::new(&text),
                    span,
                }
            } else {
                self.ident("the path of a module")
            });
            if !(self.peek() == T::Dot && self.eat(T::Dot)) {
                break;
            }
        }
        let span = parts[0].span.to(parts[parts.len() - 1].span);
        NamePath { parts, span }
    }

    fn type_decl(&mut self) -> ItemKind {
        self.bump();
        let name = self.ident("the name of the type");
        if name
            .name
            .starts_with(|first: char| first.is_ascii_lowercase())
        {
            let mut capital = name.name.to_string();
            capital[..1].make_ascii_uppercase();
            self.report(
                Diagnostic::error(
                    "E0010",
                    format!("the type name `{}` begins with a small letter", name.name),
                )
                .label(
                    name.span,
                    "types are told from values by their first letter",
                )
                .help(format!("write `{capital}`")),
            );
        }
        let params = self.type_params();
        let body = if self.eat(T::Eq) {
            TypeBody::Alias(self.ty())
        } else {
            TypeBody::Record(self.record_type())
        };
        ItemKind::Type(TypeDecl { name, params, body })
    }

    fn type_params(&mut self) -> Vec<Ident> {
        let mut params = Vec::new();
        if self.peek() == T::Lt {
            let start = self.start();
            self.eat(T::Lt);
            loop {
                params.push(self.ident("a type parameter"));
                if !self.eat(T::Comma) {
                    break;
                }
            }
            self.expect(T::Gt);
            self.finish(start, NodeKind::TypeParams);
        }
        params
    }

    fn fn_decl(&mut self) -> ItemKind {
        self.bump();
        let name = self.ident("the name of the function");
        let type_params = self.type_params();
        let params = self.params();
        let result = self.eat(T::Arrow).then(|| self.ty());
        self.expect(T::Eq);
        let body = self.value_after_eq();
        ItemKind::Fn(FnDecl {
            name,
            type_params,
            params,
            result,
            body,
        })
    }

    /// `(a: A, b: B = default)`.
    pub(super) fn params(&mut self) -> Vec<Param> {
        let start = self.start();
        let open = self.here();
        let mut params = Vec::new();
        if self.expect(T::LParen) {
            self.sequence(T::RParen, "a parameter", |parser| {
                let start = parser.start();
                let name = parser.ident("a parameter");
                let ty = parser.eat(T::Colon).then(|| parser.ty());
                let default = parser.eat(T::Eq).then(|| parser.expr());
                let span = parser.finish(start, NodeKind::Param);
                params.push(Param {
                    id: parser.id(),
                    span,
                    name,
                    ty,
                    default,
                });
            });
            self.close(open, T::RParen);
            self.finish(start, NodeKind::Params);
        }
        params
    }

    /// `let name: Type = value`; the current token is `let`. The caller finishes the tree node.
    pub(super) fn binding(&mut self) -> Binding {
        let start = self.here();
        self.bump();
        let name = self.ident("a name");
        let ty = self.eat(T::Colon).then(|| self.ty());
        self.expect(T::Eq);
        let value = self.value_after_eq();
        let span = start.to(self.before());
        Binding {
            id: self.id(),
            span,
            name,
            ty,
            value,
        }
    }

    fn export(&mut self) -> ItemKind {
        self.bump();
        let has_name = self.peek().is_word() && matches!(self.peek_at(1), T::Eq | T::Colon);
        let name = has_name.then(|| self.ident("a name"));
        let ty = (has_name && self.eat(T::Colon)).then(|| self.ty());
        if has_name {
            self.expect(T::Eq);
        }
        let value = self.value_after_eq();
        ItemKind::Export(Export { name, ty, value })
    }

    fn app(&mut self) -> ItemKind {
        self.bump();
        let name = self.ident("the name of the app");
        let body = self.record(Body::App);
        ItemKind::App(App { name, body })
    }

    fn env(&mut self) -> ItemKind {
        self.bump();
        let name = self.ident("the name of the environment");
        let extends = self
            .eat(T::Extends)
            .then(|| self.ident("the environment to build on"));
        let body = self.record(Body::Env);
        ItemKind::Env(Env {
            name,
            extends,
            body,
        })
    }

    fn test(&mut self) -> ItemKind {
        self.bump();
        let (name, name_span) = self.plain_string("the name of a test");
        let env = self.eat(T::In).then(|| self.ident("an environment"));
        let body = self.stmts();
        ItemKind::Test(Test {
            name,
            name_span,
            env,
            body,
        })
    }

    fn policy(&mut self) -> ItemKind {
        self.bump();
        let (name, name_span) = self.plain_string("the name of a policy");
        let env = self.eat(T::In).then(|| self.ident("an environment"));
        let body = self.stmts();
        ItemKind::Policy(Policy {
            name,
            name_span,
            env,
            body,
        })
    }
}
