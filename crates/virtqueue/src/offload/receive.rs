//! From the other side: unfinished checksums and large frames.
//!
//! A frame from a socket of this machine has no checksum yet: its field holds the pseudo-header's
//! sum. Unless [`Unfinished::CHECKSUM`] may be left, the checksum is computed here, and nobody ever
//! sees one that is incomplete. If it may, the packet says that its data is intact and asks whatever
//! port sends it on to compute the checksum.

use super::{TCP_CHECKSUM, UDP_CHECKSUM, Unfinished, Unsound};
use crate::net::{self as vnet, VnetHdr};
use linecard_mbuf::{Flags, L4Checksum, Mbuf, Segmentation, TxRequest};
use linecard_net::checksum::{fold, pseudo_sum, sum};
use linecard_net::packet_type::L4;
use linecard_net::parse;

/// The checksum was not looked at, and the data is known to be right.
const INTACT: Flags = Flags::L4_CHECKSUM_GOOD.union(Flags::L4_CHECKSUM_BAD);

/// Makes good what the other side left undone in a frame, or says in the packet that it is undone,
/// if it may be: `asked`.
///
/// # Errors
/// The header does not fit the frame, which is of no use.
#[inline]
pub fn settle(packet: &mut Mbuf, vnet: VnetHdr, asked: Unfinished) -> Result<(), Unsound> {
    if vnet.is_plain() { Ok(()) } else { settle_unfinished(packet, vnet, asked) }
}

fn settle_unfinished(packet: &mut Mbuf, vnet: VnetHdr, asked: Unfinished) -> Result<(), Unsound> {
    if vnet.is_large() {
        let is_asked = asked.contains(match vnet.gso_type & !vnet::GSO_ECN {
            vnet::GSO_UDP_L4 => Unfinished::LARGE_UDP,
            _ => Unfinished::LARGE_TCP,
        });
        return if is_asked { large(packet, vnet) } else { Err(Unsound) };
    }
    let told = asked.contains(Unfinished::CHECKSUM);
    if vnet.flags & vnet::NEEDS_CSUM != 0 {
        match request(packet, vnet, Segmentation::None).filter(|_| told) {
            Some(request) => pass_on(packet, request),
            None => return complete(packet, vnet),
        }
    } else if told && vnet.flags & vnet::DATA_VALID != 0 {
        packet.change_flags(Flags::L4_CHECKSUM_GOOD, Flags::empty());
    }
    Ok(())
}

/// Leaves the work to the port that sends the packet on.
fn pass_on(packet: &mut Mbuf, request: TxRequest) {
    packet.request(request);
    packet.change_flags(INTACT, Flags::empty());
}

/// A frame of several segments, to be cut by the port that sends it on.
fn large(packet: &mut Mbuf, vnet: VnetHdr) -> Result<(), Unsound> {
    let segmentation = match vnet.gso_type & !vnet::GSO_ECN {
        _ if vnet.gso_size == 0 => return Err(Unsound),
        vnet::GSO_TCPV4 | vnet::GSO_TCPV6 => Segmentation::Tcp(vnet.gso_size),
        vnet::GSO_UDP_L4 => Segmentation::Udp(vnet.gso_size),
        _ => return Err(Unsound),
    };
    let request = request(packet, vnet, segmentation).ok_or(Unsound)?;
    // Their pseudo-header has the length of the large frame; a packet's has none.
    let flow = parse(packet.data()).outer.flow.ok_or(Unsound)?;
    put_field(packet, vnet, pseudo_sum(&flow, 0))?;
    pass_on(packet, TxRequest { ip_checksum: !request.ipv6, ..request });
    packet.change_flags(Flags::LRO, Flags::empty());
    Ok(())
}

/// What a transmit side would have to be asked, if the frame's headers are what `vnet` says.
fn request(packet: &Mbuf, vnet: VnetHdr, segmentation: Segmentation) -> Option<TxRequest> {
    let layers = parse(packet.data()).outer;
    let l4_checksum = match (layers.l4, vnet.csum_offset) {
        (L4::Tcp, TCP_CHECKSUM) => L4Checksum::Tcp,
        (L4::Udp, UDP_CHECKSUM) => L4Checksum::Udp,
        _ => return None,
    };
    if layers.l4_offset != vnet.csum_start || layers.l2_len() > 127 || layers.l3_len() > 511 {
        return None;
    }
    Some(TxRequest {
        l2_len: layers.l2_len() as u8,
        l3_len: layers.l3_len() as u16,
        l4_len: u8::try_from(layers.l4_len()).ok()?,
        ipv6: !layers.l3.is_ipv4(),
        ip_checksum: false,
        l4_checksum,
        segmentation,
    })
}

/// Computes the checksum that was left out.
fn complete(packet: &mut Mbuf, vnet: VnetHdr) -> Result<(), Unsound> {
    let checksum = !sum_from(packet, usize::from(vnet.csum_start));
    let is_udp = vnet.csum_offset == UDP_CHECKSUM;
    put_field(packet, vnet, if is_udp && checksum == 0 { 0xFFFF } else { checksum })
}

/// Writes the checksum field.
fn put_field(packet: &mut Mbuf, vnet: VnetHdr, value: u16) -> Result<(), Unsound> {
    let at = usize::from(vnet.csum_start) + usize::from(vnet.csum_offset);
    if packet.copy_from(at, &value.to_be_bytes()) == 2 { Ok(()) } else { Err(Unsound) }
}

/// The sum over a packet's bytes from `start` on.
fn sum_from(packet: &Mbuf, start: usize) -> u16 {
    let (mut skip, mut total, mut odd) = (start, 0, false);
    for segment in packet.segments() {
        let from = skip.min(segment.len());
        skip -= from;
        let bytes = &segment[from..];
        // A segment behind an odd number of bytes sums its words the other way round.
        total += u64::from(if odd { sum(bytes).swap_bytes() } else { sum(bytes) });
        odd ^= bytes.len() % 2 == 1;
    }
    fold(total)
}
