//! Cells that many kinds have: names, ages, labels, selectors.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::json::{list_at, map_at, str_at};

pub(super) const NONE: &str = "<none>";
pub(super) const UNKNOWN: &str = "<unknown>";

pub(super) fn name(object: &Value) -> Value {
    str_at(object, &["metadata", "name"]).into()
}

pub(super) fn age(object: &Value, now: Timestamp) -> Value {
    since(str_at(object, &["metadata", "creationTimestamp"]), now).into()
}

/// Returns how long ago a time was.
pub(super) fn since(time: &str, now: Timestamp) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => human(now.as_second() - time.as_second()),
        Err(_) => UNKNOWN.to_owned(),
    }
}

/// Returns a duration as kubectl shows it: `HumanDuration` of
/// `apimachinery/pkg/util/duration/duration.go`.
pub(super) fn human(seconds: i64) -> String {
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let s = seconds.max(0);
    let two = |big: i64, big_unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{big_unit}"),
        _ => format!("{big}{big_unit}{small}{small_unit}"),
    };
    let (minutes, hours, days) = (s / 60, s / 3600, s / 86_400);
    if s < 120 {
        format!("{s}s")
    } else if minutes < 10 {
        two(minutes, "m", s % 60, "s")
    } else if minutes < 180 {
        format!("{minutes}m")
    } else if hours < 8 {
        two(hours, "h", minutes % 60, "m")
    } else if hours < 48 {
        format!("{hours}h")
    } else if hours < 192 {
        two(days, "d", hours % 24, "h")
    } else if days < 730 {
        format!("{days}d")
    } else if days < 2920 {
        two(days / 365, "y", days % 365, "d")
    } else {
        format!("{}y", days / 365)
    }
}

pub(super) fn number(object: &Value, path: &[&str]) -> i64 {
    crate::json::int_at(object, path).unwrap_or(0)
}

/// Returns text, or a stand-in when it is empty.
pub(super) fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

/// Returns names and images of the containers, joined by commas.
pub(super) fn containers(spec: &Value) -> (String, String) {
    let join = |field| {
        let list = list_at(spec, &["containers"]);
        list.iter()
            .map(|c| str_at(c, &[field]))
            .collect::<Vec<_>>()
            .join(",")
    };
    (join("name"), join("image"))
}

/// Returns a map as a selector: `a=b,c=d`, sorted.
pub(super) fn pairs(map: Option<&Map<String, Value>>) -> String {
    let mut list: Vec<String> = map
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or("")))
        .collect();
    list.sort();
    if list.is_empty() {
        NONE.to_owned()
    } else {
        list.join(",")
    }
}

/// Returns a label selector as text.
pub(super) fn selector(selector: Option<&Value>) -> String {
    let Some(selector) = selector else {
        return NONE.to_owned();
    };
    let mut list: Vec<String> = map_at(selector, &["matchLabels"])
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or("")))
        .collect();
    for expression in list_at(selector, &["matchExpressions"]) {
        let key = str_at(expression, &["key"]);
        let values: Vec<&str> = list_at(expression, &["values"])
            .iter()
            .filter_map(Value::as_str)
            .collect();
        list.push(match str_at(expression, &["operator"]) {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    list.sort();
    if list.is_empty() {
        NONE.to_owned()
    } else {
        list.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_as_kubectl_shows_them() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (7260, "121m"),
            (3 * 3600, "3h"),
            (3 * 3600 + 300, "3h5m"),
            (9 * 3600, "9h"),
            (2 * 86_400, "2d"),
            (2 * 86_400 + 3600, "2d1h"),
            (30 * 86_400, "30d"),
            (800 * 86_400, "2y70d"),
            (3000 * 86_400, "8y"),
        ] {
            assert_eq!(human(seconds), text, "{seconds}");
        }
    }
}
