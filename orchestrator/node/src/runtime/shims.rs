//! Starts shims, keeps the table of containers, and finds those of an earlier run again.
//!
//! Shared by the `oci` and `process` drivers: they differ in what a container is, not in how it is
//! looked after. The folder of a container is the truth; the table is what was last read from it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::UnboundedSender;

use super::exec::{ExecInput, ExecRequest, ExecSession};
use super::host::ProcessRef;
use super::{ContainerRecord, ContainerState, Exit, RuntimeError, StopSignal, cgroup};
use crate::shim::task::{self, How, Started, Task};
use crate::shim::{Report, SHIM_ARGUMENT};

/// How often a shim that is not our child is looked at.
const ADOPTED_PERIOD: Duration = Duration::from_millis(500);

/// How long a shim of an earlier run may take from its start to its first file, before it counts
/// as dead.
const ADOPTED_START: Duration = Duration::from_secs(5);

/// The shims of one data directory.
#[derive(Clone)]
pub struct Shims {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    program: PathBuf,
    exits: UnboundedSender<String>,
    table: Mutex<BTreeMap<String, Entry>>,
    next_exec: std::sync::atomic::AtomicU64,
}

struct Entry {
    record: ContainerRecord,
    task: Task,
    process: Option<ProcessRef>,
}

