//! Wires pods to the host: one bridge per cluster, one veth pair per pod, by rtnetlink.
//!
//! The agent calls [`Bridge::ensure`] in the host's network namespace. The short-lived sandbox shim
//! opens [`HostNet`] there, enters a new namespace, and calls [`HostNet::attach`]. This file does
//! not know pods, only names, addresses and indexes; it never touches links it was not told about.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::process::{Command, Stdio};

use futures::TryStreamExt;
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::{Handle, LinkBridge, LinkUnspec, LinkVeth, RouteMessageBuilder};

use crate::ipam::Cidr;

/// The longest name of a network interface: IFNAMSIZ less the final zero (linux/if.h).
const INTERFACE_NAME_BYTES_MAX: usize = 15;

/// Why the network of a pod or of the node could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// No netlink socket.
    #[error("failed to open a netlink socket")]
    Socket(#[source] io::Error),
    /// The kernel refused a request.
    #[error("failed to {action} `{link}`")]
    Netlink {
        /// What was tried.
        action: &'static str,
        /// The interface it was tried on.
        link: String,
        /// The kernel's answer.
        #[source]
        source: Box<rtnetlink::Error>,
    },
    /// A link that should exist does not.
    #[error("there is no network interface `{link}`")]
    Missing {
        /// Its name.
        link: String,
    },
    /// A name that the kernel would cut.
    #[error("interface name `{link}` has more than 15 bytes")]
    Name {
        /// The name.
        link: String,
    },
    /// `nft` could not be run or refused its rules.
    #[error("failed to set address translation for {range}: {detail}")]
    Nft {
        /// The pod range.
        range: Cidr,
        /// What `nft` said.
        detail: String,
    },
}

/// What the bridge of a cluster looks like.
#[derive(Debug, Clone)]
pub struct BridgeConfig {
    /// Interface name, at most 15 bytes.
    pub name: String,
    /// The pod range; its first host address goes to the bridge.
    pub range: Cidr,
}

/// How one pod is wired to a bridge.
#[derive(Debug, Clone)]
pub struct PodLink {
    /// The bridge on the host.
    pub bridge: String,
    /// The name of the host's end of the pair.
    pub host_name: String,
    /// The pod's address.
    pub address: Ipv4Addr,
    /// The length of the pod range's prefix.
    pub prefix: u8,
    /// Where everything outside the range goes: the bridge's address.
    pub gateway: Ipv4Addr,
}

/// A bridge that exists.
pub struct Bridge {
    config: BridgeConfig,
    masquerade: bool,
}

impl Bridge {
    /// Makes the bridge with its address, or takes over the one that is there.
    ///
    /// When `nft` is installed, outbound traffic of pods is translated to the host's address;
    /// without it pods reach the host and each other, and [`Bridge::masquerades`] says so.
    ///
    /// # Errors
    /// When the kernel refuses, as without CAP_NET_ADMIN.
    pub async fn ensure(config: BridgeConfig) -> Result<Self, BridgeError> {
        check_name(&config.name)?;
        let handle = open()?;
        let name = config.name.as_str();
        if index_of(&handle, name).await?.is_none() {
            let message = LinkBridge::new(name).up().build();
            let added = handle.link().add(message).execute().await;
            added.map_err(|source| refused("add", name, source))?;
        }
        let index = need_index(&handle, name).await?;
        let gateway = config.range.nth(1).unwrap_or(Ipv4Addr::UNSPECIFIED);
        let address = IpAddr::V4(gateway);
        let added = handle
            .address()
            .add(index, address, config.range.prefix())
            .replace()
            .execute();
        added
            .await
            .map_err(|source| refused("give an address to", name, source))?;
        let up = LinkUnspec::new_with_index(index).up().build();
        let set = handle.link().set(up).execute().await;
        set.map_err(|source| refused("bring up", name, source))?;

        let masquerade = match masquerade(&config) {
            Ok(done) => done,
            Err(error) => {
                tracing::warn!(%error, "pods reach no address outside this host");
                false
            }
        };
        Ok(Self { config, masquerade })
    }

