//! `ordain vendor` over http and ssh, from real servers on loopback: the first fetch, a pinned one, an update, and what is said
//! when a server does not let us in or does not answer.

#[path = "../../reconciler/source/tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use support::sshd::Sshd;
use support::{Author, backend, path, run};

/// Runs the binary in a folder, away from the user's own settings of git.
fn ordain(folder: &Path, args: &[&str], ssh: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordain"));
    command
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("NO_COLOR", "1");
    match ssh {
        Some(ssh) => command.env("GIT_SSH_COMMAND", ssh),
        None => command.env_remove("GIT_SSH_COMMAND"),
    };
    command.output().expect("the binary runs")
}

/// Exit code, stdout, and stderr in one line: messages are broken where the line is full.
fn text(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stderr);
    let words = said.split_whitespace().filter(|word| *word != "│");
    (
        output.status.code(),
        text(&output.stdout),
        words.collect::<Vec<_>>().join(" "),
    )
}

/// A library in a repository with the tag `v1.0.0`; its commit.
fn library(root: &Path) -> (Author, String) {
    let author = Author::new(root, "platform");
    author.write("ordain.toml", "name = \"platform\"\n");
    let commit = author.commit(
        "names.ord",
        "fn settings(name: String) -> String = \"{name}-settings\"\n",
    );
    tag(&author, "v1.0.0");
    (author, commit)
}

fn tag(author: &Author, name: &str) {
    author.git(&["tag", "-f", "-m", name, name]);
    author.git(&["push", "-q", "-f", "origin", name]);
}

/// A project that uses the library at a URL.
fn project(root: &Path, url: &str) -> std::path::PathBuf {
    let folder = root.join("project");
    fs::create_dir_all(&folder).expect("a folder");
    let manifest = format!(
        "name = \"shop\"\n\n[dependencies]\nplatform = {{ git = \"{url}\", tag = \"v1.0.0\" }}\n"
    );
    fs::write(folder.join("ordain.toml"), manifest).expect("a file");
    let program =
        "use platform.names\n\nexport k8s.ConfigMap { metadata.name = names.settings(\"shop\") }\n";
    fs::write(folder.join("shop.ord"), program).expect("a file");
    folder
}

/// The library is fetched, pinned, used, left as it is and updated.
fn check(author: &Author, first: &str, folder: &Path, ssh: Option<&str>) {
    let vendor = |args: &[&str]| {
        let args = [&["vendor"], args].concat();
        text(&ordain(folder, &args, ssh))
    };
    let (code, _, said) = vendor(&["--check"]);
    assert_eq!(code, Some(1), "nothing is there yet: {said}");
    let (code, out, said) = vendor(&[]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(out, "add platform tag v1.0.0\n", "{said}");
    let lock = fs::read_to_string(folder.join("ordain.lock")).expect("it is written");
    assert!(lock.contains(first), "{lock}");
    let (code, built, said) = text(&ordain(folder, &["build"], ssh));
    assert_eq!(code, Some(0), "{said}");
    assert!(built.contains("name: shop-settings"), "{built}");

    // The tag moves; what is pinned stays, also when it is fetched again.
    let second = author.commit(
        "names.ord",
        "fn settings(name: String) -> String = \"{name}-config\"\n",
    );
    tag(author, "v1.0.0");
    fs::remove_dir_all(folder.join("vendor")).expect("it was written");
    let (code, _, said) = vendor(&[]);
    assert_eq!(code, Some(0), "{said}");
    let again = fs::read_to_string(folder.join("ordain.lock")).expect("it is there");
    assert_eq!(again, lock);
    let (code, _, said) = vendor(&["--check"]);
    assert_eq!(code, Some(0), "{said}");

    let (code, _, said) = vendor(&["--update", "platform"]);
    assert_eq!(code, Some(0), "{said}");
    let lock = fs::read_to_string(folder.join("ordain.lock")).expect("it is there");
    assert!(lock.contains(&second) && !lock.contains(first), "{lock}");
    let (_, built, _) = text(&ordain(folder, &["build"], ssh));
    assert!(built.contains("name: shop-config"), "{built}");
}

/// Whether git can serve over http here; says so when not.
fn has_backend() -> bool {
    let exec = run(Path::new("/"), "git", &["--exec-path"]);
    let found = Path::new(&exec).join("git-http-backend").exists();
    if !found {
        say_left_out("git has no `http-backend` here");
    }
    found
}

#[expect(
    clippy::print_stderr,
    reason = "a left out suite must be seen in the output"
)]
fn say_left_out(why: &str) {
    eprintln!("left out: `ordain vendor` over a network: {why}");
}

#[test]
fn dependencies_are_fetched_over_http() {
    if !has_backend() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let (author, first) = library(dir.path());
    let (url, doors) = backend::serve(dir.path());
    let folder = project(dir.path(), &format!("{url}/platform.git"));
    check(&author, &first, &folder, None);

    // A password is asked for, and nobody is there to be asked.
    let before = fs::read_to_string(folder.join("ordain.lock")).expect("it is there");
    doors.lock().expect("whole").basic = Some("YWRhOnNlY3JldA==".to_owned());
    let (code, _, said) = text(&ordain(&folder, &["vendor", "--update", "platform"], None));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("platform"), "{said}");
    assert!(
        said.contains("could not read Username") || said.contains("uthentication"),
        "{said}"
    );
    // The user's own git knows how: what it is told by its settings is used.
    let config = dir.path().join("gitconfig");
    let header =
        format!("[http \"{url}\"]\n\textraHeader = Authorization: Basic YWRhOnNlY3JldA==\n");
    fs::write(&config, header).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_ordain"))
        .args(["vendor", "--update", "platform"])
        .current_dir(&folder)
        .env("GIT_CONFIG_GLOBAL", &config)
        .output()
        .expect("the binary runs");
    let (code, _, said) = text(&output);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("YWRhOnNlY3JldA"), "{said}");
    let after = fs::read_to_string(folder.join("ordain.lock")).expect("it is there");
    assert_eq!(before, after, "nothing is newer");

    // What is not there, and who is not there.
    let nowhere = project(dir.path(), &format!("http://{}/x.git", backend::nobody()));
    let (code, _, said) = text(&ordain(&nowhere, &["vendor"], None));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("fetch"), "{said}");
}

#[test]
fn dependencies_are_fetched_over_ssh() {
    let dir = tempfile::tempdir().expect("a folder");
    let (author, first) = library(dir.path());
    let Some(server) = Sshd::start(dir.path()) else {
        return;
    };
    let user = run(dir.path(), "id", &["-un"]);
    let url = format!(
        "ssh://{user}@127.0.0.1:{}{}",
        server.port,
        author.bare.display()
    );
    let folder = project(dir.path(), &url);
    let ssh = |key: &str| {
        format!(
            "ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile={1}/known_hosts -i {1}/{0}",
            key,
            path(dir.path())
        )
    };
    check(&author, &first, &folder, Some(&ssh("user")));
    let output = ordain(
        &folder,
        &["vendor", "--update", "platform"],
        Some(&ssh("stranger")),
    );
    let (code, _, said) = text(&output);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("Permission denied"), "{said}");
}
