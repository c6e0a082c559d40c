//! Kinds of CustomResourceDefinitions as types of the language, made when a program first names them.
//!
//! What a type can say is proven by the checker; the whole schema and its CEL rules are held against the finished
//! object when it is built.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ordain_lang_crd::{Crd, Version};
use ordain_lang_syntax::ast::Ident;
use ordain_lang_syntax::{Diagnostic, Name, Span};
use ordain_schemas::Shape;

use crate::checker::Checker;
use crate::crd_shapes::Making;
use crate::crds::Crds;
use crate::hir::{Body, ExprKind};
use crate::index::Def;
use crate::k8s::NOWHERE;
use crate::resolve::with_near;
use crate::suggest::nearest;
use crate::ty::{FieldDef, Gvk, Origin, RecordDef, RecordId, Ty, TyKind};

/// Positions of a file, a definition and a version.
pub(crate) type At = (usize, usize, usize);

/// What was made of the project's CRDs so far.
#[derive(Default)]
pub(crate) struct CrdTypes {
    pub(crate) known: Crds,
    records: HashMap<At, RecordId>,
    /// The parts of a version's kind by name: `CertificateSpec`.
    pub(crate) parts: HashMap<(At, String), Ty>,
    /// Where a version that is not served, or deprecated, was told.
    told: HashSet<(At, Span)>,
}

