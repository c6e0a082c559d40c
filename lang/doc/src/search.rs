//! What the search box looks through: one entry per item, field and Kubernetes type, as a script that works without a server.

use ordain_lang_syntax::ast::{ItemKind, TypeBody};

use crate::Page;
use crate::links::{Links, anchor, field_anchor, module_page, name_of};
use crate::markdown::summary;

/// Makes the list.
pub(crate) fn index(links: &Links<'_>) -> Page {
    let mut entries = Vec::new();
    for module in links.modules() {
        let page = module_page(&module.path);
        let about = crate::module::doc(links, module).map_or(String::new(), |doc| summary(&doc));
        entries.push(entry(&module.path, "module", &page, &about));
        for item in &module.parsed.file.items {
            let (Some((anchor, _)), Some(name)) = (anchor(item), name_of(item)) else {
                continue;
            };
            let kind = anchor.split('.').next().unwrap_or("");
            let about = item.doc.as_deref().map_or(String::new(), summary);
            let title = format!("{}.{name}", module.path);
            entries.push(entry(&title, kind, &format!("{page}#{anchor}"), &about));
            let ItemKind::Type(decl) = &item.kind else {
                continue;
            };
            let TypeBody::Record(record) = &decl.body else {
                continue;
            };
            for field in &record.fields {
                let field_name = field.name.name.as_str();
                let about = field.doc.as_deref().map_or(String::new(), summary);
                let address = format!("{page}#{}", field_anchor(&anchor, field_name));
                entries.push(entry(
                    &format!("{title}.{field_name}"),
                    "field",
                    &address,
                    &about,
                ));
            }
        }
    }
    for (name, id) in links.kube() {
        let ty = links.table.ty(id);
        let about = ordain_schemas_docs::ty(ty.name).map_or(String::new(), |doc| summary(&doc));
        let title = format!("k8s.{}", ty.short_name());
        entries.push(entry(
            &title,
            "kubernetes",
            &format!("k8s/{name}.html"),
            &about,
        ));
    }
    Page {
        path: "search-index.js".to_owned(),
        text: format!("const ENTRIES = [\n{}];\n", entries.concat()),
    }
}

fn entry(title: &str, kind: &str, address: &str, about: &str) -> String {
    let cells = [title, kind, address, about].map(quote);
    format!("[{}],\n", cells.join(","))
}

/// A string of the script, safe inside of HTML as well.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '<' => out.push_str("\\u003c"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
