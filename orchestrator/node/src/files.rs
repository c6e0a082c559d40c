//! The generated files of a pod: hosts, hostname, resolv.conf (kubelet, kubelet_pods.go and
//! network/dns). Pure texts; the caller writes them.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::Pod;

/// Returns the host name of a pod and, if it has one, its full name.
pub(crate) fn hostname(pod: &Pod, domain: &str, node: &str) -> (String, Option<String>) {
    let spec = pod.spec.as_ref();
    if spec.is_some_and(|spec| spec.host_network == Some(true)) {
        return (node.to_owned(), None);
    }
    let own = spec
        .and_then(|spec| spec.hostname.clone())
        .filter(|name| !name.is_empty());
    let name = own
        .or_else(|| pod.metadata.name.clone())
        .unwrap_or_default();
    // The kernel takes 64 bytes, and Kubernetes' names keep to 63.
    let mut short: String = name.chars().take(63).collect();
    short.truncate(short.trim_end_matches(['-', '.']).len());
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let subdomain = spec
        .and_then(|spec| spec.subdomain.as_ref())
        .filter(|name| !name.is_empty());
    let full = subdomain.map(|sub| format!("{short}.{sub}.{namespace}.svc.{domain}"));
    (short, full)
}

/// Returns `/etc/hosts`.
pub(crate) fn hosts(pod: &Pod, address: Ipv4Addr, name: &str, full: Option<&str>) -> String {
    let mut out = String::from(
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost \
         ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\n\
         fe00::2\tip6-allrouters\n",
    );
    let _ = match full {
        Some(full) => writeln!(out, "{address}\t{full}\t{name}"),
        None => writeln!(out, "{address}\t{name}"),
    };
    let aliases = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.host_aliases.as_deref());
    let aliases = aliases.unwrap_or_default();
    if !aliases.is_empty() {
        out.push_str("\n# Entries added by HostAliases.\n");
        for alias in aliases {
            let names = alias.hostnames.as_deref().unwrap_or_default().join("\t");
            let _ = writeln!(out, "{}\t{names}", alias.ip);
        }
    }
    out
}

/// Returns `/etc/resolv.conf` for the pod's DNS policy.
pub(crate) fn resolv_conf(
    pod: &Pod,
    cluster_dns: Option<Ipv4Addr>,
    domain: &str,
    host: &str,
) -> String {
    let spec = pod.spec.as_ref();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
    let host_network = spec.is_some_and(|spec| spec.host_network == Some(true));
    let policy = spec
        .and_then(|spec| spec.dns_policy.as_deref())
        .unwrap_or("ClusterFirst");
    let cluster = match policy {
        "ClusterFirst" => cluster_dns.filter(|_| !host_network),
        "ClusterFirstWithHostNet" => cluster_dns,
        _ => None,
    };
    let (mut servers, mut searches, mut options) = (Vec::new(), Vec::new(), Vec::new());
    let words = |line: &str| {
        line.split_whitespace()
            .skip(1)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (mut host_servers, mut host_searches, mut host_options) =
        (Vec::new(), Vec::new(), Vec::new());
    for line in host.lines() {
        match line.split_whitespace().next() {
            Some("nameserver") => host_servers.extend(words(line).into_iter().take(1)),
            Some("search" | "domain") => host_searches = words(line),
            Some("options") => host_options.extend(words(line)),
            _ => {}
        }
    }
    if let Some(dns) = cluster {
        servers.push(dns.to_string());
        searches.push(format!("{namespace}.svc.{domain}"));
        searches.push(format!("svc.{domain}"));
        searches.push(domain.to_owned());
        searches.extend(host_searches);
        options.push("ndots:5".to_owned());
    } else if policy != "None" {
        servers = host_servers;
        searches = host_searches;
        options = host_options;
    }
    if let Some(own) = spec.and_then(|spec| spec.dns_config.as_ref()) {
        servers.extend(own.nameservers.iter().flatten().cloned());
        searches.extend(own.searches.iter().flatten().cloned());
        for option in own.options.iter().flatten() {
            let name = option.name.as_deref().unwrap_or_default();
            options.retain(|known: &String| known.split(':').next() != Some(name));
            options.push(match &option.value {
                Some(value) => format!("{name}:{value}"),
                None => name.to_owned(),
            });
        }
    }
    // resolv.conf(5): MAXNS.
    servers.truncate(3);
    let mut out = String::new();
    if !searches.is_empty() {
        let _ = writeln!(out, "search {}", searches.join(" "));
    }
    for server in servers {
        let _ = writeln!(out, "nameserver {server}");
    }
    if !options.is_empty() {
        let _ = writeln!(out, "options {}", options.join(" "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "nameserver 192.0.2.53\nsearch lan\noptions edns0\n";

    fn check(spec: &str, expect: &str) {
        let text = format!(r#"{{"metadata":{{"name":"p","namespace":"ns"}},"spec":{spec}}}"#);
        let pod: Pod = serde_json::from_str(&text).expect("a pod");
        let dns = Some(Ipv4Addr::new(10, 43, 0, 10));
        assert_eq!(
            resolv_conf(&pod, dns, "cluster.local", HOST),
            expect,
            "{spec}"
        );
    }

    #[test]
    fn dns_policies_are_followed() {
        let cluster = "search ns.svc.cluster.local svc.cluster.local cluster.local lan\n\
                       nameserver 10.43.0.10\noptions ndots:5\n";
        let host = "search lan\nnameserver 192.0.2.53\noptions edns0\n";
        check(r#"{"containers":[]}"#, cluster);
        check(r#"{"containers":[],"hostNetwork":true}"#, host);
        check(
            r#"{"containers":[],"hostNetwork":true,"dnsPolicy":"ClusterFirstWithHostNet"}"#,
            cluster,
        );
        check(r#"{"containers":[],"dnsPolicy":"Default"}"#, host);
        check(
            r#"{"containers":[],"dnsPolicy":"None","dnsConfig":{"nameservers":["1.1.1.1"],
                "options":[{"name":"ndots","value":"2"}]}}"#,
            "nameserver 1.1.1.1\noptions ndots:2\n",
        );
    }
}
