//! What the table says, checked against what is known of Kubernetes, in every version.

use ordain_schemas::{Field, KubeVersion, ListType, MapType, Shape, Table, table};

fn default_table() -> &'static Table {
    table(KubeVersion::DEFAULT)
}

fn field(kind: &str, path: &str) -> &'static Field {
    let (api_version, kind) = kind.rsplit_once('/').expect("group/version/Kind");
    let kind = default_table()
        .kind_of(api_version, kind)
        .expect("the kind is known");
    let path: Vec<&str> = path.split('.').collect();
    default_table()
        .field_at(kind.ty, &path)
        .expect("the field is known")
}

#[test]
fn every_type_of_every_version_decodes() {
    for version in KubeVersion::ALL {
        let table = table(version);
        let mut fields = 0;
        for id in table.types() {
            let ty = table.ty(id);
            assert!(
                ty.fields.is_sorted_by(|a, b| a.name < b.name),
                "{} is sorted",
                ty.name
            );
            for field in &ty.fields {
                assert!(!field.name.is_empty());
                if let Some(default) = field.default {
                    serde_json::from_str::<serde_json::Value>(default).expect("defaults are JSON");
                }
                // Upstream's StorageVersionMigrationList (v1alpha1) names a key that is not there.
                let is_list = field.name == "items" && ty.short_name().ends_with("List");
                if let (Some(ListType::Map(keys)), false) = (&field.list_type, is_list) {
                    let element = table.ty(field.shape.struct_id().expect("a map has structs"));
                    for key in keys {
                        assert!(
                            element.field(key).is_some(),
                            "{}.{} has {key}",
                            ty.name,
                            field.name
                        );
                    }
                }
                fields += 1;
            }
        }
        assert!(fields > 2800, "{version} has {fields} fields");
    }
}

#[test]
fn every_fact_about_a_resource_belongs_to_a_kind() {
    let mut unused: Vec<&str> = include_str!("../facts/resources.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    for version in KubeVersion::ALL {
        for kind in table(version).kinds() {
            let group = if kind.group.is_empty() {
                "-"
            } else {
                kind.group
            };
            unused.retain(|line| !line.starts_with(&format!("{group}\t{}\t", kind.kind)));
            for subresource in &kind.subresources {
                assert!(
                    !subresource.verbs.is_empty(),
                    "{}/{}",
                    kind.plural,
                    subresource.name
                );
            }
            if kind.is_resource() && kind.verbs.contains(&"list") {
                assert!(kind.list_ty.is_some(), "{} has a list type", kind.kind);
            }
        }
    }
    assert_eq!(unused, Vec::<&str>::new());
}

#[test]
fn the_served_resources_are_those_of_the_version() {
    let text: Vec<String> = default_table()
        .kinds()
        .iter()
        .filter(|kind| kind.served)
        .map(|kind| {
            let scope = if kind.namespaced {
                "namespaced"
            } else {
                "cluster"
            };
            let subresources: Vec<_> = kind.subresources.iter().map(|s| s.name).collect();
            format!(
                "{} {} {scope} [{}] {}",
                kind.api_version(),
                kind.plural,
                kind.short_names.join(","),
                subresources.join(",")
            )
        })
        .collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn versions_differ_where_kubernetes_did() {
    let has = |version, group: &str, name: &str, kind: &str| {
        table(version)
            .kind(group, name, kind)
            .is_some_and(|kind| kind.served)
    };
    assert!(!has(
        KubeVersion::V1_33,
        "resource.k8s.io",
        "v1",
        "ResourceClaim"
    ));
    assert!(has(
        KubeVersion::V1_34,
        "resource.k8s.io",
        "v1",
        "ResourceClaim"
    ));
    assert!(!has(
        KubeVersion::V1_35,
        "admissionregistration.k8s.io",
        "v1",
        "MutatingAdmissionPolicy"
    ));
    assert!(has(
        KubeVersion::V1_36,
        "admissionregistration.k8s.io",
        "v1",
        "MutatingAdmissionPolicy"
    ));
    assert!(has(KubeVersion::V1_37, "", "v1", "Pod"));
}

#[test]
fn a_container_port_merges_by_number_and_protocol() {
    let ports = field("apps/v1/Deployment", "spec.template.spec.containers.ports");
    assert_eq!(
        ports.list_type,
        Some(ListType::Map(vec!["containerPort", "protocol"]))
    );
    assert_eq!(ports.patch.merge_key, Some("containerPort"));
    assert!(ports.patch.merge);
    let protocol = field("/v1/Pod", "spec.containers.ports.protocol");
    assert_eq!(protocol.default, Some("\"TCP\""));
    assert_eq!(protocol.enum_values, ["TCP", "UDP", "SCTP"]);
}

#[test]
fn merge_facts_are_those_of_the_api() {
    assert!(
        field("apps/v1/Deployment", "spec.strategy")
            .patch
            .retain_keys
    );
    assert!(field("/v1/Pod", "spec.volumes").patch.retain_keys);
    assert_eq!(
        field("/v1/Pod", "spec.volumes").patch.merge_key,
        Some("name")
    );
    assert_eq!(
        field("/v1/Pod", "metadata.finalizers").list_type,
        Some(ListType::Set)
    );
    assert_eq!(
        field("/v1/Pod", "spec.nodeSelector").map_type,
        MapType::Atomic
    );
    assert!(
        field("policy/v1/PodDisruptionBudget", "spec.selector")
            .patch
            .replace
    );
    let selector = field("apps/v1/Deployment", "spec.selector")
        .shape
        .struct_id()
        .expect("a struct");
    assert_eq!(default_table().ty(selector).map_type, MapType::Atomic);
}

#[test]
fn shapes_say_what_may_be_written() {
    let show = |kind, path| default_table().show(&field(kind, path).shape);
    assert_eq!(
        show("apps/v1/Deployment", "spec.template.spec.containers"),
        "list of Container"
    );
    assert_eq!(
        show("/v1/Pod", "spec.containers.resources.limits"),
        "map of quantity"
    );
    assert_eq!(
        show("/v1/Service", "spec.ports.targetPort"),
        "integer or string"
    );
    assert_eq!(
        field("/v1/Secret", "data").shape,
        Shape::Map(Box::new(Shape::Bytes))
    );
    assert!(field("apps/v1/Deployment", "spec.selector").required);
}

#[test]
fn protobuf_numbers_pass_through_inlined_messages() {
    assert_eq!(
        field("/v1/Pod", "spec.containers.livenessProbe.httpGet").protobuf,
        [1, 2]
    );
    assert_eq!(field("/v1/Pod", "spec.volumes.configMap").protobuf.len(), 2);
    assert_eq!(field("/v1/Pod", "spec.containers.image").protobuf, [2]);
}

#[test]
fn versions_are_read_from_text() {
    assert_eq!("1.36".parse(), Ok(KubeVersion::V1_36));
    assert_eq!("v1.33.2".parse(), Ok(KubeVersion::V1_33));
    assert!("1.20".parse::<KubeVersion>().is_err());
    assert!("2.36".parse::<KubeVersion>().is_err());
}
