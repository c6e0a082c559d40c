//! Picks an endpoint for a connection: round robin, or the client's own with session affinity. Pure but for
//! its own memory; the time is an argument.

use crate::services::Backends;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// Client addresses remembered per frontend; the oldest half is forgotten when it is passed.
const CLIENTS_MAX: usize = 16_384;

/// The endpoints of one frontend and whose turn it is.
pub(crate) struct Balancer {
    backends: Backends,
    turn: usize,
    clients: HashMap<IpAddr, (SocketAddr, Instant)>,
}

impl Balancer {
    pub(crate) fn new(backends: Backends) -> Self {
        Self {
            backends,
            turn: 0,
            clients: HashMap::new(),
        }
    }

    /// Takes new endpoints over. A client whose endpoint is gone gets another one.
    pub(crate) fn update(&mut self, backends: Backends) {
        self.clients
            .retain(|_, (endpoint, _)| backends.endpoints.contains(endpoint));
        self.backends = backends;
    }

    pub(crate) fn service(&self) -> &str {
        &self.backends.service
    }

    pub(crate) fn has(&self, endpoint: &SocketAddr) -> bool {
        self.backends.endpoints.contains(endpoint)
    }

    /// Returns the endpoints in the order in which they should be tried.
    pub(crate) fn pick(&mut self, client: IpAddr, now: Instant) -> Vec<SocketAddr> {
        let endpoints = &self.backends.endpoints;
        let Some(lifetime) = self.backends.affinity else {
            self.turn = (self.turn + 1) % endpoints.len().max(1);
            return rotated(endpoints, self.turn);
        };
        if self.clients.len() >= CLIENTS_MAX {
            let mut ages: Vec<Instant> = self.clients.values().map(|(_, used)| *used).collect();
            ages.sort_unstable();
            let middle = ages[ages.len() / 2];
            self.clients.retain(|_, (_, used)| *used > middle);
        }
        let known = self
            .clients
            .get(&client)
            .filter(|(_, used)| now.duration_since(*used) < lifetime);
        let first = match known {
            Some((endpoint, _)) => endpoints.iter().position(|e| e == endpoint).unwrap_or(0),
            None => {
                self.turn = (self.turn + 1) % endpoints.len().max(1);
                self.turn
            }
        };
        let order = rotated(endpoints, first);
        if let Some(endpoint) = order.first() {
            self.clients.insert(client, (*endpoint, now));
        }
        order
    }
}

fn rotated(endpoints: &[SocketAddr], first: usize) -> Vec<SocketAddr> {
    endpoints
        .iter()
        .cycle()
        .skip(first)
        .take(endpoints.len())
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn balancer(affinity: Option<Duration>) -> Balancer {
        let endpoints = (1..=3)
            .map(|n| SocketAddr::from(([10, 42, 0, n], 80)))
            .collect();
        Balancer::new(Backends {
            service: "shop/web:http".into(),
            endpoints,
            affinity,
        })
    }

    fn firsts(balancer: &mut Balancer, client: u8, times: usize, now: Instant) -> Vec<String> {
        (0..times)
            .map(|_| {
                balancer.pick([10, 0, 0, client].into(), now)[0]
                    .ip()
                    .to_string()
            })
            .collect()
    }

    #[test]
    fn endpoints_take_turns() {
        let now = Instant::now();
        assert_eq!(
            firsts(&mut balancer(None), 1, 4, now),
            ["10.42.0.2", "10.42.0.3", "10.42.0.1", "10.42.0.2"]
        );
    }

    #[test]
    fn a_client_keeps_its_endpoint_until_the_affinity_ends() {
        let now = Instant::now();
        let mut balancer = balancer(Some(Duration::from_secs(10)));
        assert_eq!(firsts(&mut balancer, 1, 2, now), ["10.42.0.2", "10.42.0.2"]);
        assert_eq!(firsts(&mut balancer, 2, 1, now), ["10.42.0.3"]);
        assert_eq!(
            firsts(&mut balancer, 1, 1, now + Duration::from_secs(11)),
            ["10.42.0.1"]
        );
    }

    #[test]
    fn every_endpoint_is_tried_once() {
        let mut order = balancer(None).pick([10, 0, 0, 1].into(), Instant::now());
        order.sort();
        order.dedup();
        assert_eq!(order.len(), 3);
    }
}
