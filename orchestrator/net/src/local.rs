//! Makes an address belong to this machine, so that the proxy can listen on it.
//!
//! A cluster address is put on the loopback device as a /32: packets from pods reach it through their default
//! route, packets from the host directly. Addresses in 127.0.0.0/8 belong to every Linux machine already.

use futures::TryStreamExt;
use rtnetlink::packet_route::address::AddressAttribute;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

/// A change of this machine's addresses that the kernel refused.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// No netlink socket could be opened.
    #[error("cannot talk to the kernel's network configuration")]
    Netlink(#[source] std::io::Error),
    /// The loopback device could not be read or brought up.
    #[error("cannot use the loopback device")]
    Loopback(#[source] rtnetlink::Error),
    /// One address could not be added or removed.
    #[error("cannot change address {address} on the loopback device")]
    Address {
        /// The address.
        address: Ipv4Addr,
        /// What the kernel said.
        #[source]
        source: rtnetlink::Error,
    },
}

/// The addresses that this process has put on the loopback device.
pub struct LocalAddresses {
    handle: rtnetlink::Handle,
    index: u32,
    held: BTreeSet<Ipv4Addr>,
}

impl LocalAddresses {
    /// Opens a netlink socket, and brings the loopback device up.
    ///
    /// # Errors
    /// Returns an error without `CAP_NET_ADMIN`.
    pub async fn open() -> Result<Self, LocalError> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(LocalError::Netlink)?;
        tokio::spawn(connection);
        let index = 1; // The loopback device has index 1 in every network namespace (drivers/net/loopback.c).
        let up = rtnetlink::LinkUnspec::new_with_index(index).up().build();
        handle
            .link()
            .set(up)
            .execute()
            .await
            .map_err(LocalError::Loopback)?;
        Ok(Self {
            handle,
            index,
            held: BTreeSet::new(),
        })
    }

    /// Holds exactly `wanted`: adds what is missing, removes what is no longer needed.
    ///
    /// # Errors
    /// Returns the first address that the kernel refused; the others are still tried.
    pub async fn hold(&mut self, wanted: &BTreeSet<Ipv4Addr>) -> Result<(), LocalError> {
        let mut outcome = Ok(());
        for address in wanted.difference(&self.held.clone()) {
            match self
                .handle
                .address()
                .add(self.index, IpAddr::V4(*address), 32)
                .replace()
                .execute()
                .await
            {
                Ok(()) => drop(self.held.insert(*address)),
                Err(source) => {
                    outcome = outcome.and(Err(LocalError::Address {
                        address: *address,
                        source,
                    }))
                }
            }
        }
        for address in self.held.clone().difference(wanted) {
            match self.remove(*address).await {
                Ok(()) => drop(self.held.remove(address)),
                Err(source) => {
                    outcome = outcome.and(Err(LocalError::Address {
                        address: *address,
                        source,
                    }))
                }
            }
        }
        outcome
    }

    /// Removes /32 addresses inside `range` that a killed earlier run left behind.
    ///
    /// # Errors
    /// Returns the first address that the kernel refused to remove.
    pub async fn sweep(&mut self, range: crate::Cidr) -> Result<(), LocalError> {
        let mut stream = self
            .handle
            .address()
            .get()
            .set_link_index_filter(self.index)
            .execute();
        let mut left = Vec::new();
        while let Some(message) = stream.try_next().await.map_err(LocalError::Loopback)? {
            for attribute in &message.attributes {
                if let AddressAttribute::Local(IpAddr::V4(address)) = attribute
                    && range.contains(*address)
                    && message.header.prefix_len == 32
                {
                    left.push(*address);
                }
            }
        }
        for address in left {
            self.remove(address)
                .await
                .map_err(|source| LocalError::Address { address, source })?;
        }
        Ok(())
    }

    async fn remove(&self, wanted: Ipv4Addr) -> Result<(), rtnetlink::Error> {
        let mut stream = self
            .handle
            .address()
            .get()
            .set_link_index_filter(self.index)
            .execute();
        while let Some(message) = stream.try_next().await? {
            let ours = message
                .attributes
                .contains(&AddressAttribute::Local(IpAddr::V4(wanted)));
            if ours && message.header.prefix_len == 32 {
                return self.handle.address().del(message).execute().await;
            }
        }
        Ok(())
    }
}
