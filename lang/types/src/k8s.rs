//! Kubernetes' types as types of the language: made from the table when a program first names them.
//!
//! One kind brings in the types it is made of and no others. Rules which the API server checks but its schema does not
//! say (names, ports, images, label syntax) are added here, by type and field.

use std::collections::HashMap;
use std::sync::Arc;

use ordain_lang_syntax::{FileId, Name, Span};
use ordain_schemas::{Field, Kind, KubeVersion, ListType, Shape, Table, TypeId, is_message};

use crate::extra::Extra;
use crate::hir::{Body, ExprKind, Hir};
use crate::ty::{
    FieldDef, Format, Gvk, IntRange, LenRange, ListTy, Origin, RecordDef, RecordId, StringRule, Ty,
    TyKind, Types,
};

/// The place of what stands in no file.
pub(crate) const NOWHERE: Span = Span {
    file: FileId(u32::MAX),
    start: 0,
    end: 0,
};

/// Groups in the order in which a kind's short name is looked for; others follow by name.
const GROUP_ORDER: [&str; 8] = [
    "",
    "apps",
    "batch",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "autoscaling",
    "storage.k8s.io",
];

/// The Kubernetes side of the type table.
pub(crate) struct K8s {
    pub(crate) table: &'static Table,
    /// The kind meant by a short name.
    kinds: HashMap<&'static str, &'static Kind>,
    /// What was made already.
    records: HashMap<TypeId, RecordId>,
    /// Defaults of fields that name list elements, of custom kinds.
    pub(crate) key_defaults: HashMap<(RecordId, Name), Arc<str>>,
}

/// Smaller is meant rather.
fn rank(
    kind: &Kind,
) -> (
    bool,
    bool,
    usize,
    bool,
    &'static str,
    std::cmp::Reverse<&'static str>,
) {
    let group = GROUP_ORDER
        .iter()
        .position(|g| *g == kind.group)
        .unwrap_or(GROUP_ORDER.len());
    let unstable = kind.version.contains("alpha") || kind.version.contains("beta");
    (
        !kind.is_resource(),
        !kind.served,
        group,
        unstable,
        kind.group,
        std::cmp::Reverse(kind.version),
    )
}

impl K8s {
    pub(crate) fn new(table: &'static Table) -> K8s {
        let mut kinds: HashMap<&'static str, &'static Kind> = HashMap::new();
        for kind in table.kinds() {
            let best = kinds.entry(kind.kind).or_insert(kind);
            if rank(kind) < rank(best) {
                *best = kind;
            }
        }
        K8s {
            table,
            kinds,
            records: HashMap::new(),
            key_defaults: HashMap::new(),
        }
    }

    /// The records that were made, with their OpenAPI names.
    pub(crate) fn names(&self) -> impl Iterator<Item = (RecordId, &'static str)> + '_ {
        self.records
            .iter()
            .map(|(id, record)| (*record, self.table.ty(*id).name))
    }

    /// Another version of Kubernetes that has a field which a record lacks, the one next to this.
    pub(crate) fn version_with(&self, record: RecordId, field: &str) -> Option<KubeVersion> {
        let (id, _) = self.records.iter().find(|(_, made)| **made == record)?;
        let (name, own) = (self.table.ty(*id).name, self.table.version());
        let has = |version: &&KubeVersion| {
            let table = ordain_schemas::table(**version);
            let ty = table.type_named(name);
            ty.is_some_and(|ty| table.ty(ty).field(field).is_some())
        };
        let mut others = KubeVersion::ALL.iter().filter(has);
        let later = others.clone().find(|version| **version > own);
        later.or(others.next_back()).copied()
    }

    /// The kind meant by a short name.
    pub(crate) fn kind(&self, name: &str) -> Option<&'static Kind> {
        self.kinds.get(name).copied()
    }

