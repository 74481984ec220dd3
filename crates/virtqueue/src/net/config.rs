//! The device's configuration space (virtio 1.2 §5.1.4).

use bitflags::bitflags;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct virtio_net_config`. Which fields are there depends on the features.
#[repr(C, packed)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
pub struct NetConfig {
    /// The address (`MAC`).
    pub mac: [u8; 6],
    /// [`StatusBits`] (`STATUS`).
    pub status: u16,
    /// Queue pairs at most (`MQ` or `RSS`).
    pub max_virtqueue_pairs: u16,
    /// The largest MTU that the driver should use (`MTU`).
    pub mtu: u16,
    /// Megabits a second (`SPEED_DUPLEX`): see [`Speed`].
    pub speed: u32,
    /// [`Duplex`] (`SPEED_DUPLEX`).
    pub duplex: u8,
    /// The longest hash key (`RSS` or `HASH_REPORT`).
    pub rss_max_key_size: u8,
    /// Entries of the indirection table at most (`RSS`).
    pub rss_max_indirection_table_length: u16,
    /// Hashes that the device computes (`RSS` or `HASH_REPORT`).
    pub supported_hash_types: u32,
}

const _: () = assert!(size_of::<NetConfig>() == 24);
const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(NetConfig, status) == 6 && offset_of!(NetConfig, max_virtqueue_pairs) == 8);
    assert!(offset_of!(NetConfig, mtu) == 10 && offset_of!(NetConfig, speed) == 12);
    assert!(
        offset_of!(NetConfig, duplex) == 16 && offset_of!(NetConfig, supported_hash_types) == 20
    );
};

bitflags! {
    /// `status` of [`NetConfig`].
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct StatusBits: u16 {
        /// The link carries packets.
        const LINK_UP = 1;
        /// The driver is asked to announce itself (`GUEST_ANNOUNCE`).
        const ANNOUNCE = 2;
    }
}

/// `speed` of [`NetConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed(pub u32);

impl Speed {
    /// Not known.
    pub const UNKNOWN: Speed = Speed(u32::MAX);

    /// Megabits a second, if the device says so: 0 to 0x7FFF_FFFF.
    pub fn megabits(self) -> Option<u32> {
        (self.0 <= 0x7FFF_FFFF).then_some(self.0)
    }
}

/// `duplex` of [`NetConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Duplex {
    /// They take turns.
    Half = 0,
    /// Both at once.
    Full = 1,
    /// Not known.
    Unknown = 0xFF,
}
