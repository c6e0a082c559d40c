//! Times as people type them. The clock is asked by the caller.

use jiff::{Span, Timestamp, civil::DateTime, tz::TimeZone};

/// Reads `2026-08-01T14:03:00Z`, `2026-08-01 14:03` in the local time zone, `2026-08-01`, `2h ago` or `now`.
pub(crate) fn read(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    if text == "now" {
        return Some(now);
    }
    if let Some(span) = text.strip_suffix("ago") {
        return before(span.trim(), now);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let padded = match text.len() {
        10 => format!("{text}T00:00:00"),
        16 => format!("{}:00", text.replacen(' ', "T", 1)),
        _ => text.replacen(' ', "T", 1),
    };
    let civil: DateTime = padded.parse().ok()?;
    Some(zone.to_zoned(civil).ok()?.timestamp())
}

fn before(span: &str, now: Timestamp) -> Option<Timestamp> {
    let at = span.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = span.split_at(at);
    let number: i64 = number.parse().ok()?;
    let seconds = match unit.trim() {
        "s" | "sec" | "second" | "seconds" => 1,
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 604_800,
        _ => return None,
    };
    let span = Span::new().try_seconds(number.checked_mul(seconds)?).ok()?;
    now.checked_sub(span).ok()
}

/// Reads a time now, in this machine's zone, as milliseconds since 1970-01-01 UTC.
///
/// # Errors
/// With what can be typed.
pub(crate) fn milliseconds(text: &str) -> miette::Result<i64> {
    read(text, Timestamp::now(), &TimeZone::system())
        .map(Timestamp::as_millisecond)
        .ok_or_else(|| {
            crate::usage::usage(
                format!("`{text}` is not a time"),
                "write `2026-08-01T14:03:00Z`, `2026-08-01 14:03` (local time), `2h ago` or `now`",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_type_them() {
        let now: Timestamp = "2026-08-02T12:00:00Z".parse().expect("a time");
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let check = |text: &str, wanted: Option<&str>| {
            let found = read(text, now, &zone).map(|time| time.to_string());
            assert_eq!(found.as_deref(), wanted, "{text}");
        };
        check("now", Some("2026-08-02T12:00:00Z"));
        check("2h ago", Some("2026-08-02T10:00:00Z"));
        check("90 minutes ago", Some("2026-08-02T10:30:00Z"));
        check("1d ago", Some("2026-08-01T12:00:00Z"));
        check("2026-08-01T14:03Z", Some("2026-08-01T14:03:00Z"));
        check("2026-08-01T14:03:07+02:00", Some("2026-08-01T12:03:07Z"));
        check("2026-08-01 14:03", Some("2026-08-01T12:03:00Z"));
        check("2026-08-01 14:03:07", Some("2026-08-01T12:03:07Z"));
        check("2026-08-01", Some("2026-07-31T22:00:00Z"));
        check("soon", None);
        check("2 moons ago", None);
    }
}
