//! What a person sees on a terminal: bars that come and go, colors that can be refused. A pipe gets neither.

use std::fs::File;
use std::io::Read;
use std::num::NonZeroU16;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use nix::pty::{Winsize, openpty};

use crate::cluster::{Driver, Up, Work, text};

const ROWS: u16 = 40;
const COLUMNS: u16 = 120;

/// A command on a terminal of its own.
struct Terminal {
    child: Child,
    written: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Terminal {
    fn start(mut command: Command) -> Terminal {
        let size = Winsize {
            ws_row: ROWS,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(Some(&size), None).expect("the system has terminals");
        let own = || Stdio::from(pty.slave.try_clone().expect("a descriptor"));
        let child = command
            .env("TERM", "xterm-256color")
            .stdin(own())
            .stdout(own())
            .stderr(own())
            .spawn()
            .expect("the command starts");
        // The reader ends when nobody has the other side any more.
        drop(command);
        drop(pty.slave);
        let written: Arc<Mutex<Vec<u8>>> = Arc::default();
        let mut screen = File::from(pty.master);
        let shared = Arc::clone(&written);
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(len @ 1..) = screen.read(&mut piece) {
                let mut written = shared.lock().unwrap_or_else(PoisonError::into_inner);
                written.extend_from_slice(&piece[..len]);
            }
        });
        Terminal {
            child,
            written,
            reader,
        }
    }

    fn written(&self) -> Vec<u8> {
        self.written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What is on the screen now.
    fn screen(&self) -> String {
        shown(&self.written())
    }

    /// Waits for the end. Returns everything that was written.
    fn end(mut self) -> (ExitStatus, Vec<u8>) {
        let status = self.child.wait().expect("it is our child");
        self.reader.join().expect("the reader ends with the child");
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        (status, written.clone())
    }
}

/// The screen after everything was written.
fn shown(written: &[u8]) -> String {
    parsed(written).screen().contents()
}

fn parsed(written: &[u8]) -> vt100::Parser {
    let size = |cells| NonZeroU16::new(cells).expect("no screen is empty");
    let mut parser = vt100::Parser::new(size(ROWS), size(COLUMNS), 0);
    parser.process(written);
    parser
}

/// Whether anything asks for a color or another style (ECMA-48, SGR).
fn has_style(written: &[u8]) -> bool {
    let text = String::from_utf8_lossy(written);
    text.split("\x1b[").skip(1).any(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ';'));
        end.is_some_and(|end| rest[end..].starts_with('m'))
    })
}

/// A Service that is healthy once somebody gave it an address: a deploy that takes as long as the test wants.
const PROJECT: &str = r#"app hello {
  allow E0601 for k8s.Service "door", "nobody is behind it"
  objects = [
    k8s.ConfigMap { metadata.name = "greeting", data = { text = "hello" } }
    k8s.Service {
      metadata.name = "door"
      spec = { type = "LoadBalancer", selector = { app = "nobody" }, ports = [{ port = 80 }] }
    }
  ]
}

env dev { cluster = "local", namespace = "hello" }
"#;

/// Gives the Service its address.
fn open_the_door(up: &Up) {
    up.kubectl(&[
        "patch",
        "service",
        "door",
        "-n",
        "hello",
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}}"#,
    ]);
}

fn on_the_data_of(up: &Up, args: &[&str]) -> Command {
    let mut command = up.command(env!("CARGO_BIN_EXE_ordain"));
    command
        .args(args)
        .arg("--data-dir")
        .arg(up.data_dir())
        .env_remove("NO_COLOR");
    command
}

/// Waits until bars are on the screen, lets the deploy go on, and holds that nothing of them is left.
#[track_caller]
fn bars_come_and_go(up: &Up, terminal: Terminal) {
    up.eventually("a bar", || {
        let screen = terminal.screen();
        (screen.contains("hello [") && screen.contains("] 1/2")).then_some(())
    });
    open_the_door(up);
    let (status, written) = terminal.end();
    let screen = shown(&written);
    assert!(status.success(), "{screen}{}", up.log());
    assert!(
        !screen.contains("hello [") && !screen.contains("] 1/2"),
        "the bars are gone: {screen}"
    );
    // Lines end where they begin: what comes next is not written behind a rest.
    assert_eq!(parsed(&written).screen().cursor_position().1, 0, "{screen}");
}

