//! Who sent a request, as far as the way it came by tells.
//!
//! The local socket tells the user of the operating system. An API server gives no object a mark of its creator, so
//! over it the name is what the client says: what its own review of itself answered.

use std::fmt;

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The kernel knows the other end of the socket.
    User {
        /// Its number.
        uid: u32,
        /// Its name on this machine.
        name: Option<String>,
    },
    /// The client said so.
    Told {
        /// A user of the API server.
        name: String,
    },
    /// The reconciler itself.
    Own,
}

impl Asker {
    /// The user at the other end of a socket.
    #[cfg(unix)]
    pub(crate) fn of_socket(stream: &tokio::net::UnixStream) -> Option<Self> {
        let uid = stream.peer_cred().ok()?.uid();
        let name = std::fs::read_to_string("/etc/passwd");
        let name = name.ok().and_then(|text| name_of(&text, uid));
        Some(Self::User { uid, name })
    }
}

impl fmt::Display for Asker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User {
                uid,
                name: Some(name),
            } => write!(out, "local user {name} (uid {uid})"),
            Self::User { uid, name: None } => write!(out, "local user with uid {uid}"),
            Self::Told { name } => write!(out, "cluster user {name}, by its own word"),
            Self::Own => out.write_str("the reconciler"),
        }
    }
}

/// The name of a user (passwd(5)).
#[cfg(unix)]
fn name_of(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid).then(|| name.to_owned())
    })
}

/// Adds who sent a request to the words in which he names himself.
pub(crate) fn with(by: String, asker: Option<&Asker>) -> String {
    match asker {
        Some(asker) if by.is_empty() => asker.to_string(),
        Some(asker) => format!("{by} ({asker})"),
        None => by,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn users_are_known_by_number() {
        let passwd = "root:x:0:0:root:/:/bin/sh\n# a comment\nada:x:1000:1000::/:/bin/sh\n";
        assert_eq!(name_of(passwd, 1000).as_deref(), Some("ada"));
        assert_eq!(name_of(passwd, 0).as_deref(), Some("root"));
        assert_eq!(name_of(passwd, 7), None);
        let told = Asker::Told {
            name: "grace".to_owned(),
        };
        let by = with("Ada <ada@example.com>".to_owned(), Some(&told));
        assert_eq!(
            by,
            "Ada <ada@example.com> (cluster user grace, by its own word)"
        );
    }
}
