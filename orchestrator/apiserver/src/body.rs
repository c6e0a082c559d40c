//! Bodies of requests and answers, and how an answer is written.
//!
//! Answers are JSON. Large ones are gzipped when the client takes it, at the lowest level, as
//! kube-apiserver does (`staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters`).

use std::{io::Write, pin::Pin};

use bytes::{Bytes, BytesMut};
use flate2::{Compression, write::GzEncoder};
use futures::{Stream, StreamExt};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::{Body as HttpBody, Frame};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use serde_json::Value;

use crate::status::Failure;

/// Largest body of a request: 3 MiB, as kube-apiserver's `MaxRequestBodyBytes`.
pub(crate) const BODY_BYTES_MAX: usize = 3 << 20;
/// Answers from this size on are gzipped: 128 KiB, as upstream's `defaultGzipThresholdBytes`.
const GZIP_FROM_BYTES: usize = 128 << 10;

/// An error inside a body.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer: complete, or a stream that goes on.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// An answer of the server.
pub(crate) type Answer = Response<Body>;

/// Returns a complete body.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Returns a body that sends each chunk as it comes.
pub(crate) fn stream(
    chunks: impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
) -> Body {
    let chunks: Pin<Box<dyn Stream<Item = _> + Send>> =
        Box::pin(chunks.map(|c| c.map(Frame::data)));
    StreamBody::new(chunks).boxed_unsync()
}

/// Reads a request body to its end.
///
/// # Errors
/// 413 when it is larger than [`BODY_BYTES_MAX`], 400 when the client breaks off.
pub(crate) async fn collect<B>(body: B) -> Result<Bytes, Failure>
where
    B: HttpBody<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let mut body = std::pin::pin!(body);
    let mut first = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.as_mut().frame().await {
        let frame = frame.map_err(|e| {
            Failure::bad_request(format!("the request body could not be read: {e}"))
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() + rest.len() + first.as_ref().map_or(0, Bytes::len) > BODY_BYTES_MAX {
            return Err(Failure::too_large("limit is 3145728"));
        }
        // Most bodies are one frame: it is kept without a copy.
        if first.is_none() && rest.is_empty() {
            first = Some(data);
        } else {
            if let Some(first) = first.take() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(first.unwrap_or_else(|| rest.freeze()))
}

/// Returns an answer with a JSON value.
pub(crate) fn json(code: u16, value: &Value) -> Answer {
    bytes(
        code,
        "application/json",
        serde_json::to_vec(value).unwrap_or_default(),
    )
}

/// Returns an answer with these bytes.
pub(crate) fn bytes(code: u16, content_type: &str, bytes: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(full(bytes));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(value) = HeaderValue::from_str(content_type) {
        answer.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    answer.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    answer
}

/// Returns an answer with plain text.
pub(crate) fn text(code: u16, text: impl Into<String>) -> Answer {
    bytes(code, "text/plain; charset=utf-8", text.into())
}

/// Returns the answer to a refused request.
pub(crate) fn failure(failure: &Failure) -> Answer {
    let mut answer = json(failure.code, &failure.to_value());
    if failure.details.retry_after_seconds > 0 {
        let seconds = HeaderValue::from(failure.details.retry_after_seconds);
        answer.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    answer
}

/// Adds a warning header; characters that a header cannot carry are dropped.
pub(crate) fn warn(headers: &mut HeaderMap, message: &str) {
    let clean: String = message
        .chars()
        .filter(|c| !c.is_control())
        .map(|c| {
            if c == '"' || c == '\\' {
                format!("\\{c}")
            } else {
                c.to_string()
            }
        })
        .collect();
    if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{clean}\"")) {
        headers.append(header::WARNING, value);
    }
}

/// Tells whether the client takes gzip.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .any(|v| v.split(';').next().is_some_and(|v| v.trim() == "gzip"))
}

/// Returns the gzipped bytes, at the lowest level.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("a vector takes every write")
}

/// Returns an answer with bytes, gzipped when they are many and the client takes it.
pub(crate) fn maybe_gzip(
    code: u16,
    content_type: &str,
    data: Vec<u8>,
    headers: &HeaderMap,
) -> Answer {
    if data.len() < GZIP_FROM_BYTES || !accepts_gzip(headers) {
        return bytes(code, content_type, data);
    }
    let mut answer = bytes(code, content_type, gzip(&data));
    answer
        .headers_mut()
        .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    answer
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    answer
}
