//! Commits that are written here: signed, moved to another tip, pushed beside somebody's work.

use std::{path::Path, process::Command};

use ordain_reconciler_source::{
    CommitId, Edit, Error, Mirror, Repository, Signer, Signers, Verdict,
};

fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
        .args(args)
        .output()
        .expect("git is there");
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A repository with a working tree and one commit.
fn work(folder: &Path, files: &[(&str, &str)]) -> CommitId {
    std::fs::create_dir_all(folder).expect("a folder");
    git(folder, &["init", "--quiet", "--initial-branch=main", "."]);
    commit(folder, files)
}

fn commit(folder: &Path, files: &[(&str, &str)]) -> CommitId {
    for (path, text) in files {
        std::fs::write(folder.join(path), text).expect("written");
    }
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "--quiet", "-m", "change"]);
    git(folder, &["rev-parse", "HEAD"]).parse().expect("an id")
}

fn edit(onto: &CommitId, files: &[(&str, Option<&str>)]) -> Edit {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let files = files.iter();
    Edit {
        onto: onto.clone(),
        files: files
            .map(|(path, text)| ((*path).to_owned(), text.map(bytes)))
            .collect(),
        author: "Grace <grace@example.com>".parse().expect("infallible"),
        time: 1_700_000_100,
        message: "back\n\nRollback-To: x\n".to_owned(),
    }
}

#[test]
fn a_signature_of_ours_is_one_that_git_accepts() {
    let dir = tempfile::tempdir().expect("a folder");
    let one = work(dir.path(), &[("a", "1")]);
    let repository = Repository::open(dir.path()).expect("it exists");
    let pair = {
        use ring::signature::{Ed25519KeyPair, KeyPair as _};
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
        let public: [u8; 32] = pair.public_key().as_ref().try_into().expect("32 bytes");
        (pair, public)
    };
    let sign = |bytes: &[u8]| {
        let signature = pair.0.sign(bytes);
        signature.as_ref().try_into().expect("64 bytes")
    };
    let signer = Signer {
        public_key: pair.1,
        sign: &sign,
    };
    let id = repository
        .write_edit(&edit(&one, &[("a", Some("2"))]), Some(&signer))
        .expect("written");
    let allowed = dir.path().join("allowed");
    let line = format!("grace@example.com {}\n", signer.public_line());
    std::fs::write(&allowed, line).expect("written");
    let signers = Signers {
        allowed_signers: Some(allowed),
        keyring: None,
    };
    let verdict = repository.verdict(&id, &signers).expect("judged");
    assert!(matches!(verdict, Verdict::Good { .. }), "{verdict}");
    git(dir.path(), &["fsck", "--strict"]);
}

#[test]
fn a_commit_moves_to_another_tip_with_its_files_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let one = work(dir.path(), &[("a", "1"), ("b", "1"), ("gone", "1")]);
    let repository = Repository::open(dir.path()).expect("it exists");
    let ours = repository
        .write_edit(&edit(&one, &[("a", Some("ours")), ("gone", None)]), None)
        .expect("written");
    let two = commit(dir.path(), &[("b", "2"), ("c", "2")]);
    let moved = repository.replay(&ours, &two, None).expect("written");
    let files = repository.files(&moved).expect("readable");
    assert_eq!(files.list().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(files.read("a").expect("a file"), b"ours");
    assert_eq!(files.read("b").expect("a file"), b"2");
    let written = repository.commit(&moved).expect("readable");
    assert_eq!(written.parents, std::slice::from_ref(&two));
    assert_eq!(written.message, "back\n\nRollback-To: x\n");
    let changed = repository.changed_paths(&two, &moved).expect("compared");
    assert_eq!(changed.into_iter().collect::<Vec<_>>(), ["a", "gone"]);

    let name = "refs/ordain/pending/dev/web";
    repository.set_reference(name, &moved).expect("set");
    let found = repository
        .references("refs/ordain/pending/")
        .expect("listed");
    assert_eq!(found, [(name.to_owned(), moved)]);
    repository.remove_reference(name).expect("removed");
    repository.remove_reference(name).expect("already gone");
}

#[test]
fn a_branch_that_is_checked_out_goes_along_when_nothing_is_lost() {
    let dir = tempfile::tempdir().expect("a folder");
    let (folder, copy) = (dir.path().join("work"), dir.path().join("copy.git"));
    let one = work(&folder, &[("a", "1"), ("b", "1")]);
    let url = folder.display().to_string();
    let mirror = Mirror::open(&copy, &url, "main").expect("created");
    mirror.fetch().expect("fetched");
    let repository = mirror.repository();
    let two = repository
        .write_edit(&edit(&one, &[("a", Some("2"))]), None)
        .expect("written");

    std::fs::write(folder.join("b"), "not committed").expect("written");
    let refused = mirror.push(&two).expect_err("work would be lost");
    assert!(
        matches!(&refused, Error::Refused { reason, .. } if reason.contains("uncommitted changes (b)")),
        "{refused}"
    );
    assert_eq!(git(&folder, &["rev-parse", "main"]), one.to_string());

    git(&folder, &["checkout", "--quiet", "--", "b"]);
    mirror.push(&two).expect("pushed");
    assert_eq!(git(&folder, &["rev-parse", "main"]), two.to_string());
    assert_eq!(
        std::fs::read_to_string(folder.join("a")).expect("a file"),
        "2"
    );
    assert_eq!(git(&folder, &["status", "--porcelain"]), "");

    // A branch that nobody has checked out is moved as in any other repository.
    git(&folder, &["switch", "--quiet", "-c", "idea"]);
    let three = repository
        .write_edit(&edit(&two, &[("a", Some("3"))]), None)
        .expect("written");
    mirror.push(&three).expect("pushed");
    assert_eq!(git(&folder, &["rev-parse", "main"]), three.to_string());
    assert_eq!(
        std::fs::read_to_string(folder.join("a")).expect("a file"),
        "2"
    );

    // Never forced.
    let stale = repository
        .write_edit(&edit(&two, &[("b", Some("4"))]), None)
        .expect("written");
    let refused = mirror.push(&stale).expect_err("the branch moved");
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");

    git(&folder, &["switch", "--quiet", "main"]);
    git(&folder, &["config", "receive.denyCurrentBranch", "refuse"]);
    let four = repository
        .write_edit(&edit(&three, &[("a", Some("4"))]), None)
        .expect("written");
    let refused = mirror.push(&four).expect_err("it is told to refuse");
    assert!(
        matches!(&refused, Error::Refused { reason, .. } if reason.contains("denyCurrentBranch")),
        "{refused}"
    );
}
