//! The page of a module: its items in groups, in the order of the source.

use ordain_lang_project::Module;
use ordain_lang_syntax::Span;
use ordain_lang_syntax::ast::{
    Field, FieldDecl, FieldOp, Item, ItemKind, MemberKind, Record, TypeBody,
};

use crate::Page;
use crate::links::{Links, anchor, app_fields, field_anchor, module_page, name_of};
use crate::page::{Section, escape, page as frame, root};
use crate::{code, markdown};

/// Groups of items with their heading, in the order of the page.
const GROUPS: [(&str, &str); 7] = [
    ("apps", "Apps"),
    ("types", "Types"),
    ("functions", "Functions"),
    ("values", "Values"),
    ("environments", "Environments"),
    ("policies", "Policies"),
    ("tests", "Tests"),
];

/// Shows a module, on a page of the site.
struct Show<'l, 'p> {
    links: &'l Links<'p>,
    module: &'p Module,
    root: String,
}

/// Makes the page of a module.
pub(crate) fn page(links: &Links<'_>, module: &Module) -> Page {
    let path = module_page(&module.path);
    // The module is one of the project's: found again, so that it lives as long.
    let own = links.project.modules.iter().find(|m| m.file == module.file);
    let show = Show {
        links,
        module: own.unwrap_or(&links.project.modules[0]),
        root: root(&path),
    };
    let (content, sections) = show.content();
    frame(links, path, &module.path, &sections, &content)
}

/// What a module says of itself: the comment at its top, unless it belongs to the first item. It does not when a blank line
/// or a `use` follows.
pub(crate) fn doc(links: &Links<'_>, module: &Module) -> Option<String> {
    let text = links.project.sources.text(module.file);
    let (lines, rest) = head(text);
    if lines.is_empty() {
        return None;
    }
    let is_doc = text.starts_with("///");
    let own = !is_doc || rest.starts_with(['\n', '\r']) || rest.starts_with("use ");
    own.then(|| lines.join("\n"))
}

/// The lines of a comment with which a text begins, without their slashes, and what follows.
fn head(text: &str) -> (Vec<&str>, &str) {
    let start = if text.starts_with("///") { "///" } else { "//" };
    let (mut lines, mut rest) = (Vec::new(), text);
    while let Some(line) = rest.strip_prefix(start) {
        let (line, after) = line.split_once('\n').unwrap_or((line, ""));
        lines.push(line.trim());
        rest = after;
    }
    (lines, rest)
}

/// The group of an item.
pub(crate) fn group(item: &Item) -> Option<&'static str> {
    match &item.kind {
        ItemKind::App(_) => Some("apps"),
        ItemKind::Type(_) => Some("types"),
        ItemKind::Fn(_) => Some("functions"),
        ItemKind::Let(_) | ItemKind::Export(_) => Some("values"),
        ItemKind::Env(_) => Some("environments"),
        ItemKind::Policy(_) => Some("policies"),
        ItemKind::Test(_) => Some("tests"),
        _ => None,
    }
}

impl Show<'_, '_> {
    fn content(&self) -> (String, Vec<Section>) {
        let file = self.links.project.sources.path(self.module.file);
        let mut out = format!(
            "<h1><span class=\"what\">module</span> {}</h1>\n",
            escape(&self.module.path)
        );
        if let Some(doc) = doc(self.links, self.module) {
            out.push_str(&self.prose(&doc));
        }
        let library = if self.module.is_own {
            ""
        } else {
            " of the standard library"
        };
        out.push_str(&format!("<p class=\"at\">{}{library}</p>\n", escape(file)));
        if !self.module.is_own {
            out.push_str(&format!(
                "<pre><code><span class=\"k\">use</span> {}</code></pre>\n",
                escape(&self.module.path)
            ));
        }
        let mut sections: Vec<Section> = Vec::new();
        for (id, title) in GROUPS {
            let items = self.module.parsed.file.items.iter();
            let shown: String = items
                .filter(|item| group(item) == Some(id))
                .filter_map(|item| {
                    let (mut anchor, _) = anchor(item)?;
                    // A name twice is a mistake of the sources; links lead to the first.
                    while sections.iter().any(|section| section.id == anchor) {
                        anchor.push('~');
                    }
                    sections.push(Section {
                        id: anchor.clone(),
                        title: name_of(item)?,
                    });
                    Some(self.item(item, &anchor))
                })
                .collect();
            if !shown.is_empty() {
                out.push_str(&format!("<h2 id=\"{id}\">{title}</h2>\n{shown}"));
            }
        }
        (out, sections)
    }