    /// Returns whether outbound traffic is translated to the host's address.
    pub fn masquerades(&self) -> bool {
        self.masquerade
    }

    /// Returns the bridge's own address, the pods' gateway.
    pub fn gateway(&self) -> Ipv4Addr {
        self.config.range.nth(1).unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// Removes the bridge and its translation rules.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn remove(self) -> Result<(), BridgeError> {
        if self.masquerade {
            let _ = nft(&format!(
                "delete table ip {}",
                table_name(&self.config.name)
            ));
        }
        remove_link(&self.config.name).await
    }
}

/// Removes a link by name; one that is gone is fine.
///
/// # Errors
/// When the kernel refuses.
pub async fn remove_link(name: &str) -> Result<(), BridgeError> {
    let handle = open()?;
    let Some(index) = index_of(&handle, name).await? else {
        return Ok(());
    };
    let deleted = handle.link().del(index).execute().await;
    deleted.map_err(|source| refused("remove", name, source))
}

/// Returns the names of the links that are ports of `bridge`; none when there is no such bridge.
///
/// # Errors
/// When the kernel's list cannot be read.
pub async fn ports(bridge: &str) -> Result<Vec<String>, BridgeError> {
    let handle = open()?;
    let Some(index) = index_of(&handle, bridge).await? else {
        return Ok(Vec::new());
    };
    let mut links = handle.link().get().execute();
    let mut names = Vec::new();
    loop {
        let next = links.try_next().await;
        let Some(link) = next.map_err(|source| refused("list the ports of", bridge, source))?
        else {
            return Ok(names);
        };
        let port = LinkAttribute::Controller(index);
        if link.attributes.contains(&port) {
            names.extend(
                link.attributes
                    .into_iter()
                    .find_map(|attribute| match attribute {
                        LinkAttribute::IfName(name) => Some(name),
                        _ => None,
                    }),
            );
        }
    }
}

/// A netlink connection that stays in the namespace where it was opened.
pub struct HostNet {
    handle: Handle,
}

impl HostNet {
    /// Opens a connection in the current network namespace. Needs a tokio runtime.
    ///
    /// # Errors
    /// When no socket can be opened.
    pub fn open() -> Result<Self, BridgeError> {
        Ok(Self { handle: open()? })
    }

    /// Wires the *current* network namespace (the pod's) to the bridge in the namespace where this
    /// connection was opened (the host's, to which `host_ns` must refer): `lo` up, `eth0` with the
    /// address, a default route.
    ///
    /// # Errors
    /// When the kernel refuses a step; the pair dies with the namespace.
    pub async fn attach(&self, host_ns: BorrowedFd<'_>, pod: &PodLink) -> Result<(), BridgeError> {
        check_name(&pod.host_name)?;
        let inside = open()?;
        up(&inside, "lo").await?;
        let pair = LinkVeth::new("eth0", &pod.host_name).build();
        let added = inside.link().add(pair).execute().await;
        added.map_err(|source| refused("add", &pod.host_name, source))?;

        let outer = need_index(&inside, &pod.host_name).await?;
        let moved = LinkUnspec::new_with_index(outer)
            .setns_by_fd(host_ns.as_raw_fd())
            .build();
        let set = inside.link().set(moved).execute().await;
        set.map_err(|source| refused("move out", &pod.host_name, source))?;

        let bridge = need_index(&self.handle, &pod.bridge).await?;
        let outer = need_index(&self.handle, &pod.host_name).await?;
        let port = LinkUnspec::new_with_index(outer)
            .controller(bridge)
            .up()
            .build();
        let set = self.handle.link().set(port).execute().await;
        set.map_err(|source| refused("attach to the bridge", &pod.host_name, source))?;

        let index = need_index(&inside, "eth0").await?;
        let address = IpAddr::V4(pod.address);
        let added = inside
            .address()
            .add(index, address, pod.prefix)
            .execute()
            .await;
        added.map_err(|source| refused("give an address to", "eth0", source))?;
        up(&inside, "eth0").await?;
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .gateway(pod.gateway)
            .build();
        let added = inside.route().add(route).execute().await;
        added.map_err(|source| refused("add the default route of", "eth0", source))
    }
}

