//! An ssh server on loopback with keys of its own. Other crates' tests use it as well.

use std::{
    fs,
    io::Read as _,
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{has, run};

/// An ssh server that lets one key in and serves git.
pub(crate) struct Sshd {
    child: Child,
    pub(crate) port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sshd {
    /// Starts it with its keys in `folder`: `user` is let in, `stranger` is not, and `known_hosts` knows it. Nothing where
    /// there is no sshd, which is told.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        const PROGRAM: &str = "/usr/sbin/sshd";
        if !has(PROGRAM, "-V") {
            return None;
        }
        // It wants this folder when root starts it.
        let _ = fs::create_dir_all("/run/sshd");
        for name in ["host", "user", "stranger"] {
            run(
                folder,
                "ssh-keygen",
                &["-q", "-t", "ed25519", "-N", "", "-f", name],
            );
        }
        fs::copy(folder.join("user.pub"), folder.join("authorized")).expect("a copy");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .expect("a port")
            .port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {0}/host\nPidFile none\nAuthorizedKeysFile {0}/authorized\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n",
            folder.display()
        );
        fs::write(folder.join("sshd_config"), config).expect("a file");
        let child = Command::new(PROGRAM)
            .args(["-D", "-e", "-f"])
            .arg(folder.join("sshd_config"))
            .stdin(Stdio::null())
            .stderr(fs::File::create(folder.join("sshd.log")).expect("a file"))
            .spawn()
            .expect("it starts");
        let mut server = Self { child, port };
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let mut greeting = [0; 4];
            let greeted = TcpStream::connect(("127.0.0.1", port))
                .and_then(|mut stream| stream.read_exact(&mut greeting));
            if greeted.is_ok() && &greeting == b"SSH-" {
                break;
            }
            let log = || fs::read_to_string(folder.join("sshd.log")).unwrap_or_default();
            assert!(
                server.child.try_wait().expect("a child").is_none(),
                "sshd ended: {}",
                log()
            );
            assert!(Instant::now() < deadline, "sshd does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        let host = fs::read_to_string(folder.join("host.pub")).expect("a key");
        fs::write(
            folder.join("known_hosts"),
            format!("[127.0.0.1]:{port} {host}"),
        )
        .expect("a file");
        fs::set_permissions(folder.join("user"), fs::Permissions::from_mode(0o600)).expect("ours");
        Some(server)
    }
}
