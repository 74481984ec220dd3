//! Checksums of whole frames, verified and filled in place.

use super::crc32c::Crc32c;
use super::internet::{fold, ipv4_header_checksum, pseudo_v4, pseudo_v6, sum};
use crate::Error;
use crate::flow::FlowKey;
use crate::header::Udp;
use crate::packet_type::L4;
use crate::parse::Layers;

/// What became of verifying a checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// The checksum matches.
    Good,
    /// It does not, or a length field contradicts the packet.
    Bad,
    /// The sender made none: zero in UDP over IPv4.
    Absent,
    /// Cannot be told: not a protocol with a checksum, a fragment, cut short, or source-routed.
    Unknown,
}

impl Status {
    fn good_if(matches: bool) -> Self {
        if matches { Self::Good } else { Self::Bad }
    }
}

/// Verifies the IPv4 header checksum; [`Status::Unknown`] when the packet is not IPv4.
#[inline]
pub fn verify_ipv4(frame: &[u8], layers: &Layers) -> Status {
    match ipv4_header(frame, layers) {
        Some(header) => Status::good_if(sum(header) == 0xffff),
        None => Status::Unknown,
    }
}

/// Puts the right checksum into the IPv4 header.
///
/// # Errors
/// [`Error::NoChecksum`] when the packet is not IPv4, or `frame` is not the one parsed.
pub fn fill_ipv4(frame: &mut [u8], layers: &Layers) -> Result<(), Error> {
    const NONE: Error = Error::NoChecksum("IPv4 header");
    let checksum = ipv4_header_checksum(ipv4_header(frame, layers).ok_or(NONE)?);
    put(frame, usize::from(layers.l3_offset) + 10, &checksum.to_be_bytes()).ok_or(NONE)
}

/// Verifies the checksum of TCP, UDP, SCTP, ICMP or ICMPv6.
///
/// Zero in UDP over IPv6, where it is allowed only for tunnels (RFC 6935), is [`Status::Bad`].
#[inline]
pub fn verify_l4(frame: &[u8], layers: &Layers) -> Status {
    let Some(flow) = checkable(layers) else {
        return Status::Unknown;
    };
    let segment = layers.l4_bytes(frame);
    if layers.l4 == L4::Sctp {
        return Status::good_if(sctp_crc(segment).is_some_and(|crc| segment[8..12] == crc));
    }
    let Some(covered) = covered(layers.l4, segment) else {
        return Status::Bad;
    };
    if layers.l4 == L4::Udp && covered[6..8] == [0, 0] {
        return if layers.l3.is_ipv4() { Status::Absent } else { Status::Bad };
    }
    let pseudo = pseudo(layers.l4, &flow, covered.len());
    Status::good_if(fold(u64::from(pseudo) + u64::from(sum(covered))) == 0xffff)
}

/// The checksum that belongs into the transport header, whatever stands there now: TCP, UDP
/// (never 0), ICMP or ICMPv6. `None` for SCTP, whose checksum is 32 bits, and where there is none.
pub fn l4_checksum(frame: &[u8], layers: &Layers) -> Option<u16> {
    let flow = checkable(layers).filter(|_| layers.l4 != L4::Sctp)?;
    let covered = covered(layers.l4, layers.l4_bytes(frame))?;
    let at = field_offset(layers.l4)?;
    let field = u16::from_be_bytes(*covered.get(at..)?.first_chunk()?);
    // Adding the complement of the field takes the field out of the sum.
    let pseudo = pseudo(layers.l4, &flow, covered.len());
    let checksum = !fold(u64::from(pseudo) + u64::from(sum(covered)) + u64::from(!field));
    Some(if layers.l4 == L4::Udp && checksum == 0 { 0xffff } else { checksum })
}

/// Puts the right checksum into the transport header: TCP, UDP, SCTP, ICMP or ICMPv6.
///
/// # Errors
/// [`Error::NoChecksum`] for other protocols, fragments, packets cut short, source-routed packets
/// (their last destination is not in the fixed header), or if `frame` is not the one parsed.
pub fn fill_l4(frame: &mut [u8], layers: &Layers) -> Result<(), Error> {
    const NONE: Error = Error::NoChecksum("transport");
    let at = usize::from(layers.l4_offset) + field_offset(layers.l4).ok_or(NONE)?;
    if layers.l4 == L4::Sctp {
        let crc = checkable(layers).and_then(|_| sctp_crc(layers.l4_bytes(frame))).ok_or(NONE)?;
        return put(frame, at, &crc).ok_or(NONE);
    }
    let checksum = l4_checksum(frame, layers).ok_or(NONE)?;
    put(frame, at, &checksum.to_be_bytes()).ok_or(NONE)
}

/// The sum over the pseudo-header of a TCP or UDP packet, which is what a NIC that computes
/// checksums wants in the checksum field. `len` is that of transport header and payload, or 0
/// for segmentation offload.
pub fn pseudo_sum(flow: &FlowKey, len: u32) -> u16 {
    match *flow {
        FlowKey::V4 { src, dst, proto, .. } => pseudo_v4(src, dst, proto, len),
        FlowKey::V6 { src, dst, proto, .. } => pseudo_v6(src, dst, proto, len),
    }
}

fn ipv4_header<'a>(frame: &'a [u8], layers: &Layers) -> Option<&'a [u8]> {
    let range = usize::from(layers.l3_offset)..usize::from(layers.l4_offset);
    frame.get(range).filter(|header| layers.l3.is_ipv4() && header.len() >= 20)
}

/// The flow of a packet whose transport checksum these bytes decide.
#[inline]
fn checkable(layers: &Layers) -> Option<FlowKey> {
    let has_one = field_offset(layers.l4).is_some();
    layers.flow.filter(|_| has_one && !layers.cut_short && !layers.source_routed)
}

/// Where in the transport header the checksum is.
const fn field_offset(l4: L4) -> Option<usize> {
    match l4 {
        L4::Tcp => Some(16),
        L4::Udp => Some(6),
        L4::Sctp => Some(8),
        L4::Icmp => Some(2),
        _ => None,
    }
}

/// The part of the segment that the checksum covers: all, but in UDP what its length says.
#[inline]
fn covered(l4: L4, segment: &[u8]) -> Option<&[u8]> {
    if l4 != L4::Udp {
        return (segment.len() >= 8).then_some(segment);
    }
    let len = usize::from(Udp::ref_from_prefix(segment)?.0.len.get());
    segment.get(..len).filter(|covered| covered.len() >= Udp::LEN)
}

/// The pseudo-header's sum; ICMP over IPv4 has none.
#[inline]
fn pseudo(l4: L4, flow: &FlowKey, len: usize) -> u16 {
    match (l4, flow) {
        (L4::Icmp, FlowKey::V4 { .. }) => 0,
        _ => pseudo_sum(flow, len as u32),
    }
}

/// The CRC of an SCTP packet as it stands on the wire, its field counted as zero.
fn sctp_crc(packet: &[u8]) -> Option<[u8; 4]> {
    let (before, rest) = packet.split_at_checked(8)?;
    let after = rest.get(4..)?;
    let crc = Crc32c::new().update(before).update(&[0; 4]).update(after).finish();
    Some(crc.to_le_bytes())
}

fn put<const N: usize>(frame: &mut [u8], at: usize, bytes: &[u8; N]) -> Option<()> {
    *frame.get_mut(at..)?.first_chunk_mut()? = *bytes;
    Some(())
}
