//! ServiceAccount: every namespace has one called `default`, which pods use that name none.
//! Kubernetes `pkg/controller/serviceaccount`.

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::ObjectMeta;
use ordain_orchestrator_client::{
    Change, Failure, Informers, Key, Next, WorkConfig, object_reference, queue, run_controller,
};

use crate::{Action, executor::Executor};

const NAME: &str = "default";

/// Decides for one namespace.
fn step(namespace: &Namespace, account: Option<&ServiceAccount>) -> Vec<Action> {
    let phase = namespace
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    let leaving = namespace.metadata.deletion_timestamp.is_some() || phase == Some("Terminating");
    if leaving || account.is_some() {
        return Vec::new();
    }
    vec![Action::create(&ServiceAccount {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: namespace.metadata.name.clone(),
            ..ObjectMeta::default()
        },
        ..ServiceAccount::default()
    })]
}

/// Runs the controller until the informers' shutdown.
pub(crate) async fn run(informers: Informers) {
    let (queue, work) = queue();
    let namespaces = informers.of::<Namespace>();
    let accounts = informers.of::<ServiceAccount>();
    let executor = Executor::new(informers.client().clone(), "serviceaccount-controller");
    namespaces.ready().await;
    accounts.ready().await;
    let on_namespace = queue.clone();
    namespaces.on_change(move |change| {
        if let Change::Added(namespace) = change {
            on_namespace.add(Key::of(&namespace.metadata));
        }
    });
    accounts.on_change(move |change| {
        if let Change::Deleted(account) = change
            && account.metadata.name.as_deref() == Some(NAME)
        {
            queue.add(Key::new(
                "",
                account.metadata.namespace.as_deref().unwrap_or_default(),
            ));
        }
    });
    let shutdown = informers.shutdown().clone();
    let config = WorkConfig::default();
    let keys = || namespaces.keys();
    let (namespaces, accounts, executor) = (&namespaces, &accounts, &executor);
    let reconcile = |key: Key| async move {
        let Some(namespace) = namespaces.get("", &key.name) else {
            return Ok(Next::Signal);
        };
        let account = accounts.get(&key.name, NAME);
        let actions = step(&namespace, account.as_deref());
        match executor.run(&object_reference(&*namespace), actions).await {
            Ok(done) => Ok(done.next),
            Err(failure) if failure.is_already_exists() => Ok(Next::Signal),
            Err(failure) => Err::<Next, Failure>(failure),
        }
    };
    run_controller("serviceaccount", config, work, shutdown, keys, reconcile).await;
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};

    use super::step;

    #[test]
    fn a_living_namespace_without_the_account_gets_it() {
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some("shop".into());
        let created: Vec<_> = step(&namespace, None)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(created, ["create ServiceAccount shop/default"]);
        assert!(step(&namespace, Some(&ServiceAccount::default())).is_empty());
        namespace.status.get_or_insert_default().phase = Some("Terminating".into());
        assert!(step(&namespace, None).is_empty());
    }
}
