//! VXLAN (RFC 7348).

use super::{U32, header};

header! {
    /// A VXLAN header; an Ethernet frame follows.
    pub struct Vxlan[8] {
        /// Flags; 0x08 says the network identifier counts.
        pub flags: u8,
        /// Reserved.
        pub reserved: [u8; 3],
        /// Network identifier (24 bits), reserved (8 bits).
        pub vni_reserved: U32,
    }
}

impl Vxlan {
    /// The flag that says the network identifier counts.
    pub const HAS_VNI: u8 = 0x08;

    /// A header for one network.
    pub fn new(vni: u32) -> Self {
        Self { flags: Self::HAS_VNI, vni_reserved: U32::new(vni << 8), ..Self::default() }
    }

    /// The network identifier, 24 bits.
    pub fn vni(&self) -> u32 {
        self.vni_reserved.get() >> 8
    }
}
