//! Sends calls to a git host. Knows HTTP, and not what a call is about.

use std::{io, time::Duration};

use base64::Engine as _;
use http::Request;
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;

use super::{Call, Host, HostKind, Merge};

/// A host that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(15);

/// Bytes of an answer that are read.
const ANSWER_MAX: usize = 1 << 20;

/// Letters of a refusal that are told.
const REFUSAL_MAX: usize = 200;

/// Why a host did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HostError {
    /// The token cannot be read.
    #[error("cannot read the token in {}", path.display())]
    Token {
        path: std::path::PathBuf,
        #[source]
        source: io::Error,
    },
    /// Its address is none, or its certificates are not.
    #[error("`{api}` cannot be called: {why}")]
    Setup { api: String, why: String },
    /// It could not be reached.
    #[error("`{api}` does not answer")]
    Silent { api: String },
    /// It said no.
    #[error("`{api}` answers {status}: {said}")]
    Refused {
        api: String,
        status: u16,
        said: String,
    },
}

impl HostError {
    /// True when there is such a thing already.
    fn is_there_already(&self) -> bool {
        match self {
            Self::Refused { status, said, .. } => {
                matches!(status, 409 | 422) || said.contains("already exists")
            }
            _ => false,
        }
    }

    /// True when the host has this status already: GitLab calls that a transition that cannot be made.
    pub(crate) fn is_no_news(&self) -> bool {
        matches!(self, Self::Refused { status: 400, said, .. } if said.contains("Cannot transition"))
    }
}

impl Host {
    /// Asks for a branch to be merged. Returns the page of the request, when the host names one; asked again, that of the
    /// request there is.
    pub(crate) async fn propose(&self, merge: &Merge<'_>) -> Result<Option<String>, HostError> {
        match self.call(self.merge(merge)).await {
            Ok(answer) => Ok(self.page(&answer, merge.from)),
            Err(error) if error.is_there_already() => {
                let answer = self.call(self.merges(merge.from)).await?;
                Ok(self.page(&answer, merge.from))
            }
            Err(error) => Err(error),
        }
    }

    /// Makes one call. The client of the Kubernetes API is an HTTP client with TLS and proxies like any other, and is here
    /// already.
    pub(crate) async fn call(&self, call: Call) -> Result<Value, HostError> {
        let token = std::fs::read_to_string(&self.token_file).map_err(|source| {
            let path = self.token_file.clone();
            HostError::Token { path, source }
        })?;
        let token = token.trim();
        let setup = |why: String| HostError::Setup {
            api: self.api.clone(),
            why: why.replace(token, "…"),
        };
        let base = self.api.trim_end_matches('/');
        let uri: http::Uri = base.parse().map_err(|_| setup("not a URL".to_owned()))?;
        let mut config = kube::Config::new(uri);
        config.connect_timeout = Some(PATIENCE);
        config.read_timeout = Some(PATIENCE);
        if let Some(file) = &self.ca_file {
            let pem = std::fs::read(file).map_err(|error| setup(error.to_string()))?;
            config.root_cert = Some(certificates(&pem));
        }
        let client =
            kube::Client::try_from(config).map_err(|error| setup(crate::error::chain(&error)))?;
        let (name, value) = match self.kind {
            HostKind::GitHub => ("authorization", format!("Bearer {token}")),
            HostKind::GitLab => ("private-token", token.to_owned()),
            HostKind::Gitea => ("authorization", format!("token {token}")),
        };
        let body = call
            .body
            .map_or_else(Vec::new, |body| body.to_string().into_bytes());
        // The client puts its address before the path.
        let request = Request::builder()
            .method(call.method)
            .uri(&call.path)
            .header(name, value)
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .header("user-agent", "ordain")
            .body(Body::from(body))
            .map_err(|error| setup(error.to_string()))?;
        let silent = || HostError::Silent {
            api: self.api.clone(),
        };
        let answered = tokio::time::timeout(PATIENCE, async {
            let response = client.send(request).await.map_err(|_| silent())?;
            let status = response.status();
            let limited = http_body_util::Limited::new(response.into_body(), ANSWER_MAX);
            let bytes = limited.collect().await.map_err(|_| silent())?.to_bytes();
            Ok((status, bytes))
        });
        let (status, bytes) = answered.await.map_err(|_| silent())??;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        let said = answer.get("message").or_else(|| answer.get("error"));
        let said = said.map_or_else(String::new, |said| match said {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        Err(HostError::Refused {
            api: self.api.clone(),
            status: status.as_u16(),
            said: said.replace(token, "…").chars().take(REFUSAL_MAX).collect(),
        })
    }
}

/// The certificates in a PEM file, as DER.
fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(pem);
    let blocks = text.split("-----BEGIN CERTIFICATE-----").skip(1);
    blocks
        .filter_map(|block| {
            let inner = block.split("-----END").next()?;
            let inner: String = inner.split_whitespace().collect();
            base64::engine::general_purpose::STANDARD.decode(inner).ok()
        })
        .collect()
}
