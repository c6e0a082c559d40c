//! The repositories of the GitOps benchmark, and the git commands that change them.
//!
//! An app is what Flux's benchmark deploys: a Deployment of no pods, a ServiceAccount, a Service and an Ingress, so
//! that nothing but the reconciler and the API server is measured. Knows nothing of measuring.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What all apps share.
const LIB: &str = r#"// What every app of the fleet has: four objects that run nothing.

fn labels(name: String) -> Map<String, String> = { "app.kubernetes.io/name" = name }

fn account(name: String) -> k8s.ServiceAccount = k8s.ServiceAccount {
  metadata = { name = name, labels = labels(name) }
}

fn deployment(name: String, tag: String) -> k8s.Deployment = k8s.Deployment {
  metadata = { name = name, labels = labels(name) }
  spec = {
    replicas = 0
    selector.matchLabels = labels(name)
    template = {
      metadata.labels = labels(name)
      spec = {
        serviceAccountName = name
        containers = [{
          name = "main"
          image = "registry.example.com/{name}:{tag}"
          ports = [{ name = "http", containerPort = 8080 }]
          resources = { requests = { cpu = 100m, memory = 64Mi }, limits.memory = 64Mi }
        }]
      }
    }
  }
}

fn service(name: String) -> k8s.Service = k8s.Service {
  metadata = { name = name, labels = labels(name) }
  spec = { selector = labels(name), ports = [{ name = "http", port = 80, targetPort = "http" }] }
}

fn ingress(name: String) -> k8s.Ingress = k8s.Ingress {
  metadata = { name = name, labels = labels(name) }
  spec.rules = [{
    host = "{name}.example.com"
    http.paths = [{ path = "/", pathType = "Prefix", backend.service = { name = name, port.name = "http" } }]
  }]
}
"#;

/// A project in a git repository.
#[derive(Debug)]
pub struct Fleet {
    folder: PathBuf,
}

impl Fleet {
    /// Makes an empty project, with the environment that a local cluster deploys.
    ///
    /// # Errors
    /// When it cannot be written, or git fails.
    pub fn new(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder.join("apps"))?;
        let fleet = Self {
            folder: folder.to_owned(),
        };
        let manifest = "name = \"fleet\"\nkubernetes = \"1.36\"\n";
        fleet.write("ordain.toml", manifest)?;
        fleet.write("lib.ord", LIB)?;
        fleet.write(
            "envs.ord",
            "env dev { cluster = \"local\", namespace = \"fleet\" }\n",
        )?;
        fleet.git(&["init", "--quiet", "--initial-branch=main"])?;
        Ok(fleet)
    }

    /// Writes a file of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &str, text: &str) -> io::Result<()> {
        fs::write(self.folder.join(path), text)
    }

    /// Writes an app with four objects; its image has the tag.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn app(&self, number: usize, tag: &str) -> io::Result<()> {
        let text = format!(
            "use lib\n\napp app_{number:05} {{\n  name: String = \"app-{number:05}\"\n  tag: String = \"{tag}\"\n  \
             objects = [lib.account(name), lib.deployment(name, tag), lib.service(name), lib.ingress(name)]\n}}\n"
        );
        self.write(&format!("apps/app_{number:05}.ord"), &text)
    }

    /// Writes an app with one ConfigMap.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn small(&self, number: usize) -> io::Result<()> {
        let text = format!(
            "app app_{number:05} {{\n  objects = [k8s.ConfigMap {{ metadata.name = \"app-{number:05}\", data = {{ number = \"{number}\" }} }}]\n}}\n"
        );
        self.write(&format!("apps/app_{number:05}.ord"), &text)
    }

    /// Writes one app with so many ConfigMaps.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn maps(&self, count: usize) -> io::Result<()> {
        let text = format!(
            "app maps {{\n  objects = [for i in 0..{count} => k8s.ConfigMap {{ metadata.name = \"map-{{i}}\", data = {{ number = \"{{i}}\" }} }}]\n}}\n"
        );
        self.write("apps/maps.ord", &text)
    }

    /// Commits everything, and returns the commit's id.
    ///
    /// # Errors
    /// When git fails.
    pub fn commit(&self, message: &str) -> io::Result<String> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", message])?;
        let output = self.git(&["rev-parse", "HEAD"])?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Pushes the last commit to a remote; with the bundled reconciler behind it this returns when the commit is
    /// rolled out. Returns what was told meanwhile.
    ///
    /// # Errors
    /// When git fails, or the commit cannot be rolled out.
    pub fn push(&self, remote: &str) -> io::Result<String> {
        let output = self.git(&["push", "--quiet", remote, "HEAD:main"])?;
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Takes over what the remote's branch has.
    ///
    /// # Errors
    /// When git fails.
    pub fn pull(&self, remote: &str) -> io::Result<()> {
        self.git(&["pull", "--quiet", "--rebase", remote, "main"])?;
        Ok(())
    }

    fn git(&self, args: &[&str]) -> io::Result<Output> {
        let identity = [
            "-c",
            "user.name=Bench",
            "-c",
            "user.email=bench@example.com",
        ];
        let output = Command::new("git")
            .current_dir(&self.folder)
            .args(identity)
            .args(args)
            .stdin(Stdio::null())
            .output()?;
        if output.status.success() {
            return Ok(output);
        }
        let (command, said) = (args.join(" "), String::from_utf8_lossy(&output.stderr));
        let tail: Vec<&str> = said.lines().rev().take(20).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        Err(io::Error::other(format!(
            "git {command}: {}",
            tail.join("\n")
        )))
    }
}
