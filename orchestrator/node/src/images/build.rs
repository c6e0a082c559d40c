//! Makes small images from files: for tests, examples and the demo, where no builder is installed.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::model::{ImageError, architecture, digest_of};

/// An image in the making: files and a config, one layer.
///
/// ```
/// use ordain_orchestrator_node::images::build::ImageBuilder;
///
/// let image = ImageBuilder::new()
///     .file("/srv/index.html", "hello", 0o644)
///     .symlink("/bin/sh", "busybox")
///     .entrypoint(["/bin/sh"])
///     .build();
/// assert!(image.manifest_digest().starts_with("sha256:"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct ImageBuilder {
    entries: BTreeMap<String, Entry>,
    entrypoint: Vec<String>,
    cmd: Vec<String>,
    env: Vec<String>,
    working_dir: String,
    user: String,
    ports: Vec<u16>,
}

#[derive(Debug, Clone)]
enum Entry {
    File(Vec<u8>, u32),
    Symlink(String),
    Folder(u32),
}

/// The applets that [`ImageBuilder::busybox`] links: a shell and what small examples use.
const APPLETS: &[&str] = &[
    "sh", "ash", "cat", "echo", "env", "false", "grep", "head", "hostname", "httpd", "id", "ip",
    "kill", "ls", "mkdir", "mount", "nc", "nproc", "nslookup", "ps", "pwd", "rm", "sed", "seq",
    "sleep", "sync", "tail", "tar", "test", "touch", "tr", "true", "tty", "uname", "vi", "wc",
    "wget", "stty", "readlink", "stat", "printf", "ln", "cp", "mv", "dd", "date", "chmod", "awk",
    "find", "cut", "sort", "base64", "timeout", "trap", "yes", "od", "tee", "df", "du", "free",
];

impl ImageBuilder {
    /// Returns an empty image.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file with a mode such as 0o755.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>, mode: u32) -> Self {
        self.entries
            .insert(relative(path), Entry::File(content.into(), mode));
        self
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(mut self, path: &str, target: &str) -> Self {
        self.entries
            .insert(relative(path), Entry::Symlink(target.to_owned()));
        self
    }

    /// Adds an empty folder.
    #[must_use]
    pub fn folder(mut self, path: &str, mode: u32) -> Self {
        self.entries.insert(relative(path), Entry::Folder(mode));
        self
    }

    /// Adds a program of this machine under `path`, with the shared libraries that it needs under
    /// the paths where they are here.
    ///
    /// # Errors
    /// When the program or a library cannot be read.
    pub fn program(mut self, path: &str, from: &Path) -> Result<Self, ImageError> {
        for library in libraries(from) {
            let content = fs::read(&library).map_err(ImageError::io("read", &library))?;
            self = self.file(&library.to_string_lossy(), content, 0o755);
        }
        let content = fs::read(from).map_err(ImageError::io("read", from))?;
        Ok(self.file(path, content, 0o755))
    }

    /// Adds the machine's busybox with links for its usual applets, `/tmp` and `/etc/passwd`.
    ///
    /// # Errors
    /// When no busybox is installed, or it cannot be read.
    pub fn busybox(self) -> Result<Self, ImageError> {
        let places = ["/usr/bin/busybox", "/bin/busybox", "/sbin/busybox"].map(PathBuf::from);
        let found = places.into_iter().find(|place| place.exists());
        let found = found.ok_or_else(|| ImageError::invalid("busybox", "it is not installed"))?;
        let mut image = self.program("/bin/busybox", &found)?;
        for applet in APPLETS {
            image = image.symlink(&format!("/bin/{applet}"), "busybox");
        }
        let passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
        Ok(image
            .file("/etc/passwd", passwd, 0o644)
            .file("/etc/group", "root:x:0:\nnogroup:x:65534:\n", 0o644)
            .folder("/tmp", 0o1777)
            .folder("/root", 0o700))
    }