/// Brings `lo` up in the current network namespace. Needs a tokio runtime.
///
/// # Errors
/// When the kernel refuses.
pub async fn loopback_up() -> Result<(), BridgeError> {
    up(&open()?, "lo").await
}

async fn up(handle: &Handle, name: &str) -> Result<(), BridgeError> {
    let index = need_index(handle, name).await?;
    let message = LinkUnspec::new_with_index(index).up().build();
    let set = handle.link().set(message).execute().await;
    set.map_err(|source| refused("bring up", name, source))
}

fn open() -> Result<Handle, BridgeError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(BridgeError::Socket)?;
    tokio::spawn(connection);
    Ok(handle)
}

async fn need_index(handle: &Handle, name: &str) -> Result<u32, BridgeError> {
    let found = index_of(handle, name).await?;
    found.ok_or_else(|| BridgeError::Missing {
        link: name.to_owned(),
    })
}

async fn index_of(handle: &Handle, name: &str) -> Result<Option<u32>, BridgeError> {
    let mut links = handle.link().get().match_name(name.to_owned()).execute();
    match links.try_next().await {
        Ok(link) => Ok(link.map(|link| link.header.index)),
        Err(rtnetlink::Error::NetlinkError(message))
            if message.raw_code() == -nix::libc::ENODEV =>
        {
            Ok(None)
        }
        Err(source) => Err(refused("look up", name, source)),
    }
}

fn refused(action: &'static str, link: &str, source: rtnetlink::Error) -> BridgeError {
    BridgeError::Netlink {
        action,
        link: link.to_owned(),
        source: Box::new(source),
    }
}

fn check_name(name: &str) -> Result<(), BridgeError> {
    if name.len() > INTERFACE_NAME_BYTES_MAX {
        return Err(BridgeError::Name {
            link: name.to_owned(),
        });
    }
    Ok(())
}

fn table_name(bridge: &str) -> String {
    let safe = bridge
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    format!("ordain_{}", safe.collect::<String>())
}

/// Sets source translation for what leaves the pod range. Returns false when `nft` is absent.
fn masquerade(config: &BridgeConfig) -> Result<bool, BridgeError> {
    let table = table_name(&config.name);
    // `add` then `delete` makes the replacement one transaction whether or not the table is there.
    let rules = format!(
        "add table ip {table}\ndelete table ip {table}\ntable ip {table} {{\n\
         chain postrouting {{ type nat hook postrouting priority 100; policy accept;\n\
         ip saddr {range} oifname != \"{bridge}\" oifname != \"lo\" masquerade\n}}\n}}\n",
        range = config.range,
        bridge = config.name,
    );
    match nft(&rules) {
        Ok(()) => {
            // Replies come in on other interfaces, so forwarding is needed for the whole host.
            if let Err(error) = std::fs::write("/proc/sys/net/ipv4/ip_forward", "1") {
                tracing::warn!(%error, "address forwarding could not be switched on");
            }
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::info!("`nft` is not installed: pods reach this host and each other only");
            Ok(false)
        }
        Err(error) => Err(BridgeError::Nft {
            range: config.range,
            detail: error.to_string(),
        }),
    }
}

/// Runs `nft -f -` with `rules` as its input.
fn nft(rules: &str) -> io::Result<()> {
    use std::io::Write as _;
    let mut child = ["nft", "/usr/sbin/nft"]
        .into_iter()
        .find_map(|program| {
            let spawned = Command::new(program)
                .args(["-f", "-"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn();
            match spawned {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                other => Some(other),
            }
        })
        .unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(rules.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(
        String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    ))
}
