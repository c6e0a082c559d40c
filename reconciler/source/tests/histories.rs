//! What happens to a repository that is followed: rewritten, collected, large, with submodules, links and LFS.

#[path = "support/http.rs"]
mod http;
mod support;

use std::{
    fmt::Write as _,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use http::Server;
use ordain_reconciler_source::{CommitId, Error, Mirror, Movement, Remote};
use support::{Author, path, run};

fn id(text: &str) -> CommitId {
    text.parse().expect("an id")
}

#[test]
fn a_forced_push_and_a_collection_lose_nothing_that_was_deployed() {
    let dir = tempfile::tempdir().expect("a folder");
    let author = Author::new(dir.path(), "shop");
    let server = Server::start(dir.path(), false);
    let first = author.commit("a.ord", "one");
    for (nth, url) in [path(&author.bare), format!("{}/shop.git", server.url)]
        .iter()
        .enumerate()
    {
        let mirror =
            Mirror::open(&dir.path().join(format!("{nth}.git")), url, "main").expect("a mirror");
        author.git(&["reset", "-q", "--hard", &first]);
        let lost = author.commit("a.ord", "lost");
        mirror.fetch().expect("it answers");
        author.git(&["reset", "-q", "--hard", &first]);
        let tip = author.commit("a.ord", &format!("instead {nth}"));
        for place in [&author.tree, &author.bare] {
            run(place, "git", &["reflog", "expire", "--expire=now", "--all"]);
            run(place, "git", &["gc", "-q", "--prune=now"]);
        }
        let gone = Command::new("git")
            .args(["cat-file", "-e", &lost])
            .current_dir(&author.bare)
            .stderr(Stdio::null())
            .status()
            .expect("git runs");
        assert!(!gone.success(), "the remote has collected it");
        let fetched = mirror.fetch().expect("it answers");
        assert_eq!(fetched.tip.as_str(), tip);
        assert_eq!(fetched.movement, Movement::Rewritten { from: id(&lost) });
        // Ours is still whole, also after git cleaned up here.
        run(mirror.repository().path(), "git", &["gc", "-q", "--auto"]);
        let files = mirror.repository().files(&id(&lost)).expect("files");
        assert_eq!(files.read("a.ord").expect("a file"), b"lost");
    }
}

/// Writes a history with `git fast-import`, which is the only quick way to a large one.
fn import(bare: &Path, files: usize, commits: usize) {
    let mut stream = String::new();
    let who = "Ada <ada@example.com>";
    let _ = write!(
        stream,
        "commit refs/heads/main\nmark :1\ncommitter {who} 1700000000 +0000\ndata 5\nstart\n"
    );
    for nth in 0..files {
        let text = format!("value = {nth}\n");
        let _ = write!(
            stream,
            "M 644 inline d{}/f{nth}.ord\ndata {}\n{text}\n",
            nth % 500,
            text.len()
        );
    }
    for nth in 2..=commits {
        let text = format!("value = \"{nth}\"\n");
        let at = 1_700_000_000 + nth;
        let _ = write!(
            stream,
            "commit refs/heads/main\nmark :{nth}\ncommitter {who} {at} +0000\ndata 4\nnext\nfrom :{}\nM 644 inline d0/f0.ord\ndata {}\n{text}\n",
            nth - 1,
            text.len()
        );
    }
    let mut child = Command::new("git")
        .args(["fast-import", "--quiet"])
        .current_dir(bare)
        .stdin(Stdio::piped())
        .spawn()
        .expect("git runs");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(stream.as_bytes())
        .expect("written");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_repository_of_100_000_files_and_20_000_commits_is_followed() {
    const FILES: usize = 100_000;
    const COMMITS: usize = 20_000;
    let dir = tempfile::tempdir().expect("a folder");
    let author = Author::new(dir.path(), "large");
    import(&author.bare, FILES, COMMITS);
    let server = Server::start(dir.path(), false);
    let url = format!("{}/large.git", server.url);
    let mirror = Mirror::open(&dir.path().join("mirror.git"), &url, "main").expect("a mirror");
    let tip = mirror.fetch().expect("it answers").tip;
    let files = mirror.repository().files(&tip).expect("files");
    assert_eq!(files.list().count(), FILES);
    let last = format!("value = \"{COMMITS}\"\n");
    assert_eq!(files.read("d0/f0.ord").expect("a file"), last.as_bytes());

    // One more commit brings one more commit, and tells the one file that it changed.
    run(
        &author.tree,
        "git",
        &["fetch", "-q", "--depth=1", "origin", "main"],
    );
    run(&author.tree, "git", &["read-tree", "FETCH_HEAD"]);
    let blob = {
        author.write("new.txt", "value = 1\n");
        author.git(&["hash-object", "-w", "new.txt"])
    };
    author.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("100644,{blob},d7/f7.ord"),
    ]);
    let tree = author.git(&["write-tree"]);
    let next = author.git(&["commit-tree", &tree, "-p", "FETCH_HEAD", "-m", "next"]);
    author.git(&["push", "-q", "origin", &format!("{next}:main")]);
    let fetched = mirror.fetch().expect("it answers");
    assert_eq!(fetched.movement, Movement::Forward { from: tip });
    let after = mirror.repository().files(&fetched.tip).expect("files");
    assert_eq!(after.differing(&files), ["d7/f7.ord"]);
    let wants = server.doors.lock().expect("whole").wanted.clone();
    assert!(
        wants.last().expect("a request").contains("have "),
        "the second fetch builds on the first"
    );
}

