//! Flow keys: who talks to whom, over what.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::header::U16;

/// Addresses, ports and protocol of a packet.
///
/// The ports are 0 where the packet has none: for other protocols than TCP, UDP and SCTP, for a
/// fragment that is not the first, and for a header cut short. `Layers::fragment` tells fragments.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FlowKey {
    /// Over IPv4.
    V4 {
        /// Source address.
        src: Ipv4Addr,
        /// Destination address.
        dst: Ipv4Addr,
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
        /// Protocol number ([`crate::header::protocol`]).
        proto: u8,
    },
    /// Over IPv6.
    V6 {
        /// Source address.
        src: Ipv6Addr,
        /// Destination address.
        dst: Ipv6Addr,
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
        /// Protocol number of the upper layer ([`crate::header::protocol`]).
        proto: u8,
    },
}

impl FlowKey {
    /// The key of an Ethernet frame's outer headers: what [`crate::parse()`] finds, without the
    /// rest of its work. `None` when the frame is not IP.
    #[inline]
    pub fn from_frame(frame: &[u8]) -> Option<Self> {
        crate::parse::flow_key(frame)
    }

    /// The key of the same conversation in the other direction.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::V4 { src, dst, sport, dport, proto } => {
                Self::V4 { src: dst, dst: src, sport: dport, dport: sport, proto }
            }
            Self::V6 { src, dst, sport, dport, proto } => {
                Self::V6 { src: dst, dst: src, sport: dport, dport: sport, proto }
            }
        }
    }

    /// The same for both directions of a conversation: the lesser of the key and its reverse.
    #[must_use]
    pub fn undirected(self) -> Self {
        self.min(self.reversed())
    }

    /// Source address.
    pub fn src(&self) -> IpAddr {
        match *self {
            Self::V4 { src, .. } => src.into(),
            Self::V6 { src, .. } => src.into(),
        }
    }

    /// Destination address.
    pub fn dst(&self) -> IpAddr {
        match *self {
            Self::V4 { dst, .. } => dst.into(),
            Self::V6 { dst, .. } => dst.into(),
        }
    }

    /// Source and destination port.
    #[inline]
    pub fn ports(&self) -> (u16, u16) {
        match *self {
            Self::V4 { sport, dport, .. } | Self::V6 { sport, dport, .. } => (sport, dport),
        }
    }

    /// Protocol number of the upper layer.
    #[inline]
    pub fn proto(&self) -> u8 {
        match *self {
            Self::V4 { proto, .. } | Self::V6 { proto, .. } => proto,
        }
    }
}

/// A v4 flow key as 16 bytes for hash tables: no gaps, padding always zero.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
pub struct KeyV4 {
    /// Source address.
    pub src: [u8; 4],
    /// Destination address.
    pub dst: [u8; 4],
    /// Source port.
    pub sport: U16,
    /// Destination port.
    pub dport: U16,
    /// Protocol number.
    pub proto: u8,
    /// Zero.
    pub zero: [u8; 3],
}

/// A v6 flow key as 40 bytes for hash tables: no gaps, padding always zero.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
pub struct KeyV6 {
    /// Source address.
    pub src: [u8; 16],
    /// Destination address.
    pub dst: [u8; 16],
    /// Source port.
    pub sport: U16,
    /// Destination port.
    pub dport: U16,
    /// Protocol number.
    pub proto: u8,
    /// Zero.
    pub zero: [u8; 3],
}

const _: () = assert!(size_of::<KeyV4>() == 16 && size_of::<KeyV6>() == 40);

/// What the two compact keys have in common.
macro_rules! compact {
    ($key:ident, $variant:ident) => {
        impl $key {
            /// The key as bytes.
            #[inline]
            pub fn as_bytes(&self) -> &[u8; size_of::<Self>()] {
                zerocopy::transmute_ref!(self)
            }

            /// The key of the other direction.
            #[must_use]
            pub fn reversed(self) -> Self {
                let Self { src, dst, sport, dport, proto, zero } = self;
                Self { src: dst, dst: src, sport: dport, dport: sport, proto, zero }
            }

            /// The compact form of `key`; `None` when it is of the other IP version.
            #[inline]
            pub fn new(key: &FlowKey) -> Option<Self> {
                let FlowKey::$variant { src, dst, sport, dport, proto } = *key else {
                    return None;
                };
                Some(Self {
                    src: src.octets(),
                    dst: dst.octets(),
                    sport: U16::new(sport),
                    dport: U16::new(dport),
                    proto,
                    zero: [0; 3],
                })
            }
        }

        impl From<$key> for FlowKey {
            fn from(key: $key) -> Self {
                Self::$variant {
                    src: key.src.into(),
                    dst: key.dst.into(),
                    sport: key.sport.get(),
                    dport: key.dport.get(),
                    proto: key.proto,
                }
            }
        }
    };
}

compact!(KeyV4, V4);
compact!(KeyV6, V6);

#[cfg(test)]
mod tests {
    use super::*;

    const V4: FlowKey = FlowKey::V4 {
        src: Ipv4Addr::new(192, 0, 2, 1),
        dst: Ipv4Addr::new(198, 51, 100, 7),
        sport: 0x1234,
        dport: 53,
        proto: 17,
    };

    #[test]
    fn a_compact_key_is_the_tuple_in_wire_order_and_zeros() {
        let key = KeyV4::new(&V4).unwrap();
        let wire = [192, 0, 2, 1, 198, 51, 100, 7, 0x12, 0x34, 0, 53, 17, 0, 0, 0];
        assert_eq!(key.as_bytes(), &wire);
        assert_eq!(FlowKey::from(key), V4);
        assert_eq!(KeyV6::new(&V4), None);
    }

    #[test]
    fn reversing_twice_changes_nothing_and_both_directions_share_one_undirected_key() {
        assert_ne!(V4.reversed(), V4);
        assert_eq!(V4.reversed().reversed(), V4);
        assert_eq!(V4.reversed().undirected(), V4.undirected());
        assert_eq!(FlowKey::from(KeyV4::new(&V4).unwrap().reversed()), V4.reversed());
    }

    #[test]
    fn a_v6_key_survives_its_compact_form() {
        let (src, dst) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        let key = FlowKey::V6 { src, dst, sport: 1, dport: 2, proto: 6 };
        assert_eq!(FlowKey::from(KeyV6::new(&key).unwrap()), key);
    }
}
