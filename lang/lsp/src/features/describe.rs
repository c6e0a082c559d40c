//! What a name is, in words: its declaration as code, its documentation, and facts about it.
//!
//! Hover, completion and signatures say the same, so it is said here once. Values of secrets are left out.

use ordain_lang_syntax::ast::{FieldDecl, FnDecl, Item, ItemKind, TypeBody};
use ordain_lang_syntax::{FileId, Span};
use ordain_lang_types::index::{Def, Use};
use ordain_lang_types::ty::{FieldDef, Format, RecordId, Ty, TyKind};

use crate::view::View;

/// A declaration longer than this, in lines, is shown by its head.
const CODE_LINES_MAX: usize = 30;
/// A default longer than this, in bytes, is left out.
const DEFAULT_MAX: usize = 80;

/// What a name is.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Described {
    /// A line or two of the language.
    pub(crate) code: String,
    /// Its documentation, in Markdown.
    pub(crate) doc: Option<String>,
    /// Sentences.
    pub(crate) facts: Vec<String>,
}

/// Describes what a name stands for.
pub(crate) fn describe(view: &View<'_>, found: &Use) -> Option<Described> {
    let program = view.program();
    match found.def {
        Def::Field(record, at) => field(view, record, at),
        Def::Local(span) => {
            let name = view.slice(span);
            let ty = view
                .index()
                .use_at(span.file, span.start)
                .map_or(found.ty, |u| u.ty);
            let ty = if ty == Ty::ERROR { found.ty } else { ty };
            let code = match ty == Ty::ERROR {
                true => name.to_owned(),
                false => format!("{name}: {}", program.show(ty)),
            };
            Some(Described {
                code,
                ..Described::default()
            })
        }
        // A kind of a CRD file is declared in no source, but as known as Kubernetes' own.
        Def::Type(span) => declared_type(view, span)
            .or_else(|| (view.module(span.file).is_none()).then(|| kubernetes(view, found.ty))),
        Def::Kubernetes(ty) => Some(kubernetes(view, ty)),
        Def::Fn(id) => {
            let function = program.fns.get(id.index())?;
            let item = item_named(view, function.span)?;
            let ItemKind::Fn(decl) = &item.kind else {
                return None;
            };
            Some(Described {
                code: signature(view, decl),
                doc: item.doc.as_deref().map(str::to_owned),
                facts: from_module(view, function.span.file),
            })
        }
        Def::Let(id) => {
            let constant = program.lets.get(id.index())?;
            let item = item_named(view, constant.span);
            Some(Described {
                code: format!("let {}: {}", constant.name, program.show(constant.ty)),
                doc: item.and_then(|item| item.doc.as_deref()).map(str::to_owned),
                facts: from_module(view, constant.span.file),
            })
        }
        Def::App(id) => {
            let app = program.apps.get(id.index())?;
            let item = item_named(view, app.span);
            Some(Described {
                code: format!("app {}", app.name),
                doc: item.and_then(|item| item.doc.as_deref()).map(str::to_owned),
                facts: Vec::new(),
            })
        }
        Def::Env(id) => environment(view, id),
        Def::Module(id) => {
            let module = program.modules.get(id.index())?;
            let mut names: Vec<&str> = module.items.keys().map(|name| name.as_str()).collect();
            names.sort_unstable();
            let facts = match names.is_empty() {
                true => Vec::new(),
                false => vec![format!("It has {}.", listed(&names))],
            };
            Some(Described {
                code: format!("use {}", module.path),
                doc: None,
                facts,
            })
        }
        Def::Builtin(name, ty) => {
            let methods = ordain_lang_types::index::methods(&program.types, ty);
            let (_, params) = methods.into_iter().find(|(known, _)| name == *known)?;
            Some(Described {
                code: format!("({}).{name}({})", program.show(ty), params.join(", ")),
                ..Described::default()
            })
        }
    }
}

fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn from_module(view: &View<'_>, file: FileId) -> Vec<String> {
    match view.module(file) {
        Some(module) if file != view.file => vec![format!("From `{}`.", module.path)],
        _ => Vec::new(),
    }
}

