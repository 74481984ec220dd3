//! Opening: the socket, what can be had, what is offered.

use crate::device::Offer;
use crate::options::{Iommu, Mode, VhostOptions};
use linecard_net::MacAddr;
use linecard_pmd_core::{Capabilities, Descriptors, Error, PortConfig, RxOffloads, TxOffloads};
use linecard_virtqueue::Features;
use linecard_virtqueue::vhost_user::socket::is_left_over;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

/// The most queue pairs.
pub(super) const MOST_PAIRS: usize = 64;

/// What every front-end is offered.
const ALWAYS: Features = Features::VERSION_1
    .union(Features::ANY_LAYOUT)
    .union(Features::MRG_RXBUF)
    .union(Features::INDIRECT_DESC)
    .union(Features::EVENT_IDX)
    .union(Features::IN_ORDER)
    .union(Features::RING_PACKED)
    .union(Features::ORDER_PLATFORM)
    .union(Features::MTU)
    .union(Features::CTRL_VQ)
    .union(Features::CTRL_RX)
    .union(Features::GUEST_ANNOUNCE)
    .union(Features::LOG_ALL)
    .union(Features::PROTOCOL_FEATURES);

/// Checks the options, and listens if that is asked.
pub(super) fn listen(options: &VhostOptions) -> Result<Option<Arc<UnixListener>>, Error> {
    if !(1..=MOST_PAIRS).contains(&options.queues) {
        let (port, hint) = (options.name.clone(), String::new());
        let (what, asked, min, max) = ("queue pairs", options.queues, 1, MOST_PAIRS);
        return Err(Error::Range { port, what, asked, min, max, hint });
    }
    match options.mode {
        Mode::Client => Ok(None),
        Mode::Server => bind(&options.name, &options.path).map(|l| Some(Arc::new(l))),
    }
}

/// Takes the path, unless somebody has it: a socket that nobody listens at is one left behind.
fn bind(name: &str, path: &Path) -> Result<UnixListener, Error> {
    let refused = |what: String| Error::Refused { port: name.into(), what };
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let path = path.display();
            return Err(refused(format!("{path} is there, and no socket: give another path")));
        }
        Ok(_) if !is_left_over(path) => {
            let path = path.display();
            let what = "is in use: another process listens there; give another path, or end it";
            return Err(refused(format!("{path} {what}")));
        }
        Ok(_) => {
            let gone = std::fs::remove_file(path);
            let doing = format!("removing the old socket {}", path.display());
            gone.map_err(|error| Error::system(name, doing, error))?;
        }
        Err(_) => {}
    }
    UnixListener::bind(path).map_err(|error| {
        let doing = format!("listening at {}", path.display());
        let hint = match error.kind() {
            ErrorKind::NotFound => "make the folder first",
            ErrorKind::PermissionDenied => "take a folder that you may write to",
            _ => "a socket's path has at most 107 bytes",
        };
        Error::system_hint(name, doing, error, hint)
    })
}

/// What a port can do.
pub(super) fn capabilities(options: &VhostOptions) -> Capabilities {
    Capabilities {
        rx_queues: options.queues,
        tx_queues: options.queues,
        // Rings are as long as the guest makes them: these say how many packets to expect.
        rx_descriptors: Descriptors::up_to(32_768, 256),
        tx_descriptors: Descriptors::up_to(32_768, 256),
        mtu: 68..=65_535,
        rx_offloads: RxOffloads::L4_CHECKSUM
            | RxOffloads::SCATTER
            | RxOffloads::LRO
            | RxOffloads::LARGE_UDP,
        tx_offloads: TxOffloads::IP_CHECKSUM
            | TxOffloads::TCP_CHECKSUM
            | TxOffloads::UDP_CHECKSUM
            | TxOffloads::TCP_SEGMENTATION
            | TxOffloads::UDP_SEGMENTATION
            | TxOffloads::VLAN_INSERT
            | TxOffloads::MULTI_SEGMENT,
        rx_wake_up: true,
        events: true,
        ..Capabilities::default()
    }
}

/// What a front-end is offered, given what was asked of the port: the guest leaves undone what we
/// were asked to take undone, and takes undone what we may be asked to send so.
pub(super) fn offer(options: &VhostOptions, config: &PortConfig) -> Offer {
    let pairs = config.rx_queue_count().max(config.tx_queue_count());
    let (rx, tx) = (config.rx_offloads_asked(), config.tx_offloads_asked());
    let mut features = ALWAYS;
    features.set(Features::MQ, pairs > 1);
    features.set(Features::ACCESS_PLATFORM, options.iommu == Iommu::Offered);
    let undone = RxOffloads::L4_CHECKSUM | RxOffloads::LRO | RxOffloads::LARGE_UDP;
    features.set(Features::CSUM, rx.intersects(undone));
    let large = Features::HOST_TSO4 | Features::HOST_TSO6 | Features::HOST_ECN;
    features.set(large, rx.contains(RxOffloads::LRO));
    features.set(Features::HOST_USO, rx.contains(RxOffloads::LARGE_UDP));
    let tcp = TxOffloads::TCP_SEGMENTATION;
    let udp = TxOffloads::UDP_SEGMENTATION;
    let sums = TxOffloads::TCP_CHECKSUM | TxOffloads::UDP_CHECKSUM;
    features.set(Features::GUEST_CSUM, tx.intersects(sums | tcp | udp));
    let large = Features::GUEST_TSO4 | Features::GUEST_TSO6 | Features::GUEST_ECN;
    features.set(large, tx.contains(tcp));
    features.set(Features::GUEST_USO4 | Features::GUEST_USO6, tx.contains(udp));
    Offer { features, pairs }
}

/// A random address for one station, locally administered.
pub(super) fn random_mac() -> MacAddr {
    let bytes = RandomState::new().build_hasher().finish().to_ne_bytes();
    MacAddr([bytes[0] & !1 | 2, bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use linecard_mbuf::MbufPool;

    #[test]
    fn what_was_not_asked_for_is_not_offered() {
        let pool = MbufPool::builder("offer").size(8).cache(0).build().expect("a pool");
        let options = VhostOptions::new("v", "/nowhere");
        let plain = offer(&options, &PortConfig::new(&pool)).features;
        assert!(!plain.intersects(
            Features::CSUM | Features::GUEST_CSUM | Features::MQ | Features::ACCESS_PLATFORM
        ));
        assert_eq!(plain.consistent(), plain);
        let asked = PortConfig::new(&pool)
            .rx_queues(2)
            .rx_offloads(RxOffloads::LRO)
            .tx_offloads(TxOffloads::TCP_SEGMENTATION);
        let offered = offer(&options.iommu(Iommu::Offered), &asked).features;
        let expected = Features::CSUM | Features::HOST_TSO4 | Features::GUEST_TSO6 | Features::MQ;
        assert!(offered.contains(expected | Features::ACCESS_PLATFORM));
        assert_eq!(offered.consistent(), offered);
    }

    #[test]
    fn a_path_is_taken_only_if_nobody_has_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, b"precious").expect("a file");
        let text = bind("v", &file).expect_err("a file is there").to_string();
        assert!(text.contains("no socket"), "{text}");
        let path = folder.path().join("socket");
        let first = bind("v", &path).expect("nobody has it");
        let text = bind("v", &path).expect_err("somebody listens").to_string();
        assert!(text.contains("in use"), "{text}");
        drop(first);
        bind("v", &path).expect("left behind");
        let text = bind("v", &folder.path().join("none/socket")).expect_err("no folder");
        assert!(text.to_string().contains("make the folder"), "{text}");
    }
}
