//! Sync windows: when commits may be deployed. A pure function of the windows and the time.
//!
//! An active `deny` window closes; where `allow` windows exist, one of them has to be active. Without a
//! window everything is open. Argo CD has the same rule (`docs/user-guide/sync_windows.md`).

mod cron;

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

pub use cron::{Cron, CronError};

/// Minutes that a window may last: longer ones would be looked up over too many days.
pub const WINDOW_MINUTES_MAX: u32 = 31 * 24 * 60;

/// Days into which the next opening is looked for: a line such as `0 0 29 2 *` may not fit for eight years.
const AHEAD_DAYS: i64 = 366;

/// Changes that are looked at to find the next one that matters.
const CHANGES_MAX: usize = 64;

/// What a window does while it is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Commits are deployed in it, and outside only in another such window.
    Allow,
    /// Commits wait until it is over.
    Deny,
}

/// One window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// What it does.
    pub effect: Effect,
    /// When it begins.
    pub begins: Cron,
    /// How long it lasts, in minutes, up to [`WINDOW_MINUTES_MAX`].
    pub minutes: u32,
    /// The IANA time zone in which `begins` is meant.
    pub zone: String,
    /// The apps it is for, as names with `*`; empty for all.
    #[serde(default)]
    pub apps: Vec<String>,
    /// The environments it is for, as names with `*`; empty for all.
    #[serde(default)]
    pub envs: Vec<String>,
}

/// What the windows say about a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether commits may be deployed.
    pub is_open: bool,
    /// Why not, in words; empty when it is open.
    pub reason: String,
    /// When that changes, as far as it was looked for.
    pub until: Option<Timestamp>,
}

impl Window {
    /// True when the window is meant for this app.
    #[must_use]
    pub fn is_for(&self, env: &str, app: &str) -> bool {
        let fits = |patterns: &[String], name: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| like(pattern, name))
        };
        fits(&self.apps, app) && fits(&self.envs, env)
    }

    /// True from each beginning until the window's time is over.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        match self.zone() {
            Some(zone) => self
                .beginnings(&zone, now, -self.days() - 1, 1)
                .any(|begin| begin <= now && now < self.end(begin)),
            // A zone that this machine does not know must not let anything through.
            None => self.effect == Effect::Deny,
        }
    }

    fn zone(&self) -> Option<TimeZone> {
        TimeZone::get(&self.zone).ok()
    }

    fn days(&self) -> i64 {
        i64::from(self.minutes.min(WINDOW_MINUTES_MAX)) / (24 * 60)
    }

    fn end(&self, begin: Timestamp) -> Timestamp {
        let minutes = i64::from(self.minutes.min(WINDOW_MINUTES_MAX));
        begin.saturating_add(minutes.minutes()).unwrap_or(begin)
    }

    /// Its beginnings from `from` to `to` days around the local day of `now`, ascending.
    ///
    /// A local time that a change of the clock skips is taken later by as much; one that comes twice is the
    /// first one (RFC 5545, 3.3.5).
    fn beginnings<'a>(
        &'a self,
        zone: &'a TimeZone,
        now: Timestamp,
        from: i64,
        to: i64,
    ) -> impl Iterator<Item = Timestamp> + 'a {
        let today = zone.to_datetime(now).date();
        let day = move |ahead: i64| today.checked_add(ahead.days()).ok();
        let fits = |date: &Date| {
            let weekday = date.weekday().to_sunday_zero_offset() as u32;
            self.begins
                .has_day(date.month() as u32, date.day() as u32, weekday)
        };
        let days = (from..=to).filter_map(day).filter(fits);
        days.flat_map(move |date| {
            self.begins.times().filter_map(move |(hour, minute)| {
                zone.to_timestamp(date.at(hour, minute, 0, 0)).ok()
            })
        })
    }

    /// The next moment after `now` at which it begins or ends.
    fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let zone = self.zone()?;
        let ends = self
            .beginnings(&zone, now, -self.days() - 1, 1)
            .map(|begin| self.end(begin))
            .filter(|end| *end > now)
            .min();
        let begins = self
            .beginnings(&zone, now, -1, AHEAD_DAYS)
            .find(|begin| *begin > now);
        ends.into_iter().chain(begins).min()
    }
}

