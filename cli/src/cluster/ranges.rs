//! Which address ranges a cluster gets: a pair that no other cluster of this machine uses, kept for good.
//!
//! Cluster addresses stand in stored objects, so the choice is made once per data directory. While a cluster runs it
//! holds a socket that stands for its pair; that is how a second one sees that a pair is taken.

use super::data_dir::{DataDir, DataDirError};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, UdpSocket};

/// The second octet of the first pair: pods in 42, Services in 43, as k3s users know it.
const FIRST: u8 = 42;
/// Pairs there are.
const PAIRS: u8 = 40;
/// The port of the socket that stands for a pair, at `127.PAIR.255.254`. It has no meaning of its own.
const CLAIM_PORT: u16 = 42_042;

/// Why no addresses can be had.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(crate) enum RangesError {
    #[error("the address ranges of this cluster ({0}) are used by another running cluster")]
    #[diagnostic(help(
        "stop the other cluster, or start with a new --data-dir, which gets ranges of its own"
    ))]
    Taken(String),
    #[error("all {PAIRS} pairs of address ranges are used by running clusters")]
    #[diagnostic(help("stop a cluster that is no longer needed"))]
    Exhausted,
    #[error(transparent)]
    #[diagnostic(transparent)]
    DataDir(#[from] DataDirError),
}

/// The ranges of one cluster, held while the value lives.
#[derive(Debug)]
pub(crate) struct Ranges {
    pair: u8,
    loopback: bool,
    _claim: UdpSocket,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    pair: u8,
    loopback: bool,
}

const FILE: &str = "ranges.json";

impl Ranges {
    /// Returns the ranges of the cluster in `dir`, choosing them when it is new.
    ///
    /// With `loopback` they lie in 127.0.0.0/8, which needs no root.
    ///
    /// # Errors
    /// Returns an error when the ranges of this cluster, or all ranges, are in use.
    pub(crate) fn claim(dir: &DataDir, loopback: bool) -> Result<Self, RangesError> {
        let stored = std::fs::read_to_string(dir.join(FILE)).ok();
        let stored: Option<Stored> = stored.and_then(|text| serde_json::from_str(&text).ok());
        if let Some(stored) = stored.filter(|s| s.loopback == loopback) {
            let claim = claim(stored.pair)
                .ok_or_else(|| RangesError::Taken(services(stored.pair, loopback)))?;
            return Ok(Self {
                pair: stored.pair,
                loopback,
                _claim: claim,
            });
        }
        let pairs = (0..PAIRS)
            .map(|n| FIRST + 2 * n)
            .filter(|pair| loopback || !in_use(*pair));
        let (pair, claim) = pairs
            .filter_map(|p| Some((p, claim(p)?)))
            .next()
            .ok_or(RangesError::Exhausted)?;
        let text = serde_json::to_string(&Stored { pair, loopback }).expect("numbers and booleans");
        dir.write(FILE, &text)?;
        Ok(Self {
            pair,
            loopback,
            _claim: claim,
        })
    }

    /// Returns the range of pod addresses.
    pub(crate) fn pods(&self) -> String {
        format!("{}.{}.0.0/16", first(self.loopback), self.pair)
    }

    /// Returns the range of cluster addresses of Services.
    pub(crate) fn services(&self) -> String {
        services(self.pair, self.loopback)
    }

    /// Returns the address of the cluster's name server, the tenth of the range as everywhere.
    pub(crate) fn dns(&self) -> Ipv4Addr {
        Ipv4Addr::new(first(self.loopback), self.pair + 1, 0, 10)
    }
}

fn first(loopback: bool) -> u8 {
    if loopback { 127 } else { 10 }
}

fn services(pair: u8, loopback: bool) -> String {
    format!("{}.{}.0.0/16", first(loopback), pair + 1)
}

fn claim(pair: u8) -> Option<UdpSocket> {
    // On systems where only 127.0.0.1 is local there are no containers either, and pairs share one socket.
    let own = UdpSocket::bind((Ipv4Addr::new(127, pair, 255, 254), CLAIM_PORT));
    own.or_else(|error| match error.kind() {
        std::io::ErrorKind::AddrNotAvailable => UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)),
        _ => Err(error),
    })
    .ok()
}

/// Returns whether this machine already has an address of its own in the pair's pod range.
fn in_use(pair: u8) -> bool {
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)) else {
        return false;
    };
    // Connecting a datagram socket sends nothing; it asks which of our addresses would be used.
    let route = socket
        .connect((Ipv4Addr::new(10, pair, 0, 1), 9))
        .and_then(|()| socket.local_addr());
    route.is_ok_and(
        |own| matches!(own.ip(), std::net::IpAddr::V4(ip) if ip.octets()[..2] == [10, pair]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clusters_have_different_ranges_and_each_keeps_its_own() {
        let (one, two) = (
            tempfile::tempdir().expect("a directory"),
            tempfile::tempdir().expect("a directory"),
        );
        let (one, two) = (
            DataDir::open(one.path()).expect("free"),
            DataDir::open(two.path()).expect("free"),
        );
        let first = Ranges::claim(&one, true).expect("a pair");
        let second = Ranges::claim(&two, true).expect("another pair");
        assert_ne!(first.services(), second.services());
        let kept = first.services();
        drop(first);
        assert_eq!(
            Ranges::claim(&one, true).expect("its own pair").services(),
            kept
        );
    }
}