    /// The short names of all kinds, for suggestions.
    pub(crate) fn kind_names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.kinds.keys().copied()
    }

    /// The scalar types of the namespace `k8s`.
    pub(crate) fn scalar(types: &mut Types, name: &str) -> Option<Ty> {
        let format = match name {
            "Name" => Format::Name,
            "DnsLabel" => Format::DnsLabel,
            "Hostname" => Format::Hostname,
            "Image" => Format::Image,
            "EnvName" => Format::EnvName,
            "LabelKey" => Format::LabelKey,
            "LabelValue" => Format::LabelValue,
            "PortName" => Format::PortName,
            "Ip" => Format::Ip,
            "Cidr" => Format::Cidr,
            "Url" => Format::Url,
            "Cron" => Format::Cron,
            "Base64" => Format::Base64,
            "AbsolutePath" => Format::AbsolutePath,
            "TimeZone" => Format::TimeZone,
            "Object" => return Some(Ty::OBJECT),
            "Port" => return Some(port(types)),
            "IntOrString" => return Some(Ty::INT_OR_STRING),
            "Time" => return Some(Ty::TIME),
            "MicroTime" => return Some(Ty::MICRO_TIME),
            "Quantity" => return Some(Ty::QUANTITY),
            _ => return None,
        };
        Some(formatted(types, format))
    }

    /// The names which [`K8s::scalar`] knows, for suggestions.
    pub(crate) const SCALARS: [&'static str; 17] = [
        "Name",
        "DnsLabel",
        "Hostname",
        "Image",
        "EnvName",
        "LabelKey",
        "LabelValue",
        "PortName",
        "Ip",
        "Cidr",
        "Url",
        "Cron",
        "Base64",
        "AbsolutePath",
        "TimeZone",
        "Object",
        "Port",
    ];

    /// The type named by the parts after `k8s.`: a scalar, a kind, a part of one (`Container`), or either with its
    /// group and version in front (`apps.v1.Deployment`).
    pub(crate) fn resolve(
        &mut self,
        types: &mut Types,
        hir: &mut Hir,
        parts: &[&str],
    ) -> Option<Ty> {
        let (name, front) = parts.split_last()?;
        if front.is_empty() {
            if let Some(ty) = K8s::scalar(types, name) {
                return Some(ty);
            }
            if let Some(kind) = self.kind(name) {
                let id = self.record(types, hir, kind.ty);
                return Some(types.intern(TyKind::Record(id)));
            }
            let id = self.part(name)?;
            return Some(self.shape(types, hir, &Shape::Struct(id), None));
        }
        let (version, group) = front.split_last()?;
        let group = group.join(".");
        let group_fits = |g: &str| {
            g == group || g.split('.').next() == Some(&*group) || (group == "core" && g.is_empty())
        };
        let kind = self
            .table
            .kinds()
            .iter()
            .find(|k| k.kind == *name && k.version == *version && group_fits(k.group));
        let id = match kind {
            Some(kind) => kind.ty,
            None => {
                let short = group.split('.').next().unwrap_or("");
                self.table
                    .type_named(&format!("io.k8s.api.{short}.{version}.{name}"))?
            }
        };
        Some(self.shape(types, hir, &Shape::Struct(id), None))
    }

    /// The type with a short name which is not a kind: `Container`, `PodSpec`, `EnvVar`.
    fn part(&self, name: &str) -> Option<TypeId> {
        let places = [
            "io.k8s.api.core.v1",
            "io.k8s.apimachinery.pkg.apis.meta.v1",
            "io.k8s.api.apps.v1",
            "io.k8s.api.batch.v1",
            "io.k8s.api.networking.v1",
        ];
        if let Some(id) = places
            .iter()
            .find_map(|p| self.table.type_named(&format!("{p}.{name}")))
        {
            return Some(id);
        }
        let ending = format!(".{name}");
        let fitting = |id: &TypeId| self.table.ty(*id).name.ends_with(&ending);
        let unstable = |id: &TypeId| {
            let full = self.table.ty(*id).name;
            full.contains("alpha") || full.contains("beta")
        };
        self.table.types().filter(fitting).min_by_key(unstable)
    }

    /// The kind of an object pasted with `apiVersion` and `kind`.
    pub(crate) fn object(
        &mut self,
        types: &mut Types,
        hir: &mut Hir,
        api: &str,
        kind: &str,
    ) -> Option<RecordId> {
        let ty = self.table.kind_of(api, kind)?.ty;
        Some(self.record(types, hir, ty))
    }

    /// The record of a type of the table.
    pub(crate) fn record(&mut self, types: &mut Types, hir: &mut Hir, id: TypeId) -> RecordId {
        if let Some(&record) = self.records.get(&id) {
            return record;
        }
        let ty = self.table.ty(id);
        let kind = ty
            .gvks
            .iter()
            .find_map(|(g, v, k)| self.table.kind(g, v, k));
        let kind = kind.filter(|k| ty.field("metadata").is_some() && k.ty == id);
        let gvk = kind.map(|k| Gvk {
            group: k.group.into(),
            version: k.version.into(),
            kind: k.kind.into(),
            api_version: k.api_version().into(),
            namespaced: k.namespaced,
        });
        let record = types.add_record(RecordDef {
            name: Arc::from(format!("k8s.{}", ty.short_name())),
            origin: Origin::Kubernetes(gvk),
            span: None,
            fields: Vec::new(),
            by_name: HashMap::default(),
            required: Vec::new(),
            asserts: Vec::new(),
            open: false,
            doc: None,
        });
        // Known before its fields are made: types may contain themselves.
        self.records.insert(id, record);
        let mut order: Vec<&Field> = ty.fields.iter().collect();
        order.sort_by_key(|f| match f.name {
            "apiVersion" => 0,
            "kind" => 1,
            "metadata" => 2,
            _ => 3,
        });
        let mut fields = Vec::with_capacity(order.len());
        for field in order {
            let mut made = self.field(types, hir, ty.short_name(), field);
            let constant = kind.and_then(|k| match field.name {
                "apiVersion" => Some(k.api_version()),
                "kind" => Some(k.kind.to_owned()),
                _ => None,
            });
            if let Some(text) = constant {
                made.ty = types.intern(TyKind::Enum([Name::new(&text)].into()));
                let expr = hir.add(ExprKind::Str(text.into()), made.ty, NOWHERE);
                made.default = Some(Body { expr, slots: 0 });
                made.required = false;
            } else if field.name == "metadata" && kind.is_some_and(|kind| !self.is_message(kind)) {
                made.ty = types.without_optional(made.ty);
                made.required = true;
            }
            fields.push(made);
        }
        let def = types.record_mut(record);
        def.by_name = fields
            .iter()
            .enumerate()
            .map(|(at, f)| (f.name, at as u32))
            .collect();
        def.required = (0..fields.len() as u32)
            .filter(|at| fields[*at as usize].required)
            .collect();
        def.fields = fields;
        record
    }

    /// Whether objects of a kind are never stored, so that they need no name.
    fn is_message(&self, kind: &Kind) -> bool {
        is_message(self.table, &kind.api_version(), kind.kind)
    }

    fn field(&mut self, types: &mut Types, hir: &mut Hir, owner: &str, field: &Field) -> FieldDef {
        let base = match curated(types, owner, field.name) {
            Some(ty) => ty,
            None => self.shape(types, hir, &field.shape, Some(field)),
        };
        // Every object has a name once it is complete: reading it gives a string.
        let always = owner == "ObjectMeta" && field.name == "name";
        let ty = if field.required || always {
            base
        } else {
            types.optional(base)
        };
        FieldDef {
            name: Name::new(field.name),
            ty,
            required: field.required,
            default: None,
            is_final: false,
            span: None,
            doc: None,
        }
    }

    pub(crate) fn shape(
        &mut self,
        types: &mut Types,
        hir: &mut Hir,
        shape: &Shape,
        field: Option<&Field>,
    ) -> Ty {
        match shape {
            Shape::String => match field {
                Some(field) if !field.enum_values.is_empty() => {
                    let members = field.enum_values.iter().map(|v| Name::new(v)).collect();
                    types.intern(TyKind::Enum(members))
                }
                _ => Ty::STRING,
            },
            Shape::Bool => Ty::BOOL,
            Shape::Int32 => types.intern(TyKind::Int(INT32)),
            Shape::Int64 => Ty::INT,
            Shape::Double => Ty::FLOAT,
            Shape::Bytes => formatted(types, Format::Base64),
            Shape::Quantity => Ty::QUANTITY,
            Shape::IntOrString => Ty::INT_OR_STRING,
            Shape::Time => Ty::TIME,
            Shape::MicroTime => Ty::MICRO_TIME,
            Shape::Duration => Ty::DURATION,
            Shape::RawExtension | Shape::FieldsV1 | Shape::Json => Ty::ANY,
            Shape::Struct(id) => {
                if let Some(special) = self.table.ty(*id).special.clone() {
                    return self.shape(types, hir, &special, field);
                }
                let record = self.record(types, hir, *id);
                types.intern(TyKind::Record(record))
            }
            Shape::List(element) => {
                let item = self.shape(types, hir, element, field);
                let (keys, set) = list_keys(field);
                types.intern(TyKind::List(ListTy {
                    item,
                    len: lengths(field),
                    keys,
                    set,
                }))
            }
            Shape::Map(element) => {
                let value = self.shape(types, hir, element, field);
                // A time that is not known yet is null in the API's own objects (`disruptedPods`).
                let value = match value {
                    Ty::TIME | Ty::MICRO_TIME => types.optional(value),
                    _ => value,
                };
                types.intern(TyKind::Map(Ty::STRING, value))
            }
        }
    }

    /// The default of a field which names list elements (`protocol`), as the API server fills it in.
    pub(crate) fn key_default(
        &self,
        types: &Types,
        record: RecordId,
        field: Name,
    ) -> Option<Arc<str>> {
        if let Some(default) = self.key_defaults.get(&(record, field)) {
            return Some(Arc::clone(default));
        }
        let (id, _) = self.records.iter().find(|(_, r)| **r == record)?;
        let known = self.table.ty(*id).field(field.as_str())?.default?;
        debug_assert!(types.record(record).field(field).is_some());
        Some(Arc::from(known.trim_matches('"')))
    }
}

