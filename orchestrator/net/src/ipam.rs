//! Which pod has which address: a pool over one IPv4 range.
//!
//! Pure memory: the caller remembers (on disk, with the pod) what was handed out and reserves it
//! again after a restart. It does not know what an address is attached to.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 range such as `10.42.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    base: u32,
    prefix: u8,
}

/// Why a text is not an IPv4 range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an IPv4 range like 10.42.0.0/16")]
pub struct CidrError {
    text: String,
}

impl Cidr {
    /// Returns the range that contains `address`, with host bits cleared.
    ///
    /// A prefix above 32 counts as 32.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        Self {
            base: u32::from(address) & mask(prefix),
            prefix,
        }
    }

    /// Returns the first address of the range.
    pub fn network(self) -> Ipv4Addr {
        Ipv4Addr::from(self.base)
    }

    /// Returns the length of the prefix in bits.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Returns how many addresses the range has, network and broadcast included.
    pub fn size(self) -> u64 {
        1u64 << (32 - u32::from(self.prefix))
    }

    /// Returns the address at `offset` from the start, if it is inside.
    pub fn nth(self, offset: u64) -> Option<Ipv4Addr> {
        (offset < self.size()).then(|| Ipv4Addr::from(self.base + offset as u32))
    }

    /// Returns whether `address` is inside.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.prefix) == self.base
    }

    /// Returns whether the two ranges share an address.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.network()) || other.contains(self.network())
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let prefix: u8 = prefix.parse().ok().filter(|prefix| *prefix <= 32)?;
            Some(Self::new(address.parse().ok()?, prefix))
        });
        parsed.ok_or_else(|| CidrError {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network(), self.prefix)
    }
}

/// Why no address could be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no free address left in {range}")]
pub struct PoolError {
    range: Cidr,
}

/// A pool of addresses that are given out one by one, the one freed longest ago last.
#[derive(Debug)]
pub struct Ipam {
    range: Cidr,
    used: BTreeSet<u32>,
    next: u32,
}

impl Ipam {
    /// Returns a pool over `range`. The network address, the gateway (the first host address) and
    /// the broadcast address are never handed out.
    pub fn new(range: Cidr) -> Self {
        Self {
            range,
            used: BTreeSet::new(),
            next: 2,
        }
    }

    /// Returns the range of the pool.
    pub fn range(&self) -> Cidr {
        self.range
    }

    /// Returns the first host address, which the bridge carries.
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.range.base.wrapping_add(1))
    }

    /// Hands out a free address.
    ///
    /// Addresses go round the range, so a freed one rests as long as possible: a client with a
    /// stale entry then meets nobody rather than a stranger.
    ///
    /// # Errors
    /// When every address is in use.
    pub fn allocate(&mut self) -> Result<Ipv4Addr, PoolError> {
        let last = self.range.size().saturating_sub(2) as u32;
        for step in 0..last.saturating_sub(1) {
            let offset = 2 + (self.next - 2 + step) % (last - 1).max(1);
            if self.used.insert(offset) {
                self.next = if offset >= last { 2 } else { offset + 1 };
                return Ok(Ipv4Addr::from(self.range.base + offset));
            }
        }
        Err(PoolError { range: self.range })
    }

    /// Marks an address as used, as after a restart. Returns whether it was free and inside.
    pub fn reserve(&mut self, address: Ipv4Addr) -> bool {
        if !self.range.contains(address) {
            return false;
        }
        let offset = u32::from(address) - self.range.base;
        let fresh = self.used.insert(offset);
        if fresh && u64::from(offset) + 2 < self.range.size() {
            self.next = self.next.max(offset + 1);
        }
        fresh
    }

    /// Gives an address back.
    pub fn release(&mut self, address: Ipv4Addr) {
        if self.range.contains(address) {
            self.used.remove(&(u32::from(address) - self.range.base));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pool(range: &str) -> Ipam {
        Ipam::new(range.parse().expect("a range"))
    }

    #[test]
    fn ranges_are_read_and_written() {
        for (text, expect) in [
            ("10.42.0.0/16", Some("10.42.0.0/16")),
            ("10.42.7.9/16", Some("10.42.0.0/16")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("1.2.3.4/32", Some("1.2.3.4/32")),
            ("1.2.3.4/33", None),
            ("1.2.3/8", None),
            ("1.2.3.4", None),
        ] {
            let read = text.parse::<Cidr>().ok().map(|cidr| cidr.to_string());
            assert_eq!(read.as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn a_small_range_gives_all_its_hosts_and_then_none() {
        let mut pool = pool("10.0.0.0/29");
        let given: Vec<_> = std::iter::from_fn(|| pool.allocate().ok()).collect();
        assert_eq!(given.len(), 5, "2 to 6: {given:?}");
        pool.release(given[1]);
        assert_eq!(pool.allocate(), Ok(given[1]));
        assert!(pool.allocate().is_err());
    }

    #[test]
    fn tiny_ranges_do_not_panic() {
        for range in ["10.0.0.0/32", "10.0.0.0/31", "10.0.0.0/30"] {
            let mut pool = pool(range);
            let given = std::iter::from_fn(|| pool.allocate().ok()).count();
            assert!(given <= 1, "{range} gave {given}");
        }
    }

    #[test]
    fn a_freed_address_is_not_given_next() {
        let mut pool = pool("10.42.0.0/16");
        let first = pool.allocate().expect("free");
        pool.release(first);
        assert_ne!(pool.allocate(), Ok(first));
    }

    proptest! {
        #[test]
        fn no_address_has_two_owners(steps in proptest::collection::vec(any::<bool>(), 1..200)) {
            let mut pool = pool("10.0.0.0/26");
            let mut held = Vec::new();
            for take in steps {
                if take {
                    if let Ok(address) = pool.allocate() {
                        prop_assert!(!held.contains(&address));
                        prop_assert!(address != pool.gateway());
                        held.push(address);
                    }
                } else if !held.is_empty() {
                    pool.release(held.remove(0));
                }
            }
        }
    }
}
