//! A diff as a comment of a pull request: numbers first, then effects, then changes, equal ones folded.
//!
//! A comment has a limited length (65,536 characters at GitHub); what does not fit is counted and named.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::{
    Diff, Field, Level, ObjectDiff, Totals, Verb,
    fold::{Group, fold},
};

use super::{
    escape::{code, html, plural, text},
    value::{lines, not_compared},
};

/// How the comment is written.
#[derive(Debug, Clone, Default)]
pub struct MarkdownOptions {
    /// Bytes that it may have; [`MarkdownOptions::BYTES_MAX`] when it is `None`.
    pub bytes_max: Option<usize>,
    /// Where a source file is shown, with its last `/`: `https://host/owner/name/blob/COMMIT/`.
    pub source_url: Option<String>,
}

impl MarkdownOptions {
    /// The limit of GitHub is 65,536 characters; bytes are never fewer than characters. What is left is for a marker
    /// and whatever a job adds.
    pub const BYTES_MAX: usize = 65_000;
}

/// Rows of the table of effects; the rest is counted.
const EFFECTS_MAX: usize = 40;

/// Objects of a group that are named; the rest is counted.
const MEMBERS_MAX: usize = 30;

/// Fields of one group that are shown; the rest is counted.
const FIELDS_MAX: usize = 40;

/// Groups up to this number are shown unfolded.
const OPEN_MAX: usize = 2;

/// Characters of a commit in a command that is shown.
const COMMIT_CHARS: usize = 12;

/// Bytes kept for saying what was left out.
const RESERVE: usize = 400;

/// Writes a diff as Markdown.
#[must_use]
pub fn markdown(diff: &Diff, options: &MarkdownOptions) -> String {
    let limit = options.bytes_max.unwrap_or(MarkdownOptions::BYTES_MAX);
    let page = Page { diff, options };
    let mut out = page.head();
    if !diff.is_empty() {
        let groups = fold(diff.objects.iter());
        out.push_str(&page.effects(&groups, limit / 3));
        page.changes(&groups, limit, &mut out);
    }
    cut(&mut out, limit);
    out
}

/// Nobody asks for so little; it is kept to all the same.
fn cut(out: &mut String, limit: usize) {
    if out.len() > limit {
        let end = (0..=limit).rev().find(|at| out.is_char_boundary(*at));
        out.truncate(end.unwrap_or(0));
    }
}

struct Page<'a> {
    diff: &'a Diff,
    options: &'a MarkdownOptions,
}

