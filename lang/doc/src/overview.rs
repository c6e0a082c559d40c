//! The first page: what the project is made of, a line each.

use ordain_lang_project::Module;
use ordain_lang_syntax::ast::ItemKind;

use crate::Page;
use crate::links::{Links, anchor, module_page, name_of};
use crate::markdown::summary;
use crate::module::{doc, table};
use crate::page::{escape, page as frame};

/// Makes the first page.
pub(crate) fn page(links: &Links<'_>) -> Page {
    let manifest = &links.project.manifest;
    let title = match manifest.name.as_str() {
        "" => "Ordain",
        name => name,
    };
    let mut content = format!(
        "<h1>{}</h1>\n<p>Kubernetes {}.</p>\n",
        escape(title),
        manifest.kubernetes
    );
    content.push_str(&apps(links));
    content.push_str(&environments(links));
    content.push_str(&modules(links, "Modules", true));
    content.push_str(&modules(links, "Standard library", false));
    frame(links, "index.html".to_owned(), title, &[], &content)
}

fn apps(links: &Links<'_>) -> String {
    let mut rows = String::new();
    for module in links.modules().filter(|m| m.is_own) {
        for item in &module.parsed.file.items {
            if !matches!(item.kind, ItemKind::App(_)) {
                continue;
            }
            let (Some((anchor, _)), Some(name)) = (anchor(item), name_of(item)) else {
                continue;
            };
            let about = item.doc.as_deref().map_or(String::new(), summary);
            rows.push_str(&row(
                &format!("{}#{anchor}", module_page(&module.path)),
                &name,
                &[about],
            ));
        }
    }
    headed("Apps", &["App", "Description"], &rows)
}

fn environments(links: &Links<'_>) -> String {
    let mut rows = String::new();
    for env in links.project.environments() {
        let page = links
            .modules()
            .find(|module| module.file == env.span.file)
            .map_or(String::new(), |module| module_page(&module.path));
        let cells = [
            env.extends.unwrap_or_default(),
            env.cluster.unwrap_or_default(),
            env.namespace.unwrap_or_default(),
            env.kubernetes.to_string(),
        ];
        let address = format!("{page}#env.{}", crate::links::word(&env.name));
        rows.push_str(&row(&address, &env.name, &cells));
    }
    headed(
        "Environments",
        &[
            "Environment",
            "Extends",
            "Cluster",
            "Namespace",
            "Kubernetes",
        ],
        &rows,
    )
}

fn modules(links: &Links<'_>, title: &str, own: bool) -> String {
    let line = |module: &Module| {
        let about = doc(links, module).map_or(String::new(), |doc| summary(&doc));
        row(&module_page(&module.path), &module.path, &[about])
    };
    let rows: String = links
        .modules()
        .filter(|m| m.is_own == own)
        .map(line)
        .collect();
    headed(title, &["Module", "Description"], &rows)
}

fn row(address: &str, name: &str, cells: &[String]) -> String {
    let cells: String = cells
        .iter()
        .map(|cell| format!("<td>{}</td>", escape(cell)))
        .collect();
    format!(
        "<tr><th scope=\"row\"><a href=\"{}\"><code>{}</code></a></th>{cells}</tr>\n",
        escape(address),
        escape(name)
    )
}

fn headed(title: &str, head: &[&str], rows: &str) -> String {
    match rows.is_empty() {
        true => String::new(),
        false => format!("<h2>{title}</h2>\n{}", table(head, rows)),
    }
}
