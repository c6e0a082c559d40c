//! The crate against real repositories: reading trees, following a rewritten branch, rolling back.

use std::path::Path;

use git2::{Repository as Raw, Signature, Time};
use ordain_reconciler_source::{
    CommitId, Error, FILE_BYTES_MAX, Hosted, Mirror, Movement, Repository, Restore, trailer,
};

/// Commits `files` (path, content) on top of `parent`, replacing the whole tree.
fn commit(raw: &Raw, parent: Option<&CommitId>, files: &[(&str, &str)]) -> CommitId {
    let mut update = git2::build::TreeUpdateBuilder::new();
    for (path, content) in files {
        let (mode, content) = match content.strip_prefix("link:") {
            Some(target) => (git2::FileMode::Link, target),
            None => (git2::FileMode::Blob, *content),
        };
        update.upsert(*path, raw.blob(content.as_bytes()).expect("a blob"), mode);
    }
    let empty = raw
        .treebuilder(None)
        .and_then(|builder| builder.write())
        .expect("an empty tree");
    let empty = raw.find_tree(empty).expect("it was just written");
    let tree = update.create_updated(raw, &empty).expect("a tree");
    let tree = raw.find_tree(tree).expect("it was just written");
    let who =
        Signature::new("Ada", "ada@example.com", &Time::new(1_700_000_000, 0)).expect("valid");
    let parent = parent.map(|id| {
        raw.find_commit(git2::Oid::from_str(id.as_str()).expect("an id"))
            .expect("a commit")
    });
    let parents: Vec<_> = parent.iter().collect();
    raw.commit(None, &who, &who, "change\n", &tree, &parents)
        .expect("a commit")
        .into()
}

fn point(raw: &Raw, branch: &str, id: &CommitId) {
    let oid = git2::Oid::from_str(id.as_str()).expect("an id");
    raw.reference(&format!("refs/heads/{branch}"), oid, true, "test")
        .expect("a reference");
}

fn bare(path: &Path) -> Raw {
    Raw::init_bare(path).expect("a bare repository")
}

#[test]
fn a_commit_is_read_without_a_checkout_and_links_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let raw = bare(dir.path());
    let files = [
        ("ordain.toml", "a"),
        ("apps/web.ord", "b"),
        ("etc", "link:/etc"),
        ("é.ord", "c"),
    ];
    let id = commit(&raw, None, &files);
    let repository = Repository::open(dir.path()).expect("it exists");
    let tree = repository.files(&id).expect("readable");
    assert_eq!(
        tree.list().collect::<Vec<_>>(),
        ["apps/web.ord", "ordain.toml", "é.ord"]
    );
    assert_eq!(tree.read("apps/./web.ord").expect("a file"), b"b");
    assert!(matches!(tree.read("etc"), Err(Error::Link { .. })));
    assert!(matches!(tree.read("../x"), Err(Error::Escape { .. })));
    assert!(matches!(tree.read("apps"), Err(Error::NoFile { .. })));
}

#[test]
fn an_oversized_file_is_named_instead_of_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let raw = bare(dir.path());
    let large = "x".repeat(usize::try_from(FILE_BYTES_MAX).expect("fits") + 1);
    let id = commit(&raw, None, &[("big", &large)]);
    let tree = Repository::open(dir.path())
        .and_then(|repo| repo.files(&id))
        .expect("readable");
    let error = tree.read("big").expect_err("over the limit").to_string();
    assert_eq!(
        error,
        "`big` has 16777217 bytes; a source file may have at most 16777216"
    );
}

#[test]
fn broken_references_are_told_apart() {
    let dir = tempfile::tempdir().expect("a folder");
    let raw = bare(dir.path());
    let repository = Repository::open(dir.path()).expect("it exists");
    assert!(matches!(
        repository.branch("main"),
        Err(Error::Unborn { .. })
    ));
    assert!(matches!(
        repository.resolve("nope"),
        Err(Error::UnknownRevision { .. })
    ));
    let id = commit(&raw, None, &[("a", "1")]);
    point(&raw, "main", &id);
    assert_eq!(repository.branch("main").expect("born"), id);
    assert_eq!(repository.resolve(id.short()).expect("a shortened id"), id);
    std::fs::write(dir.path().join("refs/heads/torn"), "not an id\n").expect("written");
    assert!(matches!(repository.branch("torn"), Err(Error::Read { .. })));
    let gone: CommitId = "1".repeat(40).parse().expect("well formed");
    assert!(matches!(repository.commit(&gone), Err(Error::Read { .. })));
    assert!(matches!(repository.files(&gone), Err(Error::Read { .. })));
}