/// Returns whether commits may be deployed to an app now.
#[must_use]
pub fn window_open(windows: &[Window], env: &str, app: &str, now: Timestamp) -> Verdict {
    let own: Vec<&Window> = windows.iter().filter(|one| one.is_for(env, app)).collect();
    let closed = closed(&own, now);
    let mut until = None;
    let mut at = now;
    for _ in 0..CHANGES_MAX {
        let Some(next) = own.iter().filter_map(|one| one.next_change(at)).min() else {
            break;
        };
        if self::closed(&own, next).is_some() != closed.is_some() {
            until = Some(next);
            break;
        }
        at = next;
    }
    Verdict {
        is_open: closed.is_none(),
        reason: closed.unwrap_or_default(),
        until,
    }
}

/// Why the windows are closed at a moment.
fn closed(own: &[&Window], now: Timestamp) -> Option<String> {
    let text = |one: &Window| format!("`{}` for {} min in {}", one.begins, one.minutes, one.zone);
    let with = |effect| own.iter().filter(move |one| one.effect == effect);
    if let Some(one) = with(Effect::Deny).find(|one| one.is_active(now)) {
        return Some(format!("the deny window {} is active", text(one)));
    }
    let mut allows = with(Effect::Allow).peekable();
    allows.peek()?;
    let names: Vec<String> = with(Effect::Allow).map(|one| text(one)).collect();
    (!allows.any(|one| one.is_active(now)))
        .then(|| format!("outside of the allow window {}", names.join(", ")))
}

