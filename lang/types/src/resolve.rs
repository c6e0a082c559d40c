//! Type expressions to types: names of types, their arguments and their refinements.

use std::collections::HashMap;
use std::sync::Arc;

use ordain_lang_syntax::ast::{FieldDecl, Ident, RecordType, TypeBody, TypeExpr, TypeKind};
use ordain_lang_syntax::{Diagnostic, Name, Span};

use crate::checker::{ALIAS_LIMIT, Checker, Global, PendingRecord, Scope, State, TypeItem};
use crate::hir::Body;
use crate::index::Def;
use crate::k8s::K8s;
use crate::program::ModuleId;
use crate::suggest::nearest;
use crate::ty::{FieldDef, Origin, RecordDef, Ty, TyKind};

/// How deep type arguments may be nested: a type which contains itself with larger arguments has no end.
const ARG_DEPTH: usize = 12;

/// The types which are always there.
pub(crate) const BUILTIN: [&str; 11] = [
    "Int", "Float", "Bool", "String", "Quantity", "Duration", "Time", "Any", "List", "Map",
    "Secret",
];

/// What is needed to read a type expression.
pub(crate) struct TypeScope<'s> {
    pub(crate) module: usize,
    pub(crate) args: &'s [(Name, Ty)],
}

impl Scope {
    pub(crate) fn types(&self) -> TypeScope<'_> {
        TypeScope {
            module: self.module,
            args: &self.type_args,
        }
    }
}

impl<'a> Checker<'a> {
    /// The type that an expression means; [`Ty::ERROR`] after a report.
    pub(crate) fn resolve(&mut self, sc: &TypeScope<'_>, te: &'a TypeExpr) -> Ty {
        match &te.kind {
            TypeKind::Error => Ty::ERROR,
            TypeKind::Optional(inner) => {
                let inner = self.resolve(sc, inner);
                self.types.optional(inner)
            }
            TypeKind::Literal(expr) => self.literal_type(expr),
            TypeKind::Union(members) => {
                let members: Vec<Ty> = members.iter().map(|m| self.resolve(sc, m)).collect();
                self.union(&members)
            }
            TypeKind::Function { params, result } => {
                let params = params.iter().map(|p| self.resolve(sc, p)).collect();
                let result = self.resolve(sc, result);
                self.types.intern(TyKind::Fn(params, result))
            }
            TypeKind::Record(body) => self.record_type(sc, body, "{ … }", None, None),
            TypeKind::Named {
                path,
                args,
                refinements,
            } => {
                let names: Vec<&str> = path.parts.iter().map(|p| p.name.as_str()).collect();
                let args: Vec<Ty> = args.iter().map(|a| self.resolve(sc, a)).collect();
                let base = self.named(sc, &path.parts, &names, &args, path.span);
                if refinements.is_empty() {
                    base
                } else {
                    self.refine(base, refinements)
                }
            }
        }
    }

    /// The union of types: flat, without duplicates, strings joined to one enum, null made optional.
    pub(crate) fn union(&mut self, members: &[Ty]) -> Ty {
        let mut names: Vec<Name> = Vec::new();
        let mut others: Vec<Ty> = Vec::new();
        let mut optional = false;
        let mut todo: Vec<Ty> = members.iter().rev().copied().collect();
        while let Some(ty) = todo.pop() {
            match self.types.kind(ty).clone() {
                TyKind::Error | TyKind::Any => return ty,
                TyKind::Null => optional = true,
                TyKind::Never => {}
                TyKind::Optional(inner) => {
                    optional = true;
                    todo.push(inner);
                }
                TyKind::Union(inner) => todo.extend(inner.iter().rev()),
                TyKind::Enum(inner) => {
                    let new: Vec<Name> = inner
                        .iter()
                        .copied()
                        .filter(|n| !names.contains(n))
                        .collect();
                    names.extend(new);
                }
                _ if !others.contains(&ty) => others.push(ty),
                _ => {}
            }
        }
        if !names.is_empty() && !others.contains(&Ty::STRING) {
            let all = self.types.intern(TyKind::Enum(names.into()));
            others.insert(0, all);
        }
        others.sort_by_key(|ty| usize::from(*ty != Ty::INT));
        let union = match others.as_slice() {
            [] => return if optional { Ty::NULL } else { Ty::NEVER },
            [one] => *one,
            [Ty::INT, Ty::STRING] => Ty::INT_OR_STRING,
            _ => self.types.intern(TyKind::Union(others.into())),
        };
        if optional {
            self.types.optional(union)
        } else {
            union
        }
    }

