//! The thin loop of the Deployment controller.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::Pod,
    },
    jiff::Timestamp,
};
use kube::{Api, Client, api::ListParams};
use ordain_orchestrator_client::{
    Change, During, Failure, Informer, Informers, Key, Next, WorkConfig, controller_of,
    object_reference, queue, run_controller,
};
use serde_json::json;

use super::{revision::has_template, step};
use crate::{Action, action::Target, executor::Executor, pods::matcher};

struct Controller {
    deployments: Informer<Deployment>,
    sets: Informer<ReplicaSet>,
    pods: Informer<Pod>,
    client: Client,
    executor: Executor,
}

/// Runs the controller until the informers' shutdown.
pub(crate) async fn run(informers: Informers) {
    let (queue, work) = queue();
    let controller = Controller {
        deployments: informers.of(),
        sets: informers.of(),
        pods: informers.of(),
        client: informers.client().clone(),
        executor: Executor::new(informers.client().clone(), "deployment-controller"),
    };
    controller.deployments.ready().await;
    controller.sets.ready().await;
    controller.pods.ready().await;
    let on_deployment = queue.clone();
    controller.deployments.on_change(move |change| {
        on_deployment.add(Key::of(&change.object().metadata));
    });
    let (on_set, deployments) = (queue.clone(), controller.deployments.clone());
    controller.sets.on_change(move |change| {
        let set = change.object();
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        match controller_of(&set.metadata) {
            Some(owner) if owner.kind == "Deployment" => {
                on_set.add(Key::new(namespace, &owner.name));
            }
            Some(_) => {}
            None => {
                let matching = deployments.filter(namespace, |deployment| {
                    let spec = deployment.spec.as_ref();
                    spec.is_some_and(|spec| matcher(&spec.selector)(&set.metadata))
                });
                matching
                    .iter()
                    .for_each(|found| on_set.add(Key::of(&found.metadata)));
            }
        }
    });
    // `Recreate` waits for the last old pod to be gone.
    let sets = controller.sets.clone();
    controller.pods.on_change(move |change| {
        let Change::Deleted(pod) = change else { return };
        let Some(owner) = controller_of(&pod.metadata) else {
            return;
        };
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let set = sets.get(namespace, &owner.name);
        if let Some(owner) = set.as_deref().and_then(|set| controller_of(&set.metadata)) {
            queue.add(Key::new(namespace, &owner.name));
        }
    });
    let (shutdown, config) = (informers.shutdown().clone(), WorkConfig::default());
    let keys = || controller.deployments.keys();
    let reconcile = |key| controller.reconcile(key);
    run_controller("deployment", config, work, shutdown, keys, reconcile).await;
}

impl Controller {
    async fn reconcile(&self, key: Key) -> Result<Next, Failure> {
        let Some(deployment) = self.deployments.get(&key.namespace, &key.name) else {
            return Ok(Next::Signal);
        };
        let uid = deployment.metadata.uid.as_deref();
        let sets = self.sets.filter(&key.namespace, |set| {
            controller_of(&set.metadata).is_none_or(|owner| Some(owner.uid.as_str()) == uid)
        });
        let strategy = deployment
            .spec
            .as_ref()
            .and_then(|spec| spec.strategy.as_ref());
        let recreate = strategy.is_some_and(|s| s.type_.as_deref() == Some("Recreate"));
        let pods = if recreate {
            self.pods.filter(&key.namespace, |pod| {
                let owner = controller_of(&pod.metadata).map(|owner| owner.uid.as_str());
                owner.is_some() && sets.iter().any(|set| set.metadata.uid.as_deref() == owner)
            })
        } else {
            Vec::new()
        };
        let actions = step(&deployment, &sets, &pods, Timestamp::now());
        let reference = object_reference(&*deployment);
        let done = match self.executor.run(&reference, actions).await {
            Err(failure) if failure.is_already_exists() => {
                self.settle_name(&deployment).await?;
                return Err(failure);
            }
            done => done?,
        };
        for (kind, meta) in &done.written {
            match kind.as_str() {
                "ReplicaSet" => self.sets.caught_up(meta).await,
                _ => self.deployments.caught_up(meta).await,
            }
        }
        Ok(done.next)
    }

    /// The name of the ReplicaSet is taken. If it was this controller that made it, and only the
    /// answer was lost, the watch will bring it; otherwise another template has the same hash, and
    /// the next name is tried.
    async fn settle_name(&self, deployment: &Deployment) -> Result<(), Failure> {
        let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
        let api = Api::<ReplicaSet>::namespaced(self.client.clone(), namespace);
        let sets = api
            .list(&ListParams::default())
            .await
            .during(|| format!("list the replica sets of namespace {namespace}"))?;
        let template = deployment.spec.as_ref().map(|spec| &spec.template);
        let mine = sets.items.iter().find(|set| {
            let owner = controller_of(&set.metadata).map(|owner| owner.uid.as_str());
            owner == deployment.metadata.uid.as_deref()
                && template.is_some_and(|template| has_template(set, template))
        });
        if let Some(set) = mine {
            self.sets.caught_up(&set.metadata).await;
            return Ok(());
        }
        let before = deployment
            .status
            .as_ref()
            .and_then(|status| status.collision_count);
        let body = json!({ "status": { "collisionCount": before.unwrap_or(0) + 1 } });
        let target = Target::of(deployment);
        let action = Action::Patch {
            target,
            subresource: Some("status"),
            body,
        };
        let done = self
            .executor
            .run(&object_reference(deployment), vec![action])
            .await?;
        for (_, meta) in &done.written {
            self.deployments.caught_up(meta).await;
        }
        Ok(())
    }
}
