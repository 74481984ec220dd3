//! Which features a port asks for, and what it can do with them.

use crate::filters::{self, MORE_ADDRESSES};
use crate::options::{Choice, RingOptions};
use crate::transport::Sizes;
use linecard_pmd_core::{
    Capabilities, Descriptors, Error, PortConfig, RxOffloads, Step, TxOffloads,
};
use linecard_virtqueue::net::NetConfig;
use linecard_virtqueue::{Features, packed, split};

/// Large TCP that the device takes.
const HOST_TSO: Features = Features::HOST_TSO4.union(Features::HOST_TSO6);
/// Large TCP that we can take.
const GUEST_TSO: Features = Features::GUEST_TSO4.union(Features::GUEST_TSO6);
/// Large UDP that we can take.
const GUEST_USO: Features = Features::GUEST_USO4.union(Features::GUEST_USO6);

/// What is agreed on about rings, whatever is configured.
pub(crate) fn ring_features(
    port: &str,
    rings: &RingOptions,
    offered: Features,
) -> Result<Features, Error> {
    let choices = [
        (Features::RING_PACKED, rings.packed, false, "packed rings (packed=1)"),
        (Features::MRG_RXBUF, rings.mergeable, true, "mergeable buffers (mrg_rxbuf=1)"),
        (Features::IN_ORDER, rings.in_order, true, "use in order (in_order=1)"),
        (Features::INDIRECT_DESC, rings.indirect, true, "indirect descriptors (indirect=1)"),
        (Features::EVENT_IDX, rings.event_index, false, "event indices (event_idx=1)"),
    ];
    let mut agreed = offered & Features::VERSION_1;
    for (feature, choice, by_itself, what) in choices {
        let has = offered.contains(feature);
        match choice {
            Choice::On if !has => {
                let what = format!("the device does not offer {what}: leave it out");
                return Err(Error::Refused { port: port.into(), what });
            }
            Choice::On => agreed |= feature,
            Choice::Auto if has && by_itself => agreed |= feature,
            Choice::Auto | Choice::Off => {}
        }
    }
    if !offered.intersects(Features::VERSION_1 | Features::ANY_LAYOUT) {
        let what = "the device is older than virtio 1 and wants headers in buffers of their own \
                    (no ANY_LAYOUT): not supported; QEMU since 2.4 and vhost since Linux 3.13 have it"
            .into();
        return Err(Error::Refused { port: port.into(), what });
    }
    Ok(agreed.consistent())
}

/// What a configuration adds; `extra` is what the transport wants anyway.
pub(crate) fn config_features(
    config: &PortConfig,
    pairs: usize,
    offered: Features,
    extra: Features,
) -> Features {
    let (rx, tx) = (config.rx_offloads_asked(), config.tx_offloads_asked());
    let mut wanted = Features::ORDER_PLATFORM | Features::ACCESS_PLATFORM | extra;
    if tx.intersects(TxOffloads::TCP_CHECKSUM | TxOffloads::UDP_CHECKSUM) {
        wanted |= Features::CSUM;
    }
    if tx.contains(TxOffloads::TCP_SEGMENTATION) {
        wanted |= Features::CSUM | HOST_TSO | Features::HOST_ECN;
    }
    if tx.contains(TxOffloads::UDP_SEGMENTATION) {
        wanted |= Features::CSUM | Features::HOST_USO;
    }
    if rx.contains(RxOffloads::L4_CHECKSUM) {
        wanted |= Features::GUEST_CSUM;
    }
    if rx.contains(RxOffloads::LRO) {
        wanted |= Features::GUEST_CSUM | GUEST_TSO | Features::GUEST_ECN;
    }
    if rx.contains(RxOffloads::LARGE_UDP) {
        wanted |= Features::GUEST_CSUM | GUEST_USO;
    }
    if rx.contains(RxOffloads::RSS_HASH) {
        wanted |= Features::HASH_REPORT;
    }
    if rx.contains(RxOffloads::VLAN_FILTER) {
        wanted |= Features::CTRL_VLAN;
    }
    if config.rss_asked().is_some() {
        wanted |= Features::RSS;
    }
    if pairs > 1 {
        wanted |= Features::MQ;
    }
    wanted & offered
}

