//! A cron line as sets of minutes, hours, days, months and weekdays.
//!
//! The grammar is that of robfig/cron/v3, which Kubernetes uses, without `@every`: a window that opens
//! "every so often" would depend on when the process was started.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The moments at which a window opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Set when the day of the month, or the day of the week, is restricted. When both are, one of them has to
    /// fit (crontab(5)).
    by_day: bool,
    by_weekday: bool,
}

/// A text that is no cron line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no cron line: {what}")]
pub struct CronError {
    /// As it was given.
    pub text: String,
    /// What is wrong with it.
    pub what: String,
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Cron {
    /// True when a window opens on this day: month and day from 1, weekday from 0 for Sunday.
    pub(crate) fn has_day(&self, month: u32, day: u32, weekday: u32) -> bool {
        let (day, weekday) = (has(self.days, day), has(self.weekdays, weekday));
        let fits = match (self.by_day, self.by_weekday) {
            (true, true) => day || weekday,
            _ => day && weekday,
        };
        fits && has(self.months, month)
    }

    /// The times of a day at which a window opens, as hour and minute, ascending.
    pub(crate) fn times(&self) -> impl Iterator<Item = (i8, i8)> {
        (0..24_i8)
            .filter(|hour| has(self.hours, *hour as u32))
            .flat_map(|hour| {
                (0..60_i8)
                    .filter(|minute| has(self.minutes, *minute as u32))
                    .map(move |minute| (hour, minute))
            })
    }
}

fn has(set: u64, number: u32) -> bool {
    set & (1 << number) != 0
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let wrong = |what: String| CronError {
            text: text.to_owned(),
            what,
        };
        let line = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            line if line.starts_with('@') => {
                return Err(wrong(format!("`{line}` names no time of a day")));
            }
            line => line,
        };
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(wrong(format!(
                "it has {} fields, five are meant",
                fields.len()
            )));
        };
        let is_free = |field: &str| field.starts_with(['*', '?']);
        Ok(Self {
            text: text.to_owned(),
            minutes: set("minute", minutes, 0, 59, &[]).map_err(wrong)?,
            hours: set("hour", hours, 0, 23, &[]).map_err(wrong)?,
            days: set("day", days, 1, 31, &[]).map_err(wrong)?,
            months: set("month", months, 1, 12, &MONTHS).map_err(wrong)?,
            weekdays: set("weekday", weekdays, 0, 6, &WEEKDAYS).map_err(wrong)?,
            by_day: !is_free(days),
            by_weekday: !is_free(weekdays),
        })
    }
}

fn set(what: &str, field: &str, min: u32, max: u32, names: &[&str]) -> Result<u64, String> {
    let number = |text: &str| {
        let named = names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text));
        let number = match named {
            Some(at) => u32::try_from(at).ok().map(|at| at + min),
            None => text.parse().ok(),
        };
        number
            .filter(|number| (min..=max).contains(number))
            .ok_or_else(|| format!("the {what} `{text}` is not in {min}–{max}"))
    };
    let mut found = 0_u64;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            None => (part, None),
            Some((range, step)) => {
                let step: u32 = step.parse().unwrap_or(0);
                if step == 0 {
                    return Err(format!("the {what} `{part}` has no step"));
                }
                (range, Some(step))
            }
        };
        let (from, to) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (min, max),
            Some((from, to)) => (number(from)?, number(to)?),
            // `5/15` means from 5 to the end.
            None if step.is_some() => (number(range)?, max),
            None => {
                let one = number(range)?;
                (one, one)
            }
        };
        if from > to {
            return Err(format!("the {what} `{range}` ends before it begins"));
        }
        let step = usize::try_from(step.unwrap_or(1)).unwrap_or(usize::MAX);
        (from..=to)
            .step_by(step)
            .for_each(|number| found |= 1 << number);
    }
    Ok(found)
}

impl fmt::Display for Cron {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl TryFrom<String> for Cron {
    type Error = CronError;

    fn try_from(text: String) -> Result<Self, CronError> {
        text.parse()
    }
}

impl From<Cron> for String {
    fn from(cron: Cron) -> Self {
        cron.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_cron_reads_them() {
        let cron: Cron = "*/20 9-17/4 * jan,3 MON-FRI".parse().expect("a line");
        assert_eq!(
            cron.times().collect::<Vec<_>>(),
            [9, 13, 17]
                .map(|hour| [(hour, 0), (hour, 20), (hour, 40)])
                .concat()
        );
        assert!(cron.has_day(1, 31, 1) && cron.has_day(3, 1, 5));
        assert!(!cron.has_day(2, 1, 1) && !cron.has_day(1, 1, 0));
        // With both days restricted, one of them is enough (crontab(5)).
        let cron: Cron = "0 0 13 * 5".parse().expect("a line");
        assert!(cron.has_day(1, 13, 2) && cron.has_day(1, 2, 5) && !cron.has_day(1, 2, 2));
    }

    #[test]
    fn what_is_no_line_is_told() {
        for (text, what) in [
            ("0 0 * *", "it has 4 fields, five are meant"),
            ("60 0 * * *", "the minute `60` is not in 0–59"),
            ("0 9-5 * * *", "the hour `9-5` ends before it begins"),
            ("0/0 0 * * *", "the minute `0/0` has no step"),
            ("0 0 * * 7", "the weekday `7` is not in 0–6"),
            ("@every 5m", "`@every 5m` names no time of a day"),
        ] {
            assert_eq!(text.parse::<Cron>().expect_err(text).what, what);
        }
    }
}
