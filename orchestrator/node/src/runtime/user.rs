//! Which numeric user a container runs as: the pod's wish, else the image's, by its own
//! `/etc/passwd`. Pure over the texts of the two files.

/// A resolved user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User ID.
    pub uid: u32,
    /// Group ID.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Home folder, when `/etc/passwd` names one.
    pub home: Option<String>,
}

/// Why no user could be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// The image names a user that its files do not.
    #[error("unable to find user {name}: no matching entries in passwd file")]
    Unknown {
        /// The name.
        name: String,
    },
    /// `runAsNonRoot` and user 0, in upstream's words.
    #[error("container has runAsNonRoot and image will run as root")]
    Root,
}

/// Resolves the user.
///
/// # Errors
/// When a name is unknown, or the user is 0 although that is refused.
pub fn resolve(
    security: &super::Security,
    image_user: &str,
    passwd: &str,
    group: &str,
) -> Result<User, UserError> {
    let (name, group_name) = image_user.split_once(':').unwrap_or((image_user, ""));
    let mut user = match security.run_as_user {
        Some(uid) => by_uid(passwd, uid),
        None if name.is_empty() => by_uid(passwd, 0),
        None => match name.parse() {
            Ok(uid) => by_uid(passwd, uid),
            Err(_) => {
                let found = lines(passwd).find(|line| line[0] == name);
                let found = found.and_then(|line| entry(&line));
                found.ok_or_else(|| UserError::Unknown {
                    name: name.to_owned(),
                })?
            }
        },
    };
    if let Some(gid) = security.run_as_group {
        user.gid = gid;
    } else if security.run_as_user.is_none() && !group_name.is_empty() {
        user.gid = match group_name.parse() {
            Ok(gid) => gid,
            Err(_) => lines(group)
                .find(|line| line[0] == group_name)
                .and_then(|line| line.get(2)?.parse().ok())
                .ok_or_else(|| UserError::Unknown {
                    name: group_name.to_owned(),
                })?,
        };
    }
    if security.run_as_non_root && user.uid == 0 {
        return Err(UserError::Root);
    }
    user.groups.clone_from(&security.groups);
    Ok(user)
}

fn by_uid(passwd: &str, uid: u32) -> User {
    let wanted = uid.to_string();
    let found = lines(passwd).find(|line| line.get(2).is_some_and(|field| *field == wanted));
    let found = found.and_then(|line| entry(&line));
    found.unwrap_or(User {
        uid,
        gid: 0,
        groups: Vec::new(),
        home: None,
    })
}

fn entry(line: &[&str]) -> Option<User> {
    let home = line
        .get(5)
        .filter(|home| !home.is_empty())
        .map(|home| (*home).to_owned());
    let (uid, gid) = (line.get(2)?.parse().ok()?, line.get(3)?.parse().ok()?);
    Some(User {
        uid,
        gid,
        groups: Vec::new(),
        home,
    })
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(':').collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Security;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102:web:/srv:/bin/false\n";
    const GROUP: &str = "root:x:0:\nstaff:x:50:\n";

    fn check(image_user: &str, change: impl FnOnce(&mut Security), expect: Result<(u32, u32), ()>) {
        let mut security = Security::default();
        change(&mut security);
        let found = resolve(&security, image_user, PASSWD, GROUP);
        assert_eq!(
            found.map(|user| (user.uid, user.gid)).map_err(drop),
            expect,
            "{image_user}"
        );
    }

    #[test]
    fn the_pod_wins_over_the_image() {
        check("", |_| {}, Ok((0, 0)));
        check("web", |_| {}, Ok((101, 102)));
        check("101", |_| {}, Ok((101, 102)));
        check("web:staff", |_| {}, Ok((101, 50)));
        check("7:9", |_| {}, Ok((7, 9)));
        check("web", |s| s.run_as_user = Some(5), Ok((5, 0)));
        check("web", |s| s.run_as_group = Some(6), Ok((101, 6)));
        check("stranger", |_| {}, Err(()));
    }

    #[test]
    fn root_is_refused_when_the_pod_says_so() {
        check("", |s| s.run_as_non_root = true, Err(()));
        check("web", |s| s.run_as_non_root = true, Ok((101, 102)));
    }
}
