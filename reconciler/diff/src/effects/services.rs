//! Services and Ingresses that can be reached from outside of the cluster.

use serde_json::Value;

use crate::{EffectKind, Level, Verb};

use super::{Changed, Found, list, names, text};

pub(super) fn look(changed: &Changed<'_>, found: &mut Found) {
    let Some(new) = changed.new else {
        return;
    };
    if changed.verb == Verb::Delete {
        return;
    }
    if changed.is("", "Service") {
        service(changed, new, found);
    } else if changed.is("networking.k8s.io", "Ingress") {
        ingress(changed, new, found);
    }
}

fn service(changed: &Changed<'_>, new: &Value, found: &mut Found) {
    let kind_of = |service: &Value| text(service, "/spec/type").to_owned();
    let (before, now) = (changed.old.map(kind_of), kind_of(new));
    let is_open = |kind: &str| matches!(kind, "LoadBalancer" | "NodePort");
    if is_open(&now) && !before.as_deref().is_some_and(is_open) {
        let ports: Vec<String> = list(new, "/spec/ports")
            .iter()
            .map(|port| port["port"].to_string())
            .collect();
        let word = if ports.len() == 1 { "port" } else { "ports" };
        let how = match now.as_str() {
            "LoadBalancer" => "a load balancer",
            _ => "a port of every node",
        };
        let path = changed.field("spec.type").map(|field| field.path.as_str());
        found.at(
            EffectKind::Exposes,
            Level::Warning,
            format!("{word} {} through {how} ({now})", names(&ports)),
            path,
        );
    }
    let addresses = |service: &Value| -> Vec<String> {
        let all = list(service, "/spec/externalIPs").iter();
        all.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let old = changed.old.map(addresses).unwrap_or_default();
    let more: Vec<String> = addresses(new)
        .into_iter()
        .filter(|address| !old.contains(address))
        .collect();
    if !more.is_empty() {
        let field = changed.field("spec.externalIPs");
        found.at(
            EffectKind::Exposes,
            Level::Warning,
            format!("at the external address {}", names(&more)),
            field.map(|field| field.path.as_str()),
        );
    }
}

fn ingress(changed: &Changed<'_>, new: &Value, found: &mut Found) {
    let hosts = |ingress: &Value| -> Vec<String> {
        let rules = list(ingress, "/spec/rules").iter();
        let hosts = rules.map(|rule| match text(rule, "/host") {
            "" => "every host".to_owned(),
            host => format!("`{host}`"),
        });
        hosts.collect()
    };
    let old = changed.old.map(hosts).unwrap_or_default();
    let mut more: Vec<String> = hosts(new);
    more.retain(|host| !old.contains(host));
    more.dedup();
    if !more.is_empty() {
        let field = changed.field("spec.rules");
        found.at(
            EffectKind::Exposes,
            Level::Note,
            format!("answers for {}", names(&more)),
            field.map(|field| field.path.as_str()),
        );
    }
}
