//! URLs, IP addresses and CIDRs (k8s.io/apiserver/pkg/cel/library/urls.go, ip.go and cidr.go).

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::EvalError;
use crate::eval::Result;
use crate::value::{Key, Value};

/// The parts of a URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Url {
    pub(crate) text: String,
    scheme: String,
    host: String,
    path: String,
    query: String,
}

/// Reads an absolute URI or an absolute path (Go's url.ParseRequestURI); none when the text is something else.
pub(crate) fn parse_url(text: &str) -> Option<Url> {
    if text.is_empty() || text.chars().any(|c| c.is_control() || c == ' ') {
        return None;
    }
    let (scheme, rest) = match text.starts_with('/') {
        true => ("", text),
        false => {
            let (scheme, rest) = text.split_once(':')?;
            let good = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
            if !good || !rest.starts_with('/') {
                return None;
            }
            (scheme, rest)
        }
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = match rest.strip_prefix("//").filter(|_| !scheme.is_empty()) {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    if let Some(port) = port_of(host)
        && !port.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    Some(Url {
        text: text.to_owned(),
        scheme: scheme.to_ascii_lowercase(),
        host: host.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
    })
}

/// What follows the last colon of a host that is outside brackets.
fn port_of(host: &str) -> Option<&str> {
    let after = host.rfind(']').map_or(0, |at| at + 1);
    host[after..].rsplit_once(':').map(|(_, port)| port)
}

fn host_name(host: &str) -> &str {
    let name = match port_of(host) {
        Some(port) => &host[..host.len() - port.len() - 1],
        None => host,
    };
    name.strip_prefix('[')
        .and_then(|n| n.strip_suffix(']'))
        .unwrap_or(name)
}

fn query_values(query: &str) -> Value {
    let mut values: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
    for part in query.split('&').filter(|p| !p.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let key = Key::String(unescape(key).into());
        values
            .entry(key)
            .or_default()
            .push(Value::string(unescape(value)));
    }
    Value::Map(Arc::new(
        values
            .into_iter()
            .map(|(k, v)| (k, Value::list(v)))
            .collect(),
    ))
}

fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let code = text
            .get(at + 1..at + 3)
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        match (bytes[at], code) {
            (b'%', Some(code)) => {
                out.push(code);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (other, _) => out.push(other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// An address; addresses of zones and IPv4 in IPv6 are none.
fn ip(text: &str) -> Option<IpAddr> {
    match text.parse().ok()? {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => None,
        ip => Some(ip),
    }
}

fn cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let address = ip(address)?;
    let good = bits == "0" || !bits.starts_with(['0', '+']);
    let bits: u8 = bits
        .parse()
        .ok()
        .filter(|bits| good && *bits <= width(address))?;
    Some((address, bits))
}

fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// An address as a number whose first bits are the network's.
fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn mask(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    let kept = number(address) & mask(bits);
    match address {
        IpAddr::V4(_) => IpAddr::V4(u32::try_from(kept >> 96).unwrap_or(0).into()),
        IpAddr::V6(_) => IpAddr::V6(kept.into()),
    }
}

/// Whether addresses of one family agree in the first bits.
fn within((network, bits): (IpAddr, u8), address: IpAddr) -> bool {
    network.is_ipv4() == address.is_ipv4() && (number(network) ^ number(address)) & mask(bits) == 0
}

fn wrong(text: &str, what: &str) -> EvalError {
    EvalError::new(format!("{text:?} is no {what}"))
}

pub(super) fn call(name: &str, args: &[Value]) -> Option<Result> {
    Some(match (name, args) {
        ("url", [Value::String(text)]) => match parse_url(text) {
            Some(url) => Ok(Value::Url(Arc::new(url))),
            None => Err(wrong(text, "URL")),
        },
        ("isURL", [Value::String(text)]) => Ok(Value::Bool(parse_url(text).is_some())),
        ("getQuery", [Value::Url(url)]) => Ok(query_values(&url.query)),
        (_, [Value::Url(url)]) => Ok(Value::string(match name {
            "getScheme" => &*url.scheme,
            "getHost" => &*url.host,
            "getHostname" => host_name(&url.host),
            "getPort" => port_of(&url.host).unwrap_or(""),
            "getEscapedPath" => &*url.path,
            _ => return None,
        })),
        ("ip", [Value::String(text)]) => ip(text)
            .map(Value::Ip)
            .ok_or_else(|| wrong(text, "IP address")),
        ("isIP", [Value::String(text)]) => Ok(Value::Bool(ip(text).is_some())),
        ("ip.isCanonical", [Value::String(text)]) => match ip(text) {
            Some(ip) => Ok(Value::Bool(ip.to_string() == **text)),
            None => Err(wrong(text, "IP address")),
        },
        ("cidr", [Value::String(text)]) => match cidr(text) {
            Some((ip, bits)) => Ok(Value::Cidr(ip, bits)),
            None => Err(wrong(text, "CIDR")),
        },
        ("isCIDR", [Value::String(text)]) => Ok(Value::Bool(cidr(text).is_some())),
        ("family", [Value::Ip(ip)]) => Ok(Value::Int(if ip.is_ipv4() { 4 } else { 6 })),
        (_, [Value::Ip(ip)]) => Ok(Value::Bool(match name {
            "isUnspecified" => ip.is_unspecified(),
            "isLoopback" => ip.is_loopback(),
            "isLinkLocalMulticast" => is_link_local_multicast(*ip),
            "isLinkLocalUnicast" => is_link_local(*ip),
            "isGlobalUnicast" => {
                let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
                !(ip.is_unspecified()
                    || ip.is_loopback()
                    || ip.is_multicast()
                    || is_link_local(*ip)
                    || broadcast)
            }
            _ => return None,
        })),
        ("containsIP", [Value::Cidr(net, bits), other]) => {
            let address = match other {
                Value::Ip(ip) => *ip,
                Value::String(text) => match ip(text) {
                    Some(ip) => ip,
                    None => return Some(Err(wrong(text, "IP address"))),
                },
                _ => return None,
            };
            Ok(Value::Bool(within((*net, *bits), address)))
        }
        ("containsCIDR", [Value::Cidr(net, bits), other]) => {
            let (inner, inner_bits) = match other {
                Value::Cidr(ip, bits) => (*ip, *bits),
                Value::String(text) => match cidr(text) {
                    Some(cidr) => cidr,
                    None => return Some(Err(wrong(text, "CIDR"))),
                },
                _ => return None,
            };
            Ok(Value::Bool(
                *bits <= inner_bits && within((*net, *bits), inner),
            ))
        }
        ("ip", [Value::Cidr(ip, _)]) => Ok(Value::Ip(*ip)),
        ("masked", [Value::Cidr(ip, bits)]) => Ok(Value::Cidr(masked(*ip, *bits), *bits)),
        ("prefixLength", [Value::Cidr(_, bits)]) => Ok(Value::Int(i64::from(*bits))),
        _ => return None,
    })
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn is_link_local_multicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.octets()[..3] == [224, 0, 0],
        IpAddr::V6(v6) => v6.segments()[0] & 0xff0f == 0xff02,
    }
}