/// How many elements a list has: a pod has a container (validateContainers).
fn lengths(field: Option<&Field>) -> LenRange {
    match field {
        Some(field) if field.name == "containers" && field.required => LenRange {
            min: 1,
            ..LenRange::ALL
        },
        _ => LenRange::ALL,
    }
}

/// The fields which name an element: the list-map keys, or the key of the strategic merge patch.
fn list_keys(field: Option<&Field>) -> (Box<[Name]>, bool) {
    let Some(field) = field else {
        return (Box::default(), false);
    };
    match &field.list_type {
        Some(ListType::Map(keys)) => (keys.iter().map(|k| Name::new(k)).collect(), false),
        Some(ListType::Set) => (Box::default(), true),
        _ => match field.patch.merge_key {
            Some(key) if field.patch.merge => ([Name::new(key)].into(), false),
            _ => (Box::default(), false),
        },
    }
}

/// Ports as the API server checks them (k8s.io/apimachinery/pkg/util/validation IsValidPortNum).
pub(crate) const PORT: IntRange = IntRange {
    min: 1,
    max: 65_535,
};
const INT32: IntRange = IntRange {
    min: i32::MIN as i64,
    max: i32::MAX as i64,
};
const NOT_NEGATIVE: IntRange = IntRange {
    min: 0,
    max: i32::MAX as i64,
};
const POSITIVE: IntRange = IntRange {
    min: 1,
    max: i32::MAX as i64,
};

