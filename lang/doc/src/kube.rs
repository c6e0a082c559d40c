//! Pages of Kubernetes' own types, as the table and upstream's prose describe them. Nothing of a project is in them.

use ordain_schemas::{Field, ListType, Shape, Type, TypeId};

use crate::Page;
use crate::links::{Links, kube_name, word};
use crate::markdown::{prose, summary};
use crate::module::table;
use crate::page::{escape, page as frame};

/// Makes a page for each Kubernetes type that something names, and one that lists them.
pub(crate) fn pages(links: &Links<'_>) -> Vec<Page> {
    let types = links.kube();
    if types.is_empty() {
        return Vec::new();
    }
    let mut pages = vec![list(links)];
    pages.extend(types.into_values().map(|id| page(links, id)));
    pages
}

fn list(links: &Links<'_>) -> Page {
    let (mut kinds, mut parts) = (String::new(), String::new());
    for (name, id) in links.kube() {
        let ty = links.table.ty(id);
        let about = ordain_schemas_docs::ty(ty.name).map_or(String::new(), |doc| summary(&doc));
        let row = format!(
            "<tr><th scope=\"row\"><a href=\"{name}.html\"><code>{}</code></a></th><td>{}</td></tr>\n",
            escape(&format!("k8s.{}", ty.short_name())),
            escape(&about)
        );
        match api_version(links, ty) {
            Some(_) => kinds.push_str(&row),
            None => parts.push_str(&row),
        }
    }
    let mut content = format!(
        "<h1>Kubernetes {}</h1>\n<p>The types that the project and the standard library name, and what these are made of. Every other kind is there under <code>k8s</code> as well.</p>\n",
        links.table.version()
    );
    for (title, rows) in [("Kinds", kinds), ("Parts", parts)] {
        if !rows.is_empty() {
            content.push_str(&format!(
                "<h2>{title}</h2>\n{}",
                table(&["Type", "Description"], &rows)
            ));
        }
    }
    frame(
        links,
        "k8s/index.html".to_owned(),
        "Kubernetes",
        &[],
        &content,
    )
}

fn page(links: &Links<'_>, id: TypeId) -> Page {
    let ty = links.table.ty(id);
    let title = format!("k8s.{}", ty.short_name());
    let what = if api_version(links, ty).is_some() {
        "kind"
    } else {
        "type"
    };
    let mut content = format!(
        "<h1><span class=\"what\">{what}</span> {}</h1>\n",
        escape(&title)
    );
    if let Some(version) = api_version(links, ty) {
        content.push_str(&format!(
            "<p class=\"at\">apiVersion {}</p>\n",
            escape(&version)
        ));
    }
    content.push_str(&ordain_schemas_docs::ty(ty.name).map_or(String::new(), |doc| prose(&doc)));
    let rows: String = ty
        .fields
        .iter()
        .map(|field| row(links, ty, field))
        .collect();
    if !rows.is_empty() {
        content.push_str(&table(&["Field", "Type", "Rules", "Description"], &rows));
    }
    let path = format!("k8s/{}.html", kube_name(links.table, id));
    frame(links, path, &title, &[], &content)
}

/// The `apiVersion` of a whole kind; none for a part.
fn api_version(links: &Links<'_>, ty: &Type) -> Option<String> {
    let kinds = ty
        .gvks
        .iter()
        .filter_map(|(g, v, k)| links.table.kind(g, v, k));
    let mut kinds = kinds.filter(|kind| kind.ty == ty.id && ty.field("metadata").is_some());
    kinds.next().map(ordain_schemas::Kind::api_version)
}

fn row(links: &Links<'_>, ty: &Type, field: &Field) -> String {
    let id = word(field.name);
    let mut facts = Vec::new();
    if field.required {
        facts.push("<strong>required</strong>".to_owned());
    }
    if let Some(default) = field.default {
        facts.push(format!("default <code>{}</code>", escape(default)));
    }
    if let Some(ListType::Map(keys)) = &field.list_type {
        facts.push(format!(
            "keyed by <code>{}</code>",
            escape(&keys.join(", "))
        ));
    }
    let mut doc =
        ordain_schemas_docs::field(ty.name, field.name).map_or(String::new(), |doc| prose(&doc));
    if !field.enum_values.is_empty() {
        let values: Vec<String> = field
            .enum_values
            .iter()
            .map(|value| format!("<code>&quot;{}&quot;</code>", escape(value)))
            .collect();
        doc.push_str(&format!("<p>One of {}.</p>\n", values.join(", ")));
    }
    format!(
        "<tr id=\"{id}\"><th scope=\"row\"><a class=\"self\" href=\"#{id}\"><code>{}</code></a></th><td><code>{}</code></td><td>{}</td><td>{doc}</td></tr>\n",
        escape(field.name),
        shape(links, &field.shape),
        facts.join("<br>")
    )
}

/// A shape in the language's words.
fn shape(links: &Links<'_>, shape_of: &Shape) -> String {
    match shape_of {
        Shape::String => "String".into(),
        Shape::Bool => "Bool".into(),
        Shape::Int32 | Shape::Int64 => "Int".into(),
        Shape::Double => "Float".into(),
        Shape::Bytes => "k8s.Base64".into(),
        Shape::Quantity => "Quantity".into(),
        Shape::IntOrString => "k8s.IntOrString".into(),
        Shape::Time => "k8s.Time".into(),
        Shape::MicroTime => "k8s.MicroTime".into(),
        Shape::Duration => "Duration".into(),
        Shape::RawExtension | Shape::FieldsV1 | Shape::Json => "Any".into(),
        Shape::List(inner) => format!("List&lt;{}&gt;", shape(links, inner)),
        Shape::Map(inner) => format!("Map&lt;String, {}&gt;", shape(links, inner)),
        Shape::Struct(id) => {
            let ty = links.table.ty(*id);
            match (&ty.special, links.of_kube(*id)) {
                (Some(special), _) => shape(links, special),
                (None, Some(address)) => format!(
                    "<a href=\"../{address}\">k8s.{}</a>",
                    escape(ty.short_name())
                ),
                (None, None) => format!("k8s.{}", escape(ty.short_name())),
            }
        }
    }
}
