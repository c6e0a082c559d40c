//! The sockets of the name server: UDP and TCP on one address. What a name means is decided in `records`.

use super::records::{self, Answer, CLUSTER_DOMAIN, Data, Kind};
use crate::informers::Informers;
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, PTR, SOA, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How long an answer may be kept. 5 s, as the CoreDNS kubernetes plugin.
const TTL_SECONDS: u32 = 5;
/// The largest datagram that every client accepts (RFC 1035, section 4.2.1).
const PLAIN_BYTES_MAX: usize = 512;
/// How long an upstream server may take before the next one is asked.
const UPSTREAM: Duration = Duration::from_secs(2);
/// Questions in work at once; more wait in the socket's buffer.
const QUESTIONS_MAX: usize = 512;
/// How long a TCP client may be silent.
const TCP_IDLE: Duration = Duration::from_secs(10);

/// A name server that could not start.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// The address is taken, or a port under 1024 needs root.
    #[error("the name server cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
}

/// The servers that are asked for names outside the cluster.
#[derive(Clone, Debug, Default)]
pub struct Upstream(Vec<SocketAddr>);

impl Upstream {
    /// Reads the `nameserver` lines of a `resolv.conf`; `own` is left out, so that no question goes in circles.
    #[must_use]
    pub fn from_resolv_conf(text: &str, own: IpAddr) -> Self {
        let servers = text.lines().filter_map(|l| {
            l.trim()
                .strip_prefix("nameserver")?
                .trim()
                .parse::<IpAddr>()
                .ok()
        });
        Self(
            servers
                .filter(|ip| *ip != own)
                .map(|ip| SocketAddr::new(ip, 53))
                .collect(),
        )
    }
}

/// Answers on `address` until `shutdown`.
///
/// # Errors
/// Returns an error when the address cannot be bound.
pub async fn serve(
    address: SocketAddr,
    informers: Informers,
    upstream: Upstream,
    shutdown: CancellationToken,
) -> Result<(), DnsError> {
    let error = |source| DnsError::Listen { address, source };
    let udp = Arc::new(UdpSocket::bind(address).await.map_err(error)?);
    let tcp = TcpListener::bind(address).await.map_err(error)?;
    let resolver = Arc::new(Resolver {
        informers,
        upstream,
    });
    let slots = Arc::new(Semaphore::new(QUESTIONS_MAX));
    let mut buffer = vec![0; 4_096];
    loop {
        let slot = slots
            .clone()
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            received = udp.recv_from(&mut buffer) => {
                let Ok((length, peer)) = received else { continue };
                let (question, udp, resolver) = (buffer[..length].to_vec(), udp.clone(), resolver.clone());
                tokio::spawn(async move {
                    if let Some(answer) = resolver.answer(&question, Some(PLAIN_BYTES_MAX)).await {
                        let _ = udp.send_to(&answer, peer).await;
                    }
                    drop(slot);
                });
            }
            accepted = tcp.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let resolver = resolver.clone();
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(TCP_IDLE, conversation(stream, &resolver)).await;
                    drop(slot);
                });
            }
        }
    }
}

async fn conversation(mut stream: TcpStream, resolver: &Resolver) -> std::io::Result<()> {
    loop {
        let length = usize::from(stream.read_u16().await?);
        let mut question = vec![0; length];
        stream.read_exact(&mut question).await?;
        let Some(answer) = resolver.answer(&question, None).await else {
            return Ok(());
        };
        let Ok(length) = u16::try_from(answer.len()) else {
            return Ok(());
        };
        stream.write_u16(length).await?;
        stream.write_all(&answer).await?;
    }
}

struct Resolver {
    informers: Informers,
    upstream: Upstream,
}

impl Resolver {
    /// Returns the bytes of the answer; `None` for what is no question at all.
    async fn answer(&self, bytes: &[u8], plain_bytes_max: Option<usize>) -> Option<Vec<u8>> {
        let question = Message::from_vec(bytes).ok()?;
        let query = question.queries.first()?.clone();
        let limit = plain_bytes_max.map(|least| {
            question
                .edns
                .as_ref()
                .map_or(least, |_| usize::from(question.max_payload()).max(least))
        });
        let name = query.name().to_lowercase().to_utf8();
        let (services, slices) = (
            self.informers.services.state(),
            self.informers.slices.state(),
        );
        let answer = match records::answer(
            name.trim_end_matches('.'),
            kind(query.query_type()),
            &services,
            &slices,
        ) {
            Answer::Foreign => return Some(self.ask_upstream(bytes, &question, limit).await),
            Answer::Missing => response(&question, &query, ResponseCode::NXDomain, Vec::new()),
            Answer::Records(found) => response(&question, &query, ResponseCode::NoError, found),
        };
        encode(&answer, limit)
    }