/// Describes a field.
pub(crate) fn field(view: &View<'_>, record: RecordId, at: u32) -> Option<Described> {
    let program = view.program();
    let def = program.types.record(record);
    let field = def.fields.get(at as usize)?;
    let mut code = format!("{}: {}", field.name, program.show(field.ty));
    if field.is_final {
        code.insert_str(0, "final ");
    }
    if let Some(default) = default_text(view, field) {
        code.push_str(&format!(" = {default}"));
    }
    let mut facts = Vec::new();
    let owner = &def.name;
    facts.push(match field.required {
        true => format!("Required, of `{owner}`."),
        false => format!("Of `{owner}`."),
    });
    if let TyKind::List(list) = program.types.kind(program.types.without_optional(field.ty))
        && !list.keys.is_empty()
    {
        let keys: Vec<&str> = list.keys.iter().map(|key| key.as_str()).collect();
        facts.push(format!("Its elements are named by {}.", listed(&keys)));
    }
    Some(Described {
        code,
        doc: field_doc(view, record, field),
        facts,
    })
}

/// The documentation of a field: its own comment, else what Kubernetes says.
pub(crate) fn field_doc(view: &View<'_>, record: RecordId, field: &FieldDef) -> Option<String> {
    if let Some(doc) = &field.doc {
        return Some(doc.to_string());
    }
    let ty = view.index().kubernetes(record)?;
    ordain_schemas_docs::field(ty, field.name.as_str())
}

/// A field's default as written; none for secrets, and for what is long.
pub(crate) fn default_text(view: &View<'_>, field: &FieldDef) -> Option<String> {
    let program = view.program();
    if is_secret(view, field.ty) {
        return None;
    }
    let body = field.default?;
    let text = view.slice(program.hir.span(body.expr));
    is_plain(text).then(|| text.to_owned())
}

/// Whether values of a type are, or contain directly, a secret.
pub(crate) fn is_secret(view: &View<'_>, ty: Ty) -> bool {
    match view.program().types.kind(ty) {
        TyKind::Secret(_) => true,
        TyKind::Optional(inner) => is_secret(view, *inner),
        TyKind::List(list) => is_secret(view, list.item),
        TyKind::Map(_, value) => is_secret(view, *value),
        _ => false,
    }
}

fn declared_type(view: &View<'_>, span: Span) -> Option<Described> {
    let item = item_named(view, span)?;
    let ItemKind::Type(decl) = &item.kind else {
        return None;
    };
    let name = decl.name.name;
    let code = match &decl.body {
        TypeBody::Alias(ty) => format!("type {name} = {}", view.slice(ty.span)),
        TypeBody::Record(record) => {
            let mut lines: Vec<String> = Vec::new();
            for field in &record.fields {
                let doc = field.doc.as_deref().unwrap_or("");
                lines.extend(doc.lines().map(|line| format!("  /// {}", line.trim())));
                lines.push(format!("  {}", head(view, field)));
            }
            if lines.len() > CODE_LINES_MAX {
                lines.truncate(CODE_LINES_MAX);
                lines.push("  …".to_owned());
            }
            format!("type {name} {{\n{}\n}}", lines.join("\n"))
        }
    };
    Some(Described {
        code,
        doc: item.doc.as_deref().map(str::to_owned),
        facts: from_module(view, span.file),
    })
}

/// A field as declared; without its default where that may be, or hold, a secret.
fn head(view: &View<'_>, field: &FieldDecl) -> String {
    let ty = view.slice(field.ty.span);
    let default = field
        .default
        .as_ref()
        .map(|default| view.slice(default.span));
    let is_final = if field.is_final { "final " } else { "" };
    let name = field.name.name;
    match default.filter(|default| is_plain(default) && !ty.contains("Secret")) {
        Some(default) => format!("{is_final}{name}: {ty} = {default}"),
        None => format!("{is_final}{name}: {ty}"),
    }
}

/// Whether a value is short, and has no parts that could be secrets of their own.
fn is_plain(value: &str) -> bool {
    let has_parts = value.starts_with(['{', '[']) || value.contains(" {");
    !value.is_empty()
        && value.len() <= DEFAULT_MAX
        && !value.contains('\n')
        && (!has_parts || matches!(value, "{}" | "[]"))
}

fn kubernetes(view: &View<'_>, ty: Ty) -> Described {
    let program = view.program();
    let shown = program.show(ty);
    let Some(record) = program.types.as_record(ty) else {
        return Described {
            doc: scalar_doc(view, ty).map(str::to_owned),
            code: format!("type {shown}"),
            ..Described::default()
        };
    };
    let def = program.types.record(record);
    let mut facts = Vec::new();
    if let Some(gvk) = def.gvk() {
        let scope = if gvk.namespaced {
            "namespaced"
        } else {
            "cluster-wide"
        };
        facts.push(format!("`{}`, {scope}.", gvk.api_version));
    }
    let required: Vec<&str> = def
        .required
        .iter()
        .map(|at| def.fields[*at as usize].name.as_str())
        .collect();
    if !required.is_empty() {
        facts.push(format!("Requires {}.", listed(&required)));
    }
    let own = def.doc.as_deref().map(str::to_owned);
    let doc = own.or_else(|| {
        let name = view.index().kubernetes(record)?;
        ordain_schemas_docs::ty(name)
    });
    Described {
        code: format!("type {shown}"),
        doc,
        facts,
    }
}

