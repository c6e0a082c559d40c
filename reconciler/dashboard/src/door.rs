//! Who may come in: whoever has the address that was printed, with the key in it. A loopback port is open to every user of
//! the machine and to every page in a browser, so the port alone is no secret.

use http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};

/// The key of a dashboard, and the cookie that carries it.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    key: String,
    /// Cookies are for a host, not for a port of it: two dashboards need two names.
    cookie: String,
}

impl Door {
    pub(crate) fn new(port: u16) -> std::io::Result<Self> {
        let mut bytes = [0; 20];
        getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
        let key = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self::with(key, port))
    }

    fn with(key: String, port: u16) -> Self {
        let cookie = format!("ordain-dashboard-{port}");
        Self { key, cookie }
    }

    /// What to put behind the address.
    pub(crate) fn query(&self) -> String {
        format!("key={}", self.key)
    }

    /// True when the query has the key.
    pub(crate) fn is_opened_by(&self, query: &str) -> bool {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.any(|(name, value)| name == "key" && is_same(&value, &self.key))
    }

    /// What a browser is told to keep. No page elsewhere can make it send that, and no script can read it.
    pub(crate) fn set_cookie(&self) -> String {
        let (name, key) = (&self.cookie, &self.key);
        format!("{name}={key}; Path=/; HttpOnly; SameSite=Strict")
    }

    /// True when the request has the cookie.
    pub(crate) fn knows(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).into_iter();
        let mut pairs = cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == self.cookie && is_same(value, &self.key))
    }
}

/// Digests are compared, so that the time it takes tells nothing of the key.
fn is_same(a: &str, b: &str) -> bool {
    Sha256::digest(a) == Sha256::digest(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_opens() {
        let door = Door::with("k3y".to_owned(), 7);
        assert!(door.is_opened_by("key=k3y") && door.is_opened_by("a=b&key=k3y"));
        assert!(
            !door.is_opened_by("") && !door.is_opened_by("key=") && !door.is_opened_by("key=k3")
        );
        let with = |cookie: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, cookie.parse().expect("a value"));
            door.knows(&headers)
        };
        assert!(with("ordain-dashboard-7=k3y") && with("a=b; ordain-dashboard-7=k3y"));
        assert!(!with("ordain-dashboard-8=k3y") && !with("ordain-dashboard-7=key") && !with(""));
    }
}