#[test]
fn submodules_are_brought_in() {
    let dir = tempfile::tempdir().expect("a folder");
    let (shop, lib, inner) = (
        Author::new(dir.path(), "shop"),
        Author::new(dir.path(), "lib"),
        Author::new(dir.path(), "inner"),
    );
    inner.commit("deep.ord", "deep");
    let add = |author: &Author, from: &Author, address: &str, at: &str| {
        author.git(&[
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "add",
            "-q",
            &path(&from.bare),
            at,
        ]);
        author.git(&[
            "config",
            "-f",
            ".gitmodules",
            &format!("submodule.{at}.url"),
            address,
        ]);
    };
    add(&lib, &inner, "../inner.git", "nested");
    let first = lib.commit("lib.ord", "one");
    add(&shop, &lib, "../lib.git", "vendor/lib");
    let tip = shop.commit("a.ord", "shop");
    let server = Server::start(dir.path(), false);
    for (nth, url) in [path(&shop.bare), format!("{}/shop.git", server.url)]
        .iter()
        .enumerate()
    {
        let mirror =
            Mirror::open(&dir.path().join(format!("{nth}.git")), url, "main").expect("a mirror");
        let fetched = mirror.fetch().expect("it answers").tip;
        let files = mirror.repository().files(&fetched).expect("files");
        let read = |name: &str| String::from_utf8(files.read(name).expect("a file")).expect("text");
        assert_eq!(read("vendor/lib/lib.ord"), "one");
        assert_eq!(read("vendor/lib/nested/deep.ord"), "deep");
        assert_eq!(read("a.ord"), "shop");
    }
    // What is pinned counts, not what is newest; a change of the pin is a change of the files below it.
    lib.commit("lib.ord", "two");
    let mirror =
        Mirror::open(&dir.path().join("0.git"), &path(&shop.bare), "main").expect("a mirror");
    let before = mirror.repository().files(&id(&tip)).expect("files");
    assert_eq!(before.read("vendor/lib/lib.ord").expect("a file"), b"one");
    shop.git(&["-C", "vendor/lib", "pull", "-q", "origin", "main"]);
    let moved = shop.commit("b.ord", "moved");
    mirror.fetch().expect("it answers");
    let after = mirror.repository().files(&id(&moved)).expect("files");
    assert_eq!(after.differing(&before), ["b.ord", "vendor/lib/lib.ord"]);
    assert_eq!(after.read("vendor/lib/lib.ord").expect("a file"), b"two");
    assert_ne!(first, tip);
}