    fn item(&self, item: &Item, anchor: &str) -> String {
        let name = name_of(item).unwrap_or_default();
        let place = self.links.project.sources.place(item.span);
        let mut out = format!(
            "<section id=\"{anchor}\" aria-labelledby=\"{anchor}.h\">\n<h3 id=\"{anchor}.h\"><a class=\"self\" href=\"#{anchor}\">{}</a> <span class=\"at\">{}</span></h3>\n",
            escape(&name),
            escape(&place)
        );
        out.push_str(&format!(
            "<pre><code>{}</code></pre>\n",
            self.signature(item)
        ));
        if let Some(doc) = self.item_doc(item) {
            out.push_str(&self.prose(doc));
        }
        match &item.kind {
            ItemKind::Type(decl) => {
                if let TypeBody::Record(record) = &decl.body {
                    out.push_str(&self.fields(anchor, &record.fields));
                    out.push_str(&self.asserts(record));
                }
            }
            ItemKind::App(app) => out.push_str(&self.app_fields(anchor, &app.body)),
            _ => {}
        }
        out.push_str("</section>\n");
        out
    }

    /// The description of an item; the parser gives the first one the module's as well.
    fn item_doc<'i>(&self, item: &'i Item) -> Option<&'i str> {
        let doc = item.doc.as_deref()?;
        let first = self.module.parsed.file.items.first();
        if first.is_none_or(|first| first.id != item.id) {
            return Some(doc);
        }
        let whole = self::doc(self.links, self.module).unwrap_or_default();
        Some(doc.strip_prefix(&*whole).unwrap_or(doc).trim_start())
    }

    /// What stands above the description: the declaration without what follows in a table.
    fn signature(&self, item: &Item) -> String {
        match &item.kind {
            ItemKind::Type(decl) => match &decl.body {
                TypeBody::Record(record) => {
                    let head = Span::new(item.span.file, item.span.start, record.span.start);
                    format!("{} {{ … }}", self.code(head).trim_end())
                }
                TypeBody::Alias(_) => self.code(item.span),
            },
            ItemKind::Fn(decl) => {
                let end = decl
                    .result
                    .as_ref()
                    .map_or(decl.body.span.start, |ty| ty.span.end);
                let head = Span::new(item.span.file, item.span.start, end);
                self.code(head)
                    .trim_end()
                    .trim_end_matches('=')
                    .trim_end()
                    .to_owned()
            }
            ItemKind::App(app) => {
                let head = Span::new(item.span.file, item.span.start, app.body.span.start);
                format!("{} {{ … }}", self.code(head).trim_end())
            }
            _ => self.code(item.span),
        }
    }

    fn fields(&self, anchor: &str, fields: &[FieldDecl]) -> String {
        if fields.is_empty() {
            return String::new();
        }
        let rows: String = fields
            .iter()
            .map(|field| {
                let id = field_anchor(anchor, field.name.name.as_str());
                let default = match &field.default {
                    Some(value) => format!("<code>{}</code>", self.code(value.span)),
                    None if matches!(field.ty.kind, ordain_lang_syntax::ast::TypeKind::Optional(_)) => {
                        "optional".to_owned()
                    }
                    None => "<strong>required</strong>".to_owned(),
                };
                let is_final = if field.is_final { " <span class=\"tag\">final</span>" } else { "" };
                let doc = field.doc.as_ref().map_or(String::new(), |doc| self.prose(doc));
                format!(
                    "<tr id=\"{id}\"><th scope=\"row\"><a class=\"self\" href=\"#{id}\"><code>{}</code></a>{is_final}</th><td><code>{}</code></td><td>{default}</td><td>{doc}</td></tr>\n",
                    escape(field.name.name.as_str()),
                    self.code(field.ty.span),
                )
            })
            .collect();
        table(&["Field", "Type", "Default", "Description"], &rows)
    }

    fn asserts(&self, record: &ordain_lang_syntax::ast::RecordType) -> String {
        if record.asserts.is_empty() {
            return String::new();
        }
        let entries: String = record
            .asserts
            .iter()
            .map(|assert| {
                let condition = self.code(assert.condition.span);
                let message = assert.message.as_ref().map_or(String::new(), |message| {
                    format!(" – {}", escape(self.source(message.span).trim_matches('"')))
                });
                format!("<li><code>{condition}</code>{message}</li>\n")
            })
            .collect();
        format!("<p>Every value keeps:</p>\n<ul>\n{entries}</ul>\n")
    }

    fn app_fields(&self, anchor: &str, body: &Record) -> String {
        let mut own = app_fields(body);
        let mut rows = String::new();
        for member in &body.members {
            let MemberKind::Field(field) = &member.kind else {
                continue;
            };
            // Later lines of the same field show without its anchor.
            let at = own
                .iter()
                .position(|(_, span)| span.start == member_start(field));
            let id = at.map(|at| field_anchor(anchor, own.swap_remove(at).0));
            rows.push_str(&self.app_field(field, id));
        }
        match rows.is_empty() {
            true => String::new(),
            false => table(&["Field", "Type", "Value", "Description"], &rows),
        }
    }

    fn app_field(&self, field: &Field, id: Option<String>) -> String {
        let path = match (field.path.first(), field.path.last()) {
            (Some(first), Some(last)) => self.source(first.span.to(last.span)),
            _ => "",
        };
        let name = format!("<code>{}</code>", escape(path));
        let head = match &id {
            Some(id) => format!("<a class=\"self\" href=\"#{id}\">{name}</a>"),
            None => name,
        };
        let id = id.map_or(String::new(), |id| format!(" id=\"{id}\""));
        let ty = field.ty.as_ref().map_or(String::new(), |ty| {
            format!("<code>{}</code>", self.code(ty.span))
        });
        let block = |span| format!("<pre><code>{}</code></pre>", self.code(span));
        let value = match &field.op {
            FieldOp::Set(value) | FieldOp::Append(value) => block(value.span),
            FieldOp::Amend(body) => block(body.span),
            FieldOp::Declare => "set by environments".to_owned(),
        };
        let doc = field
            .doc
            .as_ref()
            .map_or(String::new(), |doc| self.prose(doc));
        format!(
            "<tr{id}><th scope=\"row\">{head}</th><td>{ty}</td><td>{value}</td><td>{doc}</td></tr>\n"
        )
    }

    fn code(&self, span: Span) -> String {
        code::linked(self.links, self.module, span, &self.root)
    }

    fn source(&self, span: Span) -> &str {
        self.links.project.sources.slice(span)
    }

    fn prose(&self, text: &str) -> String {
        markdown::render(text, |name| {
            let address = self
                .links
                .of_name(self.module, name.trim_end_matches("()"))?;
            Some(format!("{}{address}", self.root))
        })
    }
}

/// Where the path of a field begins.
fn member_start(field: &Field) -> u32 {
    field
        .path
        .first()
        .map_or(u32::MAX, |segment| segment.span.start)
}

/// A table that scrolls by itself where the screen is narrow.
pub(crate) fn table(head: &[&str], rows: &str) -> String {
    let head: String = head
        .iter()
        .map(|h| format!("<th scope=\"col\">{h}</th>"))
        .collect();
    format!(
        "<div class=\"table\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}
