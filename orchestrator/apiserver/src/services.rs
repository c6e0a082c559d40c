//! Hands out cluster addresses and node ports to Services.
//!
//! What is taken is read from the stored Services themselves, under a lock, so there is no second
//! record that could disagree with them (upstream keeps a bitmap and repairs it).

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, Ipv4Addr},
    ops::RangeInclusive,
    str::FromStr,
    sync::Arc,
};

use ordain_orchestrator_store::{Entry, Key, Revision};
use serde_json::{Value, json};

use crate::{
    json::{as_map, bool_at, each_map, entry_map, int_at, list_at, str_at},
    object,
    status::{Cause, FieldError},
};

/// A range of IPv4 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cidr {
    base: u32,
    bits: u32,
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Cidr, String> {
        let (ip, bits) = text.split_once('/').ok_or("it has no `/` with a length")?;
        let ip: Ipv4Addr = ip
            .parse()
            .map_err(|_| format!("`{ip}` is not an IPv4 address"))?;
        let bits: u32 = bits
            .parse()
            .map_err(|_| format!("`{bits}` is not a length"))?;
        if !(8..=28).contains(&bits) {
            return Err("its length must be from 8 to 28".to_owned());
        }
        let base = u32::from(ip);
        if base & (u32::MAX >> bits) != 0 {
            return Err("the address has bits set behind the length".to_owned());
        }
        Ok(Cidr { base, bits })
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.bits)
    }
}

impl Cidr {
    /// Returns the first address, which the `kubernetes` Service has.
    pub(crate) fn first(self) -> Ipv4Addr {
        Ipv4Addr::from(self.base + 1)
    }

    /// Returns how many addresses can be handed out.
    fn size(self) -> u32 {
        (u32::MAX >> self.bits) - 1
    }

    fn contains(self, ip: Ipv4Addr) -> bool {
        let offset = u32::from(ip).wrapping_sub(self.base);
        (1..=self.size()).contains(&offset)
    }
}

/// What Services have, and by how many of them.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    addresses: HashMap<Ipv4Addr, usize>,
    node_ports: HashMap<(String, u16), usize>,
}

/// What one Service has.
#[derive(Debug, Default)]
struct Held {
    address: Option<Ipv4Addr>,
    node_ports: Vec<(String, u16)>,
}

impl Held {
    fn of(service: &Value) -> Held {
        let ports = list_at(service, &["spec", "ports"]).iter();
        let node_ports = ports.filter_map(|port| {
            let number = int_at(port, &["nodePort"]).and_then(|n| u16::try_from(n).ok());
            let number = number.filter(|n| *n != 0)?;
            Some((str_at(port, &["protocol"]).to_owned(), number))
        });
        Held {
            address: str_at(service, &["spec", "clusterIP"]).parse().ok(),
            node_ports: node_ports.collect(),
        }
    }
}

impl Taken {
    /// Adds what a Service has.
    #[cfg(test)]
    pub(crate) fn add(&mut self, service: &Value) {
        self.take(&Held::of(service));
    }

    fn take(&mut self, held: &Held) {
        if let Some(address) = held.address {
            *self.addresses.entry(address).or_default() += 1;
        }
        for port in &held.node_ports {
            *self.node_ports.entry(port.clone()).or_default() += 1;
        }
    }

    fn release(&mut self, held: &Held) {
        fn less<K: std::hash::Hash + Eq>(map: &mut HashMap<K, usize>, key: &K) {
            if let Some(count) = map.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    map.remove(key);
                }
            }
        }
        if let Some(address) = &held.address {
            less(&mut self.addresses, address);
        }
        held.node_ports
            .iter()
            .for_each(|port| less(&mut self.node_ports, port));
    }
}

/// What all stored Services have, as of the last look: of each look only the Services that changed are read.
#[derive(Debug, Default)]
pub(crate) struct Allocated {
    known: HashMap<Key, Known>,
    taken: Taken,
    look: u64,
}

