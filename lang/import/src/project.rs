//! The way from texts to a project: read, match copies, write, prove.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ordain_lang_project::MANIFEST;
use ordain_lang_syntax::{Diagnostic, FileId, Severity, Sources, Span};
use ordain_lang_types::KindNames;
use ordain_schemas::{Shape, table};

use crate::custom::Customs;
use crate::draft;
use crate::factor::is_usual;
use crate::group::{self, App};
use crate::object::{self, Object};
use crate::prove::{self, Verdict};
use crate::write::text;
use crate::write::value::{Changes, Kind, Writer};
use crate::yaml::{Node, Value};
use crate::{File, Imported, Input, Options, Summary};

/// How often what is refused is written in another way and built again. Each round names all independent mistakes, so
/// two are the rule.
const MAX_ROUNDS: usize = 8;

/// How an object is written.
pub(crate) enum Form {
    /// `k8s.Deployment { … }`.
    Typed {
        name: String,
        /// The type of the table; none for custom kinds.
        shape: Option<Shape>,
        is_namespaced: bool,
    },
    /// A value that nothing checks.
    Data,
}

/// Where an object is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the app; environments amend it.
    Base,
    /// In every environment that has it.
    Copies,
}

/// An object, its copies in the environments, and how it is written.
pub(crate) struct Written {
    /// The copies with the numbers of their environments, in that order; one without environments.
    pub(crate) copies: Vec<(usize, Object)>,
    pub(crate) form: Form,
    /// How programs name its kind, when the version of Kubernetes has it.
    pub(crate) known: Option<String>,
    pub(crate) place: Place,
    /// The name of the field of the app that holds it.
    pub(crate) field: String,
    /// Whether it must be a field because kind and name do not tell it from others.
    pub(crate) is_field: bool,
}

impl Written {
    /// The copy that stands for all in messages and for what all share.
    pub(crate) fn object(&self) -> &Object {
        &self.copies[0].1
    }

    pub(crate) fn kind(&self) -> Kind<'_> {
        match &self.form {
            Form::Typed {
                shape: Some(shape), ..
            } => Kind::Of(shape),
            Form::Typed { shape: None, .. } | Form::Data => Kind::Any,
        }
    }

    pub(crate) fn is_data(&self) -> bool {
        matches!(self.form, Form::Data)
    }

    /// A copy as it is written: without the namespace that its environment adds.
    pub(crate) fn node(&self, copy: usize, set: &Set) -> Node {
        let mut node = self.copies[copy].1.node.clone();
        let Form::Typed { is_namespaced, .. } = self.form else {
            return node;
        };
        if let Value::Map(entries) = &mut node.value {
            entries.retain(|entry| !matches!(entry.key.as_str(), "apiVersion" | "kind"));
            if is_namespaced
                && !set.namespaces.is_empty()
                && let Some(metadata) = entries.iter_mut().find(|entry| entry.key == "metadata")
                && let Value::Map(metadata) = &mut metadata.node.value
            {
                metadata.retain(|entry| entry.key != "namespace");
            }
        }
        node
    }

    /// Writes it in a plainer way; `false` when there is none.
    fn yield_to_refusal(&mut self, envs: usize) -> bool {
        match (&self.form, self.place) {
            (Form::Typed { .. }, _) => {
                self.form = Form::Data;
                if self.copies.len() < envs {
                    self.place = Place::Copies;
                }
            }
            (Form::Data, Place::Base) if envs > 1 => self.place = Place::Copies,
            _ => return false,
        }
        true
    }
}

/// Everything that is written.
pub(crate) struct Set {
    pub(crate) written: Vec<Written>,
    pub(crate) apps: Vec<App>,
    /// The environments; empty when there are none.
    pub(crate) envs: Vec<String>,
    /// The namespace of each environment, when each has just one; else empty.
    pub(crate) namespaces: Vec<String>,
    /// The lines that exempt objects from rules over the whole set, with the numbers of the objects.
    pub(crate) exemptions: BTreeSet<(usize, String)>,
    /// The custom kinds whose types are known.
    pub(crate) customs: Customs,
}