/// What a scalar type of the namespace `k8s` accepts.
fn scalar_doc(view: &View<'_>, ty: Ty) -> Option<&'static str> {
    let TyKind::String(rule) = view.program().types.kind(ty) else {
        return match ty {
            Ty::OBJECT => Some("Any Kubernetes object."),
            Ty::QUANTITY => Some("A quantity: `500m`, `256Mi`, `2`."),
            Ty::INT_OR_STRING => Some("A number or a string, such as a port or a percentage."),
            _ => None,
        };
    };
    Some(match rule.format? {
        Format::Name => "The name of an object: a DNS subdomain of at most 253 characters.",
        Format::DnsLabel => "A DNS label: small letters, digits and `-`, at most 63 characters.",
        Format::Hostname => "A DNS name; `*.` may stand in front.",
        Format::Image => "A container image reference: `registry/repository:tag@digest`.",
        Format::EnvName => "The name of an environment variable.",
        Format::LabelKey => "The key of a label: an optional DNS prefix, a slash, a name.",
        Format::LabelValue => "The value of a label: at most 63 of `[A-Za-z0-9._-]`.",
        Format::PortName => "The name of a port: at most 15 small letters, digits and `-`.",
        Format::Ip => "An IPv4 or IPv6 address.",
        Format::Cidr => "An address range, such as `10.0.0.0/8`.",
        Format::Url => "A URL with a scheme and a host.",
        Format::Cron => "A cron line of five fields, or a macro such as `@daily`.",
        Format::Base64 => "Standard base64.",
        Format::AbsolutePath => "A path that begins with `/`.",
        _ => return None,
    })
}

fn environment(view: &View<'_>, id: ordain_lang_types::program::EnvId) -> Option<Described> {
    let env = view.program().envs.get(id.index())?;
    let mut code = format!("env {}", env.name);
    if let Some(base) = env.chain.iter().rev().nth(1) {
        let base = view.program().envs.get(base.index())?;
        code.push_str(&format!(" extends {}", base.name));
    }
    let project = view.project.environments();
    let known = project.iter().find(|known| env.name == *known.name);
    let mut facts = Vec::new();
    if let Some(known) = known {
        if let Some(cluster) = &known.cluster {
            facts.push(format!("Cluster `{cluster}`."));
        }
        if let Some(namespace) = &known.namespace {
            facts.push(format!("Namespace `{namespace}`."));
        }
        facts.push(format!("Kubernetes {}.", known.kubernetes));
    }
    let item = item_named(view, env.span);
    Some(Described {
        code,
        doc: item.and_then(|item| item.doc.as_deref()).map(str::to_owned),
        facts,
    })
}

/// A function's head, as written.
pub(crate) fn signature(view: &View<'_>, decl: &FnDecl) -> String {
    let generics: Vec<&str> = decl.type_params.iter().map(|p| p.name.as_str()).collect();
    let generics = match generics.is_empty() {
        true => String::new(),
        false => format!("<{}>", generics.join(", ")),
    };
    let result = decl
        .result
        .as_ref()
        .map(|ty| format!(" -> {}", view.slice(ty.span)));
    format!(
        "fn {}{generics}({}){}",
        decl.name.name,
        params(view, decl).join(", "),
        result.unwrap_or_default()
    )
}

/// A function's parameters, as written.
pub(crate) fn params(view: &View<'_>, decl: &FnDecl) -> Vec<String> {
    let one = |span: Span| {
        view.slice(span)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    decl.params.iter().map(|param| one(param.span)).collect()
}

/// The item whose name stands at a place.
pub(crate) fn item_named<'v>(view: &View<'v>, name: Span) -> Option<&'v Item> {
    let file = &view.parsed_of(name.file)?.file;
    file.items.iter().find(|item| item_name(item) == Some(name))
}

/// Where an item's name stands.
pub(crate) fn item_name(item: &Item) -> Option<Span> {
    Some(match &item.kind {
        ItemKind::Type(decl) => decl.name.span,
        ItemKind::Fn(decl) => decl.name.span,
        ItemKind::Let(binding) => binding.name.span,
        ItemKind::Export(export) => export.name?.span,
        ItemKind::App(app) => app.name.span,
        ItemKind::Env(env) => env.name.span,
        _ => return None,
    })
}
