//! The `fake` driver: nothing runs. Containers count as running at once; a container whose first
//! word is `exit` ends at once with the number that follows. For tests of what is above.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use ordain_orchestrator_net::ipam::{Cidr, Ipam};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    ContainerRecord, ContainerSpec, ContainerState, ExecRequest, ExecSession, Exit, Runtime,
    RuntimeError, Sandbox, SandboxSpec, StopSignal, Usage,
};
use crate::images::Image;

/// The driver.
pub struct FakeRuntime {
    exits: UnboundedSender<String>,
    table: Mutex<Table>,
}

struct Table {
    containers: BTreeMap<String, ContainerRecord>,
    sandboxes: BTreeMap<String, Sandbox>,
    pool: Ipam,
}

impl FakeRuntime {
    /// Returns a driver without containers.
    pub fn new(range: Cidr, exits: UnboundedSender<String>) -> Self {
        let table = Table {
            containers: BTreeMap::new(),
            sandboxes: BTreeMap::new(),
            pool: Ipam::new(range),
        };
        Self {
            exits,
            table: Mutex::new(table),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ended(started_at: Option<Timestamp>, code: i32) -> ContainerState {
    ContainerState::Exited(Exit {
        code,
        signal: None,
        reason: if code == 0 { "Completed" } else { "Error" }.to_owned(),
        message: None,
        started_at,
        finished_at: Timestamp::now(),
    })
}

impl Runtime for FakeRuntime {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn refusals(&self, _pod: &Pod) -> Vec<String> {
        Vec::new()
    }

    fn sandbox<'a>(
        &'a self,
        spec: &'a SandboxSpec,
    ) -> BoxFuture<'a, Result<Sandbox, RuntimeError>> {
        async move {
            let mut table = self.table();
            if let Some(found) = table.sandboxes.get(&spec.pod.uid) {
                return Ok(found.clone());
            }
            let address = if spec.host_network {
                Ipv4Addr::LOCALHOST
            } else {
                let given = table.pool.allocate();
                given.map_err(|error| RuntimeError::Network(Box::new(error)))?
            };
            let sandbox = Sandbox {
                pod: spec.pod.clone(),
                address,
                host_network: spec.host_network,
                namespaces: None,
                host_interface: None,
            };
            table
                .sandboxes
                .insert(spec.pod.uid.clone(), sandbox.clone());
            Ok(sandbox)
        }
        .boxed()
    }

    fn find_sandbox(&self, pod_uid: &str) -> Option<Sandbox> {
        self.table().sandboxes.get(pod_uid).cloned()
    }

    fn sandboxes(&self) -> Vec<Sandbox> {
        self.table().sandboxes.values().cloned().collect()
    }

    fn remove_sandbox<'a>(&'a self, pod_uid: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        async move {
            let mut table = self.table();
            if let Some(sandbox) = table.sandboxes.remove(pod_uid) {
                table.pool.release(sandbox.address);
            }
            Ok(())
        }
        .boxed()
    }

    fn start<'a>(
        &'a self,
        spec: ContainerSpec,
        _image: &'a Image,
    ) -> BoxFuture<'a, Result<(), RuntimeError>> {
        async move {
            let now = Timestamp::now();
            let state = match spec.args.as_slice() {
                [word, code] if word == "exit" => ended(Some(now), code.parse().unwrap_or(1)),
                _ => ContainerState::Running {
                    pid: 0,
                    started_at: now,
                },
            };
            let over = matches!(state, ContainerState::Exited(_));
            let uid = spec.pod.uid.clone();
            let record = ContainerRecord {
                id: spec.id.clone(),
                pod: spec.pod,
                name: spec.name,
                attempt: spec.attempt,
                image: spec.image,
                image_id: spec.image_id,
                log: spec.log,
                state,
            };
            self.table().containers.insert(spec.id, record);
            if over {
                let _ = self.exits.send(uid);
            }
            Ok(())
        }
        .boxed()
    }

    fn containers(&self) -> Vec<ContainerRecord> {
        self.table().containers.values().cloned().collect()
    }

    fn stop(&self, id: &str, signal: StopSignal) -> Result<(), RuntimeError> {
        let code = if signal == StopSignal::Kill { 137 } else { 143 };
        if let Some(record) = self.table().containers.get_mut(id)
            && let ContainerState::Running { started_at, .. } = record.state
        {
            record.state = ended(Some(started_at), code);
            let _ = self.exits.send(record.pod.uid.clone());
        }
        Ok(())
    }

    fn remove<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        async move {
            self.table().containers.remove(id);
            Ok(())
        }
        .boxed()
    }

    fn exec<'a>(
        &'a self,
        _id: &'a str,
        _request: ExecRequest,
    ) -> BoxFuture<'a, Result<ExecSession, RuntimeError>> {
        async move {
            Err(RuntimeError::Unsupported {
                driver: "fake",
                what: "run programs".to_owned(),
            })
        }
        .boxed()
    }

    fn usage(&self, _id: &str) -> Option<Usage> {
        Some(Usage::default())
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}