impl Checker<'_> {
    /// The type named by the parts behind the name of a `use crd`: `Certificate`, `v1.Certificate`, `CertificateSpec`.
    pub(crate) fn crd_named(&mut self, file: usize, parts: &[Ident], span: Span) -> Ty {
        let (version, name) = match parts {
            [name] => (None, name),
            [version, name] => (Some(version), name),
            _ => return self.crd_unknown(file, None, parts, span),
        };
        if name.name.is_empty() {
            return Ty::ERROR;
        }
        let crds = Arc::clone(&self.crds.known.files()[file].crds);
        let place = |crd: &Crd, wanted: &Version| {
            let c = crds.iter().position(|c| std::ptr::eq(c, crd))?;
            let v = crd.versions.iter().position(|v| std::ptr::eq(v, wanted))?;
            Some((file, c, v))
        };
        // The longest kind that the name begins with: `CertificateRequestSpec` is no part of `Certificate`.
        let mut fitting: Vec<&Crd> = crds
            .iter()
            .filter(|crd| name.name.as_str().starts_with(&*crd.kind))
            .collect();
        fitting.sort_by_key(|crd| std::cmp::Reverse(crd.kind.len()));
        for crd in fitting {
            let wanted = match version {
                Some(version) => crd.version(version.name.as_str()),
                None => crd.preferred().or(crd.versions.first()),
            };
            let Some(at) = wanted.and_then(|v| place(crd, v)) else {
                continue;
            };
            let record = self.crd_record(at);
            let ty = match name.name == *crd.kind {
                true => self.types.intern(TyKind::Record(record)),
                false => match self.crds.parts.get(&(at, name.name.to_string())) {
                    Some(part) => *part,
                    None => continue,
                },
            };
            self.crd_standing(at, span);
            let declared = self
                .types
                .as_record(ty)
                .and_then(|id| self.types.record(id).span);
            if let Some(declared) = declared {
                self.note(name.span, Def::Type(declared), ty);
            }
            return ty;
        }
        self.crd_unknown(file, version, parts, span)
    }

    /// The kind of an object pasted with `apiVersion` and `kind`.
    pub(crate) fn crd_object(&mut self, api: &str, kind: &str, span: Span) -> Option<RecordId> {
        let at = self.crds.known.find(api, kind)?.at;
        let record = self.crd_record(at);
        self.crd_standing(at, span);
        Some(record)
    }

    /// What is told of an object whose group is none of Kubernetes' own, and which no CRD of the project defines.
    pub(crate) fn crd_remedy(
        &self,
        api: &str,
        kind: &str,
        api_span: Span,
        kind_span: Span,
    ) -> Option<Diagnostic> {
        let (group, version) = api.split_once('/')?;
        let same: Vec<_> = self
            .crds
            .known
            .kinds()
            .filter(|k| *k.crd.group == *group)
            .collect();
        if let Some(known) = same.iter().find(|k| *k.crd.kind == *kind) {
            let served = known.crd.versions.iter().filter(|v| v.served.0);
            let versions: Vec<String> = served.map(|v| known.crd.api_version(v)).collect();
            return Some(
                Diagnostic::error("E0105", format!("`{kind}` has no version `{version}`"))
                    .label(api_span, "not found")
                    .label(known.file.span(known.crd.kind_place), "defined here")
                    .help(format!("write \"{}\"", versions.join("\" or \""))),
            );
        }
        // Groups of Kubernetes itself have no dot, or end like its own; their kinds are told as such.
        let own = self.k8s.table.kinds().iter().any(|k| k.group == group);
        if own || !group.contains('.') {
            return None;
        }
        let diagnostic = Diagnostic::error(
            "E0105",
            format!("no CRD of the project defines `{kind}` of {api}"),
        )
        .label(kind_span, "not found");
        let near = nearest(kind, same.iter().map(|k| &*k.crd.kind));
        Some(match near {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic.help(
                "bring in the operator's definition: `use crd \"crds/file.yaml\" as name`, or `crds = [\"crds/*.yaml\"]` in ordain.toml",
            ),
        })
    }

    /// Tells of versions which are not served, or deprecated.
    fn crd_standing(&mut self, at: At, span: Span) {
        if !self.crds.told.insert((at, span)) {
            return;
        }
        let file = self.crds.known.files()[at.0].clone();
        let crd = &file.crds[at.1];
        let version = &crd.versions[at.2];
        let title = format!("`{}` of {}", crd.kind, crd.api_version(version));
        let better = crd.preferred().filter(|v| v.name != version.name);
        let (served, place) = version.served;
        let diagnostic = if !served {
            Diagnostic::error("E0858", format!("{title} is not served"))
                .label(span, "the API server refuses it")
                .label(file.span(place), "not served")
        } else if let Some((place, warning)) = &version.deprecated {
            let told = Diagnostic::warning("W0851", format!("{title} is deprecated"))
                .label(span, "still served")
                .label(file.span(*place), "deprecated here");
            match warning {
                Some(warning) => told.note(&**warning),
                None => told,
            }
        } else {
            return;
        };
        self.report(match better {
            Some(better) => diagnostic.help(format!("use {}", crd.api_version(better))),
            None => diagnostic,
        });
    }

    fn crd_unknown(
        &mut self,
        file: usize,
        version: Option<&Ident>,
        parts: &[Ident],
        span: Span,
    ) -> Ty {
        let file = self.crds.known.files()[file].clone();
        let name = parts.last().map_or("", |n| n.name.as_str());
        let kinds: Vec<&str> = file.crds.iter().map(|crd| &*crd.kind).collect();
        let known = file.crds.iter().find(|crd| *crd.kind == *name);
        let diagnostic = match (known, version) {
            (Some(crd), Some(version)) => {
                let versions: Vec<&str> = crd.versions.iter().map(|v| &*v.name).collect();
                let near = nearest(version.name.as_str(), versions.iter().copied());
                let diagnostic = Diagnostic::error(
                    "E0102",
                    format!("`{name}` has no version `{}`", version.name),
                )
                .label(version.span, "not found")
                .label(file.span(crd.kind_place), "defined here");
                match near {
                    Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                    None => diagnostic.help(format!("there are {}", versions.join(", "))),
                }
            }
            _ => {
                let full: Vec<&str> = parts.iter().map(|p| p.name.as_str()).collect();
                let message = format!("`{}` defines no `{}`", file.path, full.join("."));
                let diagnostic = Diagnostic::error("E0102", message).label(span, "not found");
                let parts = self.crds.parts.keys();
                let parts = parts.filter(|(at, _)| self.crds.known.files()[at.0].file == file.file);
                let candidates = kinds.iter().copied().chain(parts.map(|(_, name)| &**name));
                match nearest(name, candidates) {
                    Some(near) => with_near(diagnostic, Some(near)),
                    None => diagnostic.help(format!("it defines {}", kinds.join(", "))),
                }
            }
        };
        self.report(diagnostic);
        Ty::ERROR
    }

    /// The record of a version's kind.
    fn crd_record(&mut self, at: At) -> RecordId {
        if let Some(&record) = self.crds.records.get(&at) {
            return record;
        }
        let file = self.crds.known.files()[at.0].clone();
        let crd = &file.crds[at.1];
        let version = &crd.versions[at.2];
        let mut prefix = file
            .alias
            .as_ref()
            .map(|a| format!("{a}."))
            .unwrap_or_default();
        if crd.preferred().is_some_and(|v| v.name != version.name) {
            prefix.push_str(&format!("{}.", version.name));
        }
        let making = Making {
            at,
            file: file.clone(),
            prefix,
        };
        let api_version = crd.api_version(version);
        let gvk = Gvk {
            group: Arc::clone(&crd.group),
            version: Arc::clone(&version.name),
            kind: Arc::clone(&crd.kind),
            api_version: api_version.as_str().into(),
            namespaced: crd.namespaced,
        };
        let schema = Arc::clone(&version.schema);
        let record = self.types.add_record(RecordDef {
            name: format!("{}{}", making.prefix, crd.kind).into(),
            origin: Origin::Kubernetes(Some(gvk)),
            span: Some(file.span(crd.kind_place)),
            fields: Vec::new(),
            by_name: HashMap::default(),
            required: Vec::new(),
            asserts: Vec::new(),
            open: schema.preserve_unknown,
            doc: schema.description.clone(),
        });
        self.crds.records.insert(at, record);
        let mut fields = Vec::with_capacity(schema.properties.len() + 3);
        for (name, text) in [("apiVersion", &*api_version), ("kind", &*crd.kind)] {
            let ty = self.types.intern(TyKind::Enum([Name::new(text)].into()));
            let expr = self.hir.add(ExprKind::Str(text.into()), ty, NOWHERE);
            fields.push(FieldDef {
                name: Name::new(name),
                ty,
                required: false,
                default: Some(Body { expr, slots: 0 }),
                is_final: false,
                span: None,
                doc: None,
            });
        }
        fields.push(FieldDef {
            name: Name::new("metadata"),
            ty: self.object_meta(),
            required: true,
            default: None,
            is_final: false,
            span: None,
            doc: None,
        });
        let kind = crd.kind.to_string();
        let required = schema.required_names();
        for property in &schema.properties {
            if matches!(&*property.name, "apiVersion" | "kind" | "metadata") {
                continue;
            }
            // What the cluster says of an object is not for who writes it.
            let is_required = required.contains(&*property.name) && *property.name != *"status";
            fields.push(self.crd_field(&making, property, is_required, &kind, record));
        }
        self.set_fields(record, fields);
        record
    }

    pub(crate) fn set_fields(&mut self, record: RecordId, fields: Vec<FieldDef>) {
        let def = self.types.record_mut(record);
        let positions = fields.iter().enumerate();
        def.by_name = positions.map(|(at, f)| (f.name, at as u32)).collect();
        let required = (0..fields.len() as u32).filter(|at| fields[*at as usize].required);
        def.required = required.collect();
        def.fields = fields;
    }

    /// `metadata` of every object.
    fn object_meta(&mut self) -> Ty {
        match self
            .k8s
            .table
            .type_named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
        {
            Some(id) => self
                .k8s
                .shape(&mut self.types, &mut self.hir, &Shape::Struct(id), None),
            None => Ty::ANY,
        }
    }
}
