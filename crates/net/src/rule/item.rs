//! The layers that a pattern can name, and their fields.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::Match;
use crate::parse::Fragment;
use crate::{MacAddr, header};

/// One layer of a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Item {
    /// Any layer: says nothing.
    Any,
    /// Ethernet.
    Eth(EthItem),
    /// A VLAN tag.
    Vlan(VlanItem),
    /// An MPLS label.
    Mpls(MplsItem),
    /// ARP.
    Arp(ArpItem),
    /// IPv4.
    Ipv4(Ipv4Item),
    /// IPv6.
    Ipv6(Ipv6Item),
    /// TCP.
    Tcp(TcpItem),
    /// UDP.
    Udp(PortsItem),
    /// SCTP.
    Sctp(PortsItem),
    /// ICMP.
    Icmp(IcmpItem),
    /// ICMPv6.
    Icmpv6(IcmpItem),
    /// The tunnel VXLAN.
    Vxlan(VxlanItem),
    /// The tunnel GENEVE.
    Geneve(GeneveItem),
    /// The tunnel GRE.
    Gre(GreItem),
    /// The tunnel GTP-U.
    Gtpu(GtpuItem),
    /// The tunnel that IP in IP is: what follows is the inner packet.
    IpInIp,
    /// Two bytes of the frame, whatever layer they belong to.
    Raw(RawItem),
}

