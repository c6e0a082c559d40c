//! Following repositories over http, https, ssh and paths, with their real servers on loopback.

#[path = "support/http.rs"]
mod http;
mod support;

use std::{fs, path::Path, process::Command};

use base64::Engine as _;
use http::Server;
use ordain_reconciler_source::{
    Access, CommitId, Error, FILE_BYTES_MAX, Follow, Mirror, Movement, Remote, Repository,
};
use support::{Author, backend::nobody, path, run, sshd::Sshd};

/// Follows `main` of a URL: the tip is found, a file is read, a new commit is a step forward, and ours is pushed.
fn check(author: &Author, remote: &Remote, folder: &Path) {
    let first = author.commit("a.ord", "one");
    let mirror = Mirror::of(&folder.join("mirror.git"), remote.clone()).expect("a mirror");
    let fetched = mirror
        .fetch()
        .unwrap_or_else(|error| panic!("{error}: {error:?}"));
    assert_eq!(fetched.tip.as_str(), first);
    assert_eq!(fetched.movement, Movement::First);
    let files = mirror.repository().files(&fetched.tip).expect("files");
    assert_eq!(files.read("a.ord").expect("a file"), b"one");

    let second = author.commit("a.ord", "two");
    let fetched = mirror.fetch().expect("it answers again");
    assert_eq!(fetched.tip.as_str(), second);
    let from = first.parse::<CommitId>().expect("an id");
    assert_eq!(fetched.movement, Movement::Forward { from });

    // A commit of ours: the first state again, on top.
    let ours = author.git(&[
        "commit-tree",
        &format!("{first}^{{tree}}"),
        "-p",
        &second,
        "-m",
        "back",
    ]);
    run(
        mirror.repository().path(),
        "git",
        &["fetch", "-q", &path(&author.tree), &ours],
    );
    mirror
        .push(&ours.parse().expect("an id"))
        .expect("it is taken");
    assert_eq!(run(&author.bare, "git", &["rev-parse", "main"]), ours);

    // Somebody else was faster: never forced.
    let theirs = author.git(&[
        "commit-tree",
        &format!("{second}^{{tree}}"),
        "-p",
        &second,
        "-m",
        "other",
    ]);
    author.git(&["push", "-q", "-f", "origin", &format!("{theirs}:main")]);
    let refused = mirror
        .push(&ours.parse().expect("an id"))
        .expect_err("not on top");
    assert!(
        matches!(refused, Error::Refused { .. } | Error::Push { .. }),
        "{refused:?}"
    );
    assert_eq!(run(&author.bare, "git", &["rev-parse", "main"]), theirs);
}

#[test]
fn a_path_is_followed() {
    let dir = tempfile::tempdir().expect("a folder");
    let author = Author::new(dir.path(), "shop");
    check(
        &author,
        &Remote::branch(&path(&author.bare), "main"),
        dir.path(),
    );
}

#[test]
fn a_file_url_is_followed() {
    let dir = tempfile::tempdir().expect("a folder");
    let author = Author::new(dir.path(), "shop");
    let url = format!("file://{}", author.bare.display());
    check(&author, &Remote::branch(&url, "main"), dir.path());
}

#[test]
fn http_is_followed() {
    let dir = tempfile::tempdir().expect("a folder");
    let author = Author::new(dir.path(), "shop");
    let server = Server::start(dir.path(), false);
    let url = format!("{}/shop.git", server.url);
    check(&author, &Remote::branch(&url, "main"), dir.path());
}

