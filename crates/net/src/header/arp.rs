//! ARP for IPv4 over Ethernet (RFC 826).

use core::net::Ipv4Addr;

use super::{U16, ethertype, header};
use crate::MacAddr;

header! {
    /// An ARP packet with Ethernet and IPv4 addresses.
    pub struct Arp[28] {
        /// Hardware type; 1 is Ethernet.
        pub hardware: U16,
        /// Protocol type, an EtherType.
        pub protocol: U16,
        /// Octets in a hardware address.
        pub hardware_len: u8,
        /// Octets in a protocol address.
        pub protocol_len: u8,
        /// 1 asks ([`Arp::REQUEST`]), 2 answers ([`Arp::REPLY`]).
        pub operation: U16,
        /// The sender's Ethernet address.
        pub sender_mac: MacAddr,
        /// The sender's IPv4 address.
        pub sender_ip: [u8; 4],
        /// The target's Ethernet address.
        pub target_mac: MacAddr,
        /// The target's IPv4 address.
        pub target_ip: [u8; 4],
    }
}

impl Arp {
    /// Operation: who has the target address?
    pub const REQUEST: u16 = 1;
    /// Operation: the sender has it.
    pub const REPLY: u16 = 2;

    /// A packet with the constant fields filled.
    pub fn new(operation: u16, sender: (MacAddr, Ipv4Addr), target: (MacAddr, Ipv4Addr)) -> Self {
        Self {
            hardware: U16::new(1),
            protocol: U16::new(ethertype::IPV4),
            hardware_len: 6,
            protocol_len: 4,
            operation: U16::new(operation),
            sender_mac: sender.0,
            sender_ip: sender.1.octets(),
            target_mac: target.0,
            target_ip: target.1.octets(),
        }
    }

    /// Whether the types and lengths are those of IPv4 over Ethernet.
    pub fn is_ipv4(&self) -> bool {
        self.hardware.get() == 1
            && self.protocol.get() == ethertype::IPV4
            && (self.hardware_len, self.protocol_len) == (6, 4)
    }
}
