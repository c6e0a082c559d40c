//! The table `rollout` of `ordain.toml`: deadlines, what follows a failure, and sync windows.
//!
//! Read and checked here, so that a slip is a diagnostic with its place; what it means for a deploy is the
//! reconciler's business.

use std::collections::BTreeMap;

use ordain_lang_syntax::{Diagnostic, Span};
use ordain_lang_types::format::check_format;
use ordain_lang_types::literal::parse_duration;
use ordain_lang_types::ty::Format;
use toml::Spanned;
use toml::de::DeValue;

use crate::near::nearest;

/// Minutes that a window may last.
const WINDOW_MINUTES_MAX: i64 = 31 * 24 * 60;

/// What a project says about its rollouts.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Rollout {
    /// For apps without own settings.
    pub all: RolloutSettings,
    /// By the app's name.
    pub apps: BTreeMap<String, RolloutSettings>,
    /// When commits may be deployed.
    pub windows: Vec<SyncWindow>,
}

/// The settings of one app; what is not set is as for all.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RolloutSettings {
    /// Seconds that it may take to become healthy.
    pub deadline: Option<u64>,
    /// Whether it goes back by itself to its last healthy deploy when it does not.
    pub rolls_back: Option<bool>,
}

/// A time in which commits are deployed, or are not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyncWindow {
    /// Commits wait while it is active; otherwise they are deployed in it and not outside.
    pub denies: bool,
    /// A cron line of its beginnings.
    pub begins: String,
    /// How long it lasts.
    pub minutes: u32,
    /// The time zone of `begins`, `UTC` when none is named.
    pub zone: String,
    /// The apps that are meant, as names with `*`; none means all.
    pub apps: Vec<String>,
    /// The environments that are meant, as names with `*`; none means all.
    pub envs: Vec<String>,
}

const KEYS: [&str; 4] = ["deadline", "on-failure", "apps", "windows"];
const APP_KEYS: [&str; 2] = ["deadline", "on-failure"];
const WINDOW_KEYS: [&str; 6] = ["allow", "deny", "for", "zone", "apps", "envs"];

/// A value with its place.
type Value<'a> = Spanned<DeValue<'a>>;

/// Where a range of the file is.
type At<'a> = &'a dyn Fn(std::ops::Range<usize>) -> Span;

/// Reads the table; what is wrong is reported and left out.
pub(crate) fn read(value: &Value<'_>, at: At<'_>, found: &mut Vec<Diagnostic>) -> Rollout {
    let mut rollout = Rollout::default();
    let Some(table) = value.get_ref().as_table() else {
        found.push(slip(
            "`rollout` is a table",
            at(value.span()),
            "begin it with `[rollout]`",
        ));
        return rollout;
    };
    for (key, value) in table {
        let name: &str = key.get_ref();
        match name {
            "deadline" | "on-failure" => setting(&mut rollout.all, name, value, at, found),
            "apps" => {
                let Some(apps) = value.get_ref().as_table() else {
                    let help = "write `[rollout.apps.NAME]`";
                    found.push(slip("`apps` is a table by app", at(value.span()), help));
                    continue;
                };
                for (app, value) in apps {
                    let own = one_app(value, at, found);
                    rollout.apps.insert(app.get_ref().to_string(), own);
                }
            }
            "windows" => {
                let Some(windows) = value.get_ref().as_array() else {
                    let help = "begin each with `[[rollout.windows]]`";
                    found.push(slip(
                        "`windows` is a list of tables",
                        at(value.span()),
                        help,
                    ));
                    continue;
                };
                let windows = windows.iter();
                rollout
                    .windows
                    .extend(windows.filter_map(|value| window(value, at, found)));
            }
            _ => found.push(unknown(name, &KEYS, at(key.span()))),
        }
    }
    rollout
}

