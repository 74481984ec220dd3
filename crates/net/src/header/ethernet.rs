//! Ethernet II and VLAN tags.

use super::{U16, ethertype, header};
use crate::MacAddr;

header! {
    /// An Ethernet II header, without the preamble and the frame check sequence.
    pub struct Ethernet[14] {
        /// Destination.
        pub dst: MacAddr,
        /// Source.
        pub src: MacAddr,
        /// What follows ([`ethertype`]); below 1536 it is the length of an 802.3 frame.
        pub ether_type: U16,
    }
}

header! {
    /// A VLAN tag as it follows an EtherType of 0x8100, 0x88a8 or 0x9100.
    pub struct Vlan[4] {
        /// Tag control information: priority (3 bits), drop eligible (1), VLAN id (12).
        pub tci: U16,
        /// What follows ([`ethertype`]).
        pub ether_type: U16,
    }
}

impl Vlan {
    /// The VLAN id, 0 to 4095.
    pub fn id(&self) -> u16 {
        self.tci.get() & 0x0fff
    }

    /// The priority code point, 0 to 7.
    pub fn priority(&self) -> u8 {
        (self.tci.get() >> 13) as u8
    }

    /// Whether the frame may be dropped first under congestion.
    pub fn is_drop_eligible(&self) -> bool {
        self.tci.get() & 0x1000 != 0
    }

    /// Whether `ether_type` announces a VLAN tag.
    #[inline]
    pub const fn announced_by(ether_type: u16) -> bool {
        matches!(ether_type, ethertype::VLAN | ethertype::QINQ | ethertype::QINQ_OLD)
    }
}