#[test]
fn https_is_followed_with_a_password_that_rotates() {
    let dir = tempfile::tempdir().expect("a folder");
    let author = Author::new(dir.path(), "shop");
    let server = Server::start(dir.path(), true);
    let (ca, password) = (dir.path().join("ca.pem"), dir.path().join("password"));
    fs::write(&ca, server.certificate.as_deref().expect("with tls")).expect("a file");
    fs::write(&password, "o'ld $(id)\n").expect("a file");
    let basic = |text: &str| Some(base64::engine::general_purpose::STANDARD.encode(text));
    server.doors.lock().expect("whole").basic = basic("bot:o'ld $(id)");
    let remote = Remote {
        access: Access {
            username: Some("bot".to_owned()),
            password_file: Some(password.clone()),
            ca_file: Some(ca),
            ..Access::default()
        },
        ..Remote::branch(&format!("{}/shop.git", server.url), "main")
    };
    check(&author, &remote, dir.path());

    let mirror = Mirror::of(&dir.path().join("mirror.git"), remote.clone()).expect("a mirror");
    server.doors.lock().expect("whole").basic = basic("bot:new");
    let error = mirror.fetch().expect_err("the old password");
    let text = error.to_string();
    assert!(!text.contains("o'ld"), "{text}");
    assert!(text.contains("uthentication"), "{text}");
    assert!(
        mirror.last().expect("a reference").is_some(),
        "what was there stays"
    );
    fs::write(&password, "new").expect("a file");
    mirror.fetch().expect("the new password is read");

    // Without the certificate the host is a stranger.
    let mut stranger = remote;
    stranger.access.ca_file = None;
    let mirror = Mirror::of(&dir.path().join("other.git"), stranger).expect("a mirror");
    let error = mirror
        .fetch()
        .expect_err("an unknown certificate")
        .to_string();
    assert!(error.contains("certificate"), "{error}");
}

#[test]
fn ssh_is_followed_with_a_key_and_known_hosts() {
    let dir = tempfile::tempdir().expect("a folder");
    let author = Author::new(dir.path(), "shop");
    let Some(server) = Sshd::start(dir.path()) else {
        return;
    };
    let user = run(dir.path(), "id", &["-un"]);
    let url = format!(
        "ssh://{user}@127.0.0.1:{}{}",
        server.port,
        author.bare.display()
    );
    let remote = Remote {
        access: Access {
            ssh_key: Some(dir.path().join("user")),
            known_hosts: Some(dir.path().join("known_hosts")),
            ..Access::default()
        },
        ..Remote::branch(&url, "main")
    };
    check(&author, &remote, dir.path());

    let refused = |change: &dyn Fn(&mut Access)| {
        let mut remote = remote.clone();
        change(&mut remote.access);
        let mirror = Mirror::of(&dir.path().join("refused.git"), remote).expect("a mirror");
        mirror.fetch().expect_err("no way in").to_string()
    };
    let text = refused(&|access| access.ssh_key = Some(dir.path().join("stranger")));
    assert!(text.contains("Permission denied"), "{text}");
    fs::write(dir.path().join("nobody"), "").expect("a file");
    let text = refused(&|access| access.known_hosts = Some(dir.path().join("nobody")));
    assert!(text.contains("Host key verification failed"), "{text}");
}

#[test]
fn tags_and_commits_are_followed() {
    let dir = tempfile::tempdir().expect("a folder");
    let author = Author::new(dir.path(), "shop");
    let first = author.commit("a.ord", "one");
    author.git(&["tag", "-m", "one", "v1"]);
    author.git(&["push", "-q", "origin", "v1"]);
    let second = author.commit("a.ord", "two");
    let server = Server::start(dir.path(), false);
    for (nth, url) in [path(&author.bare), format!("{}/shop.git", server.url)]
        .iter()
        .enumerate()
    {
        let mirror = |follow: Follow| {
            let remote = Remote {
                follow,
                ..Remote::branch(url, "")
            };
            Mirror::of(&dir.path().join(format!("{nth}.git")), remote).expect("a mirror")
        };
        let tag = mirror(Follow::Tag("v1".to_owned()));
        assert_eq!(tag.fetch().expect("the tag").tip.as_str(), first);
        let pinned = mirror(Follow::Commit(second.parse().expect("an id")));
        assert_eq!(pinned.fetch().expect("the commit").tip.as_str(), second);
        assert_eq!(pinned.fetch().expect("again").movement, Movement::Unchanged);

        // A tag that moves is followed; a commit stays.
        author.git(&["tag", "-f", "-m", "two", "v1", &second]);
        author.git(&["push", "-q", "-f", "origin", "v1"]);
        let moved = tag.fetch().expect("the tag");
        assert_eq!(moved.tip.as_str(), second);
        author.git(&["tag", "-f", "-m", "one", "v1", &first]);
        author.git(&["push", "-q", "-f", "origin", "v1"]);

        let id: CommitId = first.parse().expect("an id");
        let error = tag
            .push(&id)
            .expect_err("a tag takes no commit")
            .to_string();
        assert!(error.contains("follow a branch to roll back"), "{error}");
        let error = mirror(Follow::Tag("v9".to_owned()))
            .fetch()
            .expect_err("no such tag");
        assert!(
            matches!(&error, Error::UnknownRevision { revision, .. } if revision == "tag `v9`"),
            "{error:?}"
        );
        let unknown = "0123456789012345678901234567890123456789"
            .parse()
            .expect("an id");
        let error = mirror(Follow::Commit(unknown))
            .fetch()
            .expect_err("no such commit");
        assert!(matches!(&error, Error::UnknownRevision { .. }), "{error:?}");
    }
}

