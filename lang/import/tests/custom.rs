//! Custom objects get the types of the definitions that come along.

#![allow(clippy::print_stdout)]

mod support;

use ordain_lang_import::{Input, Options, import};
use ordain_schemas::KubeVersion;

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: backups.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Backup, plural: backups}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [schedule]
            properties:
              schedule: {type: string}
              keep: {type: integer, minimum: 1}
              targets:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items: {type: object, required: [name], properties: {name: {type: string}, path: {type: string}}}
"#;

fn backup(keep: &str) -> String {
    format!(
        "apiVersion: example.com/v1\nkind: Backup\nmetadata: {{name: nightly, labels: {{app: db}}}}\nspec:\n  schedule: 0 2 * * *\n  keep: {keep}\n  targets: [{{name: a, path: /a}}]\n"
    )
}

#[test]
fn custom_objects_are_typed() {
    let options = Options {
        crds: vec![Input::new("crds.yaml", DEFINITION)],
        ..Options::default()
    };
    let imported = import(&[Input::new("backup.yaml", backup("3"))], &options);
    let told = support::shown(&imported.diagnostics, &imported.sources);
    assert_eq!(
        (imported.summary.typed, imported.summary.is_proven),
        (1, true),
        "{told}"
    );
    assert_eq!(
        support::rebuilt(&imported, KubeVersion::DEFAULT, None).len(),
        1
    );
    insta::assert_snapshot!(support::written(&imported));

    // What the definition refuses is data.
    let imported = import(&[Input::new("backup.yaml", backup("0"))], &options);
    assert_eq!(
        (imported.summary.data, imported.summary.is_proven),
        (1, true)
    );
    assert_eq!(imported.diagnostics[0].code, "W0952");

    // So is what has no definition.
    let imported = import(
        &[Input::new("backup.yaml", backup("3"))],
        &Options::default(),
    );
    assert_eq!(
        (imported.summary.data, imported.summary.is_proven),
        (1, true)
    );
}

#[test]
fn custom_objects_are_factored() {
    let options = Options {
        crds: vec![Input::new("crds.yaml", DEFINITION)],
        ..Options::default()
    };
    let inputs = [
        Input::new("dev.yaml", backup("1")).env("dev"),
        Input::new("prod.yaml", backup("30")).env("prod"),
    ];
    let imported = import(&inputs, &options);
    let told = support::shown(&imported.diagnostics, &imported.sources);
    assert_eq!(
        (imported.summary.typed, imported.summary.is_proven),
        (2, true),
        "{told}"
    );
    for (env, keep) in [("dev", 1), ("prod", 30)] {
        let built = support::rebuilt(&imported, KubeVersion::DEFAULT, Some(env));
        assert_eq!(built[0]["spec"]["keep"], keep);
    }
    insta::assert_snapshot!(support::written(&imported));
}

/// The definitions of a real operator, and an object of one of them.
#[test]
fn applications_of_argo_are_typed() {
    let Some(folder) = support::shared("crds") else {
        return;
    };
    let crds = support::files(&folder, ".yaml")
        .iter()
        .map(|path| {
            Input::new(
                path.to_string_lossy(),
                std::fs::read(path).expect("readable"),
            )
        })
        .collect();
    let options = Options {
        crds,
        ..Options::default()
    };
    let text = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: shop, namespace: argocd}\nspec:\n  project: default\n  destination: {server: https://kubernetes.default.svc, namespace: shop}\n  source: {repoURL: https://example.com/shop.git, path: deploy, targetRevision: main}\n  syncPolicy: {automated: {prune: true}, syncOptions: [CreateNamespace=true]}\n";
    let imported = import(&[Input::new("application.yaml", text)], &options);
    let told = support::shown(&imported.diagnostics, &imported.sources);
    assert_eq!(
        (imported.summary.typed, imported.summary.is_proven),
        (1, true),
        "{told}"
    );
    println!("{}", imported.files[1].text);
}
