//! One spelling for what is sent, where the server's own would otherwise show up as a change at each look.

use serde_json::{Map, Value};

use crate::{
    desired::{SECRET_MARK, entry_map},
    json,
};

/// Spells an object as a server would, where the difference would otherwise show up as a change
/// at each look (fluxcd/pkg `ssa/normalize`).
pub(crate) fn normalize(object: &mut Value) {
    let kind = json::text(object, "/kind").to_owned();
    let Some(root) = object.as_object_mut() else {
        return;
    };
    if kind != "CustomResourceDefinition" {
        root.shift_remove("status");
    }
    if let Some(metadata) = root.get_mut("metadata").and_then(Value::as_object_mut) {
        // Server-side apply refuses managedFields, and the others are the server's to say.
        for field in [
            "managedFields",
            "resourceVersion",
            "uid",
            "generation",
            "creationTimestamp",
        ] {
            metadata.shift_remove(field);
        }
    }
    match kind.as_str() {
        "Secret" => string_data(root),
        "CustomResourceDefinition" => invalid_authority(object),
        "Service" => protocols(object.pointer_mut("/spec/ports")),
        _ => {
            for place in [
                "/spec",
                "/spec/template/spec",
                "/spec/jobTemplate/spec/template/spec",
            ] {
                for list in ["containers", "initContainers", "ephemeralContainers"] {
                    let containers = object.pointer_mut(&format!("{place}/{list}"));
                    let containers = containers.and_then(Value::as_array_mut);
                    for container in containers.into_iter().flatten() {
                        protocols(container.get_mut("ports"));
                    }
                }
            }
        }
    }
    drop_null_timestamps(object);
}

/// `protocol` is a key of these lists: without it, server-side apply takes a port for another one than the live one, which
/// has the default (kubernetes/kubernetes#105610).
fn protocols(ports: Option<&mut Value>) {
    for port in ports.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(port) = port.as_object_mut()
            && port
                .get("protocol")
                .and_then(Value::as_str)
                .is_none_or(str::is_empty)
        {
            port.insert("protocol".to_owned(), "TCP".into());
        }
    }
}

/// Charts leave a placeholder here that something else fills in. A server refuses what is no certificate.
fn invalid_authority(object: &mut Value) {
    let config = object.pointer_mut("/spec/conversion/webhook/clientConfig");
    let Some(config) = config.and_then(Value::as_object_mut) else {
        return;
    };
    // `-----BEGIN ` in base64, at the start of the text (RFC 7468).
    const PEM: &str = "LS0tLS1CRUdJTi";
    if config
        .get("caBundle")
        .is_some_and(|bundle| !bundle.as_str().is_some_and(|text| text.starts_with(PEM)))
    {
        config.shift_remove("caBundle");
    }
}

/// `stringData` is write-only: the server moves it into `data`, and a later read never shows it. What stands for a
/// secret stays: it has no base64 yet.
fn string_data(root: &mut Map<String, Value>) {
    let Some(Value::Object(texts)) = root.shift_remove("stringData") else {
        return;
    };
    let Some(data) = entry_map(root, "data") else {
        return;
    };
    let mut secrets = Map::new();
    for (key, text) in texts {
        match text {
            Value::String(text) if text.starts_with(SECRET_MARK) => {
                secrets.insert(key, text.into());
            }
            Value::String(text) => {
                data.insert(key, base64(text.as_bytes()).into());
            }
            _ => {}
        }
    }
    if !secrets.is_empty() {
        if data.is_empty() {
            root.shift_remove("data");
        }
        root.insert("stringData".to_owned(), Value::Object(secrets));
    }
}

/// Go clients print `creationTimestamp: null` in embedded metadata; it means nothing.
fn drop_null_timestamps(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("creationTimestamp").is_some_and(Value::is_null) {
                map.shift_remove("creationTimestamp");
            }
            map.values_mut().for_each(drop_null_timestamps);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_null_timestamps),
        _ => {}
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads_as_the_rfc_says() {
        let wanted = [
            "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy",
        ];
        for (length, wanted) in wanted.iter().enumerate() {
            assert_eq!(base64(&b"foobar"[..length]), *wanted);
        }
    }
}
