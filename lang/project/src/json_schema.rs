//! A type of a project as JSON Schema 2020-12, so that other tools can check and complete what the language will read.
//!
//! What JSON Schema cannot say is left out and named in `$comment`: asserts between fields, and bounds of quantities and
//! durations.

use std::collections::BTreeMap;

use ordain_lang_syntax::ast::ItemKind;
use ordain_lang_syntax::{Diagnostic, FileId, Sources};
use ordain_lang_types::Program;
use ordain_lang_types::extra::Extra;
use ordain_lang_types::hir::{Body, ExprKind};
use ordain_lang_types::program::ItemRef;
use ordain_lang_types::ty::{
    Format, IntRange, LenRange, Literal, Origin, RecordId, StringRule, Ty, TyKind,
};
use ordain_schemas::KubeVersion;
use serde_json::{Map, Value, json};

use crate::load::Project;

/// The module that holds the type asked for. No file can have this path.
const MODULE: &str = "(schema)";
/// The name that diagnostics show for it.
const SHOWN: &str = "type";
/// Types that every module knows.
const BUILT_IN: [&str; 12] = [
    "Int",
    "Float",
    "Bool",
    "String",
    "Quantity",
    "Duration",
    "Time",
    "MicroTime",
    "Any",
    "List",
    "Map",
    "Secret",
];

/// Why there is no schema: what is wrong with the type or the project, and the texts it stands in.
#[derive(Clone, Debug)]
pub struct NoSchema {
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that the diagnostics speak of.
    pub sources: Sources,
}

/// Returns the JSON Schema of a type: `Shop`, `apps.shop.Shop`, `k8s.Deployment`, `List<Shop>`.
///
/// A name without a module is looked for in all modules of the project. Only types without parameters that are not given
/// have a schema.
///
/// # Errors
/// [`NoSchema`] when there is no such type, or when the project has mistakes.
pub fn json_schema(
    project: Project,
    ty: &str,
    kubernetes: Option<KubeVersion>,
) -> Result<Value, Box<NoSchema>> {
    let mut project = project;
    let text = module(&project, ty);
    let before = project.sources.len();
    project.add(
        vec![(MODULE.to_owned(), SHOWN.to_owned(), text.into_bytes())],
        true,
    );
    project.add_std();
    let (program, mut diagnostics) =
        project.checked(kubernetes.unwrap_or(project.manifest.kubernetes));
    diagnostics.extend(project.diagnostics.iter().cloned());
    diagnostics.retain(Diagnostic::is_error);
    // What the type itself is wrong in comes first and is enough.
    let own = FileId(u32::try_from(before).unwrap_or(u32::MAX));
    let is_own = |diagnostic: &Diagnostic| diagnostic.span().is_some_and(|span| span.file == own);
    if diagnostics.iter().any(is_own) {
        diagnostics.retain(is_own);
    }
    let found = program
        .modules
        .iter()
        .find(|module| &*module.path == MODULE)
        .and_then(|module| module.items.iter().find(|(name, _)| ***name == *"Exported"));
    match found {
        Some((_, ItemRef::Type(found))) if diagnostics.is_empty() => {
            Ok(schema(&program, *found, ty))
        }
        _ => Err(Box::new(NoSchema {
            diagnostics,
            sources: project.sources,
        })),
    }
}

/// The module that names the type: what it uses, and the type under another name.
fn module(project: &Project, ty: &str) -> String {
    let mut uses = String::new();
    let mut out = String::new();
    let mut aliases: BTreeMap<String, String> = BTreeMap::new();
    let mut rest = ty;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            // A string of an enumeration is no name.
            let end = rest[1..].find('"').map_or(rest.len(), |end| end + 2);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        if !first.is_ascii_alphabetic() {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        rest = &rest[end..];
        let (path, name) = word.rsplit_once('.').unwrap_or(("", word));
        if path == "k8s"
            || path.starts_with("k8s.")
            || BUILT_IN.contains(&word)
            || !first_is_capital(name)
        {
            out.push_str(word);
            continue;
        }
        let Some(module) = declaring(project, path, name) else {
            out.push_str(word);
            continue;
        };
        let next = format!("module_{}", aliases.len());
        let alias = aliases.entry(module.clone()).or_insert_with(|| {
            let quoted: Vec<String> = module.split('.').map(|part| format!("{part:?}")).collect();
            uses.push_str(&format!("use {} as {next}\n", quoted.join(".")));
            next
        });
        out.push_str(&format!("{alias}.{name}"));
    }
    format!("{uses}type Exported = {out}\n")
}

