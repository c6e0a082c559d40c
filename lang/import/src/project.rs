//! The way from texts to a project: read, group, write, prove.

use std::collections::BTreeSet;

use ordain_lang_project::MANIFEST;
use ordain_lang_syntax::{Diagnostic, FileId, Sources, Span};
use ordain_lang_types::KindNames;
use ordain_schemas::{Shape, table};

use crate::group::{self, App};
use crate::object::{self, Object};
use crate::prove::{self, Verdict};
use crate::write::doc::{Doc, Page};
use crate::write::text;
use crate::write::value::{Changes, Kind, Writer};
use crate::{File, Imported, Input, Options, Summary};

/// How often what is refused is written as data and built again. Each round names all independent mistakes, so two are
/// the rule.
const MAX_ROUNDS: usize = 6;

/// How an object is written.
pub(crate) enum Form {
    /// `k8s.Deployment { … }`.
    Typed { name: String, shape: Shape },
    /// A value that nothing checks.
    Data,
}

/// An object and how it is written.
pub(crate) struct Written {
    pub(crate) object: Object,
    pub(crate) form: Form,
    /// The field of the app that holds it, when it is data.
    pub(crate) field: String,
}

/// A file being written, with the places of the objects in it.
pub(crate) struct Draft {
    pub(crate) path: String,
    pub(crate) page: Page,
    /// First and last offset of an object, and its number.
    pub(crate) regions: Vec<(usize, usize, usize)>,
}

pub(crate) fn import(inputs: &[Input], options: &Options) -> Imported {
    let mut sources = Sources::new();
    let mut diagnostics = Vec::new();
    let objects = read(inputs, &mut sources, &mut diagnostics);
    let objects = object::without_twins(objects, &mut diagnostics);
    let names = KindNames::new(options.kubernetes);
    let table = table(options.kubernetes);
    let writer = Writer { table };
    let apps = group::apps(&objects, &options.name);
    let mut written = written(objects, &apps, &names);
    let mut is_proven = false;
    let mut drafts = Vec::new();
    for _ in 0..MAX_ROUNDS {
        drafts = write(&written, &apps, &writer, options);
        match prove::prove(&drafts, &written, &writer, options) {
            Verdict::Equal(mut more) => {
                diagnostics.append(&mut more);
                is_proven = true;
                break;
            }
            Verdict::Refused(refused) => {
                for (at, diagnostic) in refused {
                    written[at].form = Form::Data;
                    diagnostics.push(diagnostic);
                }
            }
            Verdict::Stuck(mut more) => {
                diagnostics.append(&mut more);
                break;
            }
        }
    }
    diagnostics.extend(changes(&written, &writer));
    let typed = written
        .iter()
        .filter(|one| matches!(one.form, Form::Typed { .. }))
        .count();
    let mut files: Vec<File> = drafts
        .into_iter()
        .map(|draft| File {
            path: draft.path,
            text: draft.page.out,
        })
        .collect();
    if !options.is_single {
        files.insert(0, manifest(options));
    }
    diagnostics.sort_by_key(|d| d.span().map(|span| (span.file, span.start)));
    let summary = Summary {
        objects: written.len(),
        typed,
        data: written.len() - typed,
        is_proven,
        bytes_read: inputs.iter().map(|input| input.content.len()).sum(),
        bytes_written: files.iter().map(|file| file.text.len()).sum(),
    };
    Imported {
        files,
        diagnostics,
        sources,
        summary,
    }
}

fn read(inputs: &[Input], sources: &mut Sources, diagnostics: &mut Vec<Diagnostic>) -> Vec<Object> {
    let mut objects = Vec::new();
    for input in inputs {
        let text = match std::str::from_utf8(&input.content) {
            Ok(text) => text,
            Err(error) => {
                let good =
                    std::str::from_utf8(&input.content[..error.valid_up_to()]).unwrap_or_default();
                let file = sources.add(input.path.as_str(), good);
                let end = good.len() as u32;
                diagnostics.push(
                    Diagnostic::error("E0950", "the file is not UTF-8 text")
                        .label(Span::new(file, end, end), "up to here it is"),
                );
                continue;
            }
        };
        if u32::try_from(text.len()).is_err() {
            diagnostics.push(Diagnostic::error(
                "E0954",
                format!("`{}` is larger than four gigabytes", input.path),
            ));
            continue;
        }
        let file: FileId = sources.add(input.path.as_str(), text);
        objects.append(&mut object::objects(file, text, 0, diagnostics));
    }
    objects
}