pub(crate) fn import(inputs: &[Input], options: &Options) -> Imported {
    let mut sources = Sources::new();
    let mut diagnostics = Vec::new();
    let mut envs: Vec<String> = Vec::new();
    for env in inputs.iter().filter_map(|input| input.env.as_ref()) {
        if !envs.contains(env) {
            envs.push(env.clone());
        }
    }
    let options = &Options {
        is_single: options.is_single && envs.is_empty(),
        ..options.clone()
    };
    let objects = read(inputs, &envs, &mut sources, &mut diagnostics);
    let table = table(options.kubernetes);
    let objects = object::without_twins(objects, table, &mut diagnostics);
    let writer = Writer { table };
    let mut known = Vec::new();
    if !options.is_single {
        let mut found = Vec::new();
        known = read(&options.crds, &[], &mut sources, &mut found);
        diagnostics.extend(found.into_iter().filter(Diagnostic::is_error));
    }
    let mut set = set(objects, &known, envs, options);
    let mut is_proven = false;
    let mut drafts = Vec::new();
    for _ in 0..MAX_ROUNDS {
        drafts = draft::write(&set, &writer, options);
        match prove::prove(&drafts, &set, &writer, options) {
            Verdict::Equal(mut more) => {
                diagnostics.append(&mut more);
                is_proven = true;
                break;
            }
            Verdict::Refused(refused) => {
                let envs = set.envs.len();
                let mut yields = false;
                for (at, diagnostic) in refused {
                    let was_typed = !set.written[at].is_data();
                    yields |= set.written[at].yield_to_refusal(envs);
                    diagnostics.extend(diagnostic.filter(|_| was_typed));
                }
                if !yields {
                    break;
                }
            }
            Verdict::Exempt(exempt) => {
                for (at, line, diagnostic) in exempt {
                    if set.exemptions.insert((at, line.clone())) {
                        diagnostics.push(exempted(diagnostic, &line));
                    }
                }
            }
            Verdict::Stuck(mut more) => {
                diagnostics.append(&mut more);
                break;
            }
        }
    }
    diagnostics.extend(changes(&set.written, &writer));
    let copies = |one: &Written| one.copies.len();
    let objects = set.written.iter().map(copies).sum();
    let data = set
        .written
        .iter()
        .filter(|one| one.is_data())
        .map(copies)
        .sum();
    let mut files: Vec<File> = drafts
        .into_iter()
        .map(|draft| File {
            path: draft.path,
            text: draft.page.out,
        })
        .collect();
    if !options.is_single {
        files.insert(0, manifest(options));
        let used = draft::definitions(set.written.iter(), &set.customs);
        files.extend(used.into_iter().map(|file| File {
            path: file.path.clone(),
            text: file.text.clone(),
        }));
    }
    diagnostics.sort_by_key(|d| d.span().map(|span| (span.file, span.start)));
    let summary = Summary {
        objects,
        typed: objects - data,
        data,
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

fn read(
    inputs: &[Input],
    envs: &[String],
    sources: &mut Sources,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Object> {
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
                        .label(Span::new(file, end, end), "up to here it is")
                        .help("save the file as UTF-8"),
                );
                continue;
            }
        };
        if u32::try_from(text.len()).is_err() {
            let message = format!("`{}` is larger than four gigabytes", input.path);
            diagnostics.push(Diagnostic::error("E0954", message));
            continue;
        }
        let file: FileId = sources.add(input.path.as_str(), text);
        let env = envs.iter().position(|env| Some(env) == input.env.as_ref());
        objects.append(&mut object::objects(
            file,
            text,
            env.unwrap_or(0),
            diagnostics,
        ));
    }
    objects
}

/// Matches copies, and decides for every object how and where it is written first.
fn set(objects: Vec<Object>, known: &[Object], envs: Vec<String>, options: &Options) -> Set {
    let names = KindNames::new(options.kubernetes);
    // Names of apps and of the files' types must not meet.
    let firsts: Vec<&Object> = objects.iter().collect();
    let taken: BTreeSet<String> = group::apps(&firsts, &options.name)
        .into_iter()
        .map(|app| app.name)
        .collect();
    // One file alone has no other beside it.
    let customs = match options.is_single {
        true => Customs::default(),
        false => Customs::new(known.iter().chain(&objects), &taken),
    };
    let namespaces = namespaces(&objects, &names, &customs, envs.len());
    let mut written = matched(objects, &names, &customs);
    let firsts: Vec<&Object> = written.iter().map(Written::object).collect();
    let apps = group::apps(&firsts, &options.name);
    name_fields(&mut written, &apps);
    for one in &mut written {
        let has_first = one.copies[0].0 == 0;
        let is_whole = one.copies.len() == envs.len().max(1);
        let can_be_deleted = !one.is_data() && !one.is_field && one.copies.len() > 1;
        let is_base =
            is_whole || (can_be_deleted && is_usual(one.copies.len(), envs.len(), has_first));
        one.place = if is_base { Place::Base } else { Place::Copies };
    }
    Set {
        written,
        apps,
        envs,
        namespaces,
        exemptions: BTreeSet::new(),
        customs,
    }
}