impl Page<'_> {
    fn head(&self) -> String {
        let diff = self.diff;
        let mut out = String::new();
        let base = diff.base.as_ref().map_or(String::new(), |base| {
            format!("{} → ", code(&base.to_string()))
        });
        let head = format!("{base}{}", code(&diff.head.to_string()));
        if diff.is_empty() {
            let same = diff.live_totals.unwrap_or(diff.totals).unchanged;
            let _ = writeln!(
                out,
                "### Ordain: no changes\n\n{head}: {}.",
                objects_are(same)
            );
        } else {
            let _ = writeln!(out, "### Ordain: {}\n\n{head}\n", self.title());
            self.numbers(&mut out);
        }
        for held in &diff.held {
            let _ = write!(
                out,
                "\n> **{}/{} waits for an approval**: {}.",
                text(&held.env),
                text(&held.app),
                text(&held.reasons.join("; "))
            );
            if let Some(hash) = &held.hash {
                let _ = write!(out, " Plan {}.", code(hash));
            }
            out.push('\n');
        }
        if let Some(unknown) = not_compared(diff) {
            let _ = writeln!(out, "\n{unknown}.");
        }
        out
    }

    fn title(&self) -> String {
        let objects = self.diff.objects.len();
        let mut apps: Vec<(&str, &str)> = self
            .diff
            .objects
            .iter()
            .map(|object| (&*object.env, &*object.app))
            .collect();
        apps.dedup();
        let word = if objects == 1 {
            "object differs"
        } else {
            "objects differ"
        };
        match &*apps {
            [(env, app)] => format!("{objects} {word} in {}/{}", text(env), text(app)),
            apps => format!("{objects} {word} in {} apps", apps.len()),
        }
    }

    fn numbers(&self, out: &mut String) {
        let diff = self.diff;
        let has_refused = diff.totals.refused + diff.live_totals.map_or(0, |live| live.refused) > 0;
        let (title, rule) = match has_refused {
            true => (" refused |", " --: |"),
            false => ("", ""),
        };
        let _ = writeln!(
            out,
            "| | create | change | delete | unchanged |{title}\n| --- | --: | --: | --: | --: |{rule}"
        );
        let mut row = |name: &str, totals: &Totals, unchanged: Option<usize>| {
            let unchanged = unchanged.map_or_else(String::new, |count| count.to_string());
            let refused = match has_refused {
                true => format!(" {} |", totals.refused),
                false => String::new(),
            };
            let _ = writeln!(
                out,
                "| {name} | {} | {} | {} | {unchanged} |{refused}",
                totals.create, totals.update, totals.delete
            );
        };
        let sources = match &diff.live_totals {
            Some(_) => "**sources**: base → head",
            None => "**all**",
        };
        row(sources, &diff.totals, Some(diff.totals.unchanged));
        if let (Some(live), Some(side)) = (&diff.live_totals, &diff.live) {
            let name = format!("**live**: {} → head", text(&side.to_string()));
            row(&name, live, Some(live.unchanged));
        }
        let mut envs: BTreeMap<&str, Totals> = BTreeMap::new();
        for object in &diff.objects {
            envs.entry(&object.env)
                .or_default()
                .count(object.real_verb());
        }
        if envs.len() > 1 {
            for (env, totals) in &envs {
                row(&text(env), totals, None);
            }
        }
    }

    fn effects(&self, groups: &[Group<'_>], room: usize) -> String {
        let mut rows: Vec<(Level, String)> = Vec::new();
        for group in groups {
            for (kind, level, count, first) in group.effects() {
                let (who, what) = match &*group.members {
                    [object] => (name(object), text(&first.message)),
                    _ => {
                        let what = match group.says_the_same(kind) {
                            true => text(&first.message),
                            false => group.summary_text(),
                        };
                        let what = format!("{what} (such as {})", name(group.members[0]));
                        (plural(count, group.kind), what)
                    }
                };
                let place = first
                    .at
                    .as_deref()
                    .map_or_else(String::new, |at| self.place(at));
                // A group of one tells each of its effects, with its own words.
                let single = match &*group.members {
                    [object] => object
                        .effects
                        .iter()
                        .filter(|effect| effect.effect == kind)
                        .skip(1)
                        .collect(),
                    _ => Vec::new(),
                };
                rows.push((
                    level,
                    format!(
                        "| {} | {} | {who} | {what} | {place} |\n",
                        shown(level),
                        kind.words()
                    ),
                ));
                for effect in single {
                    let place = effect
                        .at
                        .as_deref()
                        .map_or_else(String::new, |at| self.place(at));
                    rows.push((
                        effect.level,
                        format!(
                            "| {} | {} | {who} | {} | {place} |\n",
                            shown(effect.level),
                            kind.words(),
                            text(&effect.message)
                        ),
                    ));
                }
            }
        }
        if rows.is_empty() {
            return "\nNo effects beyond the changed fields.\n".to_owned();
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.0));
        let mut out = "\n#### Effects\n\n| | effect | object | what happens | source |\n| --- | --- | --- | --- | --- |\n".to_owned();
        let mut left = rows.len();
        for (_, row) in rows.iter().take(EFFECTS_MAX) {
            if out.len() + row.len() > room {
                break;
            }
            out.push_str(row);
            left -= 1;
        }
        if left > 0 {
            let more = &rows[rows.len() - left..];
            let count = |level| more.iter().filter(|row| row.0 == level).count();
            let _ = writeln!(
                out,
                "\n… and {left} more rows ({} danger, {} warning, {} note).",
                count(Level::Danger),
                count(Level::Warning),
                count(Level::Note)
            );
        }
        out
    }

    fn changes(&self, groups: &[Group<'_>], limit: usize, out: &mut String) {
        out.push_str("\n#### Changes\n\n");
        let open = groups.len() <= OPEN_MAX;
        let mut rest = groups.iter().peekable();
        let room = |out: &String| limit.saturating_sub(out.len() + RESERVE);
        while let Some(group) = rest.peek() {
            let block = self.block(group, open);
            // One huge object must not take the place of all others.
            if block.len() > room(out) || (block.len() > limit / 2 && groups.len() > 1) {
                let line = self.bullet(group);
                if line.len() > room(out) {
                    break;
                }
                out.push_str(&line);
            } else {
                out.push_str(&block);
            }
            rest.next();
        }
        let (mut left, mut objects) = (0, 0);
        for group in rest {
            left += 1;
            objects += group.members.len();
        }
        if left > 0 {
            let range = self.diff.base.as_ref().map(|base| {
                let name = |side: &crate::Side| match &side.commit {
                    Some(commit) => commit.chars().take(COMMIT_CHARS).collect(),
                    None => side.name.clone(),
                };
                format!("{}..{}", name(base), name(&self.diff.head))
            });
            let range: String = range.unwrap_or_default().chars().take(100).collect();
            let _ = writeln!(
                out,
                "\n**{left} more kinds of change ({objects} objects) do not fit into this comment.** `ordain diff {range}` shows all of them."
            );
        }
    }

    /// A group in one line, when there is no room for more.
    fn bullet(&self, group: &Group<'_>) -> String {
        format!("- {} {}\n", sign(group.verb), summary(group))
    }

    fn block(&self, group: &Group<'_>, open: bool) -> String {
        let mut out = String::new();
        let open = if open { " open" } else { "" };
        let _ = writeln!(
            out,
            "<details{open}><summary>{} {}</summary>\n",
            sign(group.verb),
            summary(group)
        );
        match &*group.members {
            [object] => self.single(object, &mut out),
            members => {
                let _ = writeln!(out, "{}", self.members(members));
                let first = fields(members[0]);
                let fields = group
                    .fields
                    .iter()
                    .zip(first)
                    .map(|((path, change), first)| {
                        let same = members.iter().all(|object| {
                            fields_of(object)
                                .iter()
                                .any(|field| field.place() == first.place())
                        });
                        let place = match (same, first.place()) {
                            (true, Some(at)) => at.to_owned(),
                            (false, Some(at)) => format!("such as {at}"),
                            (_, None) => String::new(),
                        };
                        (path.clone(), change.clone(), place)
                    });
                fence(fields.collect(), &mut out);
            }
        }
        out.push_str("\n</details>\n");
        out
    }

    fn single(&self, object: &ObjectDiff, out: &mut String) {
        let mut facts = vec![format!("app `{}/{}`", object.env, object.app)];
        if let Some(from) = &object.moved_from {
            facts.push(format!("moved from app `{from}`"));
        }
        if let Some(at) = &object.at {
            facts.push(self.place(at));
        }
        let _ = writeln!(out, "{}", facts.join(" · "));
        fence(rows(&object.fields), out);
        let Some(live) = &object.live else {
            return;
        };
        let reason = live.reason.as_deref().map(text);
        let Some(side) = &self.diff.live else {
            // It is the base, and was told.
            if let Some(reason) = reason {
                let _ = writeln!(out, "\n{reason}");
            }
            return;
        };
        let known = rows(&object.fields);
        let mut more = rows(&live.fields);
        more.retain(|row| !known.contains(row));
        if live.verb == object.verb && more.is_empty() && reason.is_none() {
            return;
        }
        let what = match live.verb {
            Verb::Unchanged if reason.is_some() => "may be like this already",
            Verb::Unchanged => "is like this already",
            Verb::Create => "does not have it",
            Verb::Update | Verb::Replace if more.is_empty() => "differs in the same",
            Verb::Update | Verb::Replace => "differs besides in",
            Verb::Delete => "has it, and nothing declares it",
            Verb::Held => "keeps it until the plan is approved",
            Verb::Refused => "refuses it",
            Verb::Keep => "keeps it",
        };
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let _ = writeln!(out, "\n{} {what}{reason}", text(&side.to_string()));
        fence(more, out);
    }

    /// The members by environment.
    fn members(&self, members: &[&ObjectDiff]) -> String {
        let mut envs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for object in members.iter().take(MEMBERS_MAX) {
            let place = match &object.key.namespace {
                Some(namespace) => format!("`{namespace}/{}`", object.key.name),
                None => format!("`{}`", object.key.name),
            };
            envs.entry(&object.env).or_default().push(place);
        }
        let mut parts: Vec<String> = envs
            .into_iter()
            .map(|(env, names)| format!("{}: {}", text(env), names.join(", ")))
            .collect();
        if members.len() > MEMBERS_MAX {
            parts.push(format!("and {} more", members.len() - MEMBERS_MAX));
        }
        parts.join("; ")
    }

    /// A source line, as a link where it is known where sources are shown.
    fn place(&self, at: &str) -> String {
        let link = self.options.source_url.as_deref().and_then(|url| {
            let (file, line) = at.rsplit_once(':')?;
            let ok = line.bytes().all(|byte| byte.is_ascii_digit())
                && !file.contains(['(', ')', ' ', '<']);
            ok.then(|| format!("[{}]({url}{file}#L{line})", text(at)))
        });
        link.unwrap_or_else(|| code(at))
    }
}