/// Decides for every object how it is written.
fn written(objects: Vec<Object>, apps: &[App], names: &KindNames) -> Vec<Written> {
    let mut fields = vec![String::new(); objects.len()];
    for app in apps {
        let mut used: BTreeSet<String> = BTreeSet::new();
        for &at in &app.objects {
            let object = &objects[at];
            let wanted = text::identifier(&format!("{} {}", object.kind, object.name));
            let mut name = wanted.clone();
            for nth in 2.. {
                if used.insert(name.clone()) {
                    break;
                }
                name = format!("{wanted}_{nth}");
            }
            fields[at] = name;
        }
    }
    let form = |object: &Object| match names.of(&object.api_version, &object.kind) {
        // Without `metadata` there is nothing that a type could be given to.
        Some((kind, name)) if object.node.get("metadata").is_some() => Form::Typed {
            name,
            shape: Shape::Struct(kind.ty),
        },
        _ => Form::Data,
    };
    objects
        .into_iter()
        .zip(fields)
        .map(|(object, field)| Written {
            form: form(&object),
            object,
            field,
        })
        .collect()
}

/// Writes all files but the manifest.
fn write(written: &[Written], apps: &[App], writer: &Writer<'_>, options: &Options) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    for app in apps {
        if drafts.is_empty() || !options.is_single {
            let path = match apps.len() {
                _ if options.is_single => format!("{}.ord", options.name),
                1 => format!("{}.ord", app.name),
                _ => format!("apps/{}.ord", app.name),
            };
            drafts.push(Draft {
                path,
                page: Page::default(),
                regions: Vec::new(),
            });
        }
        if let Some(draft) = drafts.last_mut() {
            write_app(draft, app, written, writer);
        }
    }
    drafts
}

fn write_app(draft: &mut Draft, app: &App, written: &[Written], writer: &Writer<'_>) {
    let page = &mut draft.page;
    if !page.out.is_empty() {
        page.raw("\n");
    }
    page.raw(&format!("app {} {{", app.name));
    for &at in &app.objects {
        let Written {
            object,
            form,
            field,
        } = &written[at];
        if !matches!(form, Form::Data) {
            continue;
        }
        let start = page.out.len();
        page.comments(&object.comments, 2);
        page.line(2);
        page.raw(&format!("{field}: Any = "));
        page.comes_from(Some(object.span));
        page.doc(&writer.doc(&object.node, Kind::Any), 2);
        draft.regions.push((start, page.out.len(), at));
        page.raw("\n");
    }
    page.line(2);
    page.raw("objects = [");
    let mut after_data = None;
    for &at in &app.objects {
        let Written {
            object,
            form,
            field,
        } = &written[at];
        let start = page.out.len();
        if after_data.is_some_and(|after_data| !(after_data && matches!(form, Form::Data))) {
            page.raw("\n");
        }
        after_data = Some(matches!(form, Form::Data));
        let Form::Typed { name, shape } = form else {
            page.line(4);
            page.raw(field);
            continue;
        };
        page.comments(&object.comments, 4);
        page.line(4);
        page.comes_from(Some(object.span));
        let entries = object.node.entries().unwrap_or_default();
        let members = writer.members(entries, Kind::Of(shape), &["apiVersion", "kind"]);
        page.doc(&Doc::Record(name.clone(), members), 4);
        draft.regions.push((start, page.out.len(), at));
    }
    page.line(2);
    page.raw("]\n}\n");
}

fn manifest(options: &Options) -> File {
    let name: String = options
        .name
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let name = name.trim_matches(|c: char| c == '-' || c.is_ascii_digit());
    let name = if name.is_empty() { "imported" } else { name };
    let name: String = name.chars().take(63).collect();
    File {
        path: MANIFEST.to_owned(),
        text: format!(
            "name = \"{}\"\nkubernetes = \"{}\"\n",
            name.trim_end_matches('-'),
            options.kubernetes
        ),
    }
}

/// Tells what the written objects say otherwise than the input, once for each kind of change.
fn changes(written: &[Written], writer: &Writer<'_>) -> Vec<Diagnostic> {
    let mut all = Changes::default();
    for one in written {
        if let Form::Typed { shape, .. } = &one.form {
            writer.built(&one.object.node, Kind::Of(shape), &mut all);
        }
    }
    let mut told = Vec::new();
    let mut tell = |places: &[Span], message: &str, note: &str| {
        let Some(first) = places.first() else { return };
        let mut diagnostic = Diagnostic::warning("W0953", message)
            .label(*first, "")
            .note(note);
        if places.len() > 1 {
            diagnostic = diagnostic.note(format!("and in {} more places", places.len() - 1));
        }
        told.push(diagnostic);
    };
    tell(
        &all.nulls,
        "a field that is null is left out",
        "to the API server both mean that the field is absent",
    );
    tell(
        &all.numbers,
        "a quantity that is a number is built as a string",
        "so the API server stores it",
    );
    told
}
