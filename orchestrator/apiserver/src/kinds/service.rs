//! Services, endpoints, Ingress and NetworkPolicy.
//!
//! Cluster addresses and node ports are handed out by [`crate::services`], not here.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{NameRule, Strategy, validate as rules};
use crate::{
    json::{
        as_map, at, default, default_str, each_map, entry_map, int_at, list_at, map_at, str_at,
    },
    status::{Cause, FieldError},
};

pub(crate) struct Service;
pub(crate) struct Endpoints;
pub(crate) struct EndpointSlice;
pub(crate) struct Ingress;
pub(crate) struct NetworkPolicy;

impl Strategy for Service {
    fn default(&self, object: &mut Value) {
        let spec = entry_map(as_map(object), "spec");
        default_str(spec, "sessionAffinity", "None");
        default_str(spec, "type", "ClusterIP");
        if spec["sessionAffinity"] == "ClientIP" {
            let config = entry_map(entry_map(spec, "sessionAffinityConfig"), "clientIP");
            // Three hours, as `DefaultClientIPServiceAffinitySeconds`.
            default(config, "timeoutSeconds", 10_800);
        } else {
            spec.shift_remove("sessionAffinityConfig");
        }
        each_map(spec, "ports", |port| {
            default_str(port, "protocol", "TCP");
            let number = port.get("port").cloned().unwrap_or(Value::Null);
            let unset = port
                .get("targetPort")
                .is_none_or(|t| t.is_null() || t == 0 || t == "");
            if unset && !number.is_null() {
                port.insert("targetPort".into(), number);
            }
        });
        let kind = spec["type"].as_str().unwrap_or("").to_owned();
        if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
            default_str(spec, "externalTrafficPolicy", "Cluster");
        }
        if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
            default_str(spec, "internalTrafficPolicy", "Cluster");
        }
        if kind == "LoadBalancer" {
            default(spec, "allocateLoadBalancerNodePorts", true);
        }
        default(
            entry_map(as_map(object), "status"),
            "loadBalancer",
            json!({}),
        );
    }

    fn prepare_create(&self, object: &mut Value) {
        object["status"] = json!({"loadBalancer": {}});
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        let spec = at(object, &["spec"]).unwrap_or(&Value::Null);
        let kind = str_at(spec, &["type"]);
        let allowed = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
        if !allowed.contains(&kind) {
            causes.push(Cause::unsupported("spec.type", &kind.into(), &allowed));
        }
        let affinity = str_at(spec, &["sessionAffinity"]);
        if !["ClientIP", "None"].contains(&affinity) {
            causes.push(Cause::unsupported(
                "spec.sessionAffinity",
                &affinity.into(),
                &["ClientIP", "None"],
            ));
        }
        if let Some(selector) = map_at(spec, &["selector"]) {
            rules::labels(selector, "spec.selector", causes);
        }
        let headless = str_at(spec, &["clusterIP"]) == "None";
        if kind == "ExternalName" {
            let name = str_at(spec, &["externalName"]).trim_end_matches('.');
            if name.is_empty() {
                causes.push(Cause::required("spec.externalName", ""));
            } else if let Some(fault) = rules::name_fault(NameRule::Subdomain, name) {
                causes.push(Cause::invalid("spec.externalName", &name.into(), &fault));
            }
            return;
        }
        if headless && matches!(kind, "NodePort" | "LoadBalancer") {
            let why = format!("may not be set to 'None' for {kind} services");
            causes.push(Cause::invalid("spec.clusterIPs[0]", &"None".into(), &why));
        }
        service_ports(spec, headless, causes);
    }

    fn validate_update(&self, new: &Value, old: &Value, causes: &mut Vec<FieldError>) {
        let external = |o: &Value| str_at(o, &["spec", "type"]) == "ExternalName";
        let ip = str_at(old, &["spec", "clusterIP"]);
        if !external(new)
            && !external(old)
            && !ip.is_empty()
            && str_at(new, &["spec", "clusterIP"]) != ip
        {
            let value = &json!([str_at(new, &["spec", "clusterIP"])]);
            causes.push(Cause::invalid(
                "spec.clusterIPs[0]",
                value,
                "may not change once set",
            ));
        }
    }

    fn name_rule(&self) -> NameRule {
        NameRule::Label1035
    }
}

