//! What a packet is, in 32 bits: four bits for each layer, as NICs report it.
//!
//! ```text
//! bits  31..28   27..24    23..20    19..16    15..12   11..8   7..4   3..0
//!       –        inner L4  inner L3  inner L2  tunnel   L4      L3     L2
//! ```

use core::fmt;

/// Defines one layer's values: an enum of four bits with `from_bits` and a short name.
macro_rules! layer {
    ($(#[$meta:meta])* $layer:ident { $($(#[$doc:meta])* $name:ident = $bits:literal $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
        #[repr(u8)]
        pub enum $layer {
            /// Not present, or not recognised.
            #[default]
            Unknown = 0,
            $($(#[$doc])* $name = $bits,)*
        }

        impl $layer {
            const fn from_bits(bits: u32) -> Self {
                match bits & 0xf {
                    $($bits => Self::$name,)*
                    _ => Self::Unknown,
                }
            }

            /// A short name in lower case; empty for unknown.
            pub const fn name(self) -> &'static str {
                match self {
                    Self::Unknown => "",
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

layer! {
    /// The link layer: what the last link-layer header was.
    L2 {
        /// Ethernet without tags.
        Ethernet = 1 "ether",
        /// PTP over Ethernet.
        Ptp = 2 "ether-ptp",
        /// ARP.
        Arp = 3 "ether-arp",
        /// LLDP.
        Lldp = 4 "ether-lldp",
        /// Ethernet with one VLAN tag.
        Vlan = 6 "ether-vlan",
        /// Ethernet with two VLAN tags or more.
        Qinq = 7 "ether-qinq",
        /// An MPLS label stack.
        Mpls = 10 "mpls",
    }
}

layer! {
    /// The network layer.
    L3 {
        /// IPv4 without options.
        Ipv4 = 1 "ipv4",
        /// IPv4 with options.
        Ipv4Options = 3 "ipv4-ext",
        /// IPv6 without extension headers.
        Ipv6 = 4 "ipv6",
        /// IPv6 with extension headers.
        Ipv6Extensions = 12 "ipv6-ext",
    }
}

impl L3 {
    /// Whether this is IPv4, with or without options.
    #[inline]
    pub const fn is_ipv4(self) -> bool {
        matches!(self, Self::Ipv4 | Self::Ipv4Options)
    }

    /// Whether this is IPv6, with or without extension headers.
    #[inline]
    pub const fn is_ipv6(self) -> bool {
        matches!(self, Self::Ipv6 | Self::Ipv6Extensions)
    }
}

layer! {
    /// The transport layer.
    L4 {
        /// TCP.
        Tcp = 1 "tcp",
        /// UDP.
        Udp = 2 "udp",
        /// A fragment, first or later, of whatever protocol.
        Fragment = 3 "frag",
        /// SCTP.
        Sctp = 4 "sctp",
        /// ICMP or ICMPv6.
        Icmp = 5 "icmp",
        /// An IP packet that is whole and of no protocol listed here.
        Other = 6 "nonfrag",
        /// IGMP.
        Igmp = 7 "igmp",
    }
}

layer! {
    /// The tunnel between the outer and the inner headers.
    Tunnel {
        /// IP in IP, of either version.
        Ip = 1 "ip",
        /// GRE.
        Gre = 2 "gre",
        /// VXLAN.
        Vxlan = 3 "vxlan",
        /// GENEVE.
        Geneve = 5 "geneve",
        /// GTP control plane; no inner packet.
        Gtpc = 7 "gtpc",
        /// GTP user plane.
        Gtpu = 8 "gtpu",
        /// ESP; nothing inside can be read.
        Esp = 9 "esp",
        /// MPLS in IP.
        Mpls = 13 "mpls",
    }
}

/// A packet's type: one word, comparable and printable.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(transparent)]
pub struct PacketType(u32);

impl PacketType {
    /// A packet of which nothing is known.
    pub const UNKNOWN: Self = Self(0);

    /// The type with these layers and no tunnel.
    pub const fn new(l2: L2, l3: L3, l4: L4) -> Self {
        Self(l2 as u32 | (l3 as u32) << 4 | (l4 as u32) << 8)
    }

    /// This type's outer layers, with a tunnel and, inside it, the layers of `inner`.
    pub const fn with_inner(self, tunnel: Tunnel, inner: Self) -> Self {
        Self(self.0 & 0xfff | (tunnel as u32) << 12 | (inner.0 & 0xfff) << 16)
    }

    /// The word, for a packet buffer's metadata.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// A type from such a word.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & 0x0fff_ffff)
    }

    /// The (outer) link layer.
    pub const fn l2(self) -> L2 {
        L2::from_bits(self.0)
    }

    /// The (outer) network layer.
    pub const fn l3(self) -> L3 {
        L3::from_bits(self.0 >> 4)
    }

    /// The (outer) transport layer.
    pub const fn l4(self) -> L4 {
        L4::from_bits(self.0 >> 8)
    }

    /// The tunnel.
    pub const fn tunnel(self) -> Tunnel {
        Tunnel::from_bits(self.0 >> 12)
    }

    /// The type of the packet inside the tunnel.
    pub const fn inner(self) -> Self {
        Self(self.0 >> 16 & 0xfff)
    }
}

impl fmt::Display for PacketType {
    /// The layers from the outside in, as in `ether/ipv4/udp/vxlan/ether/ipv6/tcp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner();
        let names = [
            self.l2().name(),
            self.l3().name(),
            self.l4().name(),
            self.tunnel().name(),
            inner.l2().name(),
            inner.l3().name(),
            inner.l4().name(),
        ];
        let mut between = "";
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            write!(f, "{between}{name}")?;
            between = "/";
        }
        if between.is_empty() { f.write_str("unknown") } else { Ok(()) }
    }
}

impl fmt::Debug for PacketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PacketType({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_type_gives_back_the_layers_it_was_made_of() {
        let inner = PacketType::new(L2::Ethernet, L3::Ipv6Extensions, L4::Tcp);
        let outer = PacketType::new(L2::Qinq, L3::Ipv4, L4::Udp).with_inner(Tunnel::Vxlan, inner);
        assert_eq!((outer.l2(), outer.l3(), outer.l4()), (L2::Qinq, L3::Ipv4, L4::Udp));
        assert_eq!((outer.tunnel(), outer.inner()), (Tunnel::Vxlan, inner));
        assert_eq!(PacketType::from_bits(outer.bits()), outer);
        assert_eq!(outer.to_string(), "ether-qinq/ipv4/udp/vxlan/ether/ipv6-ext/tcp");
        assert_eq!(PacketType::UNKNOWN.to_string(), "unknown");
    }
}
