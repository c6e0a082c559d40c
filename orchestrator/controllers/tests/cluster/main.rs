//! The controllers and the scheduler against our API server, in one process and without a disk.
//! The node's agent is played by a task that makes every bound pod run.

mod faults;
mod world;

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    batch::v1::Job,
    core::v1::{ConfigMap, Endpoints, Event, Namespace, Pod, Service, ServiceAccount},
    discovery::v1::EndpointSlice,
};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy};
use serde_json::{Value, json};

use faults::Faulty;
use world::World;

fn web(replicas: i32, image: &str) -> Deployment {
    serde_json::from_value(json!({
        "metadata": { "name": "web" },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "c", "image": image, "ports": [{ "name": "http", "containerPort": 8080 }] }] },
            },
        },
    }))
    .unwrap()
}

/// Waits until the Deployment is completely rolled out with this many replicas.
async fn rolled_out(world: &World, replicas: i32) {
    let deployments = world.api::<Deployment>();
    world
        .eventually("the rollout is complete", async || {
            let deployment = deployments.get("web").await.unwrap();
            let status = deployment.status.unwrap_or_default();
            let progressing = status
                .conditions
                .iter()
                .flatten()
                .find(|c| c.type_ == "Progressing");
            status.observed_generation == deployment.metadata.generation
                && status.replicas.unwrap_or(0) == replicas
                && status.updated_replicas.unwrap_or(0) == replicas
                && status.available_replicas.unwrap_or(0) == replicas
                && progressing.and_then(|condition| condition.reason.as_deref())
                    == Some("NewReplicaSetAvailable")
        })
        .await;
}

async fn count_pods(world: &World) -> usize {
    let pods = world
        .api::<Pod>()
        .list(&ListParams::default())
        .await
        .unwrap();
    pods.items
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .count()
}