    /// The type with a name.
    fn named(
        &mut self,
        sc: &TypeScope<'_>,
        parts: &[Ident],
        names: &[&str],
        args: &[Ty],
        span: Span,
    ) -> Ty {
        let wanted = match names {
            ["List" | "Secret"] => 1,
            ["Map"] => 2,
            _ => usize::MAX,
        };
        if wanted != usize::MAX && args.len() != wanted {
            return self.wrong_type_args(names[0], wanted, args.len(), span);
        }
        let simple = match names {
            ["List"] => Some(self.types.list(args[0])),
            ["Secret"] => Some(self.types.intern(TyKind::Secret(args[0]))),
            ["Map"] => Some(self.types.intern(TyKind::Map(args[0], args[1]))),
            ["Int"] => Some(Ty::INT),
            ["Float"] => Some(Ty::FLOAT),
            ["Bool"] => Some(Ty::BOOL),
            ["String"] => Some(Ty::STRING),
            ["Quantity"] => Some(Ty::QUANTITY),
            ["Duration"] => Some(Ty::DURATION),
            ["Time"] => Some(Ty::TIME),
            ["Any"] => Some(Ty::ANY),
            [""] => Some(Ty::ERROR),
            [name] => sc
                .args
                .iter()
                .rev()
                .find(|(n, _)| n == name)
                .map(|(_, ty)| *ty),
            _ => None,
        };
        if let Some(ty) = simple {
            if !args.is_empty() && wanted == usize::MAX {
                return self.wrong_type_args(names[0], 0, args.len(), span);
            }
            return ty;
        }
        if names[0] == "k8s" && names.len() > 1 {
            if !args.is_empty() {
                return self.wrong_type_args(&names.join("."), 0, args.len(), span);
            }
            let ty = self.k8s_named(&names[1..], span);
            if let (Some(last), true) = (parts.last(), ty != Ty::ERROR) {
                self.note(last.span, Def::Kubernetes(ty), ty);
            }
            return ty;
        }
        if let Some(file) = self.crd_import(sc.module, parts) {
            if !args.is_empty() {
                return self.wrong_type_args(&names.join("."), 0, args.len(), span);
            }
            return self.crd_named(file, &parts[1..], span);
        }
        match self.find_type(sc.module, parts) {
            Some(item) => self.instance(item, args, span),
            None => self.unknown_type(sc, parts, names, span),
        }
    }

    /// The CRD file whose name a path begins with.
    pub(crate) fn crd_import(&mut self, module: usize, parts: &[Ident]) -> Option<usize> {
        let first = parts.first().filter(|_| parts.len() > 1)?;
        let part = self.part_at(first.span);
        let import = self.modules[module].imports.get_mut(&first.name)?;
        if import.crd.is_some() {
            import.note(part);
        }
        import.crd
    }

    /// A type declaration by path: in this module, or `module.Type`.
    pub(crate) fn find_type(&mut self, module: usize, parts: &[Ident]) -> Option<usize> {
        let at = match parts {
            [_] => module,
            [alias, _] => {
                let part = self.part_at(alias.span);
                let import = self.modules[module].imports.get_mut(&alias.name)?;
                import.note(part);
                let at = import.module?;
                self.note(alias.span, Def::Module(ModuleId::new(at)), Ty::ERROR);
                at
            }
            _ => return None,
        };
        let last = parts.last()?;
        match self.modules[at].items.get(&last.name).copied() {
            Some((Global::Type(item), span)) => {
                let ty = self.instances.get(&(item, Vec::new())).copied();
                self.note_type(item, last.span);
                self.note(last.span, Def::Type(span), ty.unwrap_or(Ty::ERROR));
                Some(item)
            }
            _ => None,
        }
    }

    /// The type with a path, where it must be one.
    pub(crate) fn named_type(&mut self, sc: &TypeScope<'_>, parts: &[Ident], span: Span) -> Ty {
        let names: Vec<&str> = parts.iter().map(|p| p.name.as_str()).collect();
        self.named(sc, parts, &names, &[], span)
    }

