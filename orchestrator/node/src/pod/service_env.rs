//! The variables that name a namespace's Services (kubelet, envvars/envvars.go). Pure.

use k8s_openapi::api::core::v1::Service;

/// Returns the variables of the Services that have a cluster address.
pub fn variables<'a>(services: impl IntoIterator<Item = &'a Service>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for service in services {
        let Some(spec) = &service.spec else { continue };
        let address = spec
            .cluster_ip
            .as_deref()
            .filter(|ip| !ip.is_empty() && *ip != "None");
        let (Some(address), Some(name)) = (address, &service.metadata.name) else {
            continue;
        };
        let ports = spec.ports.as_deref().unwrap_or_default();
        let Some(first) = ports.first() else { continue };
        let prefix = variable_name(name);
        let mut add =
            |suffix: String, value: String| out.push((format!("{prefix}{suffix}"), value));
        add("_SERVICE_HOST".to_owned(), address.to_owned());
        add("_SERVICE_PORT".to_owned(), first.port.to_string());
        for port in ports {
            if let Some(name) = port.name.as_ref().filter(|name| !name.is_empty()) {
                add(
                    format!("_SERVICE_PORT_{}", variable_name(name)),
                    port.port.to_string(),
                );
            }
        }
        for (index, port) in ports.iter().enumerate() {
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let url = format!("{}://{address}:{}", protocol.to_lowercase(), port.port);
            if index == 0 {
                add("_PORT".to_owned(), url.clone());
            }
            let base = format!("_PORT_{}_{protocol}", port.port);
            add(base.clone(), url);
            add(format!("{base}_PROTO"), protocol.to_lowercase());
            add(format!("{base}_PORT"), port.port.to_string());
            add(format!("{base}_ADDR"), address.to_owned());
        }
    }
    out
}

fn variable_name(name: &str) -> String {
    name.replace('-', "_").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_becomes_its_variables() {
        let text = r#"[
            {"metadata":{"name":"my-db"},"spec":{"clusterIP":"10.43.0.9",
             "ports":[{"name":"sql","port":5432}]}},
            {"metadata":{"name":"headless"},"spec":{"clusterIP":"None","ports":[{"port":1}]}}
        ]"#;
        let services: Vec<Service> = serde_json::from_str(text).expect("services");
        let found: Vec<_> = variables(&services)
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let expect = [
            "MY_DB_SERVICE_HOST=10.43.0.9",
            "MY_DB_SERVICE_PORT=5432",
            "MY_DB_SERVICE_PORT_SQL=5432",
            "MY_DB_PORT=tcp://10.43.0.9:5432",
            "MY_DB_PORT_5432_TCP=tcp://10.43.0.9:5432",
            "MY_DB_PORT_5432_TCP_PROTO=tcp",
            "MY_DB_PORT_5432_TCP_PORT=5432",
            "MY_DB_PORT_5432_TCP_ADDR=10.43.0.9",
        ];
        assert_eq!(found, expect);
    }
}