fn first_is_capital(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
}

/// The module that declares a type; `path` may leave parts in front out.
fn declaring(project: &Project, path: &str, name: &str) -> Option<String> {
    let declares = |items: &[ordain_lang_syntax::ast::Item]| {
        items
            .iter()
            .any(|item| matches!(&item.kind, ItemKind::Type(ty) if ty.name.name == *name))
    };
    let is_meant = |module: &str| {
        path.is_empty()
            || module == path
            || module
                .strip_suffix(path)
                .is_some_and(|front| front.ends_with('.'))
    };
    let own = project
        .modules
        .iter()
        .find(|module| is_meant(&module.path) && declares(&module.parsed.file.items));
    own.map(|module| module.path.clone()).or_else(|| {
        // The standard library is loaded when it is used.
        ordain_stdlib::module(path).map(|module| module.path.to_owned())
    })
}

/// The schema of a type of a program, with the types that it is made of under `$defs`.
fn schema(program: &Program, ty: Ty, title: &str) -> Value {
    let mut writer = Writer {
        program,
        names: BTreeMap::new(),
        defs: BTreeMap::new(),
    };
    let body = writer.ty(ty);
    let mut schema = Map::new();
    schema.insert(
        "$schema".into(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    schema.insert("title".into(), title.into());
    if let Value::Object(body) = body {
        schema.extend(body);
    }
    if !writer.defs.is_empty() {
        schema.insert(
            "$defs".into(),
            writer.defs.into_iter().collect::<Map<_, _>>().into(),
        );
    }
    Value::Object(schema)
}

struct Writer<'p> {
    program: &'p Program,
    names: BTreeMap<RecordId, String>,
    defs: BTreeMap<String, Value>,
}

impl Writer<'_> {
    // Recursion ends at records, each of which is written once.
    fn ty(&mut self, ty: Ty) -> Value {
        let mut schema = self.kind(ty);
        match self.program.types.extra(ty) {
            Some(Extra::Multiple(of)) => put(&mut schema, "multipleOf", (*of).into()),
            Some(Extra::Entries(len)) => {
                put_len(&mut schema, *len, "minProperties", "maxProperties")
            }
            Some(extra @ (Extra::Quantity { .. } | Extra::Duration { .. })) => {
                put(
                    &mut schema,
                    "$comment",
                    format!("within {}", extra.show()).into(),
                );
            }
            Some(Extra::Named(_)) | None => {}
        }
        schema
    }

    fn kind(&mut self, ty: Ty) -> Value {
        let program = self.program;
        match program.types.kind(ty) {
            TyKind::Error | TyKind::Any | TyKind::Param(_) => json!({}),
            TyKind::Never | TyKind::Fn(..) => json!({ "not": {} }),
            TyKind::Null => json!({ "type": "null" }),
            TyKind::Bool => json!({ "type": "boolean" }),
            TyKind::Int(range) => int(*range),
            TyKind::Float(range) => {
                let mut schema = json!({ "type": "number" });
                if range.min().is_finite() {
                    put(&mut schema, "minimum", range.min().into());
                }
                if range.max().is_finite() {
                    put(&mut schema, "maximum", range.max().into());
                }
                schema
            }
            TyKind::String(rule) => string(rule),
            TyKind::Quantity => json!({ "anyOf": [
                { "type": "number" },
                { "type": "string", "pattern": QUANTITY },
            ] }),
            TyKind::Duration => json!({ "type": "string", "pattern": DURATION }),
            TyKind::Time | TyKind::MicroTime => {
                json!({ "type": "string", "format": "date-time", "pattern": TIME })
            }
            TyKind::IntOrString => json!({ "type": ["integer", "string"] }),
            TyKind::Literal(Literal::Bool(value)) => json!({ "const": value }),
            TyKind::Literal(Literal::Int(value)) => json!({ "const": value }),
            TyKind::Literal(Literal::Str(value)) => json!({ "const": value.as_str() }),
            TyKind::Enum(members) => {
                let members: Vec<&str> = members.iter().map(|member| member.as_str()).collect();
                json!({ "enum": members })
            }
            TyKind::List(list) => {
                let mut schema = json!({ "type": "array", "items": self.ty(list.item) });
                put_len(&mut schema, list.len, "minItems", "maxItems");
                if list.set {
                    put(&mut schema, "uniqueItems", true.into());
                }
                schema
            }
            TyKind::Map(key, value) => {
                let mut schema =
                    json!({ "type": "object", "additionalProperties": self.ty(*value) });
                if *key != Ty::STRING {
                    let names = self.ty(*key);
                    put(&mut schema, "propertyNames", names);
                }
                schema
            }
            TyKind::Record(id) => self.record(*id),
            TyKind::Union(members) => {
                let members: Vec<Value> = members.iter().map(|member| self.ty(*member)).collect();
                json!({ "anyOf": members })
            }
            TyKind::Optional(inner) => json!({ "anyOf": [self.ty(*inner), { "type": "null" }] }),
            TyKind::Secret(inner) => {
                let mut schema = self.ty(*inner);
                put(&mut schema, "writeOnly", true.into());
                schema
            }
            TyKind::Object => json!({
                "type": "object",
                "required": ["apiVersion", "kind", "metadata"],
                "properties": {
                    "apiVersion": { "type": "string" },
                    "kind": { "type": "string" },
                    "metadata": { "type": "object" },
                },
            }),
        }
    }

    fn record(&mut self, id: RecordId) -> Value {
        if let Some(name) = self.names.get(&id) {
            return reference(name);
        }
        let def = self.program.types.record(id);
        let mut name = def.name.to_string();
        let mut nth = 2;
        while self.names.values().any(|known| *known == name) {
            name = format!("{}_{nth}", def.name);
            nth += 1;
        }
        self.names.insert(id, name.clone());
        let mut properties = Map::new();
        for field in &def.fields {
            let mut schema = self.ty(field.ty);
            if let Some(doc) = &field.doc {
                put(&mut schema, "description", doc.trim().into());
            }
            if let Some(default) = field.default.as_ref().and_then(|body| self.constant(body)) {
                put(&mut schema, "default", default);
            }
            properties.insert(field.name.to_string(), schema);
        }
        let mut required: Vec<&str> = def
            .required
            .iter()
            .map(|at| def.fields[*at as usize].name.as_str())
            .collect();
        if matches!(def.origin, Origin::Kubernetes(Some(_))) {
            // In the language the name of a kind says both; in JSON they tell what an object is.
            required.extend(
                ["apiVersion", "kind"]
                    .iter()
                    .filter(|name| properties.contains_key(**name)),
            );
        }
        let mut schema = json!({ "type": "object" });
        if let Some(doc) = &def.doc {
            put(&mut schema, "description", doc.trim().into());
        }
        put(&mut schema, "properties", properties.into());
        if !required.is_empty() {
            put(&mut schema, "required", required.into());
        }
        if !def.open {
            put(&mut schema, "additionalProperties", false.into());
        }
        if !def.asserts.is_empty() {
            let comment = format!(
                "{} asserts between the fields are checked by the language alone",
                def.asserts.len()
            );
            put(&mut schema, "$comment", comment.into());
        }
        self.defs.insert(name.clone(), schema);
        reference(&name)
    }

    /// A default that is the same in every value.
    fn constant(&self, body: &Body) -> Option<Value> {
        Some(match self.program.hir.kind(body.expr) {
            ExprKind::Null => Value::Null,
            ExprKind::Bool(value) => (*value).into(),
            ExprKind::Int(value) => (*value).into(),
            ExprKind::Float(value) => (*value).into(),
            ExprKind::Str(text) => text.as_ref().into(),
            _ => return None,
        })
    }
}

