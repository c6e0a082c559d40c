//! String formats that the API server checks in custom resources; others say nothing
//! (apiextensions-apiserver/pkg/apiserver/validation/formats.go).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a text is not of a format; none when it is, and for formats that nobody checks.
pub(crate) fn fault(format: &str, text: &str) -> Option<&'static str> {
    let (is_good, why) = match format {
        "ipv4" => (text.parse::<Ipv4Addr>().is_ok(), "is no IPv4 address"),
        "ipv6" => (text.parse::<Ipv6Addr>().is_ok(), "is no IPv6 address"),
        "cidr" => (is_cidr(text), "is no address range such as 10.0.0.0/8"),
        "mac" => (is_mac(text), "is no MAC address"),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => (is_uuid(text), "is no UUID"),
        "byte" => (is_base64(text), "is no base64"),
        "date" => (
            text.parse::<ordain_cel::Date>().is_ok(),
            "is no date such as 2026-01-31",
        ),
        "date-time" | "datetime" => (
            ordain_cel::timestamp(text).is_some(),
            "is no RFC 3339 time such as 2026-01-31T12:00:00Z",
        ),
        "duration" => (is_duration(text), "is no duration such as 30s or 1h30m"),
        "hostname" => (is_hostname(text), "is no host name"),
        "email" => (is_email(text), "is no e-mail address"),
        "uri" => (is_uri(text), "is no URI"),
        _ => return None,
    };
    (!is_good).then_some(why)
}

fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return false;
    };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    matches!(parts.len(), 6 | 8)
        && parts
            .iter()
            .all(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_uuid(text: &str) -> bool {
    let digits = text.bytes().filter(|b| *b != b'-');
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    digits.clone().all(|b| b.is_ascii_hexdigit()) && (groups == [8, 4, 4, 4, 12] || groups == [32])
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - body.len() <= 2
        && body
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

/// Go's durations, and words such as `2 days` (go-openapi/strfmt ParseDuration).
fn is_duration(text: &str) -> bool {
    if ordain_cel::duration(text).is_some() {
        return true;
    }
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let unit = text[digits..].trim();
    digits > 0
        && matches!(
            unit.trim_end_matches('s'),
            "ns" | "u"
                | "m"
                | ""
                | "nano"
                | "nanosecond"
                | "micro"
                | "microsecond"
                | "milli"
                | "millisecond"
                | "sec"
                | "second"
                | "min"
                | "minute"
                | "h"
                | "hr"
                | "hour"
                | "d"
                | "day"
                | "w"
                | "wk"
                | "week"
        )
        && !unit.is_empty()
}

fn is_hostname(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.trim_end_matches('.').split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b >= 0x80)
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

fn is_email(text: &str) -> bool {
    text.rsplit_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && is_hostname(host))
        && !text.contains(' ')
}

/// An absolute URI or an absolute path (Go's url.ParseRequestURI).
fn is_uri(text: &str) -> bool {
    if text.chars().any(|c| c.is_control() || c == ' ') {
        return false;
    }
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    text.starts_with('/')
        || scheme.is_some_and(|s| {
            s.starts_with(|c: char| c.is_ascii_alphabetic())
                && s.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        })
}

#[cfg(test)]
mod tests {
    use super::fault;

    #[test]
    fn formats() {
        for (format, good, bad) in [
            ("ipv4", "10.0.0.1", "10.0.0"),
            ("ipv6", "::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("mac", "00:00:5e:00:53:01", "00:00"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"),
            ("byte", "aGk=", "aGk"),
            ("date", "2026-01-31", "2026-02-31"),
            ("date-time", "2026-01-31T12:00:00Z", "2026-01-31 noon"),
            ("duration", "1h30m", "soon"),
            ("hostname", "a.example.com", "-a"),
            ("email", "a@example.com", "a"),
            ("uri", "https://example.com/", "not a uri"),
        ] {
            assert_eq!(fault(format, good), None, "{format} {good}");
            assert!(fault(format, bad).is_some(), "{format} {bad}");
        }
        assert_eq!(fault("anything", "at all"), None);
    }
}
