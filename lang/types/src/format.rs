//! Built-in string formats, by hand: they are checked once per name in a cluster, so no regular expressions.
//!
//! Facts: k8s.io/apimachinery/pkg/util/validation/validation.go for names, labels, ports and environment
//! variables; github.com/distribution/reference for images. Knows strings only.

use core::net::IpAddr;

use crate::ty::Format;

/// Longest DNS-1123 subdomain.
const SUBDOMAIN_MAX: usize = 253;
/// Longest DNS-1123 label, label value and label name.
const LABEL_MAX: usize = 63;
/// Longest IANA service name.
const PORT_NAME_MAX: usize = 15;

/// Checks a string against a format.
///
/// # Errors
/// What is wrong with it, as the end of the sentence "`x` is no Name: …".
pub fn check_format(format: Format, text: &str) -> Result<(), String> {
    match format {
        Format::Name => subdomain(text),
        Format::DnsLabel => label(text),
        Format::Hostname => hostname(text),
        Format::Image => Image::parse(text).map(|_| ()),
        Format::EnvName => env_name(text),
        Format::LabelKey => label_key(text),
        Format::LabelValue => label_value(text),
        Format::PortName => port_name(text),
        Format::Ip => text
            .parse::<IpAddr>()
            .map(|_| ())
            .map_err(|_| "an address such as `10.0.0.1` or `fd00::1` is meant".into()),
        Format::Cidr => cidr(text),
        Format::Url => url(text),
        Format::Cron => cron(text),
        Format::Base64 => base64(text),
        Format::TimeZone => crate::kube::time_zone(text),
        Format::AbsolutePath => match text.starts_with('/') {
            true => Ok(()),
            false => Err("it must start with `/`".into()),
        },
    }
}

fn allowed(text: &str, extra: &str, what: &str) -> Result<(), String> {
    match text
        .chars()
        .find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || extra.contains(*c)))
    {
        Some(c) => Err(format!("{what} has no {}", shown(c))),
        None => Ok(()),
    }
}

fn shown(c: char) -> String {
    match c {
        ' ' => "spaces".into(),
        c if c.is_ascii_uppercase() => format!("capital letters such as `{c}`"),
        c => format!("`{c}`"),
    }
}

fn ends(text: &str) -> Result<(), String> {
    let ok = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    match ok(text.bytes().next()) && ok(text.bytes().next_back()) {
        true => Ok(()),
        false => Err("it must begin and end with a letter or a digit".into()),
    }
}

fn length(text: &str, max: usize) -> Result<(), String> {
    match text.len() {
        0 => Err("it is empty".into()),
        n if n > max => Err(format!("it has {n} characters, {max} are allowed")),
        _ => Ok(()),
    }
}

fn label(text: &str) -> Result<(), String> {
    length(text, LABEL_MAX)?;
    allowed(text, "-", "a DNS label")?;
    ends(text)
}

fn subdomain(text: &str) -> Result<(), String> {
    length(text, SUBDOMAIN_MAX)?;
    allowed(text, "-.", "a DNS name")?;
    text.split('.').try_for_each(|part| match part.is_empty() {
        true => Err("it has an empty part between dots".into()),
        false => ends(part),
    })
}

fn hostname(text: &str) -> Result<(), String> {
    subdomain(text.strip_prefix("*.").unwrap_or(text))
}

fn env_name(text: &str) -> Result<(), String> {
    // Since 1.34 every printable ASCII character except `=` is allowed; names which a shell can read are the sane subset
    // together with the dots and dashes that were always allowed.
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("it must not begin with a digit".into());
    }
    match text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')))
    {
        Some(c) => Err(format!(
            "an environment variable's name has no {}",
            shown(c)
        )),
        None => Ok(()),
    }
}

fn qualified(text: &str) -> Result<(), String> {
    match text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')))
    {
        Some(c) => Err(format!("it has no {}", shown(c))),
        None => ends(text),
    }
}

fn label_key(text: &str) -> Result<(), String> {
    let name = match text.split_once('/') {
        Some((prefix, name)) => {
            subdomain(prefix).map_err(|why| format!("the part before `/`: {why}"))?;
            name
        }
        None => text,
    };
    length(name, LABEL_MAX)?;
    qualified(name)
}

fn label_value(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    length(text, LABEL_MAX)?;
    qualified(text)
}