    /// Sets the entrypoint.
    #[must_use]
    pub fn entrypoint<T: Into<String>>(mut self, words: impl IntoIterator<Item = T>) -> Self {
        self.entrypoint = words.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the default arguments.
    #[must_use]
    pub fn cmd<T: Into<String>>(mut self, words: impl IntoIterator<Item = T>) -> Self {
        self.cmd = words.into_iter().map(Into::into).collect();
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push(format!("{name}={value}"));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn working_dir(mut self, path: &str) -> Self {
        path.clone_into(&mut self.working_dir);
        self
    }

    /// Sets the user, as `uid` or `uid:gid` or a name in `/etc/passwd`.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.user);
        self
    }

    /// Declares a port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.ports.push(port);
        self
    }

    /// Makes the image. The same content gives the same digests on every machine.
    pub fn build(&self) -> BuiltImage {
        let tar = self.layer();
        let diff_id = digest_of(&tar);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let layer = encoder
            .write_all(&tar)
            .and_then(|()| encoder.finish())
            .expect("writing to memory does not fail");
        let mut env = self.env.clone();
        if !env.iter().any(|one| one.starts_with("PATH=")) {
            let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
            env.insert(0, path.to_owned());
        }
        let ports = self
            .ports
            .iter()
            .map(|port| (format!("{port}/tcp"), json!({})));
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": {
                "Entrypoint": self.entrypoint,
                "Cmd": self.cmd,
                "Env": env,
                "WorkingDir": self.working_dir,
                "User": self.user,
                "ExposedPorts": ports.collect::<serde_json::Map<_, _>>(),
            },
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest_of(&config),
                "size": config.len(),
            },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": digest_of(&layer),
                "size": layer.len(),
            }],
        });
        BuiltImage {
            manifest: manifest.to_string().into_bytes(),
            config,
            layer,
        }
    }

    fn layer(&self) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, entry) in &self.entries {
            let mut header = tar::Header::new_gnu();
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            let appended = match entry {
                Entry::File(content, mode) => {
                    header.set_mode(*mode);
                    header.set_size(content.len() as u64);
                    tar.append_data(&mut header, path, content.as_slice())
                }
                Entry::Symlink(target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_mode(0o777);
                    header.set_size(0);
                    tar.append_link(&mut header, path, target)
                }
                Entry::Folder(mode) => {
                    header.set_entry_type(tar::EntryType::Directory);
                    header.set_mode(*mode);
                    header.set_size(0);
                    tar.append_data(&mut header, format!("{path}/"), std::io::empty())
                }
            };
            appended.expect("writing to memory does not fail");
        }
        tar.into_inner().expect("writing to memory does not fail")
    }
}

/// A finished image: three blobs.
#[derive(Debug, Clone)]
pub struct BuiltImage {
    /// The manifest.
    pub manifest: Vec<u8>,
    /// The config.
    pub config: Vec<u8>,
    /// The compressed layer.
    pub layer: Vec<u8>,
}

impl BuiltImage {
    /// Returns the digest by which the image can be named.
    pub fn manifest_digest(&self) -> String {
        digest_of(&self.manifest)
    }

    /// Writes the image as an OCI layout archive under a name.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, name: &str, path: &Path) -> Result<(), ImageError> {
        let index = json!({
            "schemaVersion": 2,
            "manifests": [{
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": self.manifest_digest(),
                "size": self.manifest.len(),
                "annotations": {"io.containerd.image.name": name},
            }],
        });
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |name: String, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, content)
                .expect("writing to memory does not fail");
        };
        add(
            "oci-layout".to_owned(),
            br#"{"imageLayoutVersion":"1.0.0"}"#,
        );
        add("index.json".to_owned(), index.to_string().as_bytes());
        for blob in [&self.manifest, &self.config, &self.layer] {
            add(format!("blobs/{}", digest_of(blob).replace(':', "/")), blob);
        }
        let bytes = tar.into_inner().expect("writing to memory does not fail");
        fs::write(path, bytes).map_err(ImageError::io("write", path))
    }
}

fn relative(path: &str) -> String {
    path.trim_matches('/').to_owned()
}

/// Returns the shared libraries of a program; none for a static one, or where `ldd` is missing.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = std::process::Command::new("ldd").arg(program).output();
    let Ok(output) = output else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.lines().filter_map(|line| {
        line.split_whitespace()
            .find(|word| word.starts_with('/'))
            .map(PathBuf::from)
    });
    words.filter(|path| path.exists()).collect()
}
