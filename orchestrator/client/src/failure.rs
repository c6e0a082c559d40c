//! A request that failed, with what it was for.

/// A failed request to the API server.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}")]
pub struct Failure {
    /// What was to be done, as a phrase: `create pod shop/web-1`.
    pub action: String,
    /// The cause.
    #[source]
    pub source: kube::Error,
}

impl Failure {
    /// Returns true when the object was changed since it was read: try again with the new one.
    pub fn is_conflict(&self) -> bool {
        self.code() == Some(409) && self.reason() != Some("AlreadyExists")
    }

    /// Returns true when an object of that name is already there.
    pub fn is_already_exists(&self) -> bool {
        self.reason() == Some("AlreadyExists")
    }

    /// Returns true when the object is not there.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Returns the HTTP status, when the server answered.
    pub fn code(&self) -> Option<u16> {
        match &self.source {
            kube::Error::Api(status) => Some(status.code),
            _ => None,
        }
    }

    fn reason(&self) -> Option<&str> {
        match &self.source {
            kube::Error::Api(status) => Some(&status.reason),
            _ => None,
        }
    }
}

/// Adds to an error of `kube` what was being done.
pub trait During<T> {
    /// Wraps the error; `action` is a phrase like `create pod shop/web-1`.
    ///
    /// # Errors
    /// The same failure, with its action.
    fn during(self, action: impl FnOnce() -> String) -> Result<T, Failure>;

    /// As [`During::during`], but an object that is not there is no failure.
    ///
    /// # Errors
    /// Every other failure, with its action.
    fn unless_gone(self, action: impl FnOnce() -> String) -> Result<Option<T>, Failure>;
}

impl<T> During<T> for Result<T, kube::Error> {
    fn during(self, action: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|source| Failure {
            action: action(),
            source,
        })
    }

    fn unless_gone(self, action: impl FnOnce() -> String) -> Result<Option<T>, Failure> {
        match self.during(action) {
            Ok(value) => Ok(Some(value)),
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}
