//! Which of several reconcilers of one cluster writes: the one that holds a `Lease` (coordination.k8s.io/v1).
//!
//! The rules are those of client-go's leader election. Decisions are in [`state`], on time as an argument; here is
//! who may ask whether we lead, and the loop that keeps it true.
//!
//! An API server knows no fencing tokens, so no write carries one. Instead every write asks the clock: it is sent only
//! while the last renewal is younger than the renew deadline, which is shorter than the time after which anybody else
//! takes over. A process that was stopped and goes on later therefore sends nothing.

pub(crate) mod state;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, PostParams},
};
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use state::{Move, Record, State};

/// How reconcilers agree on the one that writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Election {
    /// Who we are: another name for each reconciler.
    pub identity: String,
    /// The namespace of the Lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How long the others wait after the last renewal that they saw.
    pub lease: Duration,
    /// How long a leader goes on without a renewal; shorter than `lease`.
    pub renew: Duration,
    /// The pause between two tries.
    pub retry: Duration,
}

impl Election {
    /// An election with client-go's times: 15 s, 10 s and 2 s.
    #[must_use]
    pub fn new(identity: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self {
            identity: identity.into(),
            namespace: namespace.into(),
            name: "ordain".to_owned(),
            lease: Duration::from_secs(15),
            renew: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// Whether we lead. Clones speak of the same.
#[derive(Clone)]
pub(crate) struct Lead {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None` means for ever: there is no election.
    until: Mutex<Option<Instant>>,
    leads: watch::Sender<bool>,
    /// Who leads, as far as that is known.
    leader: Mutex<String>,
}

impl Lead {
    /// Leads for ever, when there is nobody else; otherwise not until elected.
    pub(crate) fn new(elected: bool) -> Self {
        let until = elected.then(Instant::now);
        Self {
            inner: Arc::new(Inner {
                until: Mutex::new(until),
                leads: watch::channel(!elected).0,
                leader: Mutex::default(),
            }),
        }
    }

    /// True while a write may be sent.
    pub(crate) fn holds(&self) -> bool {
        let until = *lock(&self.inner.until);
        until.is_none_or(|until| Instant::now() < until)
    }

    /// Changes when we begin or cease to lead.
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.inner.leads.subscribe()
    }

    /// Who leads, as far as that is known.
    pub(crate) fn leader(&self) -> String {
        lock(&self.inner.leader).clone()
    }

    fn set(&self, until: Instant) {
        *lock(&self.inner.until) = Some(until);
        let leads = Instant::now() < until;
        self.inner
            .leads
            .send_if_modified(|known| std::mem::replace(known, leads) != leads);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes part in the election until `shutdown`, and then lets go of the Lease.
pub(crate) async fn run(
    client: Client,
    election: Election,
    lead: Lead,
    shutdown: CancellationToken,
) {
    let resource = ApiResource {
        group: "coordination.k8s.io".to_owned(),
        version: "v1".to_owned(),
        api_version: "coordination.k8s.io/v1".to_owned(),
        kind: "Lease".to_owned(),
        plural: "leases".to_owned(),
    };
    let runner = Runner {
        api: Api::namespaced_with(client.clone(), &election.namespace, &resource),
        client,
        lead,
        election,
    };
    let mut state = State::new(runner.election.identity.clone());
    let mut until = Instant::now();
    let start = Instant::now();
    let mut said = String::new();
    loop {
        let begun = Instant::now();
        // A leader that gets no answer must cease in time; the request ends before that.
        let patience = runner.election.renew / 2;
        let patience = match until > begun {
            true => patience.min(until - begun),
            false => patience,
        };
        let tried = tokio::select! {
            () = shutdown.cancelled() => break,
            tried = tokio::time::timeout(patience, runner.attempt(&mut state, start)) => tried,
        };
        match tried {
            Ok(Ok(true)) => until = begun + runner.election.renew,
            Ok(Ok(false)) => until = begun,
            Ok(Err(error)) => {
                let text = crate::error::chain(&error);
                if said != text {
                    tracing::warn!(error = text, "the lease cannot be had or renewed");
                    said = text;
                }
            }
            Err(_) => tracing::warn!("the API server does not answer about the lease"),
        }
        let before = *runner.lead.inner.leads.borrow();
        runner.lead.set(until);
        let now = Instant::now() < until;
        if now != before {
            let (me, leader) = (&runner.election.identity, runner.lead.leader());
            tracing::info!(me, leader, leads = now, "the leader changed");
        }
        let pause = crate::wire::jittered(runner.election.retry);
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
            () = tokio::time::sleep_until(until), if now => {
                runner.lead.set(until);
            }
        }
    }
    let led = runner.lead.holds();
    runner.lead.set(Instant::now());
    if led {
        let release = runner.release(&mut state, start);
        // Whoever waits takes over sooner; without it after the lease's time.
        let _ = tokio::time::timeout(Duration::from_secs(2), release).await;
    }
}

struct Runner {
    api: Api<DynamicObject>,
    client: Client,
    election: Election,
    lead: Lead,
}

impl Runner {
    /// One try; true when the Lease is ours.
    async fn attempt(&self, state: &mut State, start: Instant) -> Result<bool, kube::Error> {
        let found = self.api.get_opt(&self.election.name).await?;
        let record = found.as_ref().map(read);
        let (since, now) = (start.elapsed(), Timestamp::now());
        match state.step(record.as_ref(), since, self.election.lease, now) {
            Move::Wait { holder } => {
                holder.clone_into(&mut lock(&self.lead.inner.leader));
                Ok(false)
            }
            Move::Write(record) => match self.write(found, &record).await {
                Ok(()) => {
                    self.election
                        .identity
                        .clone_into(&mut lock(&self.lead.inner.leader));
                    state.wrote(record, start.elapsed());
                    Ok(true)
                }
                // Somebody was faster; what it wrote is seen at the next try.
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
                Err(error) => Err(error),
            },
        }
    }

    async fn write(
        &self,
        found: Option<DynamicObject>,
        record: &Record,
    ) -> Result<(), kube::Error> {
        let params = PostParams::default();
        match found {
            Some(mut lease) => {
                lease.data["spec"] = spec(record);
                self.api
                    .replace(&self.election.name, &params, &lease)
                    .await?;
            }
            None => {
                let lease = json!({
                    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                    "metadata": {"name": self.election.name}, "spec": spec(record),
                });
                let lease = serde_json::from_value(lease).map_err(kube::Error::SerdeError)?;
                match self.api.create(&params, &lease).await {
                    Err(kube::Error::Api(status)) if status.code == 404 => {
                        // Its namespace is not there yet.
                        self.namespace().await?;
                        self.api.create(&params, &lease).await?;
                    }
                    other => drop(other?),
                }
            }
        }
        Ok(())
    }

    async fn namespace(&self) -> Result<(), kube::Error> {
        let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(self.client.clone());
        let namespace = json!({"metadata": {"name": self.election.namespace}});
        let namespace = serde_json::from_value(namespace).map_err(kube::Error::SerdeError)?;
        match api.create(&PostParams::default(), &namespace).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            other => other.map(drop),
        }
    }

    async fn release(&self, state: &mut State, start: Instant) -> Result<(), kube::Error> {
        let Some(found) = self.api.get_opt(&self.election.name).await? else {
            return Ok(());
        };
        let record = state.release(&read(&found), start.elapsed(), Timestamp::now());
        match record {
            Some(record) => self.write(Some(found), &record).await,
            None => Ok(()),
        }
    }
}

/// The record of a Lease.
fn read(lease: &DynamicObject) -> Record {
    let spec = &lease.data["spec"];
    let text = |key: &str| spec[key].as_str().unwrap_or_default().to_owned();
    Record {
        holder: text("holderIdentity"),
        seconds: spec["leaseDurationSeconds"].as_i64().unwrap_or(0),
        acquired: text("acquireTime"),
        renewed: text("renewTime"),
        transitions: spec["leaseTransitions"].as_i64().unwrap_or(0),
    }
}

fn spec(record: &Record) -> Value {
    json!({
        "holderIdentity": record.holder,
        "leaseDurationSeconds": record.seconds,
        "acquireTime": record.acquired,
        "renewTime": record.renewed,
        "leaseTransitions": record.transitions,
    })
}