#[derive(Debug)]
struct Known {
    revision: Revision,
    held: Held,
    /// The last look that found it.
    look: u64,
}

impl Allocated {
    /// Looks at all Services as they are stored now.
    pub(crate) fn look(&mut self, services: &[Arc<Entry>]) -> &Taken {
        self.look += 1;
        for entry in services {
            if let Some(known) = self.known.get_mut(&entry.key)
                && known.revision == entry.mod_revision
            {
                known.look = self.look;
                continue;
            }
            let held = object::decode(&entry.value, 0)
                .map_or_else(Held::default, |service| Held::of(&service));
            self.taken.take(&held);
            let known = Known {
                revision: entry.mod_revision,
                held,
                look: self.look,
            };
            if let Some(before) = self.known.insert(entry.key.clone(), known) {
                self.taken.release(&before.held);
            }
        }
        if self.known.len() > services.len() {
            let (taken, look) = (&mut self.taken, self.look);
            self.known.retain(|_, known| {
                let stays = known.look == look;
                if !stays {
                    taken.release(&known.held);
                }
                stays
            });
        }
        &self.taken
    }
}

/// True when a changed Service wants nothing that it does not have already.
pub(crate) fn keeps_all(service: &Value, old: &Value) -> bool {
    let (before, asked) = (
        str_at(old, &["spec", "clusterIP"]),
        str_at(service, &["spec", "clusterIP"]),
    );
    let kind = str_at(service, &["spec", "type"]);
    matches!(kind, "" | "ClusterIP") && !before.is_empty() && (asked.is_empty() || asked == before)
}

/// The ranges to hand out from.
#[derive(Clone, Debug)]
pub(crate) struct Ranges {
    pub(crate) cidr: Cidr,
    pub(crate) node_ports: RangeInclusive<u16>,
}

/// Gives a Service its addresses and node ports; `old` is what it was before, `salt` spreads the
/// choice over the ranges.
pub(crate) fn assign(
    service: &mut Value,
    old: Option<&Value>,
    taken: &Taken,
    ranges: &Ranges,
    salt: u32,
) -> Vec<FieldError> {
    let mut causes = Vec::new();
    let kind = str_at(service, &["spec", "type"]).to_owned();
    let spec = entry_map(as_map(service), "spec");
    if kind == "ExternalName" {
        for field in [
            "clusterIP",
            "clusterIPs",
            "ipFamilies",
            "ipFamilyPolicy",
            "internalTrafficPolicy",
        ] {
            spec.shift_remove(field);
        }
        return causes;
    }
    // An update that leaves the address out keeps it.
    if let Some(old) = old.filter(|o| !str_at(o, &["spec", "clusterIP"]).is_empty())
        && spec
            .get("clusterIP")
            .and_then(Value::as_str)
            .unwrap_or("")
            .is_empty()
    {
        spec.insert("clusterIP".into(), old["spec"]["clusterIP"].clone());
    }
    let asked = spec
        .get("clusterIP")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned();
    let kept = old.is_some_and(|o| str_at(o, &["spec", "clusterIP"]) == asked && !asked.is_empty());
    let mut chosen = asked.clone();
    if asked.is_empty() {
        match free_address(taken, ranges.cidr, salt) {
            Some(ip) => chosen = ip.to_string(),
            None => causes.push(Cause::invalid(
                "spec.clusterIPs",
                &Value::Null,
                "failed to allocate IP: range is full",
            )),
        }
    } else if asked != "None" && !kept {
        match asked.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) if !ranges.cidr.contains(ip) => {
                let why = format!(
                    "failed to allocate IP {ip}: the provided IP ({ip}) is not in the valid range. The range of valid IPs is {}",
                    ranges.cidr
                );
                causes.push(Cause::invalid("spec.clusterIPs", &json!([asked]), &why));
            }
            Ok(IpAddr::V4(ip)) if taken.addresses.contains_key(&ip) => {
                let why = format!("failed to allocate IP {ip}: provided IP is already allocated");
                causes.push(Cause::invalid("spec.clusterIPs", &json!([asked]), &why));
            }
            Ok(IpAddr::V4(_)) => {}
            _ => {
                let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
                causes.push(Cause::invalid(
                    "spec.clusterIPs[0]",
                    &asked.as_str().into(),
                    why,
                ));
            }
        }
    }
    spec.insert("clusterIPs".into(), json!([chosen]));
    spec.insert("clusterIP".into(), chosen.into());
    spec.insert("ipFamilies".into(), json!(["IPv4"]));
    let policy = spec
        .entry("ipFamilyPolicy")
        .or_insert_with(|| "SingleStack".into());
    if policy.as_str() != Some("PreferDualStack") {
        *policy = "SingleStack".into();
    }
    node_ports(service, old, &kind, taken, ranges, salt, &mut causes);
    causes
}