    fn unknown_type(
        &mut self,
        sc: &TypeScope<'_>,
        parts: &[Ident],
        names: &[&str],
        span: Span,
    ) -> Ty {
        let types_of = |checker: &Checker<'a>, module: usize| -> Vec<&'static str> {
            let items = checker.modules[module].items.iter();
            items
                .filter(|(_, (g, _))| matches!(g, Global::Type(_)))
                .map(|(n, _)| n.as_str())
                .collect()
        };
        if let [alias, name] = parts {
            match self.modules[sc.module].imports.get(&alias.name) {
                // The missing module was reported at its `use`.
                Some(import) if import.module.is_none() => return Ty::ERROR,
                Some(import) => {
                    let module = import.module.unwrap_or(0);
                    let candidates = types_of(self, module);
                    let path = self.modules[module].path;
                    let near = nearest(names[1], candidates);
                    let diagnostic = Diagnostic::error(
                        "E0102",
                        format!("module `{path}` has no type `{}`", names[1]),
                    );
                    self.report(with_near(diagnostic.label(name.span, "not found"), near));
                    return Ty::ERROR;
                }
                None => {}
            }
        }
        let mut candidates = types_of(self, sc.module);
        candidates.extend(BUILTIN);
        candidates.extend(sc.args.iter().map(|(n, _)| n.as_str()));
        let full = names.join(".");
        let mut diagnostic = Diagnostic::error("E0102", format!("there is no type `{full}`"))
            .label(span, "not found");
        if names.len() == 1
            && (self.k8s.kind(names[0]).is_some() || K8s::SCALARS.contains(&names[0]))
        {
            diagnostic = diagnostic.help(format!("write `k8s.{}`", names[0]));
        } else if let Some(help) = self.module_help(names) {
            diagnostic = diagnostic.help(help);
        } else {
            diagnostic = with_near(diagnostic, nearest(&full, candidates));
        }
        self.report(diagnostic);
        Ty::ERROR
    }

    /// How to reach the module that a type's name begins with, when nothing imports it.
    fn module_help(&self, names: &[&str]) -> Option<String> {
        let [first, _] = names else {
            return None;
        };
        let known = self
            .modules
            .iter()
            .find(|module| module.path.rsplit('.').next() == Some(*first));
        match known {
            Some(module) => Some(format!("add `use {}`", module.path)),
            None => self.standard_module(first),
        }
    }

    /// A type of the namespace `k8s`.
    pub(crate) fn k8s_named(&mut self, parts: &[&str], span: Span) -> Ty {
        if parts == [""] {
            return Ty::ERROR;
        }
        if let Some(ty) = self.k8s.resolve(&mut self.types, &mut self.hir, parts) {
            return ty;
        }
        let name = parts.last().copied().unwrap_or("");
        let version = self.k8s.table.version();
        let near =
            nearest(name, self.k8s.kind_names().chain(K8s::SCALARS)).map(|n| format!("k8s.{n}"));
        let diagnostic = Diagnostic::error(
            "E0105",
            format!("Kubernetes {version} has no `{}`", parts.join(".")),
        )
        .label(span, "not found");
        let diagnostic = match ordain_schemas::KubeVersion::ALL.iter().rev().find(|other| {
            **other != version
                && ordain_schemas::table(**other).kinds().iter().any(|k| {
                    k.kind == name
                        && (parts.len() == 1 || parts[..parts.len() - 1].contains(&k.version))
                })
        }) {
            Some(other) => diagnostic.note(format!("Kubernetes {other} has it")),
            None => with_near(diagnostic, near.as_deref()),
        };
        self.report(diagnostic);
        Ty::ERROR
    }

    fn wrong_type_args(&mut self, name: &str, wanted: usize, got: usize, span: Span) -> Ty {
        let what = match wanted {
            0 => "no type arguments".to_owned(),
            1 => "one type argument".to_owned(),
            n => format!("{n} type arguments"),
        };
        self.report(
            Diagnostic::error("E0221", format!("`{name}` takes {what}, {got} given"))
                .label(span, "here"),
        );
        Ty::ERROR
    }

    /// The type of a declaration, made when first asked for.
    pub(crate) fn instance(&mut self, item: usize, args: &[Ty], span: Span) -> Ty {
        let key = (item, args.to_vec());
        if let Some(&ty) = self.instances.get(&key) {
            return ty;
        }
        let TypeItem {
            module,
            decl,
            doc,
            state,
            ..
        } = &self.type_items[item];
        let (module, decl, doc, state) = (*module, *decl, *doc, *state);
        if decl.params.len() != args.len() {
            return self.wrong_type_args(
                decl.name.name.as_str(),
                decl.params.len(),
                args.len(),
                span,
            );
        }
        let type_args: Vec<(Name, Ty)> = decl
            .params
            .iter()
            .map(|p| p.name)
            .zip(args.iter().copied())
            .collect();
        if args.iter().map(|a| self.arg_depth(*a)).max().unwrap_or(0) > ARG_DEPTH {
            self.report(
                Diagnostic::error(
                    "E0108",
                    format!("the type `{}` grows without end", decl.name.name),
                )
                .label(decl.name.span, "this type")
                .help("use the same type arguments inside"),
            );
            return Ty::ERROR;
        }
        match &decl.body {
            TypeBody::Record(body) => {
                let mut name = decl.name.name.to_string();
                if !args.is_empty() {
                    let shown: Vec<String> = args.iter().map(|a| self.show(*a)).collect();
                    name = format!("{name}<{}>", shown.join(", "));
                }
                let sc = TypeScope {
                    module,
                    args: &type_args,
                };
                let declared = Some((key, decl.name.span));
                self.record_type(&sc, body, &name, declared, doc)
            }
            TypeBody::Alias(te) => {
                if state == State::Doing {
                    self.report(
                        Diagnostic::error(
                            "E0108",
                            format!("the type `{}` is defined by itself", decl.name.name),
                        )
                        .label(decl.name.span, "this type")
                        .label(te.span, "leads back to it")
                        .help("name another type here, or make it a record"),
                    );
                    return Ty::ERROR;
                }
                if self.aliases >= ALIAS_LIMIT {
                    self.report(
                        Diagnostic::error(
                            "E0108",
                            format!(
                                "more than {ALIAS_LIMIT} types are defined by one another here"
                            ),
                        )
                        .label(te.span, "leads on and on")
                        .help("name the last type of the chain directly"),
                    );
                    return Ty::ERROR;
                }
                self.type_items[item].state = State::Doing;
                self.aliases += 1;
                let ty = self.resolve(
                    &TypeScope {
                        module,
                        args: &type_args,
                    },
                    te,
                );
                self.aliases -= 1;
                self.type_items[item].state = State::Done;
                self.instances.insert(key, ty);
                ty
            }
        }
    }

