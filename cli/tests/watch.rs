//! `--watch`: a change is seen, a mistake is survived, ctrl-c ends with success.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Far more than a round takes: a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(120);

struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn start(dir: &Path, args: &[&str]) -> Watching {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ordain"))
            .args(args)
            .arg("--watch")
            .current_dir(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let (tell, lines) = channel();
        let err = child.stderr.take().expect("it is piped");
        let out = child.stdout.take().expect("it is piped");
        for pipe in [Box::new(err) as Box<dyn Read + Send>, Box::new(out)] {
            let tell = tell.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    let _ = tell.send(line);
                }
            });
        }
        Watching { child, lines }
    }

    /// The lines of a round, up to the one that says that it waits.
    fn round(&self) -> String {
        let mut all = String::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("the round ends");
            if line.starts_with("watching") {
                // What went to stdout before may arrive a little later.
                while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(200)) {
                    all.push_str(&line);
                    all.push('\n');
                }
                return all;
            }
            all.push_str(&line);
            all.push('\n');
        }
    }

    fn stop(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status();
        assert!(sent.is_ok_and(|status| status.success()));
        self.child.wait().expect("it ends").code()
    }
}

fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let write = |path: &str, text: &str| fs::write(dir.path().join(path), text).expect("written");
    write("ordain.toml", "name = \"p\"\n");
    write("a.ord", &source("one"));
    dir
}

fn source(value: &str) -> String {
    format!(
        "app a {{\n  objects = [k8s.ConfigMap {{ metadata.name = \"c\", data = {{ k = \"{value}\" }} }}]\n}}\n"
    )
}

#[test]
fn check_again_after_every_change() {
    let dir = project();
    let watching = Watching::start(dir.path(), &["check"]);
    assert_eq!(watching.round(), "no mistakes in 1 file\n");
    fs::write(dir.path().join("a.ord"), source("x").replace("data", "dta")).expect("written");
    let broken = watching.round();
    assert!(broken.contains("did you mean `data`?"), "{broken}");
    fs::remove_file(dir.path().join("ordain.toml")).expect("removed");
    assert!(watching.round().contains("E0901"));
    fs::write(dir.path().join("ordain.toml"), "name = \"p\"\n").expect("written");
    assert!(watching.round().contains("did you mean `data`?"));
    fs::write(dir.path().join("a.ord"), source("x")).expect("written");
    assert_eq!(watching.round(), "no mistakes in 1 file\n");
    assert_eq!(watching.stop(), Some(0));
}

#[test]
fn build_again_into_a_folder_of_the_project() {
    let dir = project();
    let watching = Watching::start(dir.path(), &["build", "--output", "out"]);
    assert_eq!(watching.round(), "out: 1 written\n");
    fs::write(dir.path().join("a.ord"), source("two")).expect("written");
    assert_eq!(watching.round(), "out: 1 written\n");
    let file = dir.path().join("out/default/a/configmap-c.yaml");
    assert!(
        fs::read_to_string(file)
            .expect("it is there")
            .contains("two")
    );
    assert_eq!(watching.stop(), Some(0));
}

#[test]
fn one_file_is_watched_as_well() {
    let dir = project();
    let watching = Watching::start(dir.path(), &["build", "a.ord"]);
    assert!(watching.round().contains("k: one"));
    // As editors save: a new file takes the place of the old one.
    fs::write(dir.path().join("new"), source("two")).expect("written");
    fs::rename(dir.path().join("new"), dir.path().join("a.ord")).expect("renamed");
    assert!(watching.round().contains("k: two"));
    assert_eq!(watching.stop(), Some(0));
}