#[test]
fn a_server_leaves_out_what_is_never_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let author = Author::new(dir.path(), "shop");
    let size = usize::try_from(FILE_BYTES_MAX).expect("it fits") + 1;
    author.write("video.bin", &"x".repeat(size));
    let tip = author.commit("a.ord", "one");
    let server = Server::start(dir.path(), false);
    let remote = Remote::branch(&format!("{}/shop.git", server.url), "main");
    let mirror = Mirror::of(&dir.path().join("mirror.git"), remote.clone()).expect("a mirror");
    let fetched = mirror.fetch().expect("it answers");
    let blob = run(
        &author.bare,
        "git",
        &["rev-parse", &format!("{tip}:video.bin")],
    );
    let have = Command::new("git")
        .args([
            "--git-dir",
            &path(mirror.repository().path()),
            "rev-list",
            "--objects",
            "--missing=print",
            &tip,
        ])
        .output()
        .expect("git runs");
    let have = String::from_utf8_lossy(&have.stdout).into_owned();
    assert!(
        have.contains(&format!("?{blob}")),
        "the large file was fetched"
    );
    let files = mirror.repository().files(&fetched.tip).expect("files");
    assert_eq!(files.read("a.ord").expect("a file"), b"one");
    assert!(matches!(
        files.read("video.bin"),
        Err(Error::TooLarge { .. })
    ));
    // The copy is opened again by the library, which knows no other form of a partial one.
    Repository::open(mirror.repository().path()).expect("it opens");
    let again = Mirror::of(&dir.path().join("mirror.git"), remote).expect("a mirror");
    let next = author.commit("a.ord", "two");
    assert_eq!(again.fetch().expect("it answers").tip.as_str(), next);
}

#[test]
fn a_first_fetch_may_be_shallow() {
    let dir = tempfile::tempdir().expect("a folder");
    let author = Author::new(dir.path(), "shop");
    let commits: Vec<_> = (0..5)
        .map(|nth| author.commit("a.ord", &nth.to_string()))
        .collect();
    let server = Server::start(dir.path(), false);
    let remote = Remote {
        depth: Some(2),
        ..Remote::branch(&format!("{}/shop.git", server.url), "main")
    };
    let mirror = Mirror::of(&dir.path().join("mirror.git"), remote).expect("a mirror");
    let tip = mirror.fetch().expect("it answers").tip;
    assert_eq!(tip.as_str(), commits[4]);
    let has = |nth: usize| {
        mirror
            .repository()
            .commit(&commits[nth].parse().expect("an id"))
            .is_ok()
    };
    assert!(has(3) && !has(2), "two commits were fetched");
    let next = author.commit("a.ord", "next");
    let fetched = mirror.fetch().expect("it answers");
    assert_eq!(fetched.tip.as_str(), next);
    assert!(
        matches!(fetched.movement, Movement::Forward { .. }),
        "{:?}",
        fetched.movement
    );
}

#[test]
fn a_host_that_is_not_there_is_told_and_nothing_is_lost() {
    let dir = tempfile::tempdir().expect("a folder");
    let author = Author::new(dir.path(), "shop");
    let tip = author.commit("a.ord", "one");
    let folder = dir.path().join("mirror.git");
    let mirror = Mirror::open(&folder, &path(&author.bare), "main").expect("a mirror");
    mirror.fetch().expect("it is there");
    let away = dir.path().join("away.git");
    fs::rename(&author.bare, &away).expect("moved");
    for url in [
        path(&author.bare),
        format!("http://{}/shop.git", nobody()),
        format!("ssh://{}/shop.git", nobody()),
    ] {
        let gone = Mirror::open(&folder, &url, "main").expect("a mirror");
        let error = gone.fetch().expect_err("nobody is there");
        assert!(error.to_string().contains(&url), "{error}");
        let last = gone.last().expect("a reference").expect("it stays");
        assert_eq!(last.as_str(), tip);
        assert_eq!(
            gone.repository()
                .files(&last)
                .expect("files")
                .read("a.ord")
                .expect("a file"),
            b"one"
        );
    }
}
