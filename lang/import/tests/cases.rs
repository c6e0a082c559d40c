//! What is written for small inputs, and what is said of them: one snapshot per file of `cases/`.

mod support;

use ordain_schemas::KubeVersion;

#[test]
fn inputs_give_their_programs() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for path in support::files(&folder, ".yaml")
        .into_iter()
        .chain(support::files(&folder, ".json"))
    {
        let name = path
            .file_name()
            .expect("a file")
            .to_string_lossy()
            .into_owned();
        let content = std::fs::read_to_string(&path).expect("readable");
        let imported = support::one(&name, &content);
        let told = support::shown(&imported.diagnostics, &imported.sources);
        assert!(imported.summary.is_proven, "{name}: {told}");
        let program = support::written(&imported);
        let built = support::rebuilt(&imported, KubeVersion::DEFAULT, None);
        assert_eq!(built.len(), imported.summary.objects, "{name}");
        insta::assert_snapshot!(name, format!("{program}\n{told}\n{:?}\n", imported.summary));
    }
}