fn one_app(value: &Value<'_>, at: At<'_>, found: &mut Vec<Diagnostic>) -> RolloutSettings {
    let mut own = RolloutSettings::default();
    let Some(table) = value.get_ref().as_table() else {
        let help = "write `[rollout.apps.NAME]`";
        found.push(slip(
            "an app's settings are a table",
            at(value.span()),
            help,
        ));
        return own;
    };
    for (key, value) in table {
        let name: &str = key.get_ref();
        match APP_KEYS.contains(&name) {
            true => setting(&mut own, name, value, at, found),
            false => found.push(unknown(name, &APP_KEYS, at(key.span()))),
        }
    }
    own
}

fn setting(
    settings: &mut RolloutSettings,
    name: &str,
    value: &Value<'_>,
    at: At<'_>,
    found: &mut Vec<Diagnostic>,
) {
    let text = value.get_ref().as_str().unwrap_or_default();
    if name == "deadline" {
        match seconds(text) {
            Some(seconds) => settings.deadline = Some(seconds),
            None => found.push(slip(
                "`deadline` is a time of a second or more",
                at(value.span()),
                "write a text such as `\"90s\"` or `\"5m\"`",
            )),
        }
        return;
    }
    match text {
        "rollback" => settings.rolls_back = Some(true),
        "stay" => settings.rolls_back = Some(false),
        _ => found.push(slip(
            "`on-failure` says what happens to a commit that does not become healthy",
            at(value.span()),
            "write `\"stay\"` or `\"rollback\"`",
        )),
    }
}

fn window(value: &Value<'_>, at: At<'_>, found: &mut Vec<Diagnostic>) -> Option<SyncWindow> {
    let before = found.len();
    let place = at(value.span());
    let Some(table) = value.get_ref().as_table() else {
        let help = "begin it with `[[rollout.windows]]`";
        found.push(slip("a window is a table", place, help));
        return None;
    };
    let (mut begins, mut lasts, mut zone) = (None, None, "UTC".to_owned());
    let (mut apps, mut envs) = (Vec::new(), Vec::new());
    for (key, value) in table {
        let name: &str = key.get_ref();
        let text = value.get_ref().as_str().unwrap_or_default();
        let span = at(value.span());
        match name {
            "allow" | "deny" => {
                let every = text.starts_with("@every");
                let problem = match check_format(Format::Cron, text) {
                    Err(problem) => Some(problem),
                    Ok(()) if every => Some("it names no time of a day".to_owned()),
                    Ok(()) => None,
                };
                if let Some(problem) = problem {
                    let message = format!("`{text}` is no cron line: {problem}");
                    found.push(slip(
                        &message,
                        span,
                        "write a line such as `\"0 9 * * 1-5\"`",
                    ));
                }
                if begins.replace((name == "deny", text.to_owned())).is_some() {
                    let help = "make two windows of it";
                    found.push(slip("a window either allows or denies", place, help));
                }
            }
            "for" => match seconds(text).map(|seconds| seconds / 60) {
                Some(minutes @ 1..) if minutes as i64 <= WINDOW_MINUTES_MAX => {
                    lasts = u32::try_from(minutes).ok();
                }
                _ => found.push(slip(
                    "`for` is how long a window lasts, from a minute to 31 days",
                    span,
                    "write a text such as `\"8h\"`",
                )),
            },
            "zone" => match check_format(Format::TimeZone, text) {
                Ok(()) => zone = text.to_owned(),
                Err(problem) => {
                    let message = format!("`{text}` is no time zone: {problem}");
                    found.push(slip(
                        &message,
                        span,
                        "write a name such as `\"Europe/Berlin\"`",
                    ));
                }
            },
            "apps" => apps = names(value, span, found),
            "envs" => envs = names(value, span, found),
            _ => found.push(unknown(name, &WINDOW_KEYS, at(key.span()))),
        }
    }
    if found.len() > before {
        return None;
    }
    let Some((denies, begins)) = begins else {
        let help = "write `allow = \"0 9 * * 1-5\"` or `deny = \"…\"`";
        found.push(slip("the window does not say when it begins", place, help));
        return None;
    };
    let Some(minutes) = lasts else {
        let help = "write `for = \"8h\"`";
        found.push(slip(
            "the window does not say how long it lasts",
            place,
            help,
        ));
        return None;
    };
    Some(SyncWindow {
        denies,
        begins,
        minutes,
        zone,
        apps,
        envs,
    })
}