fn service_ports(spec: &Value, headless: bool, causes: &mut Vec<FieldError>) {
    let ports = list_at(spec, &["ports"]);
    if ports.is_empty() && !headless {
        causes.push(Cause::required("spec.ports", ""));
    }
    let (mut names, mut numbers, mut node_ports) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        let name = str_at(port, &["name"]);
        if name.is_empty() && ports.len() > 1 {
            causes.push(Cause::required(format!("{path}.name"), ""));
        } else if !name.is_empty() {
            if let Some(fault) = rules::name_fault(NameRule::Label, name) {
                causes.push(Cause::invalid(format!("{path}.name"), &name.into(), &fault));
            } else if !names.insert(name) {
                causes.push(Cause::duplicate(format!("{path}.name"), &name.into()));
            }
        }
        let number = port.get("port").unwrap_or(&Value::Null);
        rules::port(number, &format!("{path}.port"), causes);
        let protocol = str_at(port, &["protocol"]);
        if !["SCTP", "TCP", "UDP"].contains(&protocol) {
            let allowed = &["SCTP", "TCP", "UDP"];
            causes.push(Cause::unsupported(
                format!("{path}.protocol"),
                &protocol.into(),
                allowed,
            ));
        }
        if !numbers.insert((protocol, number.as_i64())) {
            let value = json!({"port": number, "protocol": protocol});
            causes.push(Cause::duplicate(path.clone(), &value));
        }
        if let Some(target) = port.get("targetPort") {
            rules::port_or_name(target, &format!("{path}.targetPort"), causes);
        }
        if let Some(node_port) = int_at(port, &["nodePort"]).filter(|n| *n != 0) {
            if str_at(spec, &["type"]) == "ClusterIP" {
                let why = "may not be used when `type` is 'ClusterIP'";
                causes.push(Cause::forbidden(format!("{path}.nodePort"), why));
            } else if !node_ports.insert((protocol, node_port)) {
                causes.push(Cause::duplicate(
                    format!("{path}.nodePort"),
                    &node_port.into(),
                ));
            }
        }
    }
}

impl Strategy for Endpoints {
    fn default(&self, object: &mut Value) {
        each_map(as_map(object), "subsets", |subset| {
            each_map(subset, "ports", |port| default_str(port, "protocol", "TCP"));
        });
    }
}

impl Strategy for EndpointSlice {
    fn default(&self, object: &mut Value) {
        each_map(as_map(object), "ports", |port| {
            default(port, "name", "");
            default_str(port, "protocol", "TCP");
        });
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        let kind = str_at(object, &["addressType"]);
        let allowed = ["FQDN", "IPv4", "IPv6"];
        if kind.is_empty() {
            causes.push(Cause::required("addressType", ""));
        } else if !allowed.contains(&kind) {
            causes.push(Cause::unsupported("addressType", &kind.into(), &allowed));
        }
        for (index, endpoint) in list_at(object, &["endpoints"]).iter().enumerate() {
            if list_at(endpoint, &["addresses"]).is_empty() {
                let why = "must contain at least 1 address";
                causes.push(Cause::required(
                    format!("endpoints[{index}].addresses"),
                    why,
                ));
            }
        }
    }

    fn validate_update(&self, new: &Value, old: &Value, causes: &mut Vec<FieldError>) {
        rules::immutable(new, old, &["addressType"], causes);
    }

    fn has_generation(&self) -> bool {
        true
    }
}

impl Strategy for Ingress {
    fn prepare_create(&self, object: &mut Value) {
        object["status"] = json!({"loadBalancer": {}});
    }

    fn validate(&self, object: &Value, causes: &mut Vec<FieldError>) {
        let spec = at(object, &["spec"]).unwrap_or(&Value::Null);
        let ingress_rules = list_at(spec, &["rules"]);
        if ingress_rules.is_empty() && spec.get("defaultBackend").is_none() {
            let why = "either `defaultBackend` or `rules` must be specified";
            causes.push(Cause::invalid("spec", spec, why));
        }
        for (index, rule) in ingress_rules.iter().enumerate() {
            for (path_index, entry) in list_at(rule, &["http", "paths"]).iter().enumerate() {
                let path = format!("spec.rules[{index}].http.paths[{path_index}]");
                let kind = str_at(entry, &["pathType"]);
                let allowed = ["Exact", "ImplementationSpecific", "Prefix"];
                if kind.is_empty() {
                    causes.push(Cause::required(
                        format!("{path}.pathType"),
                        "pathType must be specified",
                    ));
                } else if !allowed.contains(&kind) {
                    causes.push(Cause::unsupported(
                        format!("{path}.pathType"),
                        &kind.into(),
                        &allowed,
                    ));
                } else if kind != "ImplementationSpecific"
                    && !str_at(entry, &["path"]).starts_with('/')
                {
                    let value = entry.get("path").unwrap_or(&Value::Null);
                    causes.push(Cause::invalid(
                        format!("{path}.path"),
                        value,
                        "must be an absolute path",
                    ));
                }
                let service = at(entry, &["backend", "service"]);
                if let Some(service) = service
                    && str_at(service, &["name"]).is_empty()
                {
                    causes.push(Cause::required(format!("{path}.backend.service.name"), ""));
                }
            }
        }
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn create_on_update(&self) -> bool {
        false
    }
}

impl Strategy for NetworkPolicy {
    fn default(&self, object: &mut Value) {
        let spec = entry_map(as_map(object), "spec");
        for (field, _) in [("ingress", "from"), ("egress", "to")] {
            each_map(spec, field, |rule| {
                each_map(rule, "ports", |port| default_str(port, "protocol", "TCP"));
            });
        }
        let mut types = vec!["Ingress"];
        if spec
            .get("egress")
            .and_then(Value::as_array)
            .is_some_and(|e| !e.is_empty())
        {
            types.push("Egress");
        }
        if spec
            .get("policyTypes")
            .and_then(Value::as_array)
            .is_none_or(Vec::is_empty)
        {
            spec.insert("policyTypes".into(), types.into());
        }
    }

    fn has_generation(&self) -> bool {
        true
    }
}
