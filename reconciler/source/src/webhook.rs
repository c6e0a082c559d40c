//! Whether a call really comes from the git host, and what it says was pushed.
//!
//! A webhook is a hint to look now and is never trusted further: what is deployed is what a fetch finds.
//! Knows no HTTP server; headers come as a function.

use std::fmt;

use ring::hmac;

/// Bytes of a payload that are taken; GitHub caps its own at 25 MB.
pub const HOOK_BYTES_MAX: usize = 25 << 20;

/// What the host and we have in common. It is never shown.
#[derive(Clone)]
pub struct HookSecret {
    key: hmac::Key,
    /// The secret's own tag: comparing tags tells nothing by the time it takes.
    own: hmac::Tag,
}

impl HookSecret {
    /// From the text that was given to the host; line breaks at its end do not count.
    ///
    /// `None` when it is empty: then anybody could sign.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return None;
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes());
        let own = hmac::sign(&key, text.as_bytes());
        Some(Self { key, own })
    }

    /// True when `hex` is the HMAC-SHA256 of the body.
    fn signed(&self, body: &[u8], hex: &str) -> bool {
        let tag = unhex(hex);
        tag.is_some_and(|tag| hmac::verify(&self.key, body, &tag).is_ok())
    }

    /// True when the token is the secret itself.
    fn is(&self, token: &str) -> bool {
        hmac::verify(&self.key, token.as_bytes(), self.own.as_ref()).is_ok()
    }
}

impl fmt::Debug for HookSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("HookSecret(…)")
    }
}

/// What a call says, once it is known to be genuine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Who calls: `GitHub`, `GitLab` or `Gitea` (Forgejo calls itself that too).
    pub host: &'static str,
    /// The event, in the host's words.
    pub event: String,
    /// The reference that moved, when the payload tells.
    pub reference: Option<String>,
}

impl Hint {
    /// True when a branch or tag may have moved; a ping says only that the way is open.
    #[must_use]
    pub fn is_push(&self) -> bool {
        let event = self.event.to_ascii_lowercase();
        ["push", "create", "delete", "release"]
            .iter()
            .any(|known| event.contains(known))
    }
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No header of a host that is known.
    #[error("this is no webhook of GitHub, GitLab, Gitea or Forgejo")]
    Unknown,
    /// The host did not sign.
    #[error("the call is not signed; set the webhook's secret at the git host")]
    Unsigned,
    /// It was signed with something else.
    #[error("the signature is wrong; the secret here and at the git host differ")]
    Wrong,
}

/// Checks a call with the secret and reads what it says.
///
/// `header` returns a header's value by its lower-case name. GitHub and Gitea sign the body with HMAC-SHA256
/// (`X-Hub-Signature-256`, `X-Gitea-Signature`); GitLab sends the secret itself (`X-Gitlab-Token`).
///
/// # Errors
/// When the call does not come from somebody who has the secret.
pub fn read_hook<'a>(
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
    secret: &HookSecret,
) -> Result<Hint, Refused> {
    // Gitea sends GitHub's headers besides its own, so it is asked for first.
    let (host, event, proof) = if let Some(event) = header("x-gitea-event") {
        let sign = header("x-gitea-signature").filter(|sign| !sign.is_empty());
        ("Gitea", event, sign.map(|sign| secret.signed(body, sign)))
    } else if let Some(event) = header("x-github-event") {
        let sign = header("x-hub-signature-256");
        let proof = sign.map(|sign| {
            let hex = sign.strip_prefix("sha256=");
            hex.is_some_and(|hex| secret.signed(body, hex))
        });
        ("GitHub", event, proof)
    } else if let Some(event) = header("x-gitlab-event") {
        let token = header("x-gitlab-token");
        ("GitLab", event, token.map(|token| secret.is(token)))
    } else {
        return Err(Refused::Unknown);
    };
    match proof {
        None => return Err(Refused::Unsigned),
        Some(false) => return Err(Refused::Wrong),
        Some(true) => {}
    }
    // What cannot be read says nothing more; that somebody called is hint enough.
    let payload: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    Ok(Hint {
        host,
        event: event.to_owned(),
        reference: payload["ref"].as_str().map(str::to_owned),
    })
}

/// Bytes from pairs of hexadecimal digits.
fn unhex(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| {
            let byte = digit(pair[0])? << 4 | digit(pair[1])?;
            u8::try_from(byte).ok()
        })
        .collect()
}