/// Compares a name with a pattern in which `*` stands for anything.
fn like(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(name) = name.strip_prefix(head) else {
        return false;
    };
    (0..=name.len())
        .filter(|at| name.is_char_boundary(*at))
        .any(|at| like(rest, &name[at..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(effect: Effect, begins: &str, minutes: u32, zone: &str) -> Window {
        Window {
            effect,
            begins: begins.parse().expect("a cron line"),
            minutes,
            zone: zone.to_owned(),
            apps: Vec::new(),
            envs: Vec::new(),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn office_hours_open_and_close() {
        let windows = [window(Effect::Allow, "0 9 * * 1-5", 480, "Europe/Berlin")];
        // Friday, summer time: 09:00 in Berlin is 07:00 UTC.
        let verdict = |text| window_open(&windows, "prod", "web", at(text));
        assert!(!verdict("2026-07-03T06:59:59Z").is_open);
        assert_eq!(
            verdict("2026-07-03T06:59:59Z").until,
            Some(at("2026-07-03T07:00:00Z"))
        );
        let open = verdict("2026-07-03T07:00:00Z");
        assert!(open.is_open);
        assert_eq!(open.until, Some(at("2026-07-03T15:00:00Z")));
        let weekend = verdict("2026-07-03T15:00:00Z");
        assert_eq!(
            weekend.reason,
            "outside of the allow window `0 9 * * 1-5` for 480 min in Europe/Berlin"
        );
        assert_eq!(weekend.until, Some(at("2026-07-06T07:00:00Z")));
    }

    #[test]
    fn a_freeze_wins_over_what_allows() {
        let windows = [
            window(Effect::Allow, "0 0 * * *", 24 * 60, "UTC"),
            window(Effect::Deny, "0 0 20 12 *", 14 * 24 * 60, "UTC"),
        ];
        let verdict = window_open(&windows, "prod", "web", at("2026-12-24T12:00:00Z"));
        assert!(!verdict.is_open);
        assert_eq!(verdict.until, Some(at("2027-01-03T00:00:00Z")));
        assert!(window_open(&windows, "prod", "web", at("2027-01-03T00:00:00Z")).is_open);
    }

    #[test]
    fn windows_name_apps_and_environments() {
        let mut deny = window(Effect::Deny, "* * * * *", 1, "UTC");
        deny.apps = vec!["pay-*".to_owned(), "web".to_owned()];
        deny.envs = vec!["prod".to_owned()];
        let windows = [deny];
        let open = |env, app| window_open(&windows, env, app, at("2026-01-01T00:00:00Z")).is_open;
        assert!(!open("prod", "pay-eu") && !open("prod", "web"));
        assert!(open("dev", "web") && open("prod", "paying"));
        // Always closed: no moment to wait for was found.
        let verdict = window_open(&windows, "prod", "web", at("2026-01-01T00:00:00Z"));
        assert_eq!(verdict.until, None);
    }

    #[test]
    fn an_unknown_zone_lets_nothing_through() {
        for effect in [Effect::Allow, Effect::Deny] {
            let windows = [window(effect, "* * * * *", 1, "Mars/Olympus")];
            assert!(!window_open(&windows, "dev", "web", at("2026-01-01T00:00:00Z")).is_open);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// A window is active exactly when one of the minutes before fits its line.
        #[test]
        fn active_means_that_it_began_not_long_ago(
            minute in 0_u32..60, hours in prop::sample::subsequence(vec![0, 2, 3, 9, 23], 1..4),
            weekday in prop::option::of(0_u32..7), minutes in 1_u32..3000,
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "Asia/Kolkata"]),
            // Around the change to summer time of 2026 in Berlin, at 01:00 UTC on 29 March.
            now in 1_774_300_000_i64..1_775_200_000,
        ) {
            let hours: Vec<String> = hours.iter().map(ToString::to_string).collect();
            let weekday = weekday.map_or("*".to_owned(), |day| day.to_string());
            let line = format!("{minute} {} * * {weekday}", hours.join(","));
            let window = window(Effect::Allow, &line, minutes, zone);
            let zone = TimeZone::get(zone).expect("a zone");
            let now = Timestamp::from_second(now).expect("a time");
            let first = now.as_second() - i64::from(minutes) * 60;
            let began = (first..=now.as_second()).filter(|second| second % 60 == 0 && *second > first).any(|second| {
                let time = Timestamp::from_second(second).expect("a time");
                let local = zone.to_datetime(time);
                let skipped = zone.to_timestamp(local).expect("a time") != time;
                let day = local.date();
                let weekday = day.weekday().to_sunday_zero_offset() as u32;
                let fits = |local: jiff::civil::DateTime| {
                    window.begins.has_day(day.month() as u32, day.day() as u32, weekday)
                        && window.begins.times().any(|(h, m)| (h, m) == (local.hour(), local.minute()))
                };
                // A skipped local time begins an hour later on the clock.
                let moved = local.checked_sub(1.hour()).ok().filter(|earlier| {
                    zone.to_timestamp(*earlier).is_ok_and(|same| same == time)
                });
                !skipped && fits(local) || moved.is_some_and(fits)
            });
            prop_assert_eq!(window.is_active(now), began);
        }

        /// Nothing changes before the moment that is named, and something does then.
        #[test]
        fn the_verdict_holds_until_it_says(
            hour in 0_u32..24, minutes in 1_u32..2000, deny in any::<bool>(),
            now in 1_774_300_000_i64..1_775_200_000, part in 0.0_f64..1.0,
        ) {
            let effect = if deny { Effect::Deny } else { Effect::Allow };
            let windows = [window(effect, &format!("30 {hour} * * *"), minutes, "Europe/Berlin")];
            let now = Timestamp::from_second(now).expect("a time");
            let verdict = window_open(&windows, "dev", "web", now);
            if let Some(until) = verdict.until {
                let between = now.as_second() + ((until.as_second() - now.as_second() - 1) as f64 * part) as i64;
                let between = Timestamp::from_second(between).expect("a time");
                prop_assert_eq!(window_open(&windows, "dev", "web", between).is_open, verdict.is_open);
                prop_assert_ne!(window_open(&windows, "dev", "web", until).is_open, verdict.is_open);
            }
        }
    }
}
