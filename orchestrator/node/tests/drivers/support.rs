//! What both drivers' tests share: a pod's container made from busybox, and waiting for things to
//! happen.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ordain_orchestrator_node::images::build::ImageBuilder;
use ordain_orchestrator_node::images::{Image, ImageStore};
use ordain_orchestrator_node::runtime::spec::container_id;
use ordain_orchestrator_node::runtime::{
    ContainerRecord, ContainerSpec, ContainerState, ExecRequest, Exit, Limits, PodRef, Runtime,
    Sandbox, SandboxSpec, Security, StopSignal,
};
use tokio::io::AsyncReadExt as _;

/// A driver with its folder and an image.
pub(crate) struct Bench {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) folder: PathBuf,
    pub(crate) image: Image,
    pub(crate) _temporary: Option<tempfile::TempDir>,
}

/// A test that failed leaves no container running.
impl Drop for Bench {
    fn drop(&mut self) {
        for record in self.runtime.containers() {
            let _ = self.runtime.stop(&record.id, StopSignal::Kill);
        }
    }
}

pub(crate) fn busybox_image(store: &ImageStore, folder: &Path) -> Image {
    let built = ImageBuilder::new()
        .busybox()
        .expect("busybox is installed")
        .file("/etc/greeting", "from the image", 0o644)
        .build();
    let archive = folder.join("busybox.tar");
    built.save("test.local/busybox:1", &archive).expect("saved");
    ordain_orchestrator_node::images::archive::import(store, &archive).expect("imported");
    store
        .find("test.local/busybox:1")
        .expect("a name")
        .expect("imported")
}

pub(crate) fn pod(name: &str) -> PodRef {
    PodRef {
        namespace: "default".into(),
        name: name.into(),
        uid: format!("uid-{name}"),
    }
}

pub(crate) struct TestContainer {
    pub(crate) spec: ContainerSpec,
}

impl Bench {
    pub(crate) async fn sandbox(&self, name: &str) -> Sandbox {
        let spec = SandboxSpec {
            pod: pod(name),
            hostname: name.to_owned(),
            host_network: false,
        };
        self.runtime.sandbox(&spec).await.expect("a sandbox")
    }

    pub(crate) fn container(&self, sandbox: &Sandbox, script: &str) -> TestContainer {
        let pod = sandbox.pod.clone();
        let spec = ContainerSpec {
            id: container_id(&pod.uid, "main", 0),
            name: "main".to_owned(),
            attempt: 0,
            image: "test.local/busybox:1".to_owned(),
            image_id: self.image.id.clone(),
            args: ["sh", "-c", script].map(str::to_owned).to_vec(),
            env: vec![
                ("PATH".to_owned(), "/bin".to_owned()),
                ("GREETING".to_owned(), "hello".to_owned()),
            ],
            cwd: "/".to_owned(),
            image_user: String::new(),
            stop_signal: String::new(),
            hostname: pod.name.clone(),
            mounts: Vec::new(),
            limits: Limits {
                cpu_shares: 100,
                ..Limits::default()
            },
            security: Security::default(),
            tty: false,
            stdin: false,
            log: self.folder.join("logs").join(&pod.name).join("0.log"),
            sandbox: sandbox.clone(),
            pod,
        };
        TestContainer { spec }
    }

    pub(crate) async fn start(&self, container: &TestContainer) {
        let started = self
            .runtime
            .start(container.spec.clone(), &self.image)
            .await;
        started.expect("the container starts");
    }

    pub(crate) fn record(&self, id: &str) -> Option<ContainerRecord> {
        self.runtime
            .containers()
            .into_iter()
            .find(|record| record.id == id)
    }

    pub(crate) async fn exit(&self, id: &str) -> Exit {
        wait_for("the container's end", || {
            match self.record(id).expect("known").state {
                ContainerState::Exited(exit) => Some(exit),
                _ => None,
            }
        })
        .await
    }

    /// Runs a program and returns its exit code (or why it did not run), output and error output.
    pub(crate) async fn exec(
        &self,
        id: &str,
        command: &[&str],
        input: Option<&str>,
        tty: bool,
    ) -> (Result<i32, String>, String, String) {
        let request = ExecRequest {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            stdin: input.is_some(),
            tty,
        };
        let mut session = self.runtime.exec(id, request).await.expect("a session");
        if let (Some(mut way), Some(text)) = (session.input.take(), input) {
            way.resize(100, 40).await.expect("sized");
            way.write(text.as_bytes()).await.expect("read");
        }
        let mut out = String::new();
        let mut err = String::new();
        session.stdout.read_to_string(&mut out).await.expect("text");
        if let Some(mut stream) = session.stderr.take() {
            stream.read_to_string(&mut err).await.expect("text");
        }
        (session.exit.await, out, err)
    }

    /// Returns the lines of a log without their times.
    pub(crate) fn log(&self, container: &TestContainer) -> Vec<String> {
        let text = std::fs::read_to_string(&container.spec.log).unwrap_or_default();
        text.lines()
            .filter_map(|line| Some(line.split_once(' ')?.1.to_owned()))
            .collect()
    }
}

pub(crate) async fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1000 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} did not come");
}