    /// Passes the question on as it came, and the answer back as it came.
    async fn ask_upstream(
        &self,
        bytes: &[u8],
        question: &Message,
        limit: Option<usize>,
    ) -> Vec<u8> {
        for server in &self.upstream.0 {
            let ask = async {
                if limit.is_none() {
                    let mut stream = TcpStream::connect(server).await?;
                    stream
                        .write_u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX))
                        .await?;
                    stream.write_all(bytes).await?;
                    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
                    stream.read_exact(&mut answer).await?;
                    return Ok::<_, std::io::Error>(answer);
                }
                let socket =
                    UdpSocket::bind((if server.is_ipv4() { "0.0.0.0" } else { "::" }, 0)).await?;
                socket.connect(server).await?;
                socket.send(bytes).await?;
                let mut answer = vec![0; 4_096];
                // The identifier is checked, so that a late answer to another question is not passed on.
                loop {
                    let length = socket.recv(&mut answer).await?;
                    if length >= 2 && answer[..2] == bytes[..2] {
                        answer.truncate(length);
                        return Ok(answer);
                    }
                }
            };
            match tokio::time::timeout(UPSTREAM, ask).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(error)) => {
                    tracing::debug!(%server, %error, "an upstream name server failed")
                }
                Err(_) => tracing::debug!(%server, "an upstream name server is silent"),
            }
        }
        let failure = Message::error_msg(
            question.metadata.id,
            question.metadata.op_code,
            ResponseCode::ServFail,
        );
        failure.to_vec().unwrap_or_default()
    }
}

fn kind(record: RecordType) -> Kind {
    match record {
        RecordType::A => Kind::A,
        RecordType::SRV => Kind::Srv,
        RecordType::PTR => Kind::Ptr,
        _ => Kind::Other,
    }
}

fn response(question: &Message, query: &Query, code: ResponseCode, found: Vec<Data>) -> Message {
    let mut message = Message::response(question.metadata.id, question.metadata.op_code);
    message.metadata.authoritative = true;
    message.metadata.recursion_desired = question.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.metadata.response_code = code;
    message.add_query(query.clone());
    let name = |text: &str| Name::from_utf8(format!("{text}.")).ok();
    let empty = found.is_empty();
    for data in found {
        let data = match data {
            Data::A(address) => RData::A(A(address)),
            Data::Ptr(text) => match name(&text) {
                Some(target) => RData::PTR(PTR(target)),
                None => continue,
            },
            Data::Srv {
                port,
                target,
                address,
            } => {
                let Some(target) = name(&target) else {
                    continue;
                };
                message.add_additional(Record::from_rdata(
                    target.clone(),
                    TTL_SECONDS,
                    RData::A(A(address)),
                ));
                RData::SRV(SRV::new(0, 100, port, target))
            }
        };
        message.add_answer(Record::from_rdata(query.name().clone(), TTL_SECONDS, data));
    }
    if empty
        && let (Some(zone), Some(mname), Some(rname)) = (
            name(CLUSTER_DOMAIN),
            name(&format!("ns.dns.{CLUSTER_DOMAIN}")),
            name(&format!("hostmaster.{CLUSTER_DOMAIN}")),
        )
    {
        // A negative answer says how long it may be kept (RFC 2308, section 3).
        let soa = SOA::new(mname, rname, 1, 7_200, 1_800, 86_400, TTL_SECONDS);
        message.add_authority(Record::from_rdata(zone, TTL_SECONDS, RData::SOA(soa)));
    }
    message
}

/// Returns the message as bytes, cut and marked so when it does not fit a datagram.
fn encode(message: &Message, limit: Option<usize>) -> Option<Vec<u8>> {
    let bytes = message.to_vec().ok()?;
    if limit.is_some_and(|limit| bytes.len() > limit) {
        return message.truncate().to_vec().ok();
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_server_does_not_ask_itself() {
        let text = "# comment\nnameserver 10.43.0.10\nnameserver 192.0.2.1\nsearch example.com\n";
        let upstream = Upstream::from_resolv_conf(text, [10, 43, 0, 10].into());
        assert_eq!(upstream.0, [SocketAddr::from(([192, 0, 2, 1], 53))]);
    }
}
