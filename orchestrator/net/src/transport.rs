//! Carries bytes between a client and an endpoint: one task per listening socket, one per TCP connection.

use crate::balance::Balancer;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

/// How long an endpoint may take to accept before the next one is tried.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a UDP conversation may be silent. 250 s, as kube-proxy's `UDPIdleTimeout`.
const UDP_IDLE: Duration = Duration::from_secs(250);
/// UDP conversations per frontend; datagrams of further clients are dropped until one ends.
const UDP_CLIENTS_MAX: usize = 4_096;
/// The largest datagram of IPv4.
const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Listens for streams on `address` and forwards each to an endpoint.
///
/// # Errors
/// Returns what the kernel says when the address cannot be bound.
pub(crate) async fn tcp(
    address: SocketAddr,
    balancer: Arc<Mutex<Balancer>>,
) -> io::Result<JoinHandle<()>> {
    let listener = TcpListener::bind(address).await?;
    Ok(tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((client, peer)) => drop(tokio::spawn(forward(client, peer, balancer.clone()))),
                Err(error) => {
                    // Out of descriptors, most likely: waiting lets connections end.
                    tracing::warn!(%address, %error, "a connection cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }))
}

async fn forward(mut client: TcpStream, peer: SocketAddr, balancer: Arc<Mutex<Balancer>>) {
    let order = balancer
        .lock()
        .expect("nobody panics with the balancer")
        .pick(peer.ip(), Instant::now());
    for endpoint in order {
        let Ok(Ok(mut server)) = tokio::time::timeout(CONNECT, TcpStream::connect(endpoint)).await
        else {
            tracing::debug!(%endpoint, "an endpoint does not accept; the next one is tried");
            continue;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        // Either side may hang up at any time; that is how connections end.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        return;
    }
    // Nobody accepted: a reset tells the client at once, a silent close would look like an empty answer.
    let _ = client.set_zero_linger();
}

/// Listens for datagrams on `address` and keeps one conversation per client.
///
/// # Errors
/// Returns what the kernel says when the address cannot be bound.
pub(crate) async fn udp(
    address: SocketAddr,
    balancer: Arc<Mutex<Balancer>>,
) -> io::Result<JoinHandle<()>> {
    let socket = Arc::new(UdpSocket::bind(address).await?);
    Ok(tokio::spawn(async move {
        let mut clients: HashMap<SocketAddr, Conversation> = HashMap::new();
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let Ok((length, peer)) = socket.recv_from(&mut buffer).await else {
                continue;
            };
            clients.retain(|_, c| !c.task.is_finished());
            let stale = clients.get(&peer).is_some_and(|c| {
                !balancer
                    .lock()
                    .expect("nobody panics with the balancer")
                    .has(&c.endpoint)
            });
            if stale {
                clients.remove(&peer);
            }
            if !clients.contains_key(&peer) {
                if clients.len() >= UDP_CLIENTS_MAX {
                    continue;
                }
                let order = balancer
                    .lock()
                    .expect("nobody panics with the balancer")
                    .pick(peer.ip(), Instant::now());
                let Some(endpoint) = order.first().copied() else {
                    continue;
                };
                match Conversation::start(socket.clone(), peer, endpoint).await {
                    Ok(conversation) => drop(clients.insert(peer, conversation)),
                    Err(error) => {
                        tracing::debug!(%endpoint, %error, "no socket towards an endpoint");
                        continue;
                    }
                }
            }
            if let Some(conversation) = clients.get(&peer) {
                // A lost datagram is what UDP promises.
                let _ = conversation.server.send(&buffer[..length]).await;
            }
        }
    }))
}

struct Conversation {
    endpoint: SocketAddr,
    server: Arc<UdpSocket>,
    task: JoinHandle<()>,
}

impl Conversation {
    async fn start(
        front: Arc<UdpSocket>,
        peer: SocketAddr,
        endpoint: SocketAddr,
    ) -> io::Result<Self> {
        let any: SocketAddr = if endpoint.is_ipv4() {
            ([0, 0, 0, 0], 0).into()
        } else {
            ([0u16; 8], 0).into()
        };
        let server = Arc::new(UdpSocket::bind(any).await?);
        server.connect(endpoint).await?;
        let back = server.clone();
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
            while let Ok(Ok(length)) = tokio::time::timeout(UDP_IDLE, back.recv(&mut buffer)).await
            {
                let _ = front.send_to(&buffer[..length], peer).await;
            }
        });
        Ok(Self {
            endpoint,
            server,
            task,
        })
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::Backends;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn balancer(endpoints: Vec<SocketAddr>) -> Arc<Mutex<Balancer>> {
        Arc::new(Mutex::new(Balancer::new(Backends {
            service: "t/t:1".into(),
            endpoints,
            affinity: None,
        })))
    }

    async fn free() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port")
            .local_addr()
            .expect("an address")
    }

    #[tokio::test]
    async fn a_dead_endpoint_is_passed_over() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let alive = server.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = server.accept().await {
                stream.write_all(b"hello").await.expect("the client reads");
            }
        });
        let front = free().await;
        let task = tcp(front, balancer(vec![alive, free().await]))
            .await
            .expect("the port is free");
        for _ in 0..4 {
            let mut answer = String::new();
            let mut client = TcpStream::connect(front).await.expect("it listens");
            client.read_to_string(&mut answer).await.expect("an answer");
            assert_eq!(answer, "hello");
        }
        task.abort();
    }

    #[tokio::test]
    async fn nobody_behind_the_address_is_a_reset() {
        let front = free().await;
        let task = tcp(front, balancer(vec![free().await]))
            .await
            .expect("the port is free");
        let mut client = TcpStream::connect(front).await.expect("it listens");
        let error = client.read_u8().await.expect_err("nobody answers");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        task.abort();
    }

    #[tokio::test]
    async fn datagrams_go_there_and_back() {
        let server = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = server.local_addr().expect("an address");
        tokio::spawn(async move {
            let mut buffer = [0; 64];
            while let Ok((length, peer)) = server.recv_from(&mut buffer).await {
                server
                    .send_to(&buffer[..length], peer)
                    .await
                    .expect("loopback");
            }
        });
        let front = free().await;
        let task = udp(front, balancer(vec![endpoint]))
            .await
            .expect("the port is free");
        let client = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        client.send_to(b"ping", front).await.expect("loopback");
        let mut buffer = [0; 64];
        let length = client.recv(&mut buffer).await.expect("an answer");
        assert_eq!(&buffer[..length], b"ping");
        task.abort();
    }
}