/// Declares an item's fields and, unless two items share them, how it becomes an [`Item`].
macro_rules! item {
    ($(#[$meta:meta])* $name:ident $(=> $variant:ident)? { $($(#[$doc:meta])* $field:ident: $ty:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
        pub struct $name {
            $($(#[$doc])* pub $field: $ty,)*
        }

        $(impl From<$name> for Item {
            fn from(item: $name) -> Self {
                Self::$variant(item)
            }
        })?
    };
}

item! {
    /// Fields of an Ethernet header.
    EthItem => Eth {
        /// Source.
        src: Match<MacAddr>,
        /// Destination.
        dst: Match<MacAddr>,
        /// The EtherType of this very header: that of the tag, where there is one.
        ether_type: Match<u16>,
    }
}

item! {
    /// Fields of a VLAN tag.
    VlanItem => Vlan {
        /// Tag control information, all 16 bits; [`VlanItem::id`] matches the VLAN id alone.
        tci: Match<u16>,
    }
}

impl VlanItem {
    /// A tag with this VLAN id, whatever its priority.
    pub const fn id(id: u16) -> Self {
        Self { tci: Match::Mask { value: id, mask: 0x0fff } }
    }
}

item! {
    /// Fields of an MPLS label stack entry.
    MplsItem => Mpls {
        /// The label, 20 bits.
        label: Match<u32>,
    }
}

item! {
    /// Fields of an ARP packet.
    ArpItem => Arp {
        /// 1 asks, 2 answers.
        operation: Match<u16>,
        /// The sender's IPv4 address.
        sender: Match<Ipv4Addr>,
        /// The target's IPv4 address.
        target: Match<Ipv4Addr>,
    }
}

item! {
    /// Fields of an IPv4 header.
    Ipv4Item => Ipv4 {
        /// Source.
        src: Match<Ipv4Addr>,
        /// Destination.
        dst: Match<Ipv4Addr>,
        /// Protocol.
        proto: Match<u8>,
        /// Type of service.
        tos: Match<u8>,
        /// Time to live.
        ttl: Match<u8>,
        /// Fragments or not.
        fragment: FragmentMatch,
    }
}

item! {
    /// Fields of an IPv6 header and its extensions.
    Ipv6Item => Ipv6 {
        /// Source.
        src: Match<Ipv6Addr>,
        /// Destination.
        dst: Match<Ipv6Addr>,
        /// Protocol of the upper layer, behind extension headers.
        proto: Match<u8>,
        /// Traffic class.
        traffic_class: Match<u8>,
        /// Flow label, 20 bits.
        flow_label: Match<u32>,
        /// Hop limit.
        hop_limit: Match<u8>,
        /// Fragments or not.
        fragment: FragmentMatch,
    }
}

item! {
    /// Fields of a TCP header.
    TcpItem => Tcp {
        /// Source port.
        sport: Match<u16>,
        /// Destination port.
        dport: Match<u16>,
        /// Control bits, see [`header::TcpFlags`].
        flags: Match<u8>,
    }
}

item! {
    /// Ports, of UDP or SCTP.
    PortsItem {
        /// Source port.
        sport: Match<u16>,
        /// Destination port.
        dport: Match<u16>,
    }
}

item! {
    /// Fields of an ICMP or ICMPv6 header.
    IcmpItem {
        /// Type.
        kind: Match<u8>,
        /// Code.
        code: Match<u8>,
    }
}

item! {
    /// Fields of a VXLAN header.
    VxlanItem => Vxlan {
        /// Network identifier, 24 bits.
        vni: Match<u32>,
    }
}

item! {
    /// Fields of a GENEVE header.
    GeneveItem => Geneve {
        /// Network identifier, 24 bits.
        vni: Match<u32>,
    }
}

item! {
    /// Fields of a GRE header.
    GreItem => Gre {
        /// EtherType of the packet inside.
        protocol: Match<u16>,
        /// Key; a header without one matches `Any` only.
        key: Match<u32>,
    }
}

item! {
    /// Fields of a GTP-U header.
    GtpuItem => Gtpu {
        /// Tunnel endpoint identifier.
        teid: Match<u32>,
    }
}

item! {
    /// Two bytes of the frame, for what no other item names. It may stand anywhere in a pattern: its
    /// offset is always that in the whole frame, and a frame that ends before does not match.
    RawItem => Raw {
        /// Where the first of them is, in bytes from the frame's first.
        offset: u16,
        /// Both, the first one being the high byte.
        word: Match<u16>,
    }
}

/// Fragments or not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum FragmentMatch {
    /// Either.
    #[default]
    Any,
    /// Whole packets.
    Whole,
    /// Fragments, the first included.
    Fragment,
    /// First fragments.
    First,
    /// Fragments other than the first.
    Later,
}

impl FragmentMatch {
    /// Whether a packet that is such a fragment matches.
    pub fn matches(self, fragment: Fragment) -> bool {
        match self {
            Self::Any => true,
            Self::Whole => fragment == Fragment::None,
            Self::Fragment => fragment != Fragment::None,
            Self::First => fragment == Fragment::First,
            Self::Later => fragment == Fragment::Later,
        }
    }
}

/// Where an item may stand: ranks never fall within one set of headers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Rank {
    Ethernet,
    Tag,
    Label,
    Network,
    Transport,
    Tunnel,
}

impl Item {
    /// The item's name, as errors give it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Eth(_) => "eth",
            Self::Vlan(_) => "vlan",
            Self::Mpls(_) => "mpls",
            Self::Arp(_) => "arp",
            Self::Ipv4(_) => "ipv4",
            Self::Ipv6(_) => "ipv6",
            Self::Tcp(_) => "tcp",
            Self::Udp(_) => "udp",
            Self::Sctp(_) => "sctp",
            Self::Icmp(_) => "icmp",
            Self::Icmpv6(_) => "icmpv6",
            Self::Vxlan(_) => "vxlan",
            Self::Geneve(_) => "geneve",
            Self::Gre(_) => "gre",
            Self::Gtpu(_) => "gtpu",
            Self::IpInIp => "ip-in-ip",
            Self::Raw(_) => "raw",
        }
    }

    /// The item's rank; none for [`Item::Any`] and [`Item::Raw`], which may stand anywhere.
    pub(super) const fn rank(&self) -> Option<Rank> {
        Some(match self {
            Self::Any | Self::Raw(_) => return None,
            Self::Eth(_) => Rank::Ethernet,
            Self::Vlan(_) => Rank::Tag,
            Self::Mpls(_) => Rank::Label,
            Self::Arp(_) | Self::Ipv4(_) | Self::Ipv6(_) => Rank::Network,
            Self::Tcp(_) | Self::Udp(_) | Self::Sctp(_) | Self::Icmp(_) | Self::Icmpv6(_) => {
                Rank::Transport
            }
            Self::Vxlan(_) | Self::Geneve(_) | Self::Gre(_) | Self::Gtpu(_) | Self::IpInIp => {
                Rank::Tunnel
            }
        })
    }

    /// The IP protocol that the item says its IP header must have.
    pub(super) const fn ip_protocol(&self) -> Option<u8> {
        use header::protocol::{GRE, ICMP, ICMPV6, SCTP, TCP, UDP};
        Some(match self {
            Self::Tcp(_) => TCP,
            Self::Udp(_) | Self::Vxlan(_) | Self::Geneve(_) | Self::Gtpu(_) => UDP,
            Self::Sctp(_) => SCTP,
            Self::Icmp(_) => ICMP,
            Self::Icmpv6(_) => ICMPV6,
            Self::Gre(_) => GRE,
            _ => return None,
        })
    }

    /// The EtherType that the item says the header below it must have.
    pub(super) const fn ether_type(&self) -> Option<u16> {
        use header::ethertype::{ARP, IPV4, IPV6};
        Some(match self {
            Self::Arp(_) => ARP,
            Self::Ipv4(_) => IPV4,
            Self::Ipv6(_) => IPV6,
            _ => return None,
        })
    }
}