#[test]
fn a_mirror_follows_and_notices_a_rewritten_branch() {
    let dir = tempfile::tempdir().expect("a folder");
    let origin = bare(&dir.path().join("origin.git"));
    let url = dir.path().join("origin.git").display().to_string();
    let mirror = Mirror::open(&dir.path().join("copy.git"), &url, "main").expect("created");

    let error = mirror.fetch().expect_err("an empty origin");
    assert!(
        error
            .to_string()
            .ends_with("has no branch `main`; it has no commit yet"),
        "{error}"
    );

    let one = commit(&origin, None, &[("a", "1")]);
    point(&origin, "other", &one);
    let error = mirror.fetch().expect_err("another branch");
    assert!(
        error
            .to_string()
            .ends_with("has no branch `main`; it has `other`"),
        "{error}"
    );

    point(&origin, "main", &one);
    assert_eq!(mirror.fetch().expect("fetched").movement, Movement::First);
    assert_eq!(
        mirror.fetch().expect("fetched").movement,
        Movement::Unchanged
    );
    let two = commit(&origin, Some(&one), &[("a", "2")]);
    point(&origin, "main", &two);
    let fetched = mirror.fetch().expect("fetched");
    assert_eq!(fetched.movement, Movement::Forward { from: one.clone() });
    let other = commit(&origin, Some(&one), &[("a", "3")]);
    point(&origin, "main", &other);
    let fetched = mirror.fetch().expect("fetched");
    assert_eq!(
        (fetched.tip, fetched.movement),
        (other, Movement::Rewritten { from: two })
    );
}

#[test]
fn an_unreachable_origin_keeps_what_was_fetched() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("origin.git");
    let origin = bare(&path);
    let one = commit(&origin, None, &[("a", "1")]);
    point(&origin, "main", &one);
    let url = format!("file://{}", path.display());
    let mirror = Mirror::open(&dir.path().join("copy.git"), &url, "main").expect("created");
    mirror.fetch().expect("fetched");
    std::fs::remove_dir_all(&path).expect("removed");
    assert!(matches!(mirror.fetch(), Err(Error::Fetch { .. })));
    assert_eq!(mirror.last().expect("readable"), Some(one));
}

fn restore(onto: &CommitId, to: &CommitId, paths: Option<Vec<String>>) -> Restore {
    Restore {
        reference: "refs/heads/main".to_owned(),
        onto: onto.clone(),
        of: None,
        to: to.clone(),
        paths,
        author: "Grace <grace@example.com>".parse().expect("infallible"),
        time: 1_700_000_100,
        subject: "rollback web".to_owned(),
        reason: "the new image does not start".to_owned(),
    }
}

#[test]
fn a_rollback_is_a_commit_that_restores_only_the_named_files() {
    let dir = tempfile::tempdir().expect("a folder");
    let hosted =
        Hosted::open_or_create(dir.path(), Path::new("/bin/ordain"), "main").expect("created");
    let raw = Raw::open_bare(hosted.path()).expect("it exists");
    let one = commit(&raw, None, &[("web.ord", "old"), ("db.ord", "old")]);
    let two = commit(
        &raw,
        Some(&one),
        &[("web.ord", "new"), ("db.ord", "new"), ("extra.ord", "new")],
    );
    point(&raw, "main", &two);
    let repository = hosted.repository();

    let paths = Some(vec!["web.ord".to_owned(), "extra.ord".to_owned()]);
    let id = repository
        .write_restore(&restore(&two, &one, paths), &["abc".to_owned()], None)
        .expect("written");
    assert_eq!(
        repository.branch("main").expect("born"),
        two,
        "the branch has not moved yet"
    );
    repository
        .move_reference("refs/heads/main", &two, &id, "rollback")
        .expect("moved");

    let files = repository.files(&id).expect("readable");
    assert_eq!(files.list().collect::<Vec<_>>(), ["db.ord", "web.ord"]);
    assert_eq!(files.read("web.ord").expect("a file"), b"old");
    assert_eq!(files.read("db.ord").expect("a file"), b"new");
    let written = repository.commit(&id).expect("readable");
    assert_eq!(written.author.to_string(), "Grace <grace@example.com>");
    assert_eq!(trailer(&written.message, "Rollback-Of"), Some(two.as_str()));
    assert_eq!(trailer(&written.message, "Rollback-To"), Some(one.as_str()));
    assert_eq!(trailer(&written.message, "Plan-Hash"), Some("abc"));
    assert!(
        written
            .message
            .contains("\n\nthe new image does not start\n\n")
    );

    let late = repository.move_reference("refs/heads/main", &two, &one, "late");
    assert!(matches!(late, Err(Error::Moved { .. })), "{late:?}");
    let nothing = repository.write_restore(&restore(&id, &id, None), &[], None);
    assert!(
        matches!(nothing, Err(Error::NothingToRestore { .. })),
        "{nothing:?}"
    );
}

#[test]
fn a_rollback_of_a_foreign_repository_is_pushed_but_never_forced() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("origin.git");
    let origin = bare(&path);
    let one = commit(&origin, None, &[("a", "1")]);
    let two = commit(&origin, Some(&one), &[("a", "2")]);
    point(&origin, "main", &two);
    let url = path.display().to_string();
    let mirror = Mirror::open(&dir.path().join("copy.git"), &url, "main").expect("created");
    mirror.fetch().expect("fetched");

    let id = mirror
        .repository()
        .write_restore(&restore(&two, &one, None), &[], None)
        .expect("written");
    mirror.push(&id).expect("pushed");
    let origin = Repository::open(&path).expect("it exists");
    assert_eq!(origin.branch("main").expect("born"), id);

    let stale =
        mirror
            .repository()
            .write_restore(&restore(&two, &one, None), &["x".to_owned()], None);
    let refused = mirror.push(&stale.expect("written"));
    assert!(
        matches!(refused, Err(Error::Push { .. } | Error::Refused { .. })),
        "{refused:?}"
    );
    assert_eq!(origin.branch("main").expect("born"), id);
}
