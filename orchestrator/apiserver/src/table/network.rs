//! Rows of services, endpoints, Ingress and NetworkPolicy.

use jiff::Timestamp;
use serde_json::Value;

use super::{AGE, Column, NAME, cells};
use crate::json::{at, int_at, list_at, map_at, str_at};

const fn text(name: &'static str) -> Column {
    Column(name, "string", "", 0)
}

pub(super) const SERVICE: &[Column] = &[
    NAME,
    text("Type"),
    text("Cluster-IP"),
    text("External-IP"),
    text("Port(s)"),
    AGE,
    Column("Selector", "string", "", 1),
];

pub(super) fn service(object: &Value, now: Timestamp) -> Vec<Value> {
    let spec = at(object, &["spec"]).unwrap_or(&Value::Null);
    let strings = |list: &[Value]| {
        list.iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut external = strings(list_at(spec, &["externalIPs"]));
    let kind = str_at(spec, &["type"]);
    if kind == "LoadBalancer" {
        for ingress in list_at(object, &["status", "loadBalancer", "ingress"]) {
            let ip = str_at(ingress, &["ip"]);
            external.push(cells::or(ip, str_at(ingress, &["hostname"])).to_owned());
        }
    }
    let external = match (kind, external.is_empty()) {
        ("ExternalName", _) => str_at(spec, &["externalName"]).to_owned(),
        (_, false) => external.join(","),
        ("LoadBalancer", true) => "<pending>".to_owned(),
        _ => cells::NONE.to_owned(),
    };
    let ports: Vec<String> = list_at(spec, &["ports"])
        .iter()
        .map(|port| {
            let (number, protocol) = (cells::number(port, &["port"]), str_at(port, &["protocol"]));
            match int_at(port, &["nodePort"]).filter(|n| *n > 0) {
                Some(node_port) => format!("{number}:{node_port}/{protocol}"),
                None => format!("{number}/{protocol}"),
            }
        })
        .collect();
    vec![
        cells::name(object),
        kind.into(),
        cells::or(str_at(spec, &["clusterIP"]), cells::NONE).into(),
        external.into(),
        if ports.is_empty() {
            cells::NONE.to_owned()
        } else {
            ports.join(",")
        }
        .into(),
        cells::age(object, now),
        cells::pairs(map_at(spec, &["selector"])).into(),
    ]
}

pub(super) const ENDPOINTS: &[Column] = &[NAME, text("Endpoints"), AGE];

/// Joins at most three and says how many more there are, as upstream does.
fn first_three(list: &[String]) -> String {
    match list.len() {
        0 => cells::NONE.to_owned(),
        n if n > 3 => format!("{} + {} more...", list[..3].join(","), n - 3),
        _ => list.join(","),
    }
}

pub(super) fn endpoints(object: &Value, now: Timestamp) -> Vec<Value> {
    let mut list = Vec::new();
    for subset in list_at(object, &["subsets"]) {
        let ports = list_at(subset, &["ports"]);
        for address in list_at(subset, &["addresses"]) {
            let ip = str_at(address, &["ip"]);
            if ports.is_empty() {
                list.push(ip.to_owned());
            }
            for port in ports {
                list.push(format!("{ip}:{}", cells::number(port, &["port"])));
            }
        }
    }
    vec![
        cells::name(object),
        first_three(&list).into(),
        cells::age(object, now),
    ]
}

pub(super) const ENDPOINT_SLICE: &[Column] = &[
    NAME,
    text("AddressType"),
    text("Ports"),
    text("Endpoints"),
    AGE,
];

pub(super) fn endpoint_slice(object: &Value, now: Timestamp) -> Vec<Value> {
    let ports: Vec<String> = list_at(object, &["ports"])
        .iter()
        .map(|p| int_at(p, &["port"]).map_or("*".to_owned(), |n| n.to_string()))
        .collect();
    let addresses: Vec<String> = list_at(object, &["endpoints"])
        .iter()
        .flat_map(|e| list_at(e, &["addresses"]))
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let unset = |shown: String| {
        if shown == cells::NONE {
            "<unset>".to_owned()
        } else {
            shown
        }
    };
    vec![
        cells::name(object),
        str_at(object, &["addressType"]).into(),
        unset(first_three(&ports)).into(),
        unset(first_three(&addresses)).into(),
        cells::age(object, now),
    ]
}

pub(super) const INGRESS: &[Column] = &[
    NAME,
    text("Class"),
    text("Hosts"),
    text("Address"),
    text("Ports"),
    AGE,
];

pub(super) fn ingress(object: &Value, now: Timestamp) -> Vec<Value> {
    let hosts: Vec<String> = list_at(object, &["spec", "rules"])
        .iter()
        .map(|r| str_at(r, &["host"]).to_owned())
        .filter(|h| !h.is_empty())
        .collect();
    let addresses: Vec<&str> = list_at(object, &["status", "loadBalancer", "ingress"])
        .iter()
        .map(|i| cells::or(str_at(i, &["ip"]), str_at(i, &["hostname"])))
        .collect();
    let tls = !list_at(object, &["spec", "tls"]).is_empty();
    vec![
        cells::name(object),
        cells::or(str_at(object, &["spec", "ingressClassName"]), cells::NONE).into(),
        if hosts.is_empty() {
            "*".to_owned()
        } else {
            first_three(&hosts)
        }
        .into(),
        addresses.join(",").into(),
        if tls { "80, 443" } else { "80" }.into(),
        cells::age(object, now),
    ]
}

pub(super) const INGRESS_CLASS: &[Column] = &[NAME, text("Controller"), text("Parameters"), AGE];

pub(super) fn ingress_class(object: &Value, now: Timestamp) -> Vec<Value> {
    let parameters = match at(object, &["spec", "parameters"]) {
        None => cells::NONE.to_owned(),
        Some(p) => {
            let group = str_at(p, &["apiGroup"]);
            let dot = if group.is_empty() { "" } else { "." };
            format!(
                "{}{dot}{group}/{}",
                str_at(p, &["kind"]),
                str_at(p, &["name"])
            )
        }
    };
    vec![
        cells::name(object),
        str_at(object, &["spec", "controller"]).into(),
        parameters.into(),
        cells::age(object, now),
    ]
}

pub(super) const NETWORK_POLICY: &[Column] = &[NAME, text("Pod-Selector"), AGE];

pub(super) fn network_policy(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        cells::name(object),
        cells::selector(at(object, &["spec", "podSelector"])).into(),
        cells::age(object, now),
    ]
}