/// `k8s.Port`.
fn port(types: &mut Types) -> Ty {
    let range = types.intern(TyKind::Int(PORT));
    types.restricted(range, Extra::Named("k8s.Port"))
}

/// The string type with a format.
pub(crate) fn formatted(types: &mut Types, format: Format) -> Ty {
    types.intern(TyKind::String(StringRule {
        format: Some(format),
        ..StringRule::default()
    }))
}

/// Types which the API server checks more strictly than its schema says
/// (kubernetes/pkg/apis/core/validation, apps/validation, batch/validation, networking/validation).
fn curated(types: &mut Types, owner: &str, field: &str) -> Option<Ty> {
    let range = match (owner, field) {
        ("ContainerPort", "containerPort" | "hostPort")
        | ("ServicePort", "port" | "nodePort")
        | ("GRPCAction", "port")
        | ("ServiceBackendPort", "number") => return Some(port(types)),
        (
            "DeploymentSpec"
            | "ReplicaSetSpec"
            | "StatefulSetSpec"
            | "DaemonSetSpec"
            | "ReplicationControllerSpec",
            "replicas" | "minReadySeconds" | "revisionHistoryLimit",
        )
        | ("JobSpec", "parallelism" | "completions" | "backoffLimit" | "ttlSecondsAfterFinished")
        | ("CronJobSpec", "successfulJobsHistoryLimit" | "failedJobsHistoryLimit")
        | ("RollingUpdateStatefulSetStrategy", "partition")
        | ("HorizontalPodAutoscalerSpec", "minReplicas")
        | ("Probe", "initialDelaySeconds") => NOT_NEGATIVE,
        ("PodSpec", "terminationGracePeriodSeconds")
        | ("JobSpec", "activeDeadlineSeconds")
        | ("CronJobSpec", "startingDeadlineSeconds") => NOT_NEGATIVE_LONG,
        ("DeploymentSpec", "progressDeadlineSeconds")
        | ("Probe", "timeoutSeconds" | "periodSeconds" | "successThreshold" | "failureThreshold")
        | ("TopologySpreadConstraint", "maxSkew" | "minDomains")
        | ("HorizontalPodAutoscalerSpec", "maxReplicas") => POSITIVE,
        ("SecurityContext" | "PodSecurityContext", "runAsUser" | "runAsGroup" | "fsGroup") => {
            USER_ID
        }
        ("PodSpec", "activeDeadlineSeconds") => IntRange {
            min: 1,
            max: i32::MAX as i64,
        },
        ("PreferredSchedulingTerm" | "WeightedPodAffinityTerm", "weight") => WEIGHT,
        ("KeyToPath" | "DownwardAPIVolumeFile", "mode")
        | (
            "ConfigMapVolumeSource"
            | "SecretVolumeSource"
            | "ProjectedVolumeSource"
            | "DownwardAPIVolumeSource",
            "defaultMode",
        ) => FILE_MODE,
        ("ClientIPConfig", "timeoutSeconds") => STICKY_SECONDS,
        _ => return curated_string(types, owner, field),
    };
    Some(types.intern(TyKind::Int(range)))
}

