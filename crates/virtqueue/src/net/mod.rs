//! The network device: headers before frames, its configuration, its control queue (virtio 1.2 §5.1).

mod config;
pub mod control;
mod header;

pub use config::{Duplex, NetConfig, Speed, StatusBits};
pub use header::{
    DATA_VALID, GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP, GSO_UDP_L4, HASHED, HashReport,
    MERGED, NEEDS_CSUM, RSC_INFO, VNET, VnetHashed, VnetHdr, VnetMerged,
};

/// The receive queue of a pair (§5.1.2).
#[inline]
pub const fn rx_queue(pair: u16) -> u16 {
    pair * 2
}

/// The transmit queue of a pair (§5.1.2).
#[inline]
pub const fn tx_queue(pair: u16) -> u16 {
    pair * 2 + 1
}

/// The control queue of a device of `max_pairs` (§5.1.2).
#[inline]
pub const fn control_queue(max_pairs: u16) -> u16 {
    max_pairs * 2
}

/// The most queue pairs that a device may offer (§5.1.5.1.1: `max_virtqueue_pairs`).
pub const MAX_PAIRS: u16 = 0x8000;