/// The fields that are shown of an object.
fn fields_of(object: &ObjectDiff) -> Vec<&Field> {
    let live = object.live.iter().flat_map(|live| &live.fields);
    match object.fields.is_empty() {
        true => live.collect(),
        false => object.fields.iter().collect(),
    }
}

fn fields(object: &ObjectDiff) -> Vec<&Field> {
    fields_of(object)
}

type Row = (String, crate::Change, String);

fn rows(fields: &[Field]) -> Vec<Row> {
    let row = |field: &Field| {
        let place = match (&field.at, &field.was_at) {
            (Some(now), Some(was)) if now != was => format!("{now}, was {was}"),
            (Some(at), _) | (None, Some(at)) => at.clone(),
            (None, None) => String::new(),
        };
        (field.path.clone(), field.change.clone(), place)
    };
    fields.iter().map(row).collect()
}

/// Fields as a block that viewers color.
fn fence(rows: Vec<Row>, out: &mut String) {
    if rows.is_empty() {
        return;
    }
    let mut body = String::new();
    let more = rows.len().saturating_sub(FIELDS_MAX);
    for (path, change, place) in rows.into_iter().take(FIELDS_MAX) {
        let place = match place.as_str() {
            "" => String::new(),
            place => format!(" {place}"),
        };
        let _ = writeln!(body, "@@ {path} @@{place}");
        for (mark, line) in lines(&change) {
            let _ = writeln!(body, "{mark} {line}");
        }
    }
    if more > 0 {
        let _ = writeln!(body, "@@ and {more} more fields @@");
    }
    // A fence is longer than every run of its sign inside.
    let (mut longest, mut run) = (0, 0);
    for sign in body.chars() {
        run = if sign == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(3.max(longest + 1));
    let _ = writeln!(out, "\n{fence}diff\n{body}{fence}");
}

fn summary(group: &Group<'_>) -> String {
    let who = match &*group.members {
        [object] => format!(
            "<b>{}</b> ({}/{})",
            html(&object.key.to_string()),
            html(&object.env),
            html(&object.app)
        ),
        members => format!("<b>{}</b>", html(&plural(members.len(), group.kind))),
    };
    let effects: Vec<String> = group
        .effects()
        .iter()
        .map(|(kind, level, count, _)| {
            let all = group.members.len();
            let some = if *count < all {
                format!(" ({count} of {all})")
            } else {
                String::new()
            };
            match level {
                Level::Danger => format!(" · <b>{}</b>{some}", kind.words()),
                _ => format!(" · {}{some}", kind.words()),
            }
        })
        .collect();
    format!("{who}: {}{}", html(&group.summary()), effects.concat())
}

impl Group<'_> {
    /// True when every member's effect of this kind has the same words.
    fn says_the_same(&self, kind: crate::EffectKind) -> bool {
        let all = self.members.iter().flat_map(|object| &object.effects);
        let mut all = all.filter(|effect| effect.effect == kind);
        let first = all.next();
        first.is_some_and(|first| all.all(|effect| effect.message == first.message))
    }

    fn summary_text(&self) -> String {
        text(&self.summary())
    }
}

fn name(object: &ObjectDiff) -> String {
    let place = match &object.key.namespace {
        Some(namespace) => format!("{namespace}/{}", object.key.name),
        None => object.key.name.clone(),
    };
    format!(
        "{} {} ({})",
        text(&object.key.kind),
        code(&place),
        text(&object.env)
    )
}

fn sign(verb: Verb) -> char {
    match verb {
        // A plus or a minus at the start of a line begins a list.
        Verb::Create => '➕',
        Verb::Delete => '➖',
        Verb::Held | Verb::Refused => '⛔',
        Verb::Replace => '♻',
        Verb::Update | Verb::Keep | Verb::Unchanged => '✏',
    }
}

fn shown(level: Level) -> &'static str {
    match level {
        Level::Danger => "**danger**",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

fn objects_are(count: usize) -> String {
    match count {
        1 => "1 object is the same".to_owned(),
        count => format!("{count} objects are the same"),
    }
}
