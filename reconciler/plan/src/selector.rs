//! Label selectors in the form of kubectl (`-l`): `app=web,tier in (a,b),!old`.

use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wants {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

/// A selector; the empty one takes everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selector(Vec<(String, Wants)>);

impl Selector {
    /// Reads a selector; `None` when it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut requirements = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            // Commas in parentheses separate values.
            let mut depth = 0;
            let end = rest.find(|char| {
                depth += i32::from(char == '(') - i32::from(char == ')');
                char == ',' && depth == 0
            });
            let (one, next) = end.map_or((rest, ""), |end| (&rest[..end], &rest[end + 1..]));
            requirements.push(requirement(one.trim())?);
            rest = next.trim();
        }
        Some(Self(requirements))
    }

    /// True when a map of labels or annotations is taken.
    pub(crate) fn matches(&self, labels: Option<&Value>) -> bool {
        self.0.iter().all(|(key, wants)| {
            let found = labels
                .and_then(|labels| labels.get(key))
                .and_then(Value::as_str);
            match wants {
                Wants::Exists => found.is_some(),
                Wants::Absent => found.is_none(),
                Wants::In(values) => {
                    found.is_some_and(|found| values.iter().any(|value| value == found))
                }
                Wants::NotIn(values) => {
                    !found.is_some_and(|found| values.iter().any(|value| value == found))
                }
            }
        })
    }
}

fn requirement(text: &str) -> Option<(String, Wants)> {
    let list = |text: &str| {
        let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(
            inner
                .split(',')
                .map(|value| value.trim().to_owned())
                .collect::<Vec<_>>(),
        )
    };
    let (key, wants) = if let Some(key) = text.strip_prefix('!') {
        (key, Wants::Absent)
    } else if let Some((key, values)) = text.split_once(" notin ") {
        (key, Wants::NotIn(list(values)?))
    } else if let Some((key, values)) = text.split_once(" in ") {
        (key, Wants::In(list(values)?))
    } else if let Some((key, value)) = text.split_once("!=") {
        (key, Wants::NotIn(vec![value.trim().to_owned()]))
    } else if let Some((key, value)) = text.split_once('=') {
        (
            key,
            Wants::In(vec![value.trim_start_matches('=').trim().to_owned()]),
        )
    } else {
        (text, Wants::Exists)
    };
    let key = key.trim();
    let is_key = !key.is_empty()
        && !key.contains(|char: char| char.is_whitespace() || "()=!,".contains(char));
    is_key.then(|| (key.to_owned(), wants))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_take_what_kubectl_would() {
        let labels = json!({"app": "web", "tier": "a"});
        let check = |text: &str, wanted: Option<bool>| {
            let found = Selector::parse(text).map(|selector| selector.matches(Some(&labels)));
            assert_eq!(found, wanted, "{text}");
        };
        check("", Some(true));
        check("app=web,tier in (a,b)", Some(true));
        check("app == web", Some(true));
        check("app!=web", Some(false));
        check("tier notin (a, b)", Some(false));
        check("other notin (a)", Some(true));
        check("app,!old", Some(true));
        check("!app", Some(false));
        check("app in a", None);
        check("a b", None);
    }
}
