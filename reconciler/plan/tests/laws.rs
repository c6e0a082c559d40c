//! Laws that hold for any objects: of the graph, of plans, of what is ignored.

use std::collections::{BTreeSet, HashMap};

use ordain_reconciler_plan::{
    ApiVersion, Breaker, Candidate, Demand, Desired, DryRun, Graph, IgnoreRule, Ignores, Input,
    ObjectKey, Observed, Refusal, Rules, Verb, Walk, plan, prepare,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const OWNER: &str = "dev/web";

/// Few names, so that objects name each other often.
fn name() -> impl Strategy<Value = String> {
    "[a-c]"
}

fn after() -> impl Strategy<Value = String> {
    prop::collection::vec(
        (
            prop_oneof![Just("ConfigMap"), Just("Deployment"), Just("Job")],
            name(),
        ),
        0..2,
    )
    .prop_map(|all| {
        let all = all.into_iter().map(|(kind, name)| format!("{kind}/{name}"));
        all.collect::<Vec<_>>().join(",")
    })
}

fn object() -> impl Strategy<Value = Value> {
    let kinds = prop_oneof![
        Just(("v1", "ConfigMap")),
        Just(("v1", "Secret")),
        Just(("v1", "ServiceAccount")),
        Just(("v1", "Service")),
        Just(("v1", "Namespace")),
        Just(("apps/v1", "Deployment")),
        Just(("batch/v1", "Job")),
        Just(("networking.k8s.io/v1", "NetworkPolicy")),
        Just((
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration"
        )),
        Just(("example.com/v1", "Widget")),
        Just(("apiextensions.k8s.io/v1", "CustomResourceDefinition")),
    ];
    let wave = prop::option::weighted(0.2, -1..2_i64);
    (kinds, name(), after(), wave, name(), name()).prop_map(
        |((version, kind), name, after, wave, config, account)| {
            let mut object = json!({
                "apiVersion": version, "kind": kind,
                "metadata": {"name": name, "annotations": {"ordain.dev/after": after}},
                "spec": {},
            });
            if let Some(wave) = wave {
                object["metadata"]["annotations"]["ordain.dev/wave"] = wave.to_string().into();
            }
            match kind {
                "Namespace" => object["metadata"]["name"] = "shop".into(),
                "CustomResourceDefinition" => {
                    object["metadata"]["name"] = "widgets.example.com".into();
                    object["spec"] = json!({"group": "example.com", "names": {"kind": "Widget"}});
                }
                "Deployment" | "Job" => {
                    object["spec"] = json!({"template": {
                        "metadata": {"labels": {"app": name}},
                        "spec": {
                            "serviceAccountName": account,
                            "containers": [{"name": "a", "envFrom": [{"configMapRef": {"name": config}}]}],
                        },
                    }});
                }
                "Service" => object["spec"] = json!({"selector": {"app": name}}),
                "ValidatingWebhookConfiguration" => {
                    let service = json!({"name": config, "namespace": "shop"});
                    object["webhooks"] = json!([{"clientConfig": {"service": service}}]);
                }
                _ => {}
            }
            object
        },
    )
}

fn prepared(object: Value) -> Desired {
    let kind = object["kind"].as_str().unwrap_or_default();
    let wide = [
        "Namespace",
        "ValidatingWebhookConfiguration",
        "CustomResourceDefinition",
    ];
    let namespaced = !wide.contains(&kind);
    prepare(object, None, namespaced, "shop", OWNER).expect("a complete object")
}

/// Objects with different identities.
fn set() -> impl Strategy<Value = Vec<Desired>> {
    prop::collection::vec(object(), 0..14).prop_map(|objects| {
        let mut seen = BTreeSet::new();
        let all = objects.into_iter().map(prepared);
        all.filter(|desired| seen.insert(desired.key.clone()))
            .collect()
    })
}

fn planned(
    desired: &[Desired],
    observed: &[Observed],
    candidates: &[Candidate],
    rules: &Rules,
) -> ordain_reconciler_plan::Plan {
    plan(&Input {
        owner: OWNER,
        desired,
        observed,
        candidates,
        breaker: Breaker::default(),
        approved: &BTreeSet::new(),
        rules,
    })
}

/// As a server would have it: with a uid, defaults and a status.
fn live(desired: &Desired, number: usize) -> Value {
    let mut live = desired.object.clone();
    live["metadata"]["uid"] = format!("uid-{number}").into();
    live["metadata"]["resourceVersion"] = "7".into();
    live["status"] = json!({"observed": true});
    live
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every object is in the order once, behind everything that it waits for.
    #[test]
    fn the_order_respects_every_edge(set in set()) {
        let graph = Graph::new(&set);
        let order = graph.order();
        let place: HashMap<_, _> = order.iter().enumerate().map(|(at, key)| (*key, at)).collect();
        prop_assert_eq!((order.len(), place.len()), (set.len(), set.len()));
        for edge in graph.edges() {
            prop_assert!(place[edge.on] < place[edge.from], "{edge:?}");
        }
        // A namespace and a definition are never given up for anything else.
        let broken: BTreeSet<_> = graph.problems().map(|(key, _)| key).collect();
        for desired in &set {
            let first = |found: Option<&ObjectKey>| found.is_none_or(|key| place[key] < place[&desired.key] || broken.contains(key));
            let of_kind = |kind: &str| set.iter().map(|desired| &desired.key).find(|key| key.kind == kind);
            prop_assert!(desired.key.namespace.is_none() || first(of_kind("Namespace")));
            prop_assert!(desired.key.kind != "Widget" || first(of_kind("CustomResourceDefinition")));
        }
    }

    /// Deletions go the other way round.
    #[test]
    fn deletions_respect_every_edge(set in set()) {
        let graph = Graph::for_deletion(set.iter().map(|desired| (&desired.key, &desired.object)));
        let order = graph.order();
        let place: HashMap<_, _> = order.iter().enumerate().map(|(at, key)| (*key, at)).collect();
        prop_assert_eq!(order.len(), set.len());
        for edge in graph.edges() {
            prop_assert!(place[edge.on] < place[edge.from], "{edge:?}");
        }
    }

    /// Whatever fails: each object is handed out at most once, only when what it waits for is there, and in the end each
    /// one was handed out, is blocked by a failure that its chain names, or waits for something elsewhere.
    #[test]
    fn a_walk_keeps_to_the_graph(set in set(), fate in prop::collection::vec(0..4_u8, 14)) {
        let graph = Graph::new(&set);
        let mut walk = Walk::new(&graph);
        let fates: HashMap<_, _> = set.iter().map(|desired| &desired.key).zip(&fate).collect();
        let mut handed = BTreeSet::new();
        loop {
            let ready = walk.take();
            if ready.is_empty() {
                break;
            }
            for key in ready {
                for edge in graph.edges().filter(|edge| *edge.from == key) {
                    let met = handed.contains(edge.on) && match (fates[edge.on], edge.demand) {
                        (0, Demand::Applied | Demand::Healthy) | (1, Demand::Healthy) => false,
                        (_, _) => true,
                    };
                    let given_up = edge.demand == Demand::Tried;
                    prop_assert!(met || given_up, "{edge:?}");
                }
                prop_assert!(handed.insert(key.clone()), "{} twice", key);
                match fates[&key] {
                    0 => walk.failed(&key, "no"),
                    1 => walk.degraded(&key, "broken"),
                    _ => walk.healthy(&key),
                }
            }
        }
        let problems: BTreeSet<_> = graph.problems().map(|(key, _)| key.clone()).collect();
        let blocked: BTreeSet<_> = walk.blocked().into_iter().map(|blocked| blocked.key).collect();
        let waiting: BTreeSet<_> = walk.waiting().into_iter().map(|waiting| waiting.key).collect();
        for desired in &set {
            let key = &desired.key;
            let places = [&handed, &problems, &blocked, &waiting];
            prop_assert_eq!(places.iter().filter(|set| set.contains(key)).count(), 1, "{}", key);
        }
        for blocked in walk.blocked() {
            prop_assert!(blocked.to_string().contains("which failed"), "{}", blocked);
        }
        for waiting in walk.waiting() {
            prop_assert!(waiting.to_string().contains("which is not ready"), "{}", waiting);
        }
    }

    /// What is as declared is not touched, whatever the server adds.
    #[test]
    fn the_plan_of_an_equal_cluster_is_empty(set in set()) {
        let observed: Vec<_> = set.iter().enumerate().map(|(at, desired)| {
            let live = live(desired, at);
            Observed { live: Some(live.clone()), dry_run: DryRun::Accepted(live) }
        }).collect();
        let plan = planned(&set, &observed, &[], &Rules::default());
        let open = |verb: &Verb| !matches!(verb, Verb::Unchanged | Verb::Refused);
        // Cycles that somebody wrote are refused even then.
        let found: Vec<_> = plan.actions.iter().filter(|action| open(&action.verb)).collect();
        prop_assert!(found.is_empty(), "{found:?}");
        let cycles = Graph::new(&set).problems().count();
        prop_assert_eq!(plan.count(Verb::Refused), cycles);
    }

    /// Nothing that is declared, or that does not carry our mark, or that is declared under another group is deleted; and
    /// nothing at all while anything is refused.
    #[test]
    fn deletions_are_never_of_what_is_wanted(
        set in set(),
        old in set(),
        marks in prop::collection::vec(0..4_u8, 14),
        refused in prop::option::weighted(0.3, 0..14_usize),
    ) {
        let observed: Vec<_> = set.iter().enumerate().map(|(at, desired)| {
            let live = live(desired, at);
            let dry_run = if refused == Some(at) {
                DryRun::Refused(Refusal { message: "no".to_owned(), immutable: Vec::new(), transient: false })
            } else {
                DryRun::Accepted(live.clone())
            };
            Observed { live: Some(live), dry_run }
        }).collect();
        let declared: BTreeSet<_> = set.iter().map(|desired| &desired.key).collect();
        let candidates: Vec<_> = old.iter().enumerate().filter(|(_, old)| !declared.contains(&old.key)).map(|(at, old)| {
            let mut object = live(old, 100 + at);
            match marks[at] {
                0 => object["metadata"]["annotations"]["ordain.dev/app"] = "dev/db".into(),
                1 => object["metadata"]["annotations"]["ordain.dev/prune"] = "disabled".into(),
                2 => object["metadata"]["uid"] = "uid-0".into(),
                _ => {}
            }
            let version = ApiVersion::parse(object["apiVersion"].as_str().unwrap_or_default());
            Candidate { key: old.key.clone(), version, live: Some(object) }
        }).collect();
        let plan = planned(&set, &observed, &candidates, &Rules::default());
        let stopped = plan.count(Verb::Refused) + plan.count(Verb::Blocked) > 0;
        for action in &plan.actions {
            if matches!(action.verb, Verb::Delete | Verb::Held) {
                prop_assert!(!declared.contains(&action.key));
                prop_assert!(!stopped, "{}", plan);
                let at = old.iter().position(|old| old.key == action.key).expect("a candidate");
                prop_assert!(marks[at] > 1, "{}", plan);
                prop_assert!(marks[at] != 2 || set.is_empty());
                prop_assert!(action.key.kind != "Namespace" || set.iter().all(|desired| desired.key.namespace.is_none()));
            }
        }
        // An order that respects what they need of each other.
        prop_assert_eq!(plan.actions.len(), set.len() + candidates.len());
        if set.is_empty() {
            prop_assert_eq!(plan.count(Verb::Delete), 0, "an empty commit deletes nothing");
        }
    }

    /// Without rules what is sent is what is declared; with them nothing else than ignored fields is sent otherwise.
    #[test]
    fn what_is_sent_differs_in_ignored_fields_alone(desired in object(), other in object(), replicas in 0..3_i64) {
        let desired = prepared(desired);
        let mut live = live(&prepared(other), 0);
        live["spec"]["replicas"] = replicas.into();
        let none = Rules::default().ignored(&desired, &live);
        prop_assert_eq!(none.payload(&desired.object, &live), desired.object.clone());
        let paths = vec!["/spec/replicas".to_owned(), "/spec/template/spec/containers/*".to_owned()];
        let ignores = Ignores::new(&[IgnoreRule { paths, ..IgnoreRule::default() }]).expect("a rule");
        let ignored = ignores.of(&desired, &live);
        let sent = ignored.payload(&desired.object, &live);
        prop_assert_eq!(ignored.compared(&sent), ignored.compared(&desired.object));
        prop_assert!(!ignored.differs(&sent, &desired.object));
    }
}