fn node_ports(
    service: &mut Value,
    old: Option<&Value>,
    kind: &str,
    taken: &Taken,
    ranges: &Ranges,
    salt: u32,
    causes: &mut Vec<FieldError>,
) {
    let wants = kind == "NodePort"
        || (kind == "LoadBalancer" && bool_at(service, &["spec", "allocateLoadBalancerNodePorts"]));
    let old_ports = old.map_or(&[][..], |o| list_at(o, &["spec", "ports"]));
    let mut mine: HashSet<(String, u16)> = HashSet::new();
    let mut index = 0;
    each_map(entry_map(as_map(service), "spec"), "ports", |port| {
        let path = format!("spec.ports[{index}].nodePort");
        index += 1;
        let protocol = port
            .get("protocol")
            .and_then(Value::as_str)
            .unwrap_or("TCP")
            .to_owned();
        let same = |o: &&Value| {
            o.get("protocol").and_then(Value::as_str) == Some(protocol.as_str())
                && o.get("port") == port.get("port")
        };
        let before = old_ports
            .iter()
            .find(same)
            .and_then(|o| int_at(o, &["nodePort"]))
            .filter(|n| *n != 0);
        let asked = port
            .get("nodePort")
            .and_then(Value::as_i64)
            .filter(|n| *n != 0);
        if !wants {
            // A Service that becomes ClusterIP gives its ports back.
            if asked.is_none() || asked == before {
                port.shift_remove("nodePort");
            }
            return;
        }
        let Some(number) = asked.or(before) else {
            match free_port(taken, &mine, &protocol, &ranges.node_ports, salt) {
                Some(number) => {
                    mine.insert((protocol, number));
                    port.insert("nodePort".into(), number.into());
                }
                None => causes.push(Cause::invalid(path, &0.into(), "range is full")),
            }
            return;
        };
        let valid = u16::try_from(number)
            .ok()
            .filter(|n| ranges.node_ports.contains(n));
        let Some(valid) = valid else {
            let (first, last) = (ranges.node_ports.start(), ranges.node_ports.end());
            let why = format!(
                "provided port is not in the valid range. The range of valid ports is {first}-{last}"
            );
            causes.push(Cause::invalid(path, &number.into(), &why));
            return;
        };
        let key = (protocol, valid);
        let was_mine = old_ports
            .iter()
            .any(|o| int_at(o, &["nodePort"]) == Some(number));
        if !was_mine && taken.node_ports.contains_key(&key) {
            causes.push(Cause::invalid(
                path,
                &number.into(),
                "provided port is already allocated",
            ));
        }
        mine.insert(key);
        port.insert("nodePort".into(), number.into());
    });
}

fn free_address(taken: &Taken, cidr: Cidr, salt: u32) -> Option<Ipv4Addr> {
    let size = cidr.size();
    // The first sixteenth is left for addresses that people choose, as upstream does
    // (KEP-3070), and the very first belongs to the `kubernetes` Service.
    let reserved = (size / 16).clamp(1, 256);
    let offset = |step: u32| reserved + 1 + (salt.wrapping_add(step)) % (size - reserved);
    (0..size - reserved)
        .map(|step| Ipv4Addr::from(cidr.base + offset(step)))
        .find(|ip| !taken.addresses.contains_key(ip))
}

