//! Commits signed with SSH and PGP keys made here, held to each policy.

mod support;

use std::{fs, path::Path};

use ordain_reconciler_source::{CommitId, Error, Repository, Signers, Verdict, Verify};
use support::{Author, has, path, run};

fn id(text: &str) -> CommitId {
    text.parse().expect("an id")
}

/// Makes an SSH key and returns the settings that sign with it.
fn ssh_key(folder: &Path, name: &str) -> [String; 2] {
    run(
        folder,
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name],
    );
    [
        "gpg.format=ssh".to_owned(),
        format!("user.signingkey={}", path(&folder.join(name))),
    ]
}

/// Makes a PGP key in a home of its own and returns the settings that sign with it.
fn pgp_key(folder: &Path, name: &str, expires: &str) -> [String; 2] {
    let home = folder.join(format!("home-{name}"));
    fs::create_dir(&home).expect("a folder");
    let home = path(&home);
    let user = format!("{name} <{name}@example.com>");
    let args = [
        "--batch",
        "--homedir",
        &home,
        "--passphrase",
        "",
        "--quick-gen-key",
        &user,
        "ed25519",
        "sign",
        expires,
    ];
    run(folder, "gpg", &args);
    let export = run(
        folder,
        "gpg",
        &["--batch", "--homedir", &home, "--armor", "--export", name],
    );
    fs::write(folder.join(format!("{name}.asc")), export).expect("a file");
    // Git calls one program; this one knows the home.
    let script = folder.join(format!("gpg-{name}"));
    fs::write(
        &script,
        format!("#!/bin/sh\nexec gpg --homedir '{home}' \"$@\"\n"),
    )
    .expect("a file");
    run(folder, "chmod", &["+x", &path(&script)]);
    [
        format!("gpg.program={}", path(&script)),
        format!("user.signingkey={name}@example.com"),
    ]
}

fn commit(author: &Author, settings: &[String], text: &str) -> CommitId {
    author.write("a.ord", text);
    author.git(&["add", "-A"]);
    let mut args: Vec<&str> = settings
        .iter()
        .flat_map(|setting| ["-c", setting.as_str()])
        .collect();
    args.extend(["commit", "-q", "-m", text]);
    if !settings.is_empty() {
        args.push("-S");
    }
    author.git(&args);
    id(&author.git(&["rev-parse", "HEAD"]))
}

fn allowed(folder: &Path, lines: &[(&str, &str)]) -> Signers {
    let text: Vec<_> = lines
        .iter()
        .map(|(who, name)| {
            let key = fs::read_to_string(folder.join(format!("{name}.pub"))).expect("a key");
            format!("{who} {key}")
        })
        .collect();
    let file = folder.join("allowed_signers");
    fs::write(&file, text.concat()).expect("a file");
    Signers {
        allowed_signers: Some(file),
        keyring: None,
    }
}