fn image_patch(image: &str) -> Patch<Value> {
    let containers = json!([{ "name": "c", "image": image }]);
    Patch::Strategic(json!({ "spec": { "template": { "spec": { "containers": containers } } } }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_becomes_pods_and_follows_its_changes() {
    let world = World::start().await;
    let deployments = world.api::<Deployment>();
    let none = PatchParams::default();
    deployments
        .create(&PostParams::default(), &web(3, "web:1"))
        .await
        .unwrap();
    rolled_out(&world, 3).await;
    let sets = world
        .api::<ReplicaSet>()
        .list(&ListParams::default())
        .await
        .unwrap()
        .items;
    assert_eq!(sets.len(), 1);
    assert_eq!(
        sets[0].metadata.annotations.as_ref().unwrap()["deployment.kubernetes.io/revision"],
        "1"
    );
    for pod in world
        .api::<Pod>()
        .list(&ListParams::default())
        .await
        .unwrap()
    {
        assert_eq!(pod.spec.unwrap().node_name.as_deref(), Some("node"));
        assert_eq!(
            pod.metadata.owner_references.unwrap()[0].uid,
            *sets[0].metadata.uid.as_ref().unwrap()
        );
    }

    let scale = Patch::Merge(json!({ "spec": { "replicas": 5 } }));
    deployments.patch_scale("web", &none, &scale).await.unwrap();
    rolled_out(&world, 5).await;
    assert_eq!(count_pods(&world).await, 5);

    deployments
        .patch("web", &none, &image_patch("web:2"))
        .await
        .unwrap();
    rolled_out(&world, 5).await;
    deployments
        .patch("web", &none, &image_patch("web:1"))
        .await
        .unwrap();
    rolled_out(&world, 5).await;
    let sets = world
        .api::<ReplicaSet>()
        .list(&ListParams::default())
        .await
        .unwrap()
        .items;
    let revisions: BTreeMap<_, _> = sets
        .iter()
        .map(|set| {
            let template = set.spec.as_ref().unwrap().template.as_ref().unwrap();
            let image = template.spec.as_ref().unwrap().containers[0]
                .image
                .clone()
                .unwrap();
            let annotations = set.metadata.annotations.as_ref().unwrap();
            (
                image,
                annotations["deployment.kubernetes.io/revision"].clone(),
            )
        })
        .collect();
    let expected = [("web:1", "3"), ("web:2", "2")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(revisions, BTreeMap::from(expected));

    deployments
        .delete("web", &DeleteParams::background())
        .await
        .unwrap();
    world
        .eventually("everything it owned is gone", async || {
            let sets = world
                .api::<ReplicaSet>()
                .list(&ListParams::default())
                .await
                .unwrap();
            sets.items.is_empty() && count_pods(&world).await == 0
        })
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_version_leaves_the_old_pods_alone() {
    let world = World::start().await;
    let deployments = world.api::<Deployment>();
    deployments
        .create(&PostParams::default(), &web(2, "web:1"))
        .await
        .unwrap();
    rolled_out(&world, 2).await;
    let none = PatchParams::default();
    deployments
        .patch("web", &none, &image_patch("bad"))
        .await
        .unwrap();
    world
        .eventually("the bad version has its pod", async || {
            count_pods(&world).await == 3
        })
        .await;
    let status = deployments.get("web").await.unwrap().status.unwrap();
    assert_eq!(status.available_replicas, Some(2));
    deployments
        .patch("web", &none, &image_patch("web:1"))
        .await
        .unwrap();
    rolled_out(&world, 2).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletions_cascade_as_told() {
    let world = World::start().await;
    let maps = world.api::<ConfigMap>();
    let map = |name: &str, owner: Option<&ConfigMap>| -> ConfigMap {
        let owners = owner.map(|owner| {
            json!([{
                "apiVersion": "v1", "kind": "ConfigMap", "name": owner.metadata.name,
                "uid": owner.metadata.uid, "blockOwnerDeletion": true,
            }])
        });
        serde_json::from_value(json!({ "metadata": { "name": name, "ownerReferences": owners } }))
            .unwrap()
    };
    let create = async |name: &str, owner: Option<&ConfigMap>| {
        maps.create(&PostParams::default(), &map(name, owner))
            .await
            .unwrap()
    };
    let gone = async |name: &str| maps.get_opt(name).await.unwrap().is_none();
    for (name, policy) in [
        ("background", PropagationPolicy::Background),
        ("foreground", PropagationPolicy::Foreground),
        ("orphan", PropagationPolicy::Orphan),
    ] {
        let parent = create(name, None).await;
        let child = create(&format!("{name}-child"), Some(&parent)).await;
        create(&format!("{name}-grandchild"), Some(&child)).await;
        let parameters = DeleteParams {
            propagation_policy: Some(policy),
            ..Default::default()
        };
        maps.delete(name, &parameters).await.unwrap();
        world
            .eventually("the parent is gone", async || gone(name).await)
            .await;
    }
    for name in ["background-child", "background-grandchild"] {
        world
            .eventually("the dependents follow", async || gone(name).await)
            .await;
    }
    assert!(gone("foreground-child").await, "it went before its owner");
    assert!(
        gone("foreground-grandchild").await,
        "it went before its owner"
    );
    let orphan = maps.get("orphan-child").await.unwrap();
    assert_eq!(orphan.metadata.owner_references.unwrap_or_default(), []);
    assert!(!gone("orphan-grandchild").await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_knows_its_pods() {
    let world = World::start().await;
    let service: Service = serde_json::from_value(json!({
        "metadata": { "name": "web" },
        "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": "http" }] },
    }))
    .unwrap();
    world
        .api::<Service>()
        .create(&PostParams::default(), &service)
        .await
        .unwrap();
    world
        .api::<Deployment>()
        .create(&PostParams::default(), &web(2, "web:1"))
        .await
        .unwrap();
    let ready_addresses = async || {
        let endpoints = world.api::<Endpoints>().get_opt("web").await.unwrap();
        let subsets = endpoints
            .and_then(|endpoints| endpoints.subsets)
            .unwrap_or_default();
        let ports = subsets
            .iter()
            .flat_map(|subset| subset.ports.iter().flatten());
        assert!(ports.into_iter().all(|port| port.port == 8080));
        subsets
            .iter()
            .flat_map(|subset| subset.addresses.iter().flatten())
            .count()
    };
    world
        .eventually("both pods are endpoints", async || {
            ready_addresses().await == 2
        })
        .await;
    let by_name = ListParams::default().labels("kubernetes.io/service-name=web");
    world
        .eventually("both pods are in the slice", async || {
            let slices = world
                .api::<EndpointSlice>()
                .list(&by_name)
                .await
                .unwrap()
                .items;
            let endpoints = slices
                .iter()
                .flat_map(|slice| slice.endpoints.iter().flatten());
            endpoints
                .filter(|e| e.conditions.as_ref().unwrap().ready == Some(true))
                .count()
                == 2
        })
        .await;
    world
        .api::<Service>()
        .delete("web", &DeleteParams::default())
        .await
        .unwrap();
    world
        .eventually("its endpoints go with it", async || {
            world
                .api::<Endpoints>()
                .get_opt("web")
                .await
                .unwrap()
                .is_none()
                && world
                    .api::<EndpointSlice>()
                    .list(&by_name)
                    .await
                    .unwrap()
                    .items
                    .is_empty()
        })
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_runs_to_its_end() {
    let world = World::start().await;
    let job: Job = serde_json::from_value(json!({
        "metadata": { "name": "migrate" },
        "spec": {
            "completions": 3, "parallelism": 2,
            "template": { "spec": {
                "restartPolicy": "Never", "containers": [{ "name": "c", "image": "job" }],
            } },
        },
    }))
    .unwrap();
    world
        .api::<Job>()
        .create(&PostParams::default(), &job)
        .await
        .unwrap();
    world
        .eventually("it is complete", async || {
            let status = world.api::<Job>().get("migrate").await.unwrap().status;
            let conditions = status.unwrap_or_default().conditions.unwrap_or_default();
            conditions
                .iter()
                .any(|c| c.type_ == "Complete" && c.status == "True")
        })
        .await;
    let status = world
        .api::<Job>()
        .get("migrate")
        .await
        .unwrap()
        .status
        .unwrap();
    assert_eq!(status.succeeded, Some(3));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_fits_nowhere_says_why() {
    let world = World::start().await;
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "name": "large" },
        "spec": { "containers": [{ "name": "c", "image": "i", "resources": { "requests": { "cpu": "100" } } }] },
    }))
    .unwrap();
    world
        .api::<Pod>()
        .create(&PostParams::default(), &pod)
        .await
        .unwrap();
    let message = "0/1 nodes are available: 1 Insufficient cpu.";
    world
        .eventually("its condition says so", async || {
            let status = world
                .api::<Pod>()
                .get("large")
                .await
                .unwrap()
                .status
                .unwrap_or_default();
            status.conditions.iter().flatten().any(|condition| {
                condition.type_ == "PodScheduled" && condition.message.as_deref() == Some(message)
            })
        })
        .await;
    world
        .eventually("an event says so", async || {
            let about = ListParams::default().fields("involvedObject.name=large");
            let events = world.api::<Event>().list(&about).await.unwrap().items;
            events.iter().any(|event| {
                event.reason.as_deref() == Some("FailedScheduling")
                    && event.message.as_deref() == Some(message)
            })
        })
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_begins_with_an_account_and_ends_empty() {
    let world = World::start().await;
    let namespaces = kube::Api::<Namespace>::all(world.client.clone());
    let shop: Namespace =
        serde_json::from_value(json!({ "metadata": { "name": "shop" } })).unwrap();
    namespaces
        .create(&PostParams::default(), &shop)
        .await
        .unwrap();
    let accounts = kube::Api::<ServiceAccount>::namespaced(world.client.clone(), "shop");
    world
        .eventually("the account is there", async || {
            accounts.get_opt("default").await.unwrap().is_some()
        })
        .await;
    let deployments = kube::Api::<Deployment>::namespaced(world.client.clone(), "shop");
    deployments
        .create(&PostParams::default(), &web(2, "web:1"))
        .await
        .unwrap();
    let pods = kube::Api::<Pod>::namespaced(world.client.clone(), "shop");
    world
        .eventually("pods run", async || {
            pods.list(&ListParams::default()).await.unwrap().items.len() == 2
        })
        .await;
    namespaces
        .delete("shop", &DeleteParams::default())
        .await
        .unwrap();
    world
        .eventually("the namespace is gone", async || {
            namespaces.get_opt("shop").await.unwrap().is_none()
        })
        .await;
    assert!(
        pods.list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cluster_arrives_although_requests_fail_and_answers_are_lost() {
    for seed in [1, 2, 3] {
        let world =
            World::start_with(|service| kube::Client::new(Faulty::new(service, seed), "default"))
                .await;
        let deployments = world.api::<Deployment>();
        deployments
            .create(&PostParams::default(), &web(4, "web:1"))
            .await
            .unwrap();
        rolled_out(&world, 4).await;
        let none = PatchParams::default();
        deployments
            .patch("web", &none, &image_patch("web:2"))
            .await
            .unwrap();
        rolled_out(&world, 4).await;
        world
            .eventually("no pod is left over", async || {
                count_pods(&world).await == 4
            })
            .await;
        let sets = world
            .api::<ReplicaSet>()
            .list(&ListParams::default())
            .await
            .unwrap()
            .items;
        assert_eq!(sets.len(), 2, "one per template, seed {seed}");
        deployments
            .delete("web", &DeleteParams::background())
            .await
            .unwrap();
        world
            .eventually("everything it owned is gone", async || {
                let sets = world
                    .api::<ReplicaSet>()
                    .list(&ListParams::default())
                    .await
                    .unwrap();
                sets.items.is_empty() && count_pods(&world).await == 0
            })
            .await;
        world.stop().await;
    }
}
