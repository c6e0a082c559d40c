//! Policies: what each rule allows, from a table; and what is said of a file with a mistake.

use std::path::Path;

use ordain_reconciler_engine::{
    Policy, PolicyError,
    policy::{Subject, judge},
};
use ordain_reconciler_plan::{ObjectKey, health::HealthRules};

fn parse(text: &str) -> Result<Policy, PolicyError> {
    Policy::parse(text, |_| Ok(HealthRules::default()))
}

#[test]
fn rules_say_what_the_table_says() {
    let policy = parse(include_str!("policies/team.toml")).expect("it is right");
    let cases = include_str!("policies/cases.txt");
    for case in cases.lines().filter(|line| !line.starts_with('#')) {
        let mut parts = case.split(" | ");
        let mut part = || parts.next().expect("three parts");
        let (subject, object, wanted) = (part(), part(), part());
        let [app, env, cluster, repository] = words(subject);
        let [group, kind, namespace, name, at] = words(object);
        let some = |word: &str| Some(word).filter(|word| *word != "-").map(str::to_owned);
        let key = ObjectKey {
            group: some(group).unwrap_or_default(),
            kind: kind.to_owned(),
            namespace: some(namespace),
            name: name.to_owned(),
        };
        let subject = Subject {
            app,
            env,
            cluster,
            repository,
        };
        let refused = judge(&policy, &subject, [(&key, Some(at))]);
        let said = refused.first().map_or("ok", |refused| &refused.message);
        assert_eq!(said, wanted, "{case}");
    }
    let account = "system:serviceaccount:team-a:deployer";
    assert_eq!(policy.user("a-web", "prod").as_deref(), Some(account));
    assert_eq!(policy.user("platform", "prod"), None);
}

fn words<const N: usize>(text: &str) -> [&str; N] {
    let words: Vec<_> = text.split_whitespace().collect();
    words.try_into().expect("as many words as the head says")
}

#[test]
fn a_policy_that_says_nothing_refuses_nothing_but_what_no_rule_names() {
    let open = parse("[[rule]]\nname = \"all\"\n").expect("it is right");
    let none = parse("").expect("it is right");
    let key = ObjectKey {
        group: String::new(),
        kind: "Node".to_owned(),
        namespace: None,
        name: "n".to_owned(),
    };
    let subject = Subject {
        app: "a",
        env: "b",
        cluster: "c",
        repository: "d",
    };
    assert!(judge(&open, &subject, [(&key, None)]).is_empty());
    assert_eq!(judge(&none, &subject, [(&key, None)]).len(), 1);
}

#[test]
fn mistakes_in_a_policy_are_named_with_their_place() {
    for (text, wanted) in [
        (
            "[[rule]]\nname = \"a\"\nallow.kind = [\"x\"]\n",
            "unknown field `kind`",
        ),
        ("[[rules]]\nname = \"a\"\n", "unknown field `rules`"),
        ("[[rule]]\napps = [\"x\"]\n", "missing field `name`"),
        (
            "[[rule]]\nname = \"a\"\n[[rule]]\nname = \"a\"\n",
            "two rules of this name",
        ),
        (
            "[[rule]]\nname = \"a\"\nservice-account = \"x\"\n",
            "rule `a` of the policy: `service-account` is `NAMESPACE/NAME`, not `x`",
        ),
        (
            "[[rule]]\nname = \"a\"\nallow.kinds = []\n",
            "`allow.kinds` names nothing; leave it out",
        ),
        (
            "[[rule]]\nname = \"a\"\napps = [\"\"]\n",
            "`apps` names nothing",
        ),
        ("[[rule]]\nname = \"a\"\ncluster-wide = 3\n", "line 3"),
    ] {
        let error = parse(text).expect_err(text);
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let said = format!("{error}: {}", cause.unwrap_or_default());
        assert!(said.contains(wanted), "{text}\n{said}");
    }
    let missing = Policy::load(Path::new("/nowhere/policy.toml")).expect_err("not there");
    assert_eq!(missing.to_string(), "cannot read `/nowhere/policy.toml`");
}