    /// How deep the arguments of generic types are nested in a type.
    fn arg_depth(&self, ty: Ty) -> usize {
        match self.kind(ty) {
            TyKind::Optional(inner) | TyKind::Secret(inner) => 1 + self.arg_depth(*inner),
            TyKind::List(list) => 1 + self.arg_depth(list.item),
            TyKind::Map(_, value) => 1 + self.arg_depth(*value),
            TyKind::Record(id) => {
                let name = &self.types.record(*id).name;
                name.bytes().filter(|b| *b == b'<').count()
            }
            _ => 0,
        }
    }

    /// Makes a record type. Its defaults and asserts are checked later, when all types are known.
    fn record_type(
        &mut self,
        sc: &TypeScope<'_>,
        body: &'a RecordType,
        name: &str,
        declared: Option<((usize, Vec<Ty>), Span)>,
        doc: Option<&str>,
    ) -> Ty {
        let span = declared.as_ref().map_or(body.span, |(_, span)| *span);
        let id = self.types.add_record(RecordDef {
            name: Arc::from(name),
            origin: if declared.is_some() {
                Origin::Declared
            } else {
                Origin::Anonymous
            },
            span: Some(span),
            fields: Vec::new(),
            by_name: HashMap::default(),
            required: Vec::new(),
            asserts: Vec::new(),
            open: false,
            doc: doc.map(Arc::from),
        });
        let ty = self.types.intern(TyKind::Record(id));
        if let Some((key, _)) = declared {
            // Known before its fields are: types may contain themselves.
            self.instances.insert(key, ty);
        }
        let placeholder = Body {
            expr: self.error,
            slots: 0,
        };
        let mut fields: Vec<FieldDef> = Vec::with_capacity(body.fields.len());
        for field in &body.fields {
            if let Some(first) = fields.iter().find(|f| f.name == field.name.name) {
                let first = first.span.unwrap_or(field.span);
                self.duplicate_field(field, first);
                continue;
            }
            let ty = self.resolve(sc, &field.ty);
            let optional = matches!(self.kind(ty), TyKind::Optional(_) | TyKind::Null)
                || matches!(field.ty.kind, TypeKind::Optional(_));
            fields.push(FieldDef {
                name: field.name.name,
                ty,
                required: field.default.is_none() && !optional,
                default: field.default.as_ref().map(|_| placeholder),
                is_final: field.is_final,
                span: Some(field.name.span.to(field.ty.span)),
                doc: field.doc.as_deref().map(Arc::from),
            });
        }
        let def = self.types.record_mut(id);
        def.by_name = fields
            .iter()
            .enumerate()
            .map(|(at, f)| (f.name, at as u32))
            .collect();
        def.required = (0..fields.len())
            .filter(|at| fields[*at].required)
            .map(|at| at as u32)
            .collect();
        def.fields = fields;
        self.pending.push(PendingRecord {
            record: id,
            module: sc.module,
            body,
            type_args: sc.args.to_vec(),
        });
        ty
    }

    fn duplicate_field(&mut self, field: &FieldDecl, first: Span) {
        self.report(
            Diagnostic::error(
                "E0208",
                format!("the field `{}` is declared twice", field.name.name),
            )
            .label(field.name.span, "declared again here")
            .label(first, "declared first here")
            .help("remove one of them"),
        );
    }
}

/// Adds "did you mean".
pub(crate) fn with_near(diagnostic: Diagnostic, near: Option<&str>) -> Diagnostic {
    match near {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic,
    }
}