/// Bits of a file's mode (validateVolumeFileMode).
const FILE_MODE: IntRange = IntRange { min: 0, max: 0o777 };
/// Weights of preferences (ValidatePreferredSchedulingTerms).
const WEIGHT: IntRange = IntRange { min: 1, max: 100 };
/// User and group numbers (IsValidUserID).
const USER_ID: IntRange = NOT_NEGATIVE;
/// How long a client keeps its pod, in seconds: at most a day (validateClientIPAffinityConfig).
const STICKY_SECONDS: IntRange = IntRange {
    min: 1,
    max: 86_400,
};
const NOT_NEGATIVE_LONG: IntRange = IntRange {
    min: 0,
    max: i64::MAX,
};

fn curated_string(types: &mut Types, owner: &str, field: &str) -> Option<Ty> {
    let format = match (owner, field) {
        ("Container" | "EphemeralContainer", "image") => Format::Image,
        ("Container" | "EphemeralContainer" | "Volume", "name") | ("ServicePort", "name") => {
            Format::DnsLabel
        }
        ("ContainerPort", "name") => Format::PortName,
        ("ObjectMeta", "namespace") => Format::DnsLabel,
        ("CronJobSpec", "schedule") => Format::Cron,
        ("CronJobSpec", "timeZone") => Format::TimeZone,
        ("IPBlock", "cidr") => Format::Cidr,
        ("IngressRule", "host") => Format::Hostname,
        ("ObjectMeta", "labels") | ("LabelSelector", "matchLabels") => {
            let key = formatted(types, Format::LabelKey);
            let value = formatted(types, Format::LabelValue);
            return Some(types.intern(TyKind::Map(key, value)));
        }
        ("PodSpec", "nodeSelector") | ("ReplicationControllerSpec" | "ServiceSpec", "selector") => {
            let key = formatted(types, Format::LabelKey);
            let value = formatted(types, Format::LabelValue);
            return Some(types.intern(TyKind::Map(key, value)));
        }
        // The only fields that a secret may reach: the API server keeps them as it keeps secrets.
        ("Secret", "data" | "stringData") => {
            let plain = match field {
                "data" => formatted(types, Format::Base64),
                _ => Ty::STRING,
            };
            let secret = types.intern(TyKind::Secret(plain));
            let value = types.intern(TyKind::Union([plain, secret].into()));
            return Some(types.intern(TyKind::Map(Ty::STRING, value)));
        }
        _ => return None,
    };
    Some(formatted(types, format))
}
