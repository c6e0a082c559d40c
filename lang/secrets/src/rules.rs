//! `.sops.yaml`: for whom a new file is encrypted (getsops/sops, `config/config.go`). Only age recipients are read.

use regex::Regex;
use serde_yaml::Value;

use crate::error::DocumentError;
use crate::keys::Recipient;

/// The age recipients of the first creation rule that fits a path, relative to the folder of the configuration. None when no
/// rule fits.
///
/// # Errors
/// When the configuration cannot be read, or the rule has no age recipient.
pub fn creation_rule(config: &str, path: &str) -> Result<Option<Vec<Recipient>>, DocumentError> {
    let config: Value = serde_yaml::from_str(config).map_err(|error| DocumentError::Syntax {
        format: "YAML",
        place: error.location().map_or_else(String::new, |at| {
            format!(" (line {}, column {})", at.line(), at.column())
        }),
    })?;
    let rules = config.get("creation_rules").and_then(Value::as_sequence);
    for rule in rules.into_iter().flatten() {
        let fits = match rule.get("path_regex").and_then(Value::as_str) {
            None => true,
            Some(regex) => Regex::new(regex)
                .map_err(|_| DocumentError::Structure("a `path_regex` cannot be read"))?
                .is_match(path),
        };
        if !fits {
            continue;
        }
        let named: Vec<&str> = match rule.get("age") {
            Some(Value::String(text)) => text.split(',').collect(),
            Some(Value::Sequence(list)) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let recipients: Result<Vec<Recipient>, _> = named
            .iter()
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
            .map(str::parse)
            .collect();
        return match recipients {
            Ok(recipients) if !recipients.is_empty() => Ok(Some(recipients)),
            _ => Err(DocumentError::Structure(
                "the rule for this file names no age recipient",
            )),
        };
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

    #[test]
    fn the_first_rule_that_fits_counts() {
        let config = format!(
            "creation_rules:\n- path_regex: \\.prod\\.yaml$\n  age: >-\n    {ONE},\n    {ONE}\n- path_regex: kms\n  kms: arn\n- path_regex: ^secrets/\n  age: [{ONE}]\n"
        );
        let check = |path: &str| creation_rule(&config, path).map(|found| found.map(|f| f.len()));
        assert_eq!(check("secrets/a.prod.yaml"), Ok(Some(2)));
        assert_eq!(check("secrets/a.yaml"), Ok(Some(1)));
        assert_eq!(check("a.yaml"), Ok(None));
        assert!(check("kms.yaml").is_err());
        assert!(creation_rule("a: [", "a").is_err());
        assert_eq!(creation_rule("", "a"), Ok(None));
    }
}
