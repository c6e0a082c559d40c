//! What a request is about, read from its method, path and query alone.
//!
//! The rules are those of `apiserver/pkg/endpoints/request/requestinfo.go`; the authorizer and the
//! handlers see the same [`Target`].

use http::Method;

use crate::status::Failure;

/// The parsed query string.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: Option<&str>) -> Query {
        let pairs = text
            .unwrap_or("")
            .split('&')
            .filter(|p| !p.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (unescape(key), unescape(value))
            });
        Query(pairs.collect())
    }

    /// Returns the first value of a parameter; absent and empty are the same.
    pub(crate) fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v)
    }

    /// Returns a boolean parameter, read as Go's conversion does: `0` and `false` are false,
    /// every other value (also an empty one) is true.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.0
            .iter()
            .find(|(k, _)| k == key)
            .is_some_and(|(_, v)| v != "false" && v != "0")
    }

    /// Returns a number parameter.
    ///
    /// # Errors
    /// 400 when it is not a number.
    pub(crate) fn number(&self, key: &str) -> Result<Option<i64>, Failure> {
        match self.get(key) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Failure::bad_request(format!(
                    "invalid value {text:?} for the parameter {key}: not a number"
                ))
            }),
        }
    }

    /// Tells whether the parameter is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(k, _)| k == key)
    }
}

/// Replaces `%XX` and `+`; what is not a valid escape stays as it is.
pub(crate) fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |b: u8| char::from(b).to_digit(16);
        match bytes[at] {
            b'+' => out.push(b' '),
            b'%' if at + 2 < bytes.len() => match (hex(bytes[at + 1]), hex(bytes[at + 2])) {
                (Some(high), Some(low)) => {
                    out.push((high * 16 + low) as u8);
                    at += 2;
                }
                _ => out.push(b'%'),
            },
            byte => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What a request does, in the authorizer's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
        }
    }
}

/// A request on a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) plural: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
    /// What follows the subresource (`proxy/…`), without the leading slash.
    pub(crate) rest: String,
    pub(crate) verb: Verb,
}

/// Returns the resource a request is about; `None` for paths such as `/healthz` and discovery.
pub(crate) fn target(method: &Method, path: &str, query: &Query) -> Option<Target> {
    let mut parts = path.split('/').filter(|p| !p.is_empty()).map(unescape);
    let (group, version) = match parts.next()?.as_str() {
        "api" => (String::new(), parts.next()?),
        "apis" => (parts.next()?, parts.next()?),
        _ => return None,
    };
    let mut rest: Vec<String> = parts.collect();
    if rest.is_empty() {
        return None;
    }
    // The old form `/api/v1/watch/...` is a list with watch=true.
    let old_watch = rest[0] == "watch" && rest.len() > 1;
    if old_watch {
        rest.remove(0);
    }
    let mut namespace = String::new();
    if rest[0] == "namespaces" && rest.len() > 1 {
        namespace = rest[1].clone();
        // `namespaces/x`, `namespaces/x/status` and `namespaces/x/finalize` are about the namespace.
        if rest.len() > 2 && !(rest.len() == 3 && matches!(rest[2].as_str(), "status" | "finalize"))
        {
            rest.drain(..2);
        }
    }
    let mut rest = rest.into_iter();
    let plural = rest.next()?;
    let name = rest.next().unwrap_or_default();
    let subresource = rest.next().unwrap_or_default();
    let rest: Vec<String> = rest.collect();
    let one = !name.is_empty();
    let verb = match *method {
        Method::GET | Method::HEAD if old_watch => Verb::Watch,
        Method::GET | Method::HEAD if one => Verb::Get,
        Method::GET | Method::HEAD if query.flag("watch") => Verb::Watch,
        Method::GET | Method::HEAD => Verb::List,
        Method::POST => Verb::Create,
        Method::PUT => Verb::Update,
        Method::PATCH => Verb::Patch,
        Method::DELETE if one => Verb::Delete,
        Method::DELETE => Verb::DeleteCollection,
        _ => return None,
    };
    Some(Target {
        group,
        version,
        namespace,
        plural,
        name,
        subresource,
        rest: rest.join("/"),
        verb,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, url: &str, expected: &str) {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let shown = match target(&method, path, &Query::parse(Some(query))) {
            None => "-".to_owned(),
            Some(t) => format!(
                "{} {} ns={} {}/{}/{}/{}",
                t.verb.as_str(),
                crate::registry::api_version(&t.group, &t.version),
                t.namespace,
                t.plural,
                t.name,
                t.subresource,
                t.rest
            ),
        };
        assert_eq!(shown, expected, "{method} {url}");
    }

    #[test]
    fn paths_become_targets() {
        check(Method::GET, "/healthz", "-");
        check(Method::GET, "/api/v1", "-");
        check(Method::GET, "/apis/apps/v1", "-");
        check(Method::GET, "/api/v1/pods", "list v1 ns= pods///");
        check(
            Method::GET,
            "/api/v1/pods?watch=true",
            "watch v1 ns= pods///",
        );
        check(Method::GET, "/api/v1/watch/pods", "watch v1 ns= pods///");
        check(
            Method::GET,
            "/api/v1/namespaces",
            "list v1 ns= namespaces///",
        );
        check(
            Method::GET,
            "/api/v1/namespaces/a",
            "get v1 ns=a namespaces/a//",
        );
        check(
            Method::PUT,
            "/api/v1/namespaces/a/finalize",
            "update v1 ns=a namespaces/a/finalize/",
        );
        check(
            Method::GET,
            "/api/v1/namespaces/a/pods/b/log",
            "get v1 ns=a pods/b/log/",
        );
        check(
            Method::POST,
            "/apis/apps/v1/namespaces/a/deployments",
            "create apps/v1 ns=a deployments///",
        );
        check(
            Method::DELETE,
            "/apis/apps/v1/namespaces/a/deployments",
            "deletecollection apps/v1 ns=a deployments///",
        );
        check(
            Method::GET,
            "/api/v1/nodes/n/proxy/a/b",
            "get v1 ns= nodes/n/proxy/a/b",
        );
        check(
            Method::GET,
            "/api/v1/namespaces/a/configmaps/x%2Fy",
            "get v1 ns=a configmaps/x/y//",
        );
        check(Method::OPTIONS, "/api/v1/pods", "-");
    }

    #[test]
    fn queries_are_unescaped() {
        let query = Query::parse(Some("labelSelector=a%3Db%2Cc&watch=1&limit=500&x"));
        assert_eq!(query.get("labelSelector"), "a=b,c");
        assert!(query.flag("watch") && query.flag("x") && !query.flag("y"));
        assert_eq!(query.number("limit"), Ok(Some(500)));
        assert!(Query::parse(Some("limit=x")).number("limit").is_err());
        assert_eq!(unescape("%"), "%");
        assert_eq!(unescape("%zz%4"), "%zz%4");
    }
}