fn names(value: &Value<'_>, span: Span, found: &mut Vec<Diagnostic>) -> Vec<String> {
    let items = value.get_ref().as_array();
    let names: Option<Vec<String>> = items.and_then(|items| {
        let items = items.iter();
        items
            .map(|item| item.get_ref().as_str().map(str::to_owned))
            .collect()
    });
    names.unwrap_or_else(|| {
        let help = "write `[\"shop\", \"pay-*\"]`";
        found.push(slip("this is a list of names", span, help));
        Vec::new()
    })
}

/// Whole seconds of a duration, from one.
fn seconds(text: &str) -> Option<u64> {
    let nanos = parse_duration(text).ok()?;
    u64::try_from(nanos / 1_000_000_000)
        .ok()
        .filter(|seconds| *seconds > 0)
}

fn slip(message: &str, span: Span, help: &str) -> Diagnostic {
    Diagnostic::error("E0901", message)
        .label(span, "this value")
        .help(help)
}

fn unknown(name: &str, known: &[&'static str], span: Span) -> Diagnostic {
    let mut diagnostic =
        Diagnostic::error("E0901", format!("there is no setting `{name}`")).label(span, "this key");
    let names: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
    diagnostic.help = Some(match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are {}", names.join(", ")),
    });
    diagnostic
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, Project, check};

    fn load(toml: &str) -> (Rollout, Vec<String>) {
        let mut files = Memory::new();
        files.insert("ordain.toml", format!("name = \"shop\"\n{toml}"));
        let project = Project::load(&files);
        let found = check(&project).into_iter().map(|found| {
            let at = found.span().map_or("", |span| project.sources.slice(span));
            format!("{} at {at}", found.message)
        });
        (project.manifest.rollout.clone(), found.collect())
    }

    #[test]
    fn a_project_says_how_it_is_rolled_out() {
        let (rollout, found) = load(
            r#"
            [rollout]
            deadline = "5m"
            on-failure = "rollback"
            [rollout.apps.shop]
            deadline = "90s"
            on-failure = "stay"
            [[rollout.windows]]
            deny = "0 0 20 12 *"
            for = "336h"
            zone = "Europe/Berlin"
            apps = ["pay-*"]
            envs = ["prod"]
            "#,
        );
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(rollout.all.deadline, Some(300));
        assert_eq!(rollout.all.rolls_back, Some(true));
        assert_eq!(rollout.apps["shop"].deadline, Some(90));
        assert_eq!(rollout.apps["shop"].rolls_back, Some(false));
        let window = &rollout.windows[0];
        assert!(window.denies);
        assert_eq!(window.minutes, 14 * 24 * 60);
        assert_eq!(window.apps, ["pay-*"]);
    }

    #[test]
    fn slips_are_told_with_their_place() {
        for (toml, message) in [
            (
                "[rollout]\ndeadlin = \"5m\"",
                "there is no setting `deadlin` at deadlin",
            ),
            (
                "[rollout]\ndeadline = 5",
                "`deadline` is a time of a second or more at 5",
            ),
            (
                "[rollout]\non-failure = \"panic\"",
                "`on-failure` says what happens to a commit that does not become healthy at \"panic\"",
            ),
            (
                "[[rollout.windows]]\nallow = \"0 9 * *\"\nfor = \"8h\"",
                "`0 9 * *` is no cron line: it has 4 fields, five are meant at \"0 9 * *\"",
            ),
            (
                "[[rollout.windows]]\nallow = \"0 9 * * *\"\nfor = \"40d\"",
                "`for` is how long a window lasts, from a minute to 31 days at \"40d\"",
            ),
        ] {
            let (rollout, found) = load(toml);
            assert_eq!(found.first().map(String::as_str), Some(message));
            assert_eq!(rollout.windows, []);
        }
        let (_, found) = load("[[rollout.windows]]\nallow = \"0 9 * * *\"");
        assert!(
            found[0].starts_with("the window does not say how long it lasts"),
            "{found:?}"
        );
    }
}
