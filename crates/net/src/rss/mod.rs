//! Receive-side scaling: the Toeplitz hash, and which packets are hashed over what.
//!
//! A port spreads packets over its queues by this hash; computing it in software gives the same
//! number as the NIC, and so the same queue.

mod toeplitz;
mod types;

pub use toeplitz::{RssKey, ToeplitzKey};
pub use types::RssTypes;

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::flow::FlowKey;
use crate::header::protocol;
use crate::packet_type::L4;
use crate::parse::{Layers, Parsed};

/// The hash over addresses and ports, as for TCP, UDP and SCTP over IPv4.
#[inline]
pub fn rss_v4(key: &ToeplitzKey, src: Ipv4Addr, dst: Ipv4Addr, sport: u16, dport: u16) -> u32 {
    let ports = u32::from(sport) << 16 | u32::from(dport);
    key.hash_words([src.to_bits(), dst.to_bits(), ports].map(u32::to_be_bytes))
}

/// The hash over addresses only, as for any other packet over IPv4.
#[inline]
pub fn rss_v4_addresses(key: &ToeplitzKey, src: Ipv4Addr, dst: Ipv4Addr) -> u32 {
    key.hash_words([src.octets(), dst.octets()])
}

/// The hash over addresses and ports, as for TCP, UDP and SCTP over IPv6.
#[inline]
pub fn rss_v6(key: &ToeplitzKey, src: Ipv6Addr, dst: Ipv6Addr, sport: u16, dport: u16) -> u32 {
    let mut input = [0; 36];
    input[..16].copy_from_slice(&src.octets());
    input[16..32].copy_from_slice(&dst.octets());
    input[32..34].copy_from_slice(&sport.to_be_bytes());
    input[34..].copy_from_slice(&dport.to_be_bytes());
    key.hash(&input)
}

/// The hash over addresses only, as for any other packet over IPv6.
#[inline]
pub fn rss_v6_addresses(key: &ToeplitzKey, src: Ipv6Addr, dst: Ipv6Addr) -> u32 {
    key.hash_words([src.octets(), dst.octets()])
}

/// The hash of a packet's outer headers, or `None` when `types` names no hash for such a packet.
///
/// Fragments, the first included, are hashed over their addresses, so that all of a packet's
/// fragments reach one queue.
#[inline]
pub fn rss_hash(parsed: &Parsed, types: RssTypes, key: &ToeplitzKey) -> Option<u32> {
    rss_hash_layers(&parsed.outer, types, key)
}

/// As [`rss_hash`], of one set of headers: give `parsed.innermost()` to hash inside tunnels.
#[inline]
pub fn rss_hash_layers(layers: &Layers, types: RssTypes, key: &ToeplitzKey) -> Option<u32> {
    let l4 = match layers.l4 {
        L4::Tcp | L4::Udp | L4::Sctp => layers.l4,
        _ => L4::Other,
    };
    hash(layers.flow?, l4, types, key)
}

/// As [`rss_hash`], of a bare flow key, which does not tell fragments: it is taken for a whole
/// packet's.
#[inline]
pub fn rss_hash_flow(flow: &FlowKey, types: RssTypes, key: &ToeplitzKey) -> Option<u32> {
    let l4 = match flow.proto() {
        protocol::TCP => L4::Tcp,
        protocol::UDP => L4::Udp,
        protocol::SCTP => L4::Sctp,
        _ => L4::Other,
    };
    hash(*flow, l4, types, key)
}

#[inline]
fn hash(flow: FlowKey, l4: L4, types: RssTypes, key: &ToeplitzKey) -> Option<u32> {
    let (with_ports, addresses) = RssTypes::for_packet(&flow, l4);
    let hash_ports = types.intersects(with_ports);
    if !hash_ports && !types.intersects(addresses) {
        return None;
    }
    Some(match (flow, hash_ports) {
        (FlowKey::V4 { src, dst, sport, dport, .. }, true) => rss_v4(key, src, dst, sport, dport),
        (FlowKey::V4 { src, dst, .. }, false) => rss_v4_addresses(key, src, dst),
        (FlowKey::V6 { src, dst, sport, dport, .. }, true) => rss_v6(key, src, dst, sport, dport),
        (FlowKey::V6 { src, dst, .. }, false) => rss_v6_addresses(key, src, dst),
    })
}

#[cfg(test)]
mod tests;