fn reference(name: &str) -> Value {
    // A JSON pointer in a URI fragment (RFC 6901); names hold letters, digits, dots and perhaps angle brackets.
    let name = name
        .replace('~', "~0")
        .replace('/', "~1")
        .replace('%', "%25");
    let name = name
        .replace(' ', "%20")
        .replace('<', "%3C")
        .replace('>', "%3E")
        .replace('"', "%22");
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn put(schema: &mut Value, key: &str, value: Value) {
    if let Value::Object(fields) = schema {
        fields.insert(key.to_owned(), value);
    }
}

fn put_len(schema: &mut Value, len: LenRange, min: &str, max: &str) {
    if len.min > 0 {
        put(schema, min, len.min.into());
    }
    if len.max < u32::MAX {
        put(schema, max, len.max.into());
    }
}

fn int(range: IntRange) -> Value {
    let mut schema = json!({ "type": "integer" });
    if range.min > i64::MIN {
        put(&mut schema, "minimum", range.min.into());
    }
    if range.max < i64::MAX {
        put(&mut schema, "maximum", range.max.into());
    }
    schema
}

fn string(rule: &StringRule) -> Value {
    let mut schema = json!({ "type": "string" });
    if rule.min_len > 0 {
        put(&mut schema, "minLength", rule.min_len.into());
    }
    if let Some(max) = rule.max_len {
        put(&mut schema, "maxLength", max.into());
    }
    let format = rule.format.map(pattern);
    match (&rule.pattern, format) {
        (Some(own), Some(format)) => put(
            &mut schema,
            "allOf",
            json!([{ "pattern": &**own }, { "pattern": format }]),
        ),
        (Some(own), None) => put(&mut schema, "pattern", (&**own).into()),
        (None, Some(format)) => put(&mut schema, "pattern", format.into()),
        (None, None) => {}
    }
    match rule.format {
        Some(Format::Url) => put(&mut schema, "format", "uri".into()),
        Some(Format::Base64) => put(&mut schema, "contentEncoding", "base64".into()),
        _ => {}
    }
    schema
}

/// apimachinery's quantities: a number and a suffix.
const QUANTITY: &str =
    r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$";
/// Go's durations, and days.
const DURATION: &str = r"^[+-]?(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h|d)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h|d))*)$";
/// RFC 3339.
const TIME: &str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$";

/// The built-in formats as regular expressions, as near as those come
/// (k8s.io/apimachinery/pkg/util/validation, github.com/distribution/reference).
fn pattern(format: Format) -> &'static str {
    match format {
        Format::Name => {
            r"^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
        }
        Format::DnsLabel => r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
        Format::Hostname => {
            r"^(?=.{1,255}$)(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
        }
        Format::Image => {
            r"^([a-zA-Z0-9.-]+(:[0-9]+)?/|\[[0-9a-fA-F:]+\](:[0-9]+)?/)?[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$"
        }
        Format::EnvName => r"^[A-Za-z_.-][A-Za-z0-9_.-]*$",
        Format::LabelKey => {
            r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
        }
        Format::LabelValue => r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$",
        Format::PortName => r"^(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$",
        Format::Ip => r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$",
        Format::Cidr => r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)/[0-9]{1,3}$",
        Format::Url => r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s]+",
        Format::Cron => {
            r"^(@(yearly|annually|monthly|weekly|daily|midnight|hourly|every .*)|\s*([^\s@]+\s+){4}[^\s]+\s*)$"
        }
        Format::Base64 => r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
        Format::AbsolutePath => "^/",
        Format::TimeZone => r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$",
        // A format that is new here says nothing until it is given its expression.
        _ => "",
    }
}