fn port_name(text: &str) -> Result<(), String> {
    length(text, PORT_NAME_MAX)?;
    allowed(text, "-", "a port's name")?;
    ends(text)?;
    if !text.bytes().any(|b| b.is_ascii_alphabetic()) {
        return Err("it needs a letter".into());
    }
    match text.contains("--") {
        true => Err("it has two dashes in a row".into()),
        false => Ok(()),
    }
}

fn cidr(text: &str) -> Result<(), String> {
    let meant = || "a range such as `10.0.0.0/8` is meant".to_owned();
    let (address, bits) = text.split_once('/').ok_or_else(meant)?;
    let address: IpAddr = address.parse().map_err(|_| meant())?;
    let bits: u8 = bits.parse().map_err(|_| meant())?;
    match bits <= if address.is_ipv4() { 32 } else { 128 } {
        true => Ok(()),
        false => Err(format!("`/{bits}` is longer than the address")),
    }
}

fn url(text: &str) -> Result<(), String> {
    let meant = || "a URL such as `https://example.com/path` is meant".to_owned();
    let (scheme, rest) = text.split_once("://").ok_or_else(meant)?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or("");
    let good = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        && !host.is_empty()
        && !text.contains(char::is_whitespace);
    if good { Ok(()) } else { Err(meant()) }
}

fn base64(text: &str) -> Result<(), String> {
    let body = text.trim_end_matches('=');
    let good = text.len() - body.len() <= 2
        && text.len().is_multiple_of(4)
        && body
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    match good {
        true => Ok(()),
        false => Err("base64 with padding is meant".into()),
    }
}

/// Fields of a cron line with their bounds (robfig/cron/v3, which Kubernetes uses).
const CRON_FIELDS: [(&str, u32, u32); 5] = [
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day", 1, 31),
    ("month", 1, 12),
    ("weekday", 0, 6),
];

/// A number of a cron field; months and weekdays have names too.
fn cron_number(what: &str, text: &str) -> Option<u32> {
    let names: &[&str] = match what {
        "month" => &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
        "weekday" => &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
        _ => &[],
    };
    let named = names
        .iter()
        .position(|name| name.eq_ignore_ascii_case(text));
    let first = if what == "month" { 1 } else { 0 };
    match named {
        Some(at) => u32::try_from(at).ok().map(|at| at + first),
        None => text.parse().ok(),
    }
}

fn cron(text: &str) -> Result<(), String> {
    if let Some(name) = text.strip_prefix('@') {
        let known = [
            "yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly",
        ];
        if let Some(every) = name.strip_prefix("every ") {
            return match crate::literal::parse_duration(every) {
                Ok(nanos) if nanos > 0 => Ok(()),
                _ => Err(format!("`{every}` is no time between two runs")),
            };
        }
        return match known.contains(&name) {
            true => Ok(()),
            false => Err(format!("there is no `@{name}`")),
        };
    }
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    if fields.len() != CRON_FIELDS.len() {
        return Err(format!("it has {} fields, five are meant", fields.len()));
    }
    for (field, (what, min, max)) in fields.iter().zip(CRON_FIELDS) {
        for part in field.split(',') {
            let (range, step) = part
                .split_once('/')
                .map_or((part, None), |(r, s)| (r, Some(s)));
            if step.is_some_and(|s| s.parse::<u32>().map_or(true, |n| n == 0)) {
                return Err(format!("the {what} `{part}` has no step"));
            }
            if matches!(range, "*" | "?") {
                continue;
            }
            let mut ends = Vec::with_capacity(2);
            for end in range.splitn(2, '-') {
                match cron_number(what, end) {
                    Some(n) if min <= n && n <= max => ends.push(n),
                    _ => return Err(format!("the {what} `{end}` is not in {min}–{max}")),
                }
            }
            if let [from, to] = ends.as_slice()
                && from > to
            {
                return Err(format!("the {what} `{range}` ends before it begins"));
            }
        }
    }
    Ok(())
}

/// A container image reference in its parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Image<'a> {
    /// The registry's host and port, when the first part looks like one.
    pub registry: Option<&'a str>,
    /// The repository without the registry.
    pub repository: &'a str,
    /// The tag.
    pub tag: Option<&'a str>,
    /// The digest, such as `sha256:…`.
    pub digest: Option<&'a str>,
}