#[test]
fn ssh_signatures_are_judged() {
    if !has("ssh-keygen", "-?") {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let author = Author::new(dir.path(), "shop");
    let (ada, eve) = (ssh_key(dir.path(), "ada"), ssh_key(dir.path(), "eve"));
    let signed = commit(&author, &ada, "signed");
    let other = commit(&author, &eve, "other");
    let unsigned = commit(&author, &[], "unsigned");
    let repository = Repository::open(&author.tree).expect("it opens");
    let signers = allowed(dir.path(), &[("ada@example.com", "ada")]);
    let verdict =
        |id: &CommitId, signers: &Signers| repository.verdict(id, signers).expect("a verdict");
    let Verdict::Good { signer, key } = verdict(&signed, &signers) else {
        panic!("{:?}", verdict(&signed, &signers));
    };
    assert_eq!(signer, "ada@example.com");
    assert!(key.starts_with("SHA256:"), "{key}");
    assert!(
        verdict(&other, &signers)
            .to_string()
            .contains("not allowed")
    );
    assert_eq!(verdict(&unsigned, &signers), Verdict::Unsigned);
    assert_eq!(repository.signature_method(&signed), Some("ssh"));
    assert_eq!(repository.signature_method(&unsigned), None);
    assert!(
        verdict(&signed, &Signers::default())
            .to_string()
            .contains("no SSH keys are allowed")
    );

    // The content of one commit under the signature of another.
    let raw = author.git(&["cat-file", "commit", signed.as_str()]);
    fs::write(
        author.tree.join("forged"),
        format!("{}\n", raw.replace("\n\nsigned", "\n\nforged")),
    )
    .expect("a file");
    let forged = id(&author.git(&["hash-object", "-t", "commit", "-w", "forged"]));
    assert!(
        verdict(&forged, &signers)
            .to_string()
            .contains("does not fit")
    );

    // A key that was allowed until before the commit; one that is allowed for something else.
    let text = fs::read_to_string(dir.path().join("ada.pub")).expect("a key");
    for (options, reason) in [
        ("valid-before=\"20200101\"", "not allowed"),
        ("namespaces=\"file\"", ""),
    ] {
        fs::write(
            dir.path().join("allowed_signers"),
            format!("ada@example.com {options} {text}"),
        )
        .expect("a file");
        let said = verdict(&signed, &signers);
        assert!(matches!(said, Verdict::Bad { .. }), "{said:?}");
        assert!(said.to_string().contains(reason), "{said}");
    }
    // A file that is not there trusts nobody, and says so.
    fs::remove_file(dir.path().join("allowed_signers")).expect("removed");
    let error = repository.verdict(&signed, &signers).expect_err("no keys");
    assert!(matches!(error, Error::Keys { .. }), "{error:?}");
}

#[test]
fn pgp_signatures_are_judged() {
    if !has("gpg", "--version") {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let author = Author::new(dir.path(), "shop");
    let (ada, eve) = (
        pgp_key(dir.path(), "ada", "never"),
        pgp_key(dir.path(), "eve", "never"),
    );
    let signed = commit(&author, &ada, "signed");
    let other = commit(&author, &eve, "other");
    let repository = Repository::open(&author.tree).expect("it opens");
    let signers = Signers {
        keyring: Some(dir.path().join("ada.asc")),
        allowed_signers: None,
    };
    let verdict = |id: &CommitId| repository.verdict(id, &signers).expect("a verdict");
    let Verdict::Good { signer, key } = verdict(&signed) else {
        panic!("{:?}", verdict(&signed));
    };
    assert_eq!(signer, "ada <ada@example.com>");
    assert_eq!(key.len(), 40, "{key}");
    assert!(verdict(&other).to_string().contains("not allowed"));
    let raw = author.git(&["cat-file", "commit", signed.as_str()]);
    fs::write(
        author.tree.join("forged"),
        format!("{}\n", raw.replace("\n\nsigned", "\n\nforged")),
    )
    .expect("a file");
    let forged = id(&author.git(&["hash-object", "-t", "commit", "-w", "forged"]));
    assert!(verdict(&forged).to_string().contains("does not fit"));

    // A revoked key signs nothing any more. GnuPG makes the revocation with the key; a colon guards it.
    let home = dir.path().join("home-ada");
    let revocations = fs::read_dir(home.join("openpgp-revocs.d")).expect("a folder");
    let file = revocations.flatten().next().expect("a revocation").path();
    let text = fs::read_to_string(&file)
        .expect("a file")
        .replace(":-----BEGIN", "-----BEGIN");
    fs::write(dir.path().join("revoke.asc"), text).expect("a file");
    let home = path(&home);
    run(
        dir.path(),
        "gpg",
        &["--batch", "--homedir", &home, "--import", "revoke.asc"],
    );
    let export = run(
        dir.path(),
        "gpg",
        &["--batch", "--homedir", &home, "--armor", "--export", "ada"],
    );
    fs::write(dir.path().join("ada.asc"), export).expect("a file");
    assert!(
        verdict(&signed).to_string().contains("revoked"),
        "{}",
        verdict(&signed)
    );
    for name in ["ada", "eve"] {
        let home = path(&dir.path().join(format!("home-{name}")));
        let _ = std::process::Command::new("gpgconf")
            .args(["--homedir", &home, "--kill", "all"])
            .status();
    }
}

#[test]
fn a_policy_is_held_to() {
    if !has("ssh-keygen", "-?") {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let author = Author::new(dir.path(), "shop");
    let ada = ssh_key(dir.path(), "ada");
    let accepted = commit(&author, &ada, "accepted");
    let between = commit(&author, &[], "between");
    let tip = commit(&author, &ada, "tip");
    let clean = {
        author.git(&["reset", "-q", "--hard", accepted.as_str()]);
        commit(&author, &ada, "one");
        commit(&author, &ada, "two")
    };
    let repository = Repository::open(&author.tree).expect("it opens");
    let signers = allowed(dir.path(), &[("ada@example.com", "ada")]);
    let held = |policy, accepted: Option<&CommitId>, tip: &CommitId| {
        repository.hold_to(policy, &signers, accepted, tip)
    };
    assert!(matches!(held(Verify::None, None, &between), Ok(None)));
    assert!(matches!(
        held(Verify::Head, Some(&accepted), &tip),
        Ok(Some(Verdict::Good { .. }))
    ));
    assert!(matches!(
        held(Verify::Head, Some(&accepted), &between),
        Err(Error::Untrusted { .. })
    ));
    assert!(matches!(
        held(Verify::Strict, None, &tip),
        Ok(Some(Verdict::Good { .. }))
    ));
    assert!(matches!(
        held(Verify::Strict, Some(&accepted), &clean),
        Ok(Some(Verdict::Good { .. }))
    ));
    let error = held(Verify::Strict, Some(&accepted), &tip).expect_err("one between is not signed");
    assert!(
        matches!(&error, Error::Untrusted { commit, .. } if commit == between.short()),
        "{error:?}"
    );
}
