//! One plain HTTP GET, for the demo's parts to ask each other and for the story to look at the shop.

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use std::io;
use tokio::net::TcpStream;

/// Returns the body behind an `http://host:port/path` address.
///
/// # Errors
/// Returns an error when nobody answers, or the answer is no success.
pub(crate) async fn get(url: &str) -> io::Result<String> {
    let wrong =
        |what: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{what} in `{url}`"));
    let uri: hyper::Uri = url.parse().map_err(|_| wrong("no address"))?;
    let host = uri.host().ok_or_else(|| wrong("no host"))?;
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let request = hyper::Request::get(path)
        .header(hyper::header::HOST, host)
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let response = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    if !response.status().is_success() {
        return Err(io::Error::other(format!("status {}", response.status())));
    }
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(io::Error::other)?
        .to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}
