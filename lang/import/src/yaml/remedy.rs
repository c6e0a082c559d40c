//! What helps against broken YAML, from what the scanner says and the line it stopped in. It reads nothing else.

/// Returns the help for a mistake of the scanner. `line` is the line it stopped in, and `at` the place in it.
pub(super) fn of(said: &str, line: &str, at: usize) -> &'static str {
    let rest = line.get(at..).unwrap_or_default();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if line.contains("{{") {
        "it looks like a template; import what `helm template` makes of it"
    } else if has(&["tab"]) || line.trim_start_matches(' ').starts_with('\t') {
        "YAML is indented with spaces, never with tabs"
    } else if has(&["unknown anchor"]) {
        "an alias names what an earlier `&NAME` of the same document stands before"
    } else if rest.starts_with(['@', '`', '%']) {
        "a text that begins with this character stands between quotes"
    } else if has(&["bracket", "','", "']'", "'}'", "flow"]) {
        "close the bracket, or write the text between quotes when the bracket belongs to it"
    } else if has(&["quote", "escape"]) {
        "close the quotes; between double quotes a `\\` is written `\\\\`, between single ones `'` is written `''`"
    } else if has(&["mapping values", "simple key", "':'"]) {
        "a text with `: ` in it stands between quotes; a key stands at the column of its neighbors"
    } else if has(&["indent", "block", "sequence entries"]) {
        "entries of one list or map stand at one column, further right than what holds them"
    } else if has(&["tag", "directive", "anchor"]) {
        "Kubernetes needs no tags, directives or anchors: write the value as it is"
    } else {
        "look at this line and the one before it for a missing quote, a `:` without a blank, or another indentation"
    }
}
