//! What has to be amended in the base to get a copy.

use std::collections::HashMap;

use super::{ElementKey, element_keys, same};
use crate::write::doc::{Doc, Item, Member};
use crate::write::text;
use crate::write::value::{Kind, Writer};
use crate::yaml::{Entry, Node, Value};

/// The members of a block that turns the base into the copy.
// Recursion is as deep as the values, which the reader bounds.
pub(crate) fn amendments<'t>(
    base: &[Entry],
    copy: &[Entry],
    kind: Kind<'t>,
    writer: &Writer<'t>,
) -> Vec<Member> {
    let is_present =
        |entry: &&Entry| !(writer.is_struct(kind) && matches!(entry.node.value, Value::Null));
    let by_key = |entries: &'_ [Entry]| -> HashMap<String, usize> {
        let entries = entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| is_present(entry));
        entries.map(|(at, entry)| (entry.key.clone(), at)).collect()
    };
    let (before, after) = (by_key(base), by_key(copy));
    let mut members = Vec::new();
    for entry in copy.iter().filter(is_present) {
        let head = name(&entry.key);
        let inner = writer.field(kind, &entry.key);
        match before.get(&entry.key).map(|at| &base[*at].node) {
            None => members.push(set(head, &entry.node, inner, writer)),
            Some(before) => {
                let key = writer.list_key(kind, &entry.key);
                members.extend(change(head, before, &entry.node, inner, key, writer));
            }
        }
    }
    for entry in base.iter().filter(is_present) {
        if !after.contains_key(&entry.key) {
            members.push(statement(format!("delete {}", name(&entry.key))));
        }
    }
    members
}

/// The members that turn one field into another.
fn change<'t>(
    head: String,
    base: &Node,
    copy: &Node,
    kind: Kind<'t>,
    key: Option<&str>,
    writer: &Writer<'t>,
) -> Vec<Member> {
    if same(base, copy) || matches!(base.value, Value::Name(_)) {
        return Vec::new();
    }
    let whole = || vec![set(head.clone(), copy, kind, writer)];
    match (&base.value, &copy.value) {
        (Value::Map(before), Value::Map(after)) if !before.is_empty() && !after.is_empty() => {
            let members = amendments(before, after, kind, writer);
            let replaced = whole();
            let amended = under(&head, members, copy);
            if size(&amended) <= size(&replaced) {
                amended
            } else {
                replaced
            }
        }
        (Value::List(before), Value::List(after)) => {
            let amended = match key {
                Some(key) => elements(&head, before, after, kind, key, writer),
                None => appended(&head, before, after, kind, writer),
            };
            amended
                .filter(|amended| size(amended) <= size(&whole()))
                .unwrap_or_else(whole)
        }
        _ => whole(),
    }
}

/// Amends elements by their keys. `None` when the order would not come out right.
fn elements<'t>(
    head: &str,
    before: &[Node],
    after: &[Node],
    kind: Kind<'t>,
    key: &str,
    writer: &Writer<'t>,
) -> Option<Vec<Member>> {
    let (old, new) = (element_keys(before, key)?, element_keys(after, key)?);
    let kept: Vec<&ElementKey> = old.iter().filter(|key| new.contains(key)).collect();
    let added: Vec<&ElementKey> = new.iter().filter(|key| !old.contains(key)).collect();
    // What is deleted goes, what stays keeps its place, what is new comes last.
    if !kept.iter().chain(&added).copied().eq(new.iter()) || kept.is_empty() {
        return None;
    }
    let select = |key: &ElementKey| match key {
        ElementKey::Int(value) => format!("{head}[{value}]"),
        ElementKey::Str(text) => format!("{head}[{}]", text::quoted(text)),
    };
    let element = writer.element(kind);
    let mut members = Vec::new();
    let mut more = Vec::new();
    for (at, name) in new.iter().enumerate() {
        let Some(place) = old.iter().position(|other| other == name) else {
            more.push(Item::new(writer.doc(&after[at], element)));
            continue;
        };
        let (one, two) = (&before[place], &after[at]);
        if let (Value::Map(one), Value::Map(two_entries)) = (&one.value, &two.value) {
            let inner = amendments(one, two_entries, element, writer);
            members.extend(under(&select(name), inner, two));
        }
    }
    for name in old.iter().filter(|key| !new.contains(key)) {
        members.push(statement(format!("delete {}", select(name))));
    }
    if !more.is_empty() {
        members.push(Member::new(format!("{head} +="), Doc::List(more)));
    }
    Some(members)
}

/// `args += […]` for a list that begins as the base does.
fn appended<'t>(
    head: &str,
    before: &[Node],
    after: &[Node],
    kind: Kind<'t>,
    writer: &Writer<'t>,
) -> Option<Vec<Member>> {
    let begins = !before.is_empty()
        && after.len() > before.len()
        && before.iter().zip(after).all(|(one, two)| same(one, two));
    if !begins {
        return None;
    }
    let element = writer.element(kind);
    let more = after[before.len()..]
        .iter()
        .map(|node| Item::new(writer.doc(node, element)))
        .collect();
    Some(vec![Member::new(format!("{head} +="), Doc::List(more))])
}

/// Members under a path: one of them is joined with it, several make a block.
pub(crate) fn under(path: &str, mut members: Vec<Member>, copy: &Node) -> Vec<Member> {
    match members.len() {
        0 => Vec::new(),
        1 => {
            let mut only = members.remove(0);
            only.head = match only.head.strip_prefix("delete ") {
                Some(rest) => format!("delete {path}.{rest}"),
                None => format!("{path}.{}", only.head),
            };
            vec![only]
        }
        _ => {
            let mut member = Member::new(path, Doc::Record(String::new(), members));
            member.origin = Some(copy.span);
            vec![member]
        }
    }
}

fn set<'t>(head: String, node: &Node, kind: Kind<'t>, writer: &Writer<'t>) -> Member {
    let mut member = Member::new(format!("{head} ="), writer.doc(node, kind));
    member.origin = Some(node.span);
    member.before.clone_from(&node.before);
    member.behind.clone_from(&node.behind);
    member
}

fn statement(head: String) -> Member {
    Member {
        head,
        doc: None,
        before: Vec::new(),
        behind: None,
        origin: None,
    }
}

/// A key in an amending block, where `for {` and `if {` would begin something else.
fn name(key: &str) -> String {
    match key {
        "for" | "if" | "let" | "delete" | "final" => text::quoted(key),
        _ => text::key(key),
    }
}

/// How much there is to read, in characters.
fn size(members: &[Member]) -> usize {
    let of = |member: &Member| member.head.len() + 2 + member.doc.as_ref().map_or(0, doc_size);
    members.iter().map(of).sum()
}

fn doc_size(doc: &Doc) -> usize {
    match doc {
        Doc::Atom(text) => text.len(),
        Doc::Block(lines) => lines.iter().map(|line| line.len() + 1).sum(),
        Doc::Record(head, members) => head.len() + 4 + size(members),
        Doc::List(items) => {
            2 + items
                .iter()
                .map(|item| doc_size(&item.doc) + 2)
                .sum::<usize>()
        }
    }
}