#[test]
fn a_submodule_may_not_name_this_machine_or_a_program() {
    let dir = tempfile::tempdir().expect("a folder");
    let author = Author::new(dir.path(), "shop");
    let server = Server::start(dir.path(), false);
    let mut commits = Vec::new();
    for address in [
        "/etc",
        "file:///etc",
        "ext::sh -c touch% /tmp/x",
        "--upload-pack=touch",
        "../../../x",
    ] {
        author.write(
            ".gitmodules",
            &format!("[submodule \"x\"]\n\tpath = x\n\turl = {address}\n"),
        );
        author.git(&["add", "-A"]);
        let pin = "160000,0123456789012345678901234567890123456789,x";
        author.git(&["update-index", "--add", "--cacheinfo", pin]);
        author.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
        author.git(&["push", "-q", "origin", "HEAD:main"]);
        commits.push((address, author.git(&["rev-parse", "HEAD"])));
    }
    let url = format!("{}/shop.git", server.url);
    let mirror = Mirror::open(&dir.path().join("mirror.git"), &url, "main").expect("a mirror");
    mirror.fetch().expect("it answers");
    for (address, commit) in commits {
        let error = mirror
            .repository()
            .files(&id(&commit))
            .expect_err("refused");
        let Error::Submodule { path, source, .. } = &error else {
            panic!("{address}: {error:?}");
        };
        assert_eq!(path, "x");
        assert!(
            matches!(**source, Error::ModuleAddress { .. }),
            "{address}: {source:?}"
        );
    }
}

#[test]
fn a_submodule_that_contains_itself_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let author = Author::new(dir.path(), "loop");
    let first = author.commit("a.ord", "one");
    author.write(".gitmodules", "[submodule \"x\"]\n\tpath = x\n\turl = ./\n");
    let mut pin = first;
    // Each commit names the one before it as its submodule.
    for _ in 0..8 {
        author.git(&["add", ".gitmodules", "a.ord"]);
        author.git(&[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("160000,{pin},x"),
        ]);
        author.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
        author.git(&["push", "-q", "origin", "HEAD:main"]);
        pin = author.git(&["rev-parse", "HEAD"]);
    }
    let mirror = Mirror::of(
        &dir.path().join("mirror.git"),
        Remote::branch(&path(&author.bare), "main"),
    );
    let mirror = mirror.expect("a mirror");
    let tip = mirror.fetch().expect("it answers").tip;
    let error = mirror.repository().files(&tip).expect_err("too deep");
    let mut deepest: &dyn std::error::Error = &error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    assert!(deepest.to_string().contains("deep"), "{deepest}");
}

#[test]
fn links_lead_nowhere_and_lfs_pointers_are_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let author = Author::new(dir.path(), "shop");
    for (name, target) in [
        ("passwd", "/etc/passwd"),
        ("up", "../../secret"),
        ("inside", "a.ord"),
    ] {
        std::os::unix::fs::symlink(target, author.tree.join(name)).expect("a link");
    }
    author.write(
        "data.json",
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n",
    );
    let tip = author.commit("a.ord", "one");
    let mirror = Mirror::open(&dir.path().join("mirror.git"), &path(&author.bare), "main")
        .expect("a mirror");
    mirror.fetch().expect("it answers");
    let files = mirror.repository().files(&id(&tip)).expect("files");
    assert_eq!(
        files.links().collect::<Vec<_>>(),
        ["inside", "passwd", "up"]
    );
    for name in ["passwd", "up", "inside"] {
        assert!(
            matches!(files.read(name), Err(Error::Link { .. })),
            "{name}"
        );
    }
    assert!(!files.contains("passwd/x"));
    assert!(matches!(
        files.read("passwd/../../x"),
        Err(Error::Escape { .. })
    ));
    let error = files.read("data.json").expect_err("a pointer");
    assert!(matches!(error, Error::Lfs { .. }), "{error:?}");
    assert!(error.to_string().contains("git lfs untrack"), "{error}");
}
