//! Names of objects, by kind, and names of time zones.
//!
//! pkg/apis/core/validation/names.go; pkg/apis/rbac/validation ValidateRBACName (path segments); pkg/apis/batch/validation
//! for the lengths that leave room for the names of what is made of an object.

use ordain_lang_syntax::Diagnostic;

use super::{Judge, View};
use crate::constant::dollar_help;
use crate::format::check_format;
use crate::suggest::nearest;
use crate::ty::Format;

/// What names of a kind look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Naming {
    /// A DNS name of at most so many characters.
    Subdomain(usize),
    /// A DNS label.
    Label,
    /// A DNS label that begins with a letter, as Services have.
    Letter,
    /// Anything without `/` and `%`: names that are no part of another name.
    Path,
}

/// Longest object name.
const NAME_MAX: usize = 253;
/// Pods of a Job are told apart by a label with its name.
const JOB_MAX: usize = 63;
/// A CronJob adds eleven characters to make the names of its Jobs.
const CRON_JOB_MAX: usize = 52;

impl Naming {
    pub(super) fn of(group: &str, kind: &str) -> Naming {
        match (group, kind) {
            ("", "Service") => Naming::Letter,
            ("", "Namespace") => Naming::Label,
            ("batch", "Job") => Naming::Subdomain(JOB_MAX),
            ("batch", "CronJob") => Naming::Subdomain(CRON_JOB_MAX),
            ("rbac.authorization.k8s.io", _)
            | ("flowcontrol.apiserver.k8s.io", _)
            | ("certificates.k8s.io", _)
            | ("networking.k8s.io", "IPAddress")
            | ("storage.k8s.io", "CSIDriver") => Naming::Path,
            _ => Naming::Subdomain(NAME_MAX),
        }
    }

    fn check(self, name: &str) -> Result<(), String> {
        match self {
            Naming::Subdomain(max) => {
                check_format(Format::Name, name)?;
                match name.len() > max {
                    true => Err(format!(
                        "it has {} characters, {max} are allowed",
                        name.len()
                    )),
                    false => Ok(()),
                }
            }
            Naming::Label => check_format(Format::DnsLabel, name),
            Naming::Letter => {
                check_format(Format::DnsLabel, name)?;
                match name.starts_with(|c: char| c.is_ascii_digit()) {
                    true => Err("it must begin with a letter".into()),
                    false => Ok(()),
                }
            }
            Naming::Path => match name {
                "" => Err("it is empty".into()),
                "." | ".." => Err("it is a step of a path".into()),
                _ => match name.chars().find(|c| matches!(c, '/' | '%')) {
                    Some(c) => Err(format!("it has a `{c}`")),
                    None => Ok(()),
                },
            },
        }
    }
}

/// Time zones of the IANA database, one per line.
const TIME_ZONES: &str = include_str!("timezones.txt");

/// Checks the name of a time zone against the IANA database, as `time.LoadLocation` does.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn time_zone(name: &str) -> Result<(), String> {
    if TIME_ZONES.lines().any(|zone| zone == name) {
        return Ok(());
    }
    Err(match nearest(name, TIME_ZONES.lines()) {
        Some(near) => format!("the IANA database has no such zone; did you mean `{near}`?"),
        None => "a zone of the IANA database such as `Europe/Berlin` is meant".into(),
    })
}

impl<V: View> Judge<'_, V> {
    /// `metadata.name` of an object.
    pub(super) fn object_name(&mut self, node: V::Node, naming: Naming) {
        let Some(at) = self.at(node, &["metadata", "name"]).known() else {
            return;
        };
        let Some(name) = self.text(at) else { return };
        if let Err(why) = naming.check(&name) {
            let kind = self.text_of(node, "kind");
            let of = kind.map_or_else(|| "an object".to_owned(), |kind| format!("a {kind}"));
            let at = self.span(at);
            let diagnostic =
                Diagnostic::error("E0205", format!("\"{name}\" is no name of {of}: {why}"))
                    .label(at, "no such name");
            self.say(match dollar_help(&name) {
                Some(help) => diagnostic.help(help),
                None => diagnostic,
            });
        }
    }
}
