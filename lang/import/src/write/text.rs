//! Strings, keys and numbers as the language writes them. Whatever the text is, it reads back as itself.

/// Whether a text can stand as a key without quotes.
pub(crate) fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
}

/// A key, in quotes when it needs them.
pub(crate) fn key(text: &str) -> String {
    if is_word(text) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// A string on one line, with its quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    escape(text, Place::Quotes, &mut out);
    out.push('"');
    out
}

/// The lines of a text block between its quotes, without indentation; the last one stands before the closing quotes.
/// `None` when the text is better written, or can only be written, as a string on one line.
pub(crate) fn block(text: &str) -> Option<Vec<String>> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    if !body.contains('\n') || text.contains('\r') {
        return None;
    }
    let is_blank = |line: &str| line.bytes().all(|b| matches!(b, b' ' | b'\t'));
    let ends_line = body.len() < text.len();
    if !ends_line {
        // Without a line for the closing quotes, the block loses the indentation that all its lines have.
        let last = text.rsplit('\n').next().unwrap_or_default();
        let is_indented = |line: &str| is_blank(line) || line.starts_with([' ', '\t']);
        if is_blank(last) || text.split('\n').all(is_indented) {
            return None;
        }
    }
    let count = text.split('\n').count();
    let line = |(nth, line): (usize, &str)| {
        let mut out = String::with_capacity(line.len());
        let place = if nth + 1 == count {
            Place::LastLine
        } else {
            Place::Line
        };
        escape(line, place, &mut out);
        out
    };
    Some(text.split('\n').enumerate().map(line).collect())
}

/// Where a piece of text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Quotes,
    Line,
    /// Before the closing quotes of a block.
    LastLine,
}

fn escape(text: &str, place: Place, out: &mut String) {
    let is_block = place != Place::Quotes;
    let mut chars = text.char_indices().peekable();
    let mut before = '\0';
    let mut quotes = 0;
    while let Some((at, c)) = chars.next() {
        quotes = if c == '"' { quotes + 1 } else { 0 };
        match c {
            '"' if is_block
                && quotes % 3 != 0
                && (place == Place::Line || !text[at..].trim_start_matches('"').is_empty()) =>
            {
                out.push('"');
            }
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' if is_block => out.push('\t'),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '{' => {
                // As the lexer has it: a brace begins an expression when a word or `(` follows directly.
                let begins = chars.peek().is_some_and(|(_, next)| {
                    next.is_ascii_alphabetic() || matches!(next, '_' | '(')
                });
                if begins && !matches!(before, '{' | '$') {
                    out.push('\\');
                }
                out.push('{');
            }
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}') => {
                out.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
            }
            c => out.push(c),
        }
        before = c;
    }
}

/// A quantity's text as a literal that is written back as the same text.
pub(crate) fn quantity(text: &str) -> Option<&str> {
    const UNITS: [&str; 15] = [
        "", "n", "u", "m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    if !UNITS.contains(&unit) {
        return None;
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_plain =
        is_digits(whole) && whole.len() <= 15 && (whole == "0" || !whole.starts_with('0'));
    let is_exact = number.len() == whole.len()
        || (is_digits(fraction)
            && number.len() <= 15
            // `1.50` without a unit would become the number 1.5.
            && (!unit.is_empty() || !fraction.ends_with('0')));
    (is_plain && is_exact).then_some(text)
}

/// A floating point number.
pub(crate) fn float(value: f64) -> String {
    let text = format!("{value:?}");
    if text.contains(['.', 'e']) {
        text
    } else {
        format!("{text}.0")
    }
}

/// A comment of YAML as a comment of the language.
pub(crate) fn comment(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() && c != '\t' { ' ' } else { c })
        .collect();
    match text.trim_end() {
        "" => "//".to_owned(),
        text if text.starts_with([' ', '\t']) => format!("//{text}"),
        text => format!("// {text}"),
    }
}

/// A name for something in a program: words of letters, digits and `_`.
pub(crate) fn identifier(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('_') && !out.is_empty() {
            out.push('_');
        }
    }
    let out = out.trim_end_matches('_').to_owned();
    let is_keyword = matches!(
        out.as_str(),
        "and"
            | "app"
            | "as"
            | "assert"
            | "crd"
            | "delete"
            | "deny"
            | "else"
            | "env"
            | "export"
            | "extends"
            | "fail"
            | "false"
            | "final"
            | "fn"
            | "for"
            | "if"
            | "in"
            | "let"
            | "match"
            | "must"
            | "not"
            | "null"
            | "or"
            | "policy"
            | "snapshot"
            | "test"
            | "then"
            | "true"
            | "type"
            | "use"
            | "warn"
            | "k8s"
            | "std"
            | "objects"
    );
    match out.bytes().next() {
        None => "unnamed".to_owned(),
        Some(b'0'..=b'9') => format!("_{out}"),
        _ if is_keyword => format!("{out}_"),
        _ => out,
    }
}
