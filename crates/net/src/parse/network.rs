//! The network layer: IPv4 and IPv6 to a flow key.

use super::link::Start;
use super::{Fragment, Layers, Stop, to_offset};
use crate::flow::FlowKey;
use crate::header::{Arp, ChainEnd, Extension, ExtensionChain, Ipv4, Ipv6, ethertype, protocol};
use crate::packet_type::{L2, L3};

/// What the network header says of its payload.
#[derive(Clone, Copy)]
pub(super) struct Packet {
    /// Protocol of the payload.
    pub(super) proto: u8,
    /// Where it begins.
    pub(super) at: usize,
}

impl Layers {
    /// Reads link and network layer and fills the flow key; `Ok(None)` for a frame that is
    /// recognised and has no IP in it.
    #[inline]
    pub(super) fn read_network(
        &mut self,
        frame: &[u8],
        start: Start,
    ) -> Result<Option<Packet>, Stop> {
        let ether_type = self.read_link(frame, start)?;
        let at = usize::from(self.l3_offset);
        match ether_type {
            ethertype::IPV4 => self.read_ipv4(frame, at).map(Some),
            ethertype::IPV6 => self.read_ipv6(frame, at).map(Some),
            _ => self.read_other(frame, ether_type, at).map(|()| None),
        }
    }

    fn read_other(&mut self, frame: &[u8], ether_type: u16, at: usize) -> Result<(), Stop> {
        self.l2 = match ether_type {
            ethertype::ARP => L2::Arp,
            ethertype::LLDP => L2::Lldp,
            ethertype::PTP => L2::Ptp,
            _ => return Err(Stop::UnknownProtocol),
        };
        let fits = self.l2 != L2::Arp || frame.len() - at >= Arp::LEN;
        fits.then_some(()).ok_or(Stop::Truncated)
    }

    #[inline]
    fn read_ipv4(&mut self, frame: &[u8], at: usize) -> Result<Packet, Stop> {
        let bytes = &frame[at..];
        let (ip, options, _) = Ipv4::split(bytes).ok_or_else(|| ipv4_fault(bytes))?;
        let header_len = Ipv4::LEN + options.len();
        let total = usize::from(ip.total_len.get());
        if total < header_len {
            return Err(Stop::Malformed);
        }
        self.l3 = if options.is_empty() { L3::Ipv4 } else { L3::Ipv4Options };
        self.put_end(at + total, frame);
        self.put_l4(at + header_len);
        self.fragment = Fragment::new(ip.fragment_offset(), ip.has_more_fragments());
        let packet = Packet { proto: ip.protocol, at: at + header_len };
        let (sport, dport) = self.ports(frame, packet);
        let (src, dst) = (ip.src_addr(), ip.dst_addr());
        self.flow = Some(FlowKey::V4 { src, dst, sport, dport, proto: packet.proto });
        Ok(packet)
    }

    #[inline]
    fn read_ipv6(&mut self, frame: &[u8], at: usize) -> Result<Packet, Stop> {
        let (ip, rest) = Ipv6::split(&frame[at..]).ok_or_else(|| ipv6_fault(&frame[at..]))?;
        let len = usize::from(ip.payload_len.get());
        // Length 0 before hop-by-hop options is a jumbogram (RFC 2675), or segmentation to come.
        let is_jumbo = len == 0 && ip.next_header == protocol::HOP_BY_HOP;
        self.put_end(if is_jumbo { frame.len() } else { at + Ipv6::LEN + len }, frame);
        let body = &rest[..self.end - at - Ipv6::LEN];
        let mut chain = ExtensionChain::new(ip.next_header, body);
        self.l3 = L3::Ipv6;
        for extension in chain.by_ref() {
            self.note_extension(&extension);
        }
        let packet = Packet { proto: chain.protocol(), at: self.end - chain.rest().len() };
        self.put_l4(packet.at);
        let readable = chain.end() == Some(ChainEnd::UpperLayer);
        let (sport, dport) = if readable { self.ports(frame, packet) } else { (0, 0) };
        let (src, dst) = (ip.src_addr(), ip.dst_addr());
        self.flow = Some(FlowKey::V6 { src, dst, sport, dport, proto: packet.proto });
        match chain.end() {
            Some(ChainEnd::Truncated) => Err(Stop::Truncated),
            Some(ChainEnd::TooLong) => Err(Stop::TooDeep),
            _ => Ok(packet),
        }
    }

    fn note_extension(&mut self, extension: &Extension<'_>) {
        self.l3 = L3::Ipv6Extensions;
        self.source_routed |= extension.is_source_route();
        if let Some(fragment) = extension.fragment() {
            self.fragment =
                Fragment::new(fragment.fragment_offset(), fragment.has_more_fragments());
        }
    }

    /// Ends the packet where its header says, but never past the frame.
    #[inline]
    fn put_end(&mut self, claimed: usize, frame: &[u8]) {
        self.cut_short = claimed > frame.len();
        self.end = claimed.min(frame.len());
    }

    #[inline]
    fn put_l4(&mut self, at: usize) {
        (self.l4_offset, self.payload_offset) = (to_offset(at), to_offset(at));
    }

    #[inline]
    fn ports(&self, frame: &[u8], packet: Packet) -> (u16, u16) {
        let has_ports = matches!(packet.proto, protocol::TCP | protocol::UDP | protocol::SCTP);
        if !has_ports || self.fragment == Fragment::Later {
            return (0, 0);
        }
        match frame.get(packet.at..self.end).and_then(|l4| l4.first_chunk()) {
            Some(&[a, b, c, d]) => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
            None => (0, 0),
        }
    }
}

impl Fragment {
    fn new(offset: usize, more: bool) -> Self {
        match (offset, more) {
            (0, false) => Self::None,
            (0, true) => Self::First,
            _ => Self::Later,
        }
    }
}

#[cold]
fn ipv4_fault(bytes: &[u8]) -> Stop {
    match Ipv4::ref_from_prefix(bytes) {
        Some((ip, _)) if ip.version() != 4 || ip.header_len() < Ipv4::LEN => Stop::Malformed,
        _ => Stop::Truncated,
    }
}

#[cold]
fn ipv6_fault(bytes: &[u8]) -> Stop {
    if bytes.len() < Ipv6::LEN { Stop::Truncated } else { Stop::Malformed }
}