/// The one namespace of each environment, if every typed object that lives in one names the same.
fn namespaces(
    objects: &[Object],
    names: &KindNames,
    customs: &Customs,
    envs: usize,
) -> Vec<String> {
    let mut found: Vec<Option<&str>> = vec![None; envs];
    for object in objects {
        let lives_in_one = match names.of(&object.api_version, &object.kind) {
            Some((kind, _)) => kind.namespaced,
            None => customs
                .of(&object.api_version, &object.kind)
                .is_some_and(|custom| custom.is_namespaced),
        };
        if !lives_in_one || envs == 0 {
            continue;
        }
        match (&object.namespace, found[object.env]) {
            (Some(namespace), None) => found[object.env] = Some(namespace),
            (Some(namespace), Some(known)) if namespace == known => {}
            _ => return Vec::new(),
        }
    }
    let all: Option<Vec<String>> = found
        .into_iter()
        .map(|one| one.map(str::to_owned))
        .collect();
    all.unwrap_or_default()
}

/// What is told of an object that breaks a rule over the whole set.
fn exempted(told: Diagnostic, line: &str) -> Diagnostic {
    Diagnostic {
        code: "W0954",
        severity: Severity::Warning,
        help: Some(format!(
            "the app says `{line}`; remove the line when it is put right"
        )),
        notes: vec![format!("the rule is {}", told.code)],
        ..told
    }
}

/// Puts the copies of an object together: by kind and name, and by namespace where that is not enough.
fn matched(objects: Vec<Object>, names: &KindNames, customs: &Customs) -> Vec<Written> {
    let short = |object: &Object| {
        let (group, kind, _, name) = object.identity();
        (group, kind, name)
    };
    let mut counts: HashMap<_, usize> = HashMap::new();
    for object in &objects {
        *counts.entry((object.env, short(object))).or_default() += 1;
    }
    let ambiguous: BTreeSet<_> = counts
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|((_, key), _)| key)
        .collect();
    let mut places: HashMap<_, usize> = HashMap::new();
    let mut written: Vec<Written> = Vec::new();
    let mut nameless: HashMap<_, usize> = HashMap::new();
    for object in objects {
        let key = short(&object);
        let is_field = ambiguous.contains(&key) || object.name.is_empty();
        let mut namespace = object.namespace.clone().filter(|_| is_field);
        if object.name.is_empty() {
            // Messages have no identity; the first of one environment is as good as the first of another.
            let nth = nameless.entry((object.env, key.clone())).or_default();
            *nth += 1;
            namespace = Some(nth.to_string());
        }
        let place = *places.entry((key, namespace)).or_insert(written.len());
        if let Some(one) = written.get_mut(place) {
            let at = one.copies.partition_point(|(env, _)| *env < object.env);
            // Copies of different versions have different types, and share nothing then.
            if one.copies[0].1.api_version != object.api_version {
                one.form = Form::Data;
            }
            one.copies.insert(at, (object.env, object));
            continue;
        }
        let known = names.of(&object.api_version, &object.kind);
        let custom = customs.of(&object.api_version, &object.kind);
        let has_metadata = object.node.get("metadata").is_some();
        // Without `metadata` there is nothing that a type could be given to.
        let form = match (&known, custom) {
            _ if !has_metadata => Form::Data,
            (Some((kind, name)), _) => Form::Typed {
                name: name.clone(),
                shape: Some(Shape::Struct(kind.ty)),
                is_namespaced: kind.namespaced,
            },
            (None, Some(custom)) => Form::Typed {
                name: custom.name.clone(),
                shape: None,
                is_namespaced: custom.is_namespaced,
            },
            (None, None) => Form::Data,
        };
        written.push(Written {
            known: known.map(|(_, name)| name),
            copies: vec![(object.env, object)],
            form,
            place: Place::Base,
            field: String::new(),
            is_field,
        });
    }
    written
}

/// Names the fields that hold objects, each once in its app.
fn name_fields(written: &mut [Written], apps: &[App]) {
    for app in apps {
        let mut used: BTreeMap<String, usize> = BTreeMap::new();
        for &at in &app.objects {
            let object = written[at].object();
            let wanted = text::identifier(&format!("{} {}", object.kind, object.name));
            let nth = used.entry(wanted.clone()).or_default();
            *nth += 1;
            written[at].field = match *nth {
                1 => wanted,
                nth => format!("{wanted}_{nth}"),
            };
        }
    }
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
    for one in written.iter().filter(|one| !one.is_data()) {
        for (_, copy) in &one.copies {
            writer.built(&copy.node, one.kind(), &mut all);
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
