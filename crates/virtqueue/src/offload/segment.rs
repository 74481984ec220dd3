//! Cutting a large frame into those that a wire would carry, for whoever did not ask for large ones.

use super::{TCP_CHECKSUM, UDP_CHECKSUM};
use crate::net::{self as vnet, VnetHdr};
use core::ops::Range;
use linecard_net::checksum::{fold, ipv4_header_checksum, pseudo_sum, sum};
use linecard_net::header::TcpFlags;
use linecard_net::packet_type::L4;
use linecard_net::parse::Layers;
use linecard_net::{FlowKey, parse};

/// Where the sequence number is in a TCP header.
const SEQUENCE: usize = 4;
/// Where the flags are in a TCP header.
const FLAGS: usize = 13;
/// Flags that only the last segment keeps.
const LAST: u8 = TcpFlags::FIN.bits() | TcpFlags::PSH.bits();

/// The segments of a large frame, made one after the other.
#[derive(Debug)]
pub struct Segments<'a> {
    frame: &'a [u8],
    layers: Layers,
    flow: FlowKey,
    size: usize,
    next: usize,
}

impl<'a> Segments<'a> {
    /// The segments of `frame`; `None` if its headers are not what `vnet` says.
    pub fn of(frame: &'a [u8], vnet: VnetHdr) -> Option<Self> {
        let layers = parse(frame).outer;
        let fits = match vnet.gso_type & !vnet::GSO_ECN {
            vnet::GSO_TCPV4 => layers.l4 == L4::Tcp && layers.l3.is_ipv4(),
            vnet::GSO_TCPV6 => layers.l4 == L4::Tcp && !layers.l3.is_ipv4(),
            vnet::GSO_UDP_L4 => layers.l4 == L4::Udp,
            _ => false,
        };
        let header = if layers.l4 == L4::Tcp { 20 } else { 8 };
        let sound = layers.l4_len() >= header && !layers.cut_short && vnet.gso_size > 0;
        let (flow, size) = (layers.flow?, usize::from(vnet.gso_size));
        (fits && sound).then_some(Segments { frame, layers, flow, size, next: 0 })
    }

    /// Makes the next segment in `into`; `None` after the last, or if `into` is too short for one.
    pub fn next<'b>(&mut self, into: &'b mut [u8]) -> Option<&'b [u8]> {
        let payload = self.payload();
        let headers = payload.start;
        let from = headers + self.next * self.size;
        let to = payload.end.min(from + self.size);
        if from >= to {
            return None;
        }
        let segment = into.get_mut(..headers + to - from)?;
        segment[..headers].copy_from_slice(&self.frame[..headers]);
        segment[headers..].copy_from_slice(&self.frame[from..to]);
        self.mend_network(segment);
        self.mend_transport(segment, to == payload.end);
        self.next += 1;
        Some(segment)
    }

    fn payload(&self) -> Range<usize> {
        usize::from(self.layers.payload_offset)..self.layers.end
    }

    /// Length, identification and checksum of the IP header.
    fn mend_network(&self, segment: &mut [u8]) {
        let (l3, l4) = (usize::from(self.layers.l3_offset), usize::from(self.layers.l4_offset));
        let len = segment.len() - l3;
        let header = &mut segment[l3..l4];
        if self.layers.l3.is_ipv4() {
            header[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            let id = u16::from_be_bytes([header[4], header[5]]).wrapping_add(self.next as u16);
            header[4..6].copy_from_slice(&id.to_be_bytes());
            let checksum = ipv4_header_checksum(header);
            header[10..12].copy_from_slice(&checksum.to_be_bytes());
        } else {
            header[4..6].copy_from_slice(&((len - 40) as u16).to_be_bytes());
        }
    }

    /// Sequence number and flags, or length; and the checksum.
    fn mend_transport(&self, segment: &mut [u8], is_last: bool) {
        let bytes = &mut segment[usize::from(self.layers.l4_offset)..];
        let len = bytes.len();
        let field = if self.layers.l4 == L4::Tcp {
            self.mend_tcp(bytes, is_last);
            usize::from(TCP_CHECKSUM)
        } else {
            bytes[4..6].copy_from_slice(&(len as u16).to_be_bytes());
            usize::from(UDP_CHECKSUM)
        };
        bytes[field..field + 2].fill(0);
        let total = u64::from(pseudo_sum(&self.flow, len as u32)) + u64::from(sum(bytes));
        let checksum = !fold(total);
        let none = self.layers.l4 == L4::Udp && checksum == 0;
        let checksum = if none { 0xFFFF } else { checksum };
        bytes[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    }

    fn mend_tcp(&self, bytes: &mut [u8], is_last: bool) {
        let ahead = (self.next * self.size) as u32;
        let field: [u8; 4] = std::array::from_fn(|i| bytes[SEQUENCE + i]);
        let sequence = u32::from_be_bytes(field).wrapping_add(ahead);
        bytes[SEQUENCE..SEQUENCE + 4].copy_from_slice(&sequence.to_be_bytes());
        if !is_last {
            bytes[FLAGS] &= !LAST;
        }
        if self.next > 0 {
            bytes[FLAGS] &= !TcpFlags::CWR.bits();
        }
    }
}
