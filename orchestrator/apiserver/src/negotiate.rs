//! What a client wants to read: plain objects, Tables, or metadata only.
//!
//! Kubernetes puts the wish into parameters of the media type
//! (`application/json;as=Table;v=v1;g=meta.k8s.io`). Protobuf is read but not written; a client
//! that takes nothing else is told so.

use http::{HeaderMap, header};

use crate::status::Failure;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The object as it is.
    Plain,
    /// A table for people, in `meta.k8s.io/v1` or `v1beta1`.
    Table { beta: bool },
    /// `PartialObjectMetadata`, in `meta.k8s.io/v1` or `v1beta1`.
    Metadata { beta: bool },
}

/// One clause of an Accept header.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clause<'a> {
    pub(crate) media: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) version: &'a str,
    pub(crate) group: &'a str,
}

/// Returns the clauses of the Accept headers, in order; quality values are not weighed, since
/// Kubernetes clients list what they prefer first.
pub(crate) fn clauses(headers: &HeaderMap) -> impl Iterator<Item = Clause<'_>> {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .map(|text| {
            let mut parts = text.split(';').map(str::trim);
            let mut clause = Clause {
                media: parts.next().unwrap_or(""),
                ..Clause::default()
            };
            for part in parts {
                match part.split_once('=') {
                    Some(("as", v)) => clause.kind = v,
                    Some(("v", v)) => clause.version = v,
                    Some(("g", v)) => clause.group = v,
                    _ => {}
                }
            }
            clause
        })
}

/// Returns the form the client wants.
///
/// # Errors
/// 406 when it takes nothing this server can write.
pub(crate) fn form(headers: &HeaderMap) -> Result<Form, Failure> {
    if !headers.contains_key(header::ACCEPT) {
        return Ok(Form::Plain);
    }
    for clause in clauses(headers) {
        if !is_json(clause.media) {
            continue;
        }
        let beta = match clause.version {
            "" | "v1" => false,
            "v1beta1" => true,
            _ => continue,
        };
        match clause.kind {
            "" => return Ok(Form::Plain),
            "Table" if clause.group == "meta.k8s.io" => return Ok(Form::Table { beta }),
            "PartialObjectMetadata" | "PartialObjectMetadataList"
                if clause.group == "meta.k8s.io" =>
            {
                return Ok(Form::Metadata { beta });
            }
            _ => {}
        }
    }
    Err(Failure::not_acceptable(&["application/json"]))
}

fn is_json(media: &str) -> bool {
    matches!(
        media,
        "application/json" | "*/*" | "application/*" | "application/yaml" | ""
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accept: &str, expected: Option<Form>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().expect("a header"));
        assert_eq!(form(&headers).ok(), expected, "{accept}");
    }

    #[test]
    fn the_first_form_that_can_be_written_is_taken() {
        check("application/json", Some(Form::Plain));
        check("*/*", Some(Form::Plain));
        check(
            "application/vnd.kubernetes.protobuf, */*",
            Some(Form::Plain),
        );
        check(
            "application/vnd.kubernetes.protobuf,application/json",
            Some(Form::Plain),
        );
        check(
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
            Some(Form::Table { beta: false }),
        );
        check(
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            Some(Form::Metadata { beta: false }),
        );
        check("application/vnd.kubernetes.protobuf", None);
        check("text/html", None);
    }
}
