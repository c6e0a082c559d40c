//! Calls as the hosts make them, genuine and not. Each `webhooks/*.http` is a request with what is to be made of it.

use std::path::Path;

use ordain_reconciler_source::{HookSecret, read_hook};

/// The secret of all cases. The signatures in them were made with `openssl dgst -sha256 -hmac`.
const SECRET: &str = "It's a Secret to Everybody";

fn check(path: &Path) -> datatest_stable::Result<()> {
    let text = std::fs::read_to_string(path)?.replace('\r', "");
    let (wanted, request) = text
        .split_once('\n')
        .ok_or("the first line says what is wanted")?;
    let (head, body) = request
        .split_once("\n\n")
        .ok_or("a blank line ends the headers")?;
    let headers: Vec<(String, &str)> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(key, value)| (key.to_ascii_lowercase(), value))
        .collect();
    let header = |name: &str| {
        headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| *value)
    };
    let secret = HookSecret::new(SECRET).ok_or("it is not empty")?;
    let said = match read_hook(header, body.trim_end_matches('\n').as_bytes(), &secret) {
        Ok(hint) => format!(
            "{} {} {}{}",
            hint.host,
            hint.event,
            hint.reference.as_deref().unwrap_or("-"),
            if hint.is_push() { " (look)" } else { "" }
        ),
        Err(refused) => format!("refused: {refused}"),
    };
    assert_eq!(said, wanted, "{}", path.display());
    Ok(())
}

datatest_stable::harness! {
    { test = check, root = "tests/webhooks", pattern = r"\.http$" },
}
