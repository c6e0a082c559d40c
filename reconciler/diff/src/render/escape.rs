//! Words and names as Markdown and HTML: what sources and servers say is shown, and never read as markup.

/// `3 Deployments`, `1 NetworkPolicy`, `2 NetworkPolicies`.
pub(super) fn plural(count: usize, kind: &str) -> String {
    let end = |from: &str| kind.ends_with(from);
    let word = match kind.strip_suffix('y') {
        _ if count == 1 => kind.to_owned(),
        Some(front) if !end("ay") && !end("ey") && !end("oy") => format!("{front}ies"),
        _ if end("s") || end("x") || end("ch") => format!("{kind}es"),
        _ => format!("{kind}s"),
    };
    format!("{count} {word}")
}

/// Text that is to be read as it is: no markup, no link, no mention.
pub(super) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' => out.push_str("\\|"),
            '*' | '_' | '[' | ']' => {
                out.push('\\');
                out.push(sign);
            }
            // A zero-width space keeps a mail address or a digest from calling somebody.
            '@' => out.push_str("@\u{200b}"),
            '\n' | '\r' => out.push(' '),
            sign => out.push(sign),
        }
    }
    out
}

pub(super) fn html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
    escaped.replace('>', "&gt;").replace(['\n', '\r'], " ")
}

/// A name as code; what would end it is left out.
pub(super) fn code(text: &str) -> String {
    let plain: String = text
        .chars()
        .filter(|sign| !matches!(sign, '`' | '\n' | '\r'))
        .collect();
    format!("`{}`", plain.replace('|', "\\|"))
}
