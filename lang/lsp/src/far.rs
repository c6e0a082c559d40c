//! Leaving out of a text what environments change in apps that a place has nothing to do with.
//!
//! A file that says something of a thousand apps is read anew with every key. What is asked about is one line: the others
//! become spaces, so that every place stays where it is and reading costs next to nothing.

use std::collections::HashSet;

use ordain_lang_syntax::Parsed;
use ordain_lang_syntax::ast::{ItemKind, MemberKind, SegmentKind};

/// With fewer changes than this, reading all of them is as quick.
const MANY: usize = 64;

/// Returns `text`, which is another state of a parsed one, without changes of apps that are not named where the two differ.
/// None when that is not worth it.
pub(crate) fn without_far(parsed: &Parsed, old: &str, text: &str) -> Option<String> {
    let (in_front, behind) = common(old.as_bytes(), text.as_bytes());
    let (old_end, new_end) = (old.len() - behind, text.len() - behind);
    let start = text[..in_front_of(text, in_front)]
        .rfind('\n')
        .map_or(0, |at| at + 1);
    let end = line_end(text, new_end);
    let old_line_end = line_end(old, old_end);
    let mut near: HashSet<&str> = words(text.get(start..end)?).collect();
    let mut far: Vec<(usize, usize, &str)> = Vec::new();
    for item in &parsed.file.items {
        let ItemKind::Env(env) = &item.kind else {
            continue;
        };
        let is_around = env.body.span.range().contains(&start);
        if !is_around && env.body.span.range().contains(&old_line_end) {
            return None;
        }
        for member in &env.body.members {
            let path = match &member.kind {
                MemberKind::Field(field) => &field.path,
                MemberKind::Delete(path) => path,
                _ => continue,
            };
            let Some(SegmentKind::Name(app)) = path.first().map(|first| &first.kind) else {
                continue;
            };
            let at = member.span.range();
            if at.end <= start {
                far.push((at.start, at.end, app.as_str()));
            } else if at.start >= old_line_end {
                let moved = |at: usize| at - old_end + new_end;
                far.push((moved(at.start), moved(at.end), app.as_str()));
            } else {
                // It goes on over several lines.
                near.extend(words(old.get(at)?));
            }
        }
    }
    // A name without dots is a setting.
    far.retain(|(from, to, name)| {
        let is_change = text.get(from + name.len()..*to);
        let is_change = is_change.is_some_and(|rest| rest.trim_start().starts_with(['.', '{']));
        is_change && !near.contains(name)
    });
    if far.len() < MANY {
        return None;
    }
    let mut bytes = text.as_bytes().to_vec();
    for (from, to, _) in far {
        let comma = bytes[to..]
            .iter()
            .position(|byte| !byte.is_ascii_whitespace());
        let to = match comma.map(|at| to + at) {
            Some(at) if bytes[at] == b',' => at + 1,
            _ => to,
        };
        for byte in &mut bytes[from..to] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// How many bytes two texts have in common in front and behind.
fn common(old: &[u8], new: &[u8]) -> (usize, usize) {
    let in_front = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - in_front;
    let behind = old.iter().rev().zip(new.iter().rev()).take(rest);
    (in_front, behind.take_while(|(a, b)| a == b).count())
}

/// The boundary of a character at or in front of an offset.
fn in_front_of(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn line_end(text: &str, from: usize) -> usize {
    let rest = text.as_bytes().get(from..).unwrap_or_default();
    let end = rest.iter().position(|byte| *byte == b'\n');
    end.map_or(text.len(), |end| from + end)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use ordain_lang_syntax::{FileId, parse};

    use super::without_far;

    #[test]
    fn other_apps_become_spaces_and_nothing_moves() {
        let mut old = String::from("env prod {\n  cluster = \"é\", app_1.a = 1, app_2.a = 2\n");
        for i in 0..100 {
            let _ = writeln!(old, "  app_{i}.config {{ a = {i}, b = \"é\" }}");
        }
        old.push_str("}\ntest \"t\" { assert app_3.config.a == 3, \"x\" }\n");
        let at = old.find("  app_50.").expect("it is there") + "  app_50.con".len();
        let typed = format!("{}X{}", &old[..at], &old[at..]);
        let file = FileId(0);
        let short = without_far(&parse(file, &old), &old, &typed).expect("there are many");
        assert_eq!(short.len(), typed.len());
        assert_eq!(short.matches('\n').count(), typed.matches('\n').count());
        assert_eq!(short.find("app_50.conX"), typed.find("app_50.conX"));
        assert!(!short.contains("app_49") && !short.contains("app_51"));
        assert!(short.contains("cluster = \"é\"") && short.contains("assert app_3"));
        let read = parse(file, &short);
        assert!(read.diagnostics.is_empty(), "{:?}", read.diagnostics);
    }

    #[test]
    fn a_few_are_read_as_they_are() {
        let old = "env prod {\n  a.b = 1\n  c.d = 2\n}\n";
        assert_eq!(
            without_far(&parse(FileId(0), old), old, &format!("{old} ")),
            None
        );
    }
}