impl Shims {
    /// Opens the folder with the containers and takes over those that still run.
    ///
    /// `program` is what is re-executed; the UID of a pod is sent on `exits` whenever one of its
    /// containers ends. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(
        folder: PathBuf,
        program: PathBuf,
        exits: UnboundedSender<String>,
    ) -> Result<Self, RuntimeError> {
        fs::create_dir_all(&folder).map_err(RuntimeError::io("create", &folder))?;
        let inner = Arc::new(Inner {
            folder,
            program,
            exits,
            table: Mutex::default(),
            next_exec: std::sync::atomic::AtomicU64::new(0),
        });
        let shims = Self { inner };
        let entries = fs::read_dir(&shims.inner.folder);
        let entries = entries.map_err(RuntimeError::io("read", &shims.inner.folder))?;
        for entry in entries.flatten() {
            let path = entry.path();
            match task::read::<Task>(&path, task::TASK) {
                Ok(Some(task)) => shims.adopt(&path, task),
                // The agent died before it had written the order: nothing was started.
                _ => crate::images::unpack::clear(&path),
            }
        }
        Ok(shims)
    }

    fn adopt(&self, folder: &Path, task: Task) {
        let id = task.container.id.clone();
        let started: Option<Started> = task::read(folder, task::PID).ok().flatten();
        let mut record = record(&task);
        if let Some(exit) = task::read::<Exit>(folder, task::EXIT).ok().flatten() {
            record.state = ContainerState::Exited(exit);
        } else if let Some(started) = &started {
            record.state = running(started);
        }
        let live = record.is_live();
        tracing::info!(
            container = record.name,
            pod = record.pod.name,
            live,
            "container found"
        );
        let process = started.map(|started| started.process);
        self.table().insert(
            id.clone(),
            Entry {
                record,
                task,
                process,
            },
        );
        if live {
            let (shims, folder) = (self.clone(), folder.to_owned());
            tokio::spawn(async move {
                shims.follow(&folder, &id).await;
                shims.ended(&id).await;
            });
        }
    }

    /// Watches a shim that is not our child until it is gone.
    async fn follow(&self, folder: &Path, id: &str) {
        let mut waited = Duration::ZERO;
        loop {
            match task::read::<ProcessRef>(folder, task::SHIM).ok().flatten() {
                Some(shim) if !shim.is_alive() => return,
                Some(_) => {}
                None if waited >= ADOPTED_START => return,
                None => {}
            }
            if let Some(started) = task::read::<Started>(folder, task::PID).ok().flatten()
                && let Some(entry) = self.table().get_mut(id)
            {
                entry.record.state = running(&started);
                entry.process = Some(started.process);
            }
            tokio::time::sleep(ADOPTED_PERIOD).await;
            waited += ADOPTED_PERIOD;
        }
    }

    /// Returns where a container's files are.
    pub fn folder(&self, id: &str) -> PathBuf {
        self.inner.folder.join(id)
    }

    /// Returns a command that runs this program as a shim. It inherits no environment, no input,
    /// and no descriptor but its answer.
    pub fn command(&self, role: &str) -> Command {
        let mut command = Command::new(&self.inner.program);
        command
            .arg0("ordain")
            .arg(SHIM_ARGUMENT)
            .arg(role)
            .env_clear()
            .stdin(Stdio::null());
        // libcontainer and the process driver look programs up here before the container's own.
        command.env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
        command
    }

    /// Starts a container whose folder is prepared.
    pub(crate) async fn start(&self, task: Task) -> Result<(), RuntimeError> {
        let id = task.container.id.clone();
        let folder = self.folder(&id);
        fs::create_dir_all(&folder).map_err(RuntimeError::io("create", &folder))?;
        task::write(&folder, task::TASK, &task).map_err(RuntimeError::io("write", &folder))?;
        let entry = Entry {
            record: record(&task),
            task,
            process: None,
        };
        self.table().insert(id.clone(), entry);

        let mut command = self.command("run");
        command.arg(&folder).stdout(Stdio::piped()).process_group(0);
        let errors = fs::File::create(folder.join("shim.err"));
        command.stderr(errors.map_or_else(|_| Stdio::null(), Stdio::from));
        let spawned = command
            .spawn()
            .map_err(RuntimeError::io("run", &self.inner.program));
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                self.fail(&id, &error.to_string());
                return Err(error);
            }
        };
        let answer = answer(&mut child).await;
        let started: Option<Started> = task::read(&folder, task::PID).ok().flatten();
        let shims = self.clone();
        match (answer, started) {
            (Report::Ok, Some(started)) => {
                if let Some(entry) = self.table().get_mut(&id) {
                    entry.record.state = running(&started);
                    entry.process = Some(started.process);
                }
                tokio::spawn(async move {
                    let _ = child.wait().await;
                    shims.ended(&id).await;
                });
                Ok(())
            }
            (answer, _) => {
                let _ = child.wait().await;
                let words = match answer {
                    Report::Error(words) => words,
                    Report::Ok => "the shim wrote no process".to_owned(),
                };
                self.fail(&id, &words);
                Err(RuntimeError::Shim(words))
            }
        }
    }

    /// Notes a container that never started.
    fn fail(&self, id: &str, words: &str) {
        let folder = self.folder(id);
        let exit = task::read::<Exit>(&folder, task::EXIT)
            .ok()
            .flatten()
            .unwrap_or_else(|| {
                let exit = lost(128, "StartError", words);
                let _ = task::write(&folder, task::EXIT, &exit);
                exit
            });
        if let Some(entry) = self.table().get_mut(id) {
            entry.record.state = ContainerState::Exited(exit);
        }
    }

    /// Reads how a container ended, once its shim is gone.
    async fn ended(&self, id: &str) {
        let folder = self.folder(id);
        let exit = task::read::<Exit>(&folder, task::EXIT).ok().flatten();
        let exit = match exit {
            Some(exit) => exit,
            None => {
                // The shim was killed: nobody waits for the container, so it may not go on.
                tracing::warn!(container = id, "shim died; its container is stopped");
                let _ = self.stop(id, StopSignal::Kill);
                let words = "the container's supervisor was killed";
                let exit = lost(137, "ContainerStatusUnknown", words);
                let _ = task::write(&folder, task::EXIT, &exit);
                exit
            }
        };
        let pod = {
            let mut table = self.table();
            let Some(entry) = table.get_mut(id) else {
                return;
            };
            entry.record.state = ContainerState::Exited(exit);
            entry.record.pod.uid.clone()
        };
        let _ = self.inner.exits.send(pod);
    }

    /// Returns all containers.
    pub fn containers(&self) -> Vec<ContainerRecord> {
        self.table()
            .values()
            .map(|entry| entry.record.clone())
            .collect()
    }

    /// Returns the control group of a container, where it has one.
    pub fn cgroup(&self, id: &str) -> Option<String> {
        match &self.table().get(id)?.task.how {
            How::Oci { cgroup, .. } => Some(cgroup.clone()),
            How::Process { .. } => None,
        }
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn stop(&self, id: &str, signal: StopSignal) -> Result<(), RuntimeError> {
        let (process, how, asked) = {
            let table = self.table();
            let Some(entry) = table.get(id) else {
                return Ok(());
            };
            let how = entry.task.how.clone();
            (entry.process, how, entry.task.container.stop_signal.clone())
        };
        // Only the program itself is asked, as in a container; what it leaves behind is killed.
        let group = matches!(how, How::Process { .. }) && signal == StopSignal::Kill;
        let signal = match signal {
            StopSignal::Ask => parse_signal(&asked),
            StopSignal::Kill => Signal::SIGKILL,
        };
        if let Some(process) = process {
            process
                .signal(signal, group)
                .map_err(RuntimeError::io("signal", self.folder(id)))?;
        }
        if let (How::Oci { cgroup, .. }, Signal::SIGKILL) = (&how, signal) {
            cgroup::kill_all(cgroup);
        }
        Ok(())
    }

    /// Removes the files of a container that has ended.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub async fn remove(&self, id: &str) -> Result<(), RuntimeError> {
        let folder = self.folder(id);
        let at = folder.clone();
        let removed = tokio::task::spawn_blocking(move || match fs::remove_dir_all(&at) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        });
        let removed = removed
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)));
        self.table().remove(id);
        removed.map_err(RuntimeError::io("remove", folder))
    }

    /// Runs a further program in a container.
    ///
    /// # Errors
    /// When the container does not run or no shim can be started.
    pub async fn exec(&self, id: &str, request: ExecRequest) -> Result<ExecSession, RuntimeError> {
        let running = self
            .table()
            .get(id)
            .is_some_and(|entry| matches!(entry.record.state, ContainerState::Running { .. }));
        if !running {
            return Err(RuntimeError::NotRunning { id: id.to_owned() });
        }
        let number = self
            .inner
            .next_exec
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = self.folder(id);
        let path = folder.join(format!("exec-{}-{number}.json", std::process::id()));
        let text = serde_json::to_vec(&request).expect("a request is always JSON");
        fs::write(&path, text).map_err(RuntimeError::io("write", &path))?;
        let mut command = self.command("exec");
        command
            .arg(&folder)
            .arg(&path)
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command.stderr(if request.tty {
            Stdio::null()
        } else {
            Stdio::piped()
        });
        if request.stdin || request.tty {
            command.stdin(Stdio::piped());
        }
        let mut child = command
            .spawn()
            .map_err(RuntimeError::io("run", &self.inner.program))?;
        let input = child.stdin.take().map(|pipe| ExecInput {
            writer: Box::new(pipe),
            framed: request.tty,
        });
        let stdout = child
            .stdout
            .take()
            .ok_or_else(|| RuntimeError::Shim("no output".into()))?;
        let stderr = child.stderr.take();
        let exit = async move {
            let status = child.wait().await;
            let _ = fs::remove_file(&path);
            let reason_file = path.with_extension("error");
            if let Ok(reason) = fs::read_to_string(&reason_file) {
                let _ = fs::remove_file(&reason_file);
                return Err(reason);
            }
            let status = status.map_err(|error| error.to_string())?;
            status
                .code()
                .ok_or_else(|| "the shim was killed".to_owned())
        };
        Ok(ExecSession {
            input,
            stdout: Box::new(stdout),
            stderr: stderr.map(|pipe| Box::new(pipe) as Box<_>),
            exit: Box::pin(exit),
        })
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.inner
            .table
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a shim's first words; silence is an error.
pub(crate) async fn answer(child: &mut Child) -> Report {
    let silent = || Report::Error("the shim ended without a word".to_owned());
    let Some(out) = child.stdout.take() else {
        return silent();
    };
    let mut line = String::new();
    let read = BufReader::new(out).read_line(&mut line).await;
    match read {
        Ok(n) if n > 0 => serde_json::from_str(&line).unwrap_or_else(|_| silent()),
        _ => silent(),
    }
}

fn record(task: &Task) -> ContainerRecord {
    let spec = &task.container;
    ContainerRecord {
        id: spec.id.clone(),
        pod: spec.pod.clone(),
        name: spec.name.clone(),
        attempt: spec.attempt,
        image: spec.image.clone(),
        image_id: spec.image_id.clone(),
        log: spec.log.clone(),
        state: ContainerState::Starting,
    }
}

fn running(started: &Started) -> ContainerState {
    ContainerState::Running {
        pid: started.process.pid,
        started_at: started.started_at,
    }
}

fn lost(code: i32, reason: &str, words: &str) -> Exit {
    Exit {
        code,
        signal: None,
        reason: reason.to_owned(),
        message: Some(words.to_owned()),
        started_at: None,
        finished_at: Timestamp::now(),
    }
}

/// Reads a stop signal as images write it: `SIGTERM`, `TERM` or `15`.
fn parse_signal(text: &str) -> Signal {
    let number = text
        .parse::<i32>()
        .ok()
        .and_then(|number| Signal::try_from(number).ok());
    let name = || {
        format!("SIG{}", text.trim_start_matches("SIG"))
            .parse()
            .ok()
    };
    number.or_else(name).unwrap_or(Signal::SIGTERM)
}
