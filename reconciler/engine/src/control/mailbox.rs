//! The asking side over an API server: a `Request` object is created, and its status read as it grows.
//!
//! The answers are one stream of bytes, the same JSON lines as on the socket. The engine shows a window of it in
//! the status; what was read is told in `spec.read`, and the window moves on. So no object becomes larger than an API
//! server stores, whatever is answered.

use std::{path::Path, time::Duration};

use futures::{StreamExt as _, stream::BoxStream};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::Request;
use crate::{Error, resources::kinds};

/// How long a reconciler may take to say that it took a request on. One that is there does so at once.
const ACCEPT_MAX: Duration = Duration::from_secs(15);

/// The length of one watch; a kube-apiserver ends them after five to ten minutes.
const WATCH_SECONDS: u32 = 240;

/// A window of this size may be a full one (the engine's are twice as large).
const FULL_BYTES: usize = 128 << 10;

type Events = BoxStream<'static, Result<WatchEvent<DynamicObject>, kube::Error>>;

/// A request on its way through an API server.
pub(super) struct Mailbox {
    /// In words.
    target: String,
    api: Api<DynamicObject>,
    name: String,
    version: String,
    events: Option<Events>,
    /// Read and not handed out yet.
    text: Vec<u8>,
    /// How much was read so far.
    read: u64,
    accepted: bool,
    done: bool,
    /// Dropped last: everything above lives in it.
    runtime: Runtime,
}

/// A window of the answers.
struct Window {
    offset: u64,
    text: String,
    done: bool,
}

impl Window {
    fn of(object: &DynamicObject) -> Option<Self> {
        let status = object.data.get("status")?;
        let phase = status.get("phase")?.as_str()?;
        let text = |key: &str| status.get(key).and_then(Value::as_str).unwrap_or_default();
        Some(Self {
            offset: status.get("offset").and_then(Value::as_u64).unwrap_or(0),
            text: text("text").to_owned(),
            done: phase == "Done",
        })
    }
}