#[test]
fn bars_come_on_a_terminal_and_leave_nothing() {
    let up = Up::start(Driver::Process);
    let work = Work::new(
        &up,
        &[
            ("ordain.toml", "name = \"hello\"\n"),
            ("hello.ord", PROJECT),
        ],
    );
    let first = work.commit("first");
    std::thread::scope(|scope| {
        let push = scope.spawn(|| work.push());
        up.eventually("the deploy is on its way", || {
            let status = up.json(&["status"]);
            let objects = status["apps"][0]["objects"].as_array().map(Vec::len);
            (objects == Some(2)).then_some(())
        });
        let sync = on_the_data_of(&up, &["sync", "hello", "--wait"]);
        bars_come_and_go(&up, Terminal::start(sync));
        let (ok, said) = push.join().expect("the push ends");
        assert!(ok, "{said}{}", up.log());
        assert!(!said.contains("hello ["), "the push is no terminal: {said}");
    });

    // A pipe gets the lines and nothing else.
    let piped = on_the_data_of(&up, &["sync", "hello", "--wait"])
        .output()
        .expect("ordain starts");
    assert!(piped.status.success(), "{}", text(&piped));
    assert!(
        !text(&piped).contains(['\x1b', '\r']) && !text(&piped).contains("hello ["),
        "{}",
        text(&piped)
    );

    // Without the Service, and back: it is made anew, and waits for its address again.
    let (start, end) = (
        PROJECT.find("    k8s.Service").expect("it is there"),
        PROJECT.find("  ]\n}").expect("it ends"),
    );
    work.write(
        "hello.ord",
        &format!("{}{}", &PROJECT[..start], &PROJECT[end..]).replace(
            "  allow E0601 for k8s.Service \"door\", \"nobody is behind it\"\n",
            "",
        ),
    );
    work.commit("no door");
    let (ok, said) = work.push();
    assert!(ok, "{said}{}", up.log());
    let back = on_the_data_of(
        &up,
        &[
            "rollback",
            "hello",
            "--to",
            &first,
            "--reason",
            "no way in",
            "--author",
            "Ada <ada@example.com>",
        ],
    );
    bars_come_and_go(&up, Terminal::start(back));
    up.stop();
}

#[test]
fn colors_are_for_terminals_and_can_be_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    write("good/ordain.toml", "name = \"good\"\n");
    write(
        "good/good.ord",
        "app good {\n  text: String = \"one\"\n  objects = [k8s.ConfigMap { metadata.name = \"a\", data = { text = text } }]\n}\n\
         env dev { cluster = \"dev\" }\nenv prod { cluster = \"prod\", good.text = \"two\" }\n\
         test \"it holds\" in dev { assert good.text == \"one\" }\ntest \"it does not\" in dev { assert good.text == \"two\" }\n",
    );
    write("bad/ordain.toml", "name = \"bad\"\n");
    write("bad/bad.ord", "let greeting: String = Hello\n");
    write("bad.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: [\n");
    for args in [
        &["check", "bad"][..],
        &["build", "bad"],
        &["test", "good"],
        &["test", "bad"],
        &["diff", "good", "--env", "dev..prod"],
        &["explain", "E9999"],
        &["export", "jsonschema", "Nothing", "--path", "bad"],
        &["import", "bad.yaml", "-o", "imported"],
        &["log", "--data-dir", "nothing-here"],
        &["chekc"],
    ] {
        let command = |no_color: Option<&str>| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_ordain"));
            command.args(args).current_dir(dir.path());
            match no_color {
                Some(value) => command.env("NO_COLOR", value),
                None => command.env_remove("NO_COLOR"),
            };
            command
        };
        let (_, colored) = Terminal::start(command(None)).end();
        let (_, plain) = Terminal::start(command(Some("1"))).end();
        let (_, empty) = Terminal::start(command(Some(""))).end();
        let piped = command(None).output().expect("ordain starts");
        let told = String::from_utf8_lossy(&plain);
        assert!(has_style(&colored), "{args:?} has colors: {told}");
        assert!(!has_style(&plain), "{args:?} keeps NO_COLOR: {told:?}");
        // <https://no-color.org>: an empty value refuses nothing.
        assert!(
            has_style(&empty),
            "{args:?} takes an empty NO_COLOR for none"
        );
        assert!(
            !has_style(text(&piped).as_bytes()),
            "{args:?} writes none into a pipe: {:?}",
            text(&piped)
        );
    }
}
