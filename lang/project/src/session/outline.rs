//! What a module says to the whole project, read off its syntax tree: apps, environments' changes, tests, uses.
//!
//! Two outlines of one file tell what an edit can mean to others. Knows no types.

use ordain_lang_syntax::ast::{File, ItemKind, MemberKind, Segment, SegmentKind, UseTarget};
use ordain_lang_syntax::{Name, Span};

/// See the module.
#[derive(Debug)]
pub(super) struct Outline {
    /// The names of its apps, in order.
    pub(super) apps: Vec<Name>,
    /// What it uses, as written.
    pub(super) uses: Vec<String>,
    /// Whether it exports objects.
    pub(super) has_exports: bool,
    /// Its environments.
    pub(super) envs: Vec<EnvOutline>,
    /// Its tests and policies.
    pub(super) suites: Vec<SuiteOutline>,
    /// Texts of the items which only its own kind of module knows of: types, functions, constants, apps.
    pub(super) plain: Vec<Span>,
}

/// An environment.
#[derive(Debug)]
pub(super) struct EnvOutline {
    /// Its position among the items.
    pub(super) item: usize,
    /// What is not a change of an app: its name, what it extends, its settings, mistakes.
    pub(super) frame: Vec<Span>,
    /// The positions of such members.
    pub(super) others: Vec<usize>,
    /// What may be changes of apps.
    pub(super) ops: Vec<OpOutline>,
}

/// A member of an environment that begins with a name.
#[derive(Debug)]
pub(super) struct OpOutline {
    /// Its position among the members.
    pub(super) member: usize,
    /// The name it begins with: an app's, else it is a setting.
    pub(super) target: Name,
    pub(super) span: Span,
}

/// A test or a policy.
#[derive(Debug)]
pub(super) struct SuiteOutline {
    /// Its position among the items.
    pub(super) item: usize,
    pub(super) span: Span,
    pub(super) is_policy: bool,
}

impl Outline {
    pub(super) fn of(file: &File) -> Outline {
        let mut outline = Outline {
            apps: Vec::new(),
            uses: Vec::new(),
            has_exports: false,
            envs: Vec::new(),
            suites: Vec::new(),
            plain: Vec::new(),
        };
        for (at, item) in file.items.iter().enumerate() {
            match &item.kind {
                ItemKind::Use(used) => outline.uses.push(match &used.target {
                    UseTarget::Module(path) => {
                        let parts: Vec<&str> = path.parts.iter().map(|p| p.name.as_str()).collect();
                        parts.join(".")
                    }
                    // Messages name its kinds by the name it is used under.
                    UseTarget::Crd { path, .. } => {
                        let alias = used.alias.map_or("", |alias| alias.name.as_str());
                        format!("crd {path} as {alias}")
                    }
                    UseTarget::Text { path, .. } => format!("text {path}"),
                    UseTarget::Secrets { path, .. } => format!("secrets {path}"),
                }),
                ItemKind::Env(env) => {
                    let mut frame = vec![env.name.span];
                    frame.extend(env.extends.map(|name| name.span));
                    let (mut ops, mut others) = (Vec::new(), Vec::new());
                    for (member, one) in env.body.members.iter().enumerate() {
                        let path: &[Segment] = match &one.kind {
                            MemberKind::Field(field) => &field.path,
                            MemberKind::Delete(path) => path,
                            _ => &[],
                        };
                        match path.first().map(|segment| &segment.kind) {
                            Some(SegmentKind::Name(target)) => ops.push(OpOutline {
                                member,
                                target: *target,
                                span: one.span,
                            }),
                            _ => {
                                frame.push(one.span);
                                others.push(member);
                            }
                        }
                    }
                    outline.envs.push(EnvOutline {
                        item: at,
                        frame,
                        others,
                        ops,
                    });
                }
                ItemKind::Test(_) | ItemKind::Policy(_) => outline.suites.push(SuiteOutline {
                    item: at,
                    span: item.span,
                    is_policy: matches!(item.kind, ItemKind::Policy(_)),
                }),
                kind => {
                    if let ItemKind::App(app) = kind {
                        outline.apps.push(app.name.name);
                    }
                    outline.has_exports |= matches!(kind, ItemKind::Export(_));
                    outline.plain.push(item.span);
                }
            }
        }
        outline
    }

    /// Whether there is something in it that looks at apps of other files.
    pub(super) fn is_whole(&self) -> bool {
        !self.envs.is_empty() || !self.suites.is_empty()
    }

    /// Whether another outline of the file names the same apps and modules in the same order.
    pub(super) fn has_same_names(&self, other: &Outline) -> bool {
        self.apps == other.apps && self.uses == other.uses && self.has_exports == other.has_exports
    }
}

/// The words of a text: every name in it is among them, also those inside strings.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
}