impl Mailbox {
    /// Creates the object of a request.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used, or the API server refuses the object.
    pub(super) fn send(
        target: String,
        kubeconfig: Option<&Path>,
        context: Option<&str>,
        namespace: &str,
        request: &Request,
    ) -> Result<Self, Error> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| Error::Disconnected {
            target: target.clone(),
            source,
        })?;
        let unusable = |source: kube::config::KubeconfigError| Error::Kubeconfig {
            source: Box::new(source),
        };
        let file = match kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        }
        .map_err(unusable)?;
        let user = user_of(&file, context);
        let options = KubeConfigOptions {
            context: context.map(str::to_owned),
            ..KubeConfigOptions::default()
        };
        let unreached = |source| Error::Mailbox {
            target: target.clone(),
            source: Box::new(source),
        };
        let created = runtime.block_on(async {
            let config = Config::from_custom_kubeconfig(file, &options).await;
            let client = Client::try_from(config.map_err(unusable)?).map_err(unreached)?;
            let user = own_name(&client).await.unwrap_or(user);
            let api: Api<DynamicObject> =
                Api::namespaced_with(client, namespace, &kinds::REQUEST.api_resource());
            let object = json!({
                "apiVersion": kinds::VERSION, "kind": kinds::REQUEST.kind,
                "metadata": {
                    "generateName": "request-",
                    "annotations": {kinds::REQUESTED_BY: user},
                },
                "spec": {"request": request, "read": 0},
            });
            let object = serde_json::from_value(object)
                .map_err(|error| unreached(kube::Error::SerdeError(error)))?;
            let created = api.create(&PostParams::default(), &object).await;
            match created {
                Ok(created) => Ok((api, created)),
                Err(kube::Error::Api(status)) if status.code == 404 => Err(Error::NoMailbox {
                    target: target.clone(),
                }),
                Err(error) => Err(unreached(error)),
            }
        });
        let (api, created) = created?;
        Ok(Self {
            target,
            api,
            name: created.metadata.name.unwrap_or_default(),
            version: created.metadata.resource_version.unwrap_or_default(),
            events: None,
            text: Vec::new(),
            read: 0,
            accepted: false,
            done: false,
            runtime,
        })
    }

    /// The next line of the answers, without its end.
    ///
    /// # Errors
    /// When nobody answers, the API server does not, or the object is gone.
    pub(super) fn line(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            if let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.text.drain(..=end).collect();
                line.pop();
                return Ok(line);
            }
            if self.done {
                return Err(self.lost());
            }
            self.more()?;
        }
    }

    fn lost(&self) -> Error {
        Error::Disconnected {
            target: self.target.clone(),
            source: std::io::ErrorKind::UnexpectedEof.into(),
        }
    }

    /// Waits for more of the answers.
    fn more(&mut self) -> Result<(), Error> {
        let unreached = |source| Error::Mailbox {
            target: self.target.clone(),
            source: Box::new(source),
        };
        let Some(mut events) = self.events.take() else {
            let watched = self.runtime.block_on(async {
                let only = format!("metadata.name={}", self.name);
                let params = WatchParams::default().fields(&only).timeout(WATCH_SECONDS);
                // From the version that was created on, so that no window is missed.
                let events = self.api.watch(&params, &self.version).await;
                events.map(|events| events.boxed())
            });
            self.events = Some(watched.map_err(unreached)?);
            return Ok(());
        };
        let next = self.runtime.block_on(async {
            if self.accepted {
                return Some(events.next().await);
            }
            tokio::time::timeout(ACCEPT_MAX, events.next()).await.ok()
        });
        let Some(next) = next else {
            return Err(Error::NotAnswered {
                target: self.target.clone(),
            });
        };
        match next {
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                self.events = Some(events);
                self.take(&object)
            }
            Some(Ok(WatchEvent::Deleted(_))) => Err(self.lost()),
            Some(Ok(WatchEvent::Bookmark(_))) => {
                self.events = Some(events);
                Ok(())
            }
            // A watch ends now and then; a version that is too old is replaced by the newest one.
            None | Some(Ok(WatchEvent::Error(_)) | Err(_)) => self.look(),
        }
    }

    /// Reads the object as it is now, and watches from there on.
    fn look(&mut self) -> Result<(), Error> {
        let object = self.runtime.block_on(async {
            // The API server may be starting again.
            let mut pause = Duration::from_millis(100);
            loop {
                match self.api.get(&self.name).await {
                    Err(error) if pause < Duration::from_secs(10) && !is_final(&error) => {
                        tokio::time::sleep(pause).await;
                        pause *= 2;
                    }
                    other => return other,
                }
            }
        });
        let object = object.map_err(|source| Error::Mailbox {
            target: self.target.clone(),
            source: Box::new(source),
        })?;
        self.take(&object)
    }

    /// Takes what is new in a window, and says so when the engine waits for that.
    fn take(&mut self, object: &DynamicObject) -> Result<(), Error> {
        if let Some(version) = &object.metadata.resource_version {
            self.version.clone_from(version);
        }
        let Some(window) = Window::of(object) else {
            return Ok(());
        };
        self.accepted = true;
        let end = window.offset + window.text.len() as u64;
        if let Some(skip) = self.read.checked_sub(window.offset)
            && end > self.read
            && let Ok(skip) = usize::try_from(skip)
        {
            self.text.extend(&window.text.as_bytes()[skip..]);
            self.read = end;
        }
        self.done = window.done && self.read >= end;
        let known = object.data.pointer("/spec/read").and_then(Value::as_u64);
        // The engine waits for that only when its window is full.
        let full = window.text.len() >= FULL_BYTES;
        if full && !window.done && known != Some(self.read) {
            let patch = Patch::Merge(json!({"spec": {"read": self.read}}));
            let told =
                self.runtime
                    .block_on(self.api.patch(&self.name, &PatchParams::default(), &patch));
            told.map_err(|source| Error::Mailbox {
                target: self.target.clone(),
                source: Box::new(source),
            })?;
        }
        Ok(())
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // What is left behind is deleted by the engine after a while.
        self.events = None;
        let _ = self.runtime.block_on(async {
            let params = DeleteParams::default();
            let delete = self.api.delete(&self.name, &params);
            tokio::time::timeout(Duration::from_secs(5), delete).await
        });
    }
}

/// True when asking again would not help.
fn is_final(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if (400..429).contains(&status.code))
}

/// What the API server calls us (SelfSubjectReview, `authentication.k8s.io/v1`, Kubernetes 1.28); none when it does not say.
async fn own_name(client: &Client) -> Option<String> {
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let request = http::Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(review.to_string().into_bytes())
        .ok()?;
    let answer: Value = client.request(request).await.ok()?;
    let name = answer.pointer("/status/userInfo/username")?.as_str()?;
    Some(name.to_owned())
}

/// The user whom a kubeconfig names, as it is told: an API server gives no object the name of its creator.
fn user_of(file: &Kubeconfig, context: Option<&str>) -> String {
    let context = context.or(file.current_context.as_deref());
    let found = file
        .contexts
        .iter()
        .find(|named| Some(named.name.as_str()) == context);
    let user = found.and_then(|named| named.context.as_ref()?.user.clone());
    user.unwrap_or_default()
}
