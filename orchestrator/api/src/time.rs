//! Times as the API writes them. It reads no clock: callers pass the time.

use jiff::{Timestamp, tz::TimeZone};

/// Returns a time with seconds, the form of `Time`: `2026-11-22T16:00:00Z`.
pub fn format_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Returns a time with microseconds, the form of `MicroTime`: `2026-11-22T16:00:00.000000Z`.
pub fn format_micro_time(time: Timestamp) -> String {
    let micros = time.to_zoned(TimeZone::UTC).subsec_nanosecond() / 1000;
    format!("{}.{micros:06}Z", time.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// Reads an RFC 3339 time of any precision and offset.
///
/// # Errors
/// In Go's words, as upstream's decoder reports it.
pub fn parse_time(text: &str) -> Result<Timestamp, TimeError> {
    // RFC 3339 demands the T, seconds and an offset; jiff alone would accept more.
    let bytes = text.as_bytes();
    let shape = bytes.len() >= 20
        && bytes[10] == b'T'
        && [4, 7].into_iter().all(|at| bytes[at] == b'-')
        && [13, 16].into_iter().all(|at| bytes[at] == b':');
    let time = if shape {
        text.parse::<Timestamp>().ok()
    } else {
        None
    };
    time.ok_or_else(|| TimeError(text.to_owned()))
}

/// The text is not an RFC 3339 time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parsing time {0:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {0:?} as \"2006\"")]
pub struct TimeError(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read() {
        let time = parse_time("2026-11-22T18:00:05.1234567+02:00").expect("a time");
        assert_eq!(format_time(time), "2026-11-22T16:00:05Z");
        assert_eq!(format_micro_time(time), "2026-11-22T16:00:05.123456Z");
        for text in [
            "",
            "2026-11-22",
            "2026-11-22 16:00:05Z",
            "2026-11-22T16:00Z",
            "now",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
