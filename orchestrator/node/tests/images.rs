//! Images from a registry and from archives, into a store that several processes share.

#![allow(missing_docs, reason = "a test program")]

use std::fs;
use std::io::Write as _;
use std::path::Path;

use ordain_orchestrator_node::ImageConfig;
use ordain_orchestrator_node::images::archive::import;
use ordain_orchestrator_node::images::build::{BuiltImage, ImageBuilder};
use ordain_orchestrator_node::images::model::digest_of;
use ordain_orchestrator_node::images::pull::pull;
use ordain_orchestrator_node::images::registry::Registry;
use ordain_orchestrator_node::images::{ImageStore, load_archive};

fn image(text: &str) -> BuiltImage {
    ImageBuilder::new()
        .file("/etc/greeting", text, 0o644)
        .symlink("/link", "etc/greeting")
        .entrypoint(["/bin/hello"])
        .env("COLOR", "red")
        .user("7")
        .build()
}

fn greeting(store: &ImageStore, name: &str) -> String {
    let image = store.find(name).expect("a name").expect("stored");
    let folder = store.flat(&image).expect("unpacked");
    fs::read_to_string(folder.join("link")).expect("readable")
}

/// Writes an archive as `docker save` does: layers as plain tars under names of their own.
fn docker_save(image: &BuiltImage, name: &str, path: &Path) {
    let mut layer = Vec::new();
    let mut gunzip = flate2::read::GzDecoder::new(image.layer.as_slice());
    std::io::copy(&mut gunzip, &mut layer).expect("a gzip stream");
    let manifest = serde_json::json!([{
        "Config": "abc.json", "RepoTags": [name], "Layers": ["abc/layer.tar"],
    }]);
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in [
        ("abc.json", image.config.as_slice()),
        ("abc/layer.tar", layer.as_slice()),
        ("manifest.json", manifest.to_string().as_bytes()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content)
            .expect("written");
    }
    let bytes = tar.into_inner().expect("written");
    let mut file = fs::File::create(path).expect("created");
    file.write_all(&zstd::encode_all(bytes.as_slice(), 1).expect("compressed"))
        .expect("written");
}

#[test]
fn archives_of_both_kinds_are_imported() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("store");
    let layout = folder.path().join("layout.tar");
    image("layout").save("shop/web:1", &layout).expect("saved");
    let names = load_archive(&place, &layout).expect("imported");
    assert_eq!(names, ["docker.io/shop/web:1"]);
    let docker = folder.path().join("docker.tar");
    docker_save(&image("docker"), "shop/web:2", &docker);
    assert_eq!(
        load_archive(&place, &docker).expect("imported"),
        ["docker.io/shop/web:2"]
    );

    let store = ImageStore::open(&place).expect("a store");
    assert_eq!(greeting(&store, "shop/web:1"), "layout");
    assert_eq!(greeting(&store, "docker.io/shop/web:2"), "docker");
    let found = store.find("shop/web:1").expect("a name").expect("stored");
    assert_eq!(found.config.entrypoint, ["/bin/hello"]);
    assert_eq!(found.config.user, "7");
    assert!(store.find("shop/web:3").expect("a name").is_none());
}

#[test]
fn an_open_store_sees_what_another_process_adds() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("store");
    let running = ImageStore::open(&place).expect("a store");
    let archive = folder.path().join("layout.tar");
    image("late").save("late:1", &archive).expect("saved");
    load_archive(&place, &archive).expect("imported");
    assert_eq!(greeting(&running, "late:1"), "late");
}

#[test]
fn damaged_archives_are_refused_and_leave_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("store");
    let store = ImageStore::open(&place).expect("a store");
    let archive = folder.path().join("bad.tar");
    fs::write(&archive, "no archive").expect("written");
    assert!(import(&store, &archive).is_err());
    let mut wrong = image("x");
    wrong.layer = b"not what the manifest says".to_vec();
    wrong.save("bad:1", &archive).expect("saved");
    assert!(import(&store, &archive).is_err());
    assert!(import(&store, &folder.path().join("none.tar")).is_err());
    assert!(store.list().is_empty());
    assert_eq!(fs::read_dir(place.join("tmp")).expect("there").count(), 0);
}

#[tokio::test]
async fn images_are_pulled_by_tag_and_by_digest() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = ImageStore::open(folder.path().join("store")).expect("a store");
    let registry = Registry::start().await.expect("a registry");
    let built = image("pulled");
    let config = ImageConfig::default();
    let tagged = registry.push("a/b", "1", &built);
    let pulled = pull(&store, &config, &tagged, None).await.expect("pulled");
    assert_eq!(pulled.manifest, built.manifest_digest());
    assert_eq!(pulled.id, digest_of(&built.config));
    assert_eq!(greeting(&store, &tagged), "pulled");
    let pinned = format!("{}/a/b@{}", registry.address(), built.manifest_digest());
    pull(&store, &config, &pinned, None).await.expect("pulled");

    let wrong = format!("{}/a/b@{}", registry.address(), digest_of(b"else"));
    assert!(pull(&store, &config, &wrong, None).await.is_err());
    let missing = format!("{}/a/c:1", registry.address());
    let error = pull(&store, &config, &missing, None)
        .await
        .expect_err("refused")
        .to_string();
    assert!(
        error.contains("/a/c:1") && error.contains(&registry.address().to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn a_registry_that_lies_about_content_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = ImageStore::open(folder.path().join("store")).expect("a store");
    let registry = Registry::start().await.expect("a registry");
    // A layer under its own digest, which is not the one that the config promises.
    let mut built = image("honest");
    let other = image("other");
    let swapped = String::from_utf8(built.manifest.clone()).expect("text");
    let swapped = swapped.replace(&digest_of(&built.layer), &digest_of(&other.layer));
    built.manifest = swapped.into_bytes();
    built.layer = other.layer;
    let name = registry.push("a/b", "1", &built);
    let pulled = pull(&store, &ImageConfig::default(), &name, None)
        .await
        .expect("stored");
    let error = store.flat(&pulled).expect_err("refused").to_string();
    assert!(error.contains("expected"), "{error}");
}