fn free_port(
    taken: &Taken,
    mine: &HashSet<(String, u16)>,
    protocol: &str,
    range: &RangeInclusive<u16>,
    salt: u32,
) -> Option<u16> {
    let (first, size) = (*range.start(), u32::from(range.end() - range.start()) + 1);
    (0..size)
        .map(|step| first + (salt.wrapping_add(step) % size) as u16)
        .find(|port| {
            let key = (protocol.to_owned(), *port);
            !taken.node_ports.contains_key(&key) && !mine.contains(&key)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges() -> Ranges {
        Ranges {
            cidr: "10.43.0.0/28".parse().expect("a range"),
            node_ports: 30_000..=30_001,
        }
    }

    fn service(spec: Value) -> Value {
        json!({"spec": spec})
    }

    #[test]
    fn addresses_are_handed_out_until_none_is_left() {
        let mut taken = Taken::default();
        taken.add(&service(json!({"clusterIP": "10.43.0.1"})));
        let mut seen = HashSet::new();
        for n in 0..13 {
            let mut one = service(json!({"type": "ClusterIP"}));
            assert_eq!(assign(&mut one, None, &taken, &ranges(), n * 7), [], "{n}");
            assert!(seen.insert(one["spec"]["clusterIP"].to_string()));
            taken.add(&one);
        }
        let mut last = service(json!({"type": "ClusterIP"}));
        assert_eq!(assign(&mut last, None, &taken, &ranges(), 0).len(), 1);
    }

    #[test]
    fn an_update_keeps_what_the_service_had() {
        let old = service(json!({"type": "NodePort", "clusterIP": "10.43.0.5",
            "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30000}]}));
        let mut taken = Taken::default();
        taken.add(&old);
        let mut new =
            service(json!({"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]}));
        assert_eq!(assign(&mut new, Some(&old), &taken, &ranges(), 1), []);
        assert_eq!(new["spec"]["clusterIP"], "10.43.0.5");
        assert_eq!(new["spec"]["ports"][0]["nodePort"], 30000);
        let mut internal = new.clone();
        internal["spec"]["type"] = "ClusterIP".into();
        assert_eq!(assign(&mut internal, Some(&old), &taken, &ranges(), 1), []);
        assert!(internal["spec"]["ports"][0].get("nodePort").is_none());
    }

    #[test]
    fn what_others_have_is_refused() {
        let mut taken = Taken::default();
        taken.add(&service(
            json!({"clusterIP": "10.43.0.5", "ports": [{"protocol": "TCP", "nodePort": 30001}]}),
        ));
        for (spec, fault) in [
            (
                json!({"type": "ClusterIP", "clusterIP": "10.43.0.5"}),
                "already allocated",
            ),
            (
                json!({"type": "ClusterIP", "clusterIP": "10.9.0.5"}),
                "not in the valid range",
            ),
            (
                json!({"type": "ClusterIP", "clusterIP": "x"}),
                "must be a valid IP address",
            ),
            (
                json!({"type": "NodePort", "ports": [{"port": 1, "protocol": "TCP", "nodePort": 30001}]}),
                "already allocated",
            ),
            (
                json!({"type": "NodePort", "ports": [{"port": 1, "protocol": "TCP", "nodePort": 80}]}),
                "not in the valid range",
            ),
        ] {
            let causes = assign(&mut service(spec), None, &taken, &ranges(), 0);
            assert!(
                causes.len() == 1 && causes[0].detail.contains(fault),
                "{causes:?}"
            );
        }
        let mut headless = service(json!({"type": "ClusterIP", "clusterIP": "None"}));
        assert_eq!(assign(&mut headless, None, &taken, &ranges(), 0), []);
        assert_eq!(headless["spec"]["clusterIPs"], json!(["None"]));
    }
}