/// Descriptors that a queue of a device may have.
fn descriptors(sizes: Sizes, agreed: Features) -> Descriptors {
    let packed = agreed.contains(Features::RING_PACKED);
    let most = if packed { packed::MAX_SIZE } else { split::MAX_SIZE };
    let step = if packed { Step::MultipleOf(1) } else { Step::PowerOfTwo };
    let (min, max) = match sizes {
        Sizes::UpTo(size) => (if packed { 1 } else { 2 }, usize::from(size.min(most))),
        Sizes::Fixed(size) => (usize::from(size), usize::from(size)),
    };
    // A device with packed rings may have any number, and we may use a split ring of it all the same.
    let max = if packed || max == 0 { max } else { 1 << max.ilog2() };
    Descriptors { min, max, step, default: 256.clamp(min.min(max), max) }
}

/// What a control queue adds.
pub(crate) fn control(can: &mut Capabilities, offered: Features, config: Option<&NetConfig>) {
    if !offered.contains(Features::CTRL_VQ) {
        return;
    }
    can.rx_offloads.set(RxOffloads::VLAN_FILTER, offered.contains(Features::CTRL_VLAN));
    if offered.contains(Features::CTRL_RX) {
        can.extra_macs = MORE_ADDRESSES;
    }
    if let Some(config) = config {
        can.rss = filters::rss_capabilities(offered, config);
        let hashes = offered.contains(Features::HASH_REPORT) && !filters::hashes(config).is_empty();
        can.rx_offloads.set(RxOffloads::RSS_HASH, hashes);
    }
}

/// What a device of these features and sizes can do.
pub(crate) fn capabilities(
    offered: Features,
    agreed: Features,
    pairs: usize,
    [rx, tx]: [Sizes; 2],
) -> Capabilities {
    Capabilities {
        rx_queues: pairs,
        tx_queues: pairs,
        rx_descriptors: descriptors(rx, agreed),
        tx_descriptors: descriptors(tx, agreed),
        mtu: 68..=9700,
        rx_offloads: rx_offloads(offered, agreed),
        tx_offloads: tx_offloads(offered),
        min_buffer: 64,
        rx_wake_up: true,
        events: true,
        ..Capabilities::default()
    }
}

fn rx_offloads(offered: Features, agreed: Features) -> RxOffloads {
    let mut can = RxOffloads::empty();
    can.set(RxOffloads::L4_CHECKSUM, offered.contains(Features::GUEST_CSUM));
    can.set(RxOffloads::SCATTER, agreed.contains(Features::MRG_RXBUF));
    let fits = offered.contains(Features::GUEST_CSUM) && agreed.contains(Features::MRG_RXBUF);
    can.set(RxOffloads::LRO, fits && offered.intersects(GUEST_TSO));
    can.set(RxOffloads::LARGE_UDP, fits && offered.intersects(GUEST_USO));
    can
}

fn tx_offloads(offered: Features) -> TxOffloads {
    // Done here: a header checksum is cheap, a tag is put in.
    let here = TxOffloads::IP_CHECKSUM | TxOffloads::VLAN_INSERT | TxOffloads::MULTI_SEGMENT;
    let mut can = here;
    let csum = offered.contains(Features::CSUM);
    can.set(TxOffloads::TCP_CHECKSUM | TxOffloads::UDP_CHECKSUM, csum);
    can.set(TxOffloads::TCP_SEGMENTATION, csum && offered.contains(HOST_TSO));
    can.set(TxOffloads::UDP_SEGMENTATION, csum && offered.contains(Features::HOST_USO));
    can
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_insisted_on_and_missing_is_refused_by_name() {
        let offered = Features::VERSION_1 | Features::IN_ORDER;
        let rings = RingOptions { packed: Choice::On, ..RingOptions::default() };
        let error = ring_features("v0", &rings, offered).expect_err("not offered").to_string();
        assert!(error.contains("packed=1"), "{error}");
        let agreed = ring_features("v0", &RingOptions::default(), offered).expect("fine");
        assert_eq!(agreed, offered);
        let rings = RingOptions { in_order: Choice::Off, ..RingOptions::default() };
        assert_eq!(ring_features("v0", &rings, offered).expect("fine"), Features::VERSION_1);
        assert!(ring_features("v0", &rings, Features::MAC).is_err());
    }
}
