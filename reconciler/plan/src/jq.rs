//! Paths in the language of jq, as users of Argo CD write them: fields, elements, and `select` among elements.
//!
//! A path says where fields are; a program that computes something says nothing about that. So only what names places
//! is read, and everything else is an error.

use serde_json::Value;

use crate::paths::{Condition, Pattern, Segment, Test};

/// Reads a path: `.spec.template.spec.containers[] | select(.name == "web").env[]`.
pub(crate) fn parse(text: &str) -> Option<Pattern> {
    let mut reader = Reader { rest: text.trim() };
    if !reader.rest.starts_with('.') {
        return None;
    }
    let mut segments = Vec::new();
    while !reader.is_done() {
        if reader.eats("|") || reader.eats("?") {
            continue;
        }
        if reader.eats("select(") {
            // It says which of the elements before are meant.
            let conditions = reader.conditions()?;
            let last = segments.last_mut().filter(|last| **last == Segment::Any)?;
            *last = Segment::Where(conditions);
        } else if reader.eats(".[") || reader.eats("[") {
            segments.push(reader.index()?);
        } else {
            segments.push(Segment::Name(reader.field()?));
        }
    }
    (!segments.is_empty()).then(|| Pattern::new(segments))
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn is_done(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        self.rest.is_empty()
    }

    fn eats(&mut self, token: &str) -> bool {
        match self.rest.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A JSON literal.
    fn literal(&mut self) -> Option<Value> {
        let text = self.rest.trim_start();
        let end = match text.strip_prefix('"') {
            Some(inner) => {
                let mut escaped = false;
                let quote = inner.char_indices().find(|(_, char)| {
                    let ends = *char == '"' && !escaped;
                    escaped = *char == '\\' && !escaped;
                    ends
                });
                quote?.0 + 2
            }
            None => {
                let is_end = |char: char| char.is_whitespace() || ")]|".contains(char);
                text.find(is_end).unwrap_or(text.len())
            }
        };
        let value = serde_json::from_str(&text[..end]).ok()?;
        self.rest = &text[end..];
        Some(value)
    }

    fn text(&mut self) -> Option<String> {
        match self.literal()? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// What stands behind `[`.
    fn index(&mut self) -> Option<Segment> {
        if self.eats("]") {
            return Some(Segment::Any);
        }
        let segment = match self.literal()? {
            Value::String(name) => Segment::Name(name),
            Value::Number(number) => Segment::Name(number.as_u64()?.to_string()),
            _ => return None,
        };
        self.eats("]").then_some(segment)
    }

    /// `.name` or `."any name"`.
    fn field(&mut self) -> Option<String> {
        if !self.eats(".") {
            return None;
        }
        if self.rest.starts_with('"') {
            return self.text();
        }
        let is_end = |char: char| !char.is_ascii_alphanumeric() && char != '_';
        let end = self.rest.find(is_end).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// Conditions up to the closing parenthesis: one of these groups has to hold, each with everything in it.
    fn conditions(&mut self) -> Option<Vec<Vec<Condition>>> {
        let mut groups = vec![Vec::new()];
        loop {
            groups.last_mut()?.push(self.condition()?);
            if self.eats(")") {
                return Some(groups);
            }
            if self.eats("or ") {
                groups.push(Vec::new());
            } else if !self.eats("and ") {
                return None;
            }
        }
    }

    fn condition(&mut self) -> Option<Condition> {
        let mut path = vec![self.field()?];
        while self.rest.starts_with('.') {
            path.push(self.field()?);
        }
        let test = if self.eats("==") {
            Test::Is(self.literal()?)
        } else if self.eats("!=") {
            Test::IsNot(self.literal()?)
        } else if self.eats("|") {
            let named = [
                ("startswith(", Test::Starts as fn(String) -> Test),
                ("endswith(", Test::Ends),
            ];
            let (_, test) = named.into_iter().find(|(name, _)| self.eats(name))?;
            let test = test(self.text()?);
            if !self.eats(")") {
                return None;
            }
            test
        } else {
            Test::IsTrue
        };
        Some(Condition { path, test })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(path: &str, wanted: usize) {
        let object = json!({"metadata": {"annotations": {"a.io/b": "x"}}, "spec": {"on": [
            {"name": "web", "enabled": true, "env": [{"name": "OTEL_A"}, {"name": "B"}]},
            {"name": "db", "enabled": false, "port": 5, "env": [{"name": "OTEL_C"}]}]}});
        let pattern = parse(path).unwrap_or_else(|| panic!("{path} is no path"));
        assert_eq!(pattern.places(&object).len(), wanted, "{path}");
    }

    #[test]
    fn paths_name_places() {
        check(".spec.on", 1);
        check(r#".metadata.annotations["a.io/b"]"#, 1);
        check(r#".metadata.annotations."a.io/b""#, 1);
        check(".spec.on[1].port", 1);
        check(".spec.on[]", 2);
        check(".spec.on[]?.env[].name", 3);
        check(r#".spec.on[] | select(.name == "web")"#, 1);
        check(r#".spec.on[] | select(.name != "web") | .port"#, 1);
        check(".spec.on[] | select(.enabled)", 1);
        check(".spec.on[] | select(.enabled == false) | .env", 1);
        check(r#".spec.on[] | select(.name == "web" or .port == 5)"#, 2);
        check(r#".spec.on[] | select(.name == "web" and .port == 5)"#, 0);
        check(
            r#".spec.on[].env[] | select(.name | startswith("OTEL_"))"#,
            2,
        );
        check(
            r#".spec.on[] | select(.name == "web") | .env[] | select(.name | endswith("B"))"#,
            1,
        );
    }

    #[test]
    fn what_names_no_place_is_no_path() {
        for text in [
            "",
            ".",
            "spec",
            ".spec | length",
            ".spec | select(.a == 1)",
            ".a + .b",
            "..",
            ".a[",
            r#".a[] | select(.b == "c""#,
            ".a[] | select(.b > 1)",
            ".a[1:2]",
            ".spec.",
            ".a-b",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