impl<'a> Image<'a> {
    /// Takes a reference apart.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &'a str) -> Result<Image<'a>, String> {
        if text.is_empty() {
            return Err("it is empty".into());
        }
        if let Some(c) = text.chars().find(|c| c.is_whitespace() || c.is_control()) {
            return Err(format!("an image reference has no {}", shown(c)));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let slash = rest.rfind('/').map_or(0, |at| at + 1);
        let (path, tag) = match rest[slash..].rfind(':') {
            Some(colon) => (&rest[..slash + colon], Some(&rest[slash + colon + 1..])),
            None => (rest, None),
        };
        let (registry, repository) = match path.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => {
                (Some(host), rest)
            }
            _ => (None, path),
        };
        let part = |p: &str| {
            !p.is_empty()
                && p.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
                && p.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
                && p.bytes()
                    .next_back()
                    .is_some_and(|b| b.is_ascii_alphanumeric())
        };
        if !repository.split('/').all(part) {
            return Err(match repository.chars().find(char::is_ascii_uppercase) {
                Some(c) => format!("a repository has no capital letters such as `{c}`"),
                None => format!("`{repository}` is no repository"),
            });
        }
        if let Some(tag) = tag {
            let good = (1..=128).contains(&tag.len())
                && tag
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                && !tag.starts_with(['.', '-']);
            if !good {
                return Err(format!("`{tag}` is no tag"));
            }
        }
        if let Some(digest) = digest {
            let good = digest.split_once(':').is_some_and(|(algorithm, hex)| {
                !algorithm.is_empty()
                    && hex.len() >= 32
                    && hex.bytes().all(|b| b.is_ascii_hexdigit())
            });
            if !good {
                return Err(format!("`{digest}` is no digest"));
            }
        }
        Ok(Image {
            registry,
            repository,
            tag,
            digest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_hold_and_break() {
        let good = [
            (Format::Name, "shop.v1-a"),
            (Format::DnsLabel, "shop-1"),
            (Format::Hostname, "*.example.com"),
            (Format::Image, "registry.local:5000/team/shop:1.4.2"),
            (Format::Image, "nginx"),
            (Format::EnvName, "LOG_LEVEL"),
            (Format::LabelKey, "app.kubernetes.io/name"),
            (Format::LabelValue, ""),
            (Format::LabelValue, "A_b.c"),
            (Format::PortName, "http-1"),
            (Format::Ip, "fd00::1"),
            (Format::Cidr, "10.0.0.0/8"),
            (Format::Url, "https://example.com"),
            (Format::Cron, "*/5 0-6,12 * JAN MON-FRI"),
            (Format::Cron, "@daily"),
            (Format::Base64, "aGk="),
            (Format::AbsolutePath, "/var"),
            (Format::TimeZone, "Europe/Berlin"),
            (Format::TimeZone, "UTC"),
        ];
        for (format, text) in good {
            assert_eq!(check_format(format, text), Ok(()), "{text}");
        }
        let bad = [
            (Format::Name, "Shop"),
            (Format::Name, "a..b"),
            (Format::DnsLabel, "a.b"),
            (Format::DnsLabel, "-a"),
            (Format::Hostname, "a_b"),
            (Format::Image, "Nginx"),
            (Format::Image, "nginx:"),
            (Format::Image, "a b"),
            (Format::EnvName, "1A"),
            (Format::EnvName, "A B"),
            (Format::LabelKey, "a/b/c"),
            (Format::LabelValue, "a b"),
            (Format::PortName, "123"),
            (Format::PortName, "much-too-long-name"),
            (Format::Ip, "10.0.0"),
            (Format::Cidr, "10.0.0.0/33"),
            (Format::Url, "example.com"),
            (Format::Cron, "* * * *"),
            (Format::Cron, "60 * * * *"),
            (Format::Cron, "30-10 * * * *"),
            (Format::Cron, "0 0 * XYZ *"),
            (Format::Cron, "0 0 * * FRI-MON"),
            (Format::Cron, "@every soon"),
            (Format::Base64, "a"),
            (Format::AbsolutePath, "var"),
            (Format::TimeZone, "Europe/Brelin"),
            (Format::TimeZone, "Local"),
        ];
        for (format, text) in bad {
            assert!(check_format(format, text).is_err(), "{text}");
        }
    }

    #[test]
    fn images_come_apart() {
        let image = Image::parse("registry.local:5000/team/shop:1.4.2").expect("good");
        assert_eq!(image.registry, Some("registry.local:5000"));
        assert_eq!(image.repository, "team/shop");
        assert_eq!(image.tag, Some("1.4.2"));
        assert_eq!(Image::parse("shop").expect("good").tag, None);
    }
}
