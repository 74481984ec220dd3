//! Packets that ask for more than to be sent: checksums, segmentation, tags, several buffers.

use super::context::{Contexts, Found};
use super::{DATA, LEAST, Parts};
use linecard_ixgbe_regs::descriptor::{context, transmit};
use linecard_mbuf::{Flags, L4Checksum, Mbuf, Segmentation, TxRequest};
use linecard_pmd_core::TxOffloads;

/// §7.2.1.1: the most buffers of a packet.
pub(crate) const MOST_SEGMENTS: usize = 40;

/// The longest that TSO takes: PAYLEN has 18 bits.
const MOST_PAYLOAD: usize = (1 << 18) - 1;

/// How a packet will be sent.
pub(super) struct Plan {
    pub(crate) descriptors: usize,
    /// What the device has to know of its headers, if it has to, and where it knows or will.
    pub(super) context: Option<([u64; 2], Found)>,
    /// The second quadword of its data descriptors, but for length and end.
    pub(crate) data: u64,
    /// That of a packet of one buffer that asks for the same, but for both lengths; with its end. None if
    /// there is more to it.
    pub(crate) repeats: Option<u64>,
}

/// How to send a packet. `None` if it can never be sent: it is too long, empty, in pieces that the
/// device does not know or that are too many, or asks for what was not configured.
pub(super) fn plan(packet: &Mbuf, parts: &Parts, contexts: &Contexts) -> Option<Plan> {
    let segments = packet.segment_count();
    if segments > MOST_SEGMENTS || !parts.known.all(packet) || !lengths_fit(packet) {
        return None;
    }
    let (request, tag) = (packet.tx_request(), packet.vlan_to_insert());
    let asked = asked(packet.flags(), segments);
    if !parts.offloads.contains(asked) || packet.vlan_outer_to_insert().is_some() {
        return None;
    }
    let request = request.unwrap_or_default();
    let payload = match request.segmentation {
        Segmentation::None if packet.len() as u64 > parts.longest() => return None,
        Segmentation::None => packet.len(),
        Segmentation::Udp(_) => return None,
        Segmentation::Tcp(size) => cut(packet, &request, size, parts.longest() as usize)?,
    };
    let needs =
        tag.is_some() || asked.intersects(!TxOffloads::MULTI_SEGMENT.union(TxOffloads::TIMESTAMP));
    let words = needs.then(|| words(&request, tag));
    let context = words.map(|words| (words, contexts.find(words)));
    let index = context.map_or(0, |(_, found)| found.index());
    let stamp = if asked.contains(TxOffloads::TIMESTAMP) { transmit::MAC_TSTAMP.mask() } else { 0 };
    let wanted = transmit::IDX.put(DATA | stamp | wishes(&request, tag), index as u64);
    let data = transmit::PAYLEN.put(wanted, payload as u64);
    let is_whole = request.segmentation == Segmentation::None && stamp == 0;
    let repeats = is_whole.then_some(wanted | transmit::EOP.mask());
    let told = context.is_some_and(|(_, found)| matches!(found, Found::ToTell(_)));
    let descriptors = segments + usize::from(told);
    Some(Plan { descriptors, context, data, repeats })
}

/// A segment of no bytes would hang the device (§7.2.3.2.4), and so would a frame without a header.
fn lengths_fit(packet: &Mbuf) -> bool {
    packet.len() as u64 >= LEAST && packet.device_segments().all(|(_, len)| len > 0)
}

/// The payload of a packet that is to be cut, if headers and sizes make sense.
fn cut(packet: &Mbuf, request: &TxRequest, size: u16, longest: usize) -> Option<usize> {
    let headers = headers(request) + usize::from(request.l4_len);
    let fits = size > 0 && request.l4_len >= 20 && headers + usize::from(size) <= longest;
    let payload = packet.len().checked_sub(headers)?;
    (fits && payload > 0 && payload <= MOST_PAYLOAD).then_some(payload)
}

fn headers(request: &TxRequest) -> usize {
    usize::from(request.l2_len) + usize::from(request.l3_len)
}

/// What the flags ask for.
fn asked(flags: Flags, segments: usize) -> TxOffloads {
    const ALL: &[(Flags, TxOffloads)] = &[
        (Flags::INSERT_VLAN, TxOffloads::VLAN_INSERT),
        (Flags::IP_CHECKSUM, TxOffloads::IP_CHECKSUM),
        (Flags::TCP_CHECKSUM, TxOffloads::TCP_CHECKSUM),
        (Flags::UDP_CHECKSUM, TxOffloads::UDP_CHECKSUM),
        (Flags::SCTP_CHECKSUM, TxOffloads::SCTP_CHECKSUM),
        (Flags::TCP_SEGMENTATION, TxOffloads::TCP_SEGMENTATION),
        (Flags::UDP_SEGMENTATION, TxOffloads::UDP_SEGMENTATION),
        (Flags::STAMP, TxOffloads::TIMESTAMP),
    ];
    let one = |(flag, offload): &(Flags, TxOffloads)| flags.contains(*flag).then_some(*offload);
    let several = if segments > 1 { TxOffloads::MULTI_SEGMENT } else { TxOffloads::empty() };
    ALL.iter().filter_map(one).fold(several, |all, one| all | one)
}

/// §7.2.3.2.3. Without a header length the device still wants the link header's.
fn words(request: &TxRequest, tag: Option<u16>) -> [u64; 2] {
    let l2 = if request.l2_len == 0 { 14 } else { request.l2_len };
    let first = context::IPLEN.put(0, u64::from(request.l3_len));
    let first = context::MACLEN.put(first, u64::from(l2));
    let first = context::VLAN.put(first, u64::from(tag.unwrap_or(0)));
    let l4 = match request.l4_checksum {
        L4Checksum::Tcp => context::L4T_TCP,
        L4Checksum::Sctp => context::L4T_SCTP,
        L4Checksum::Udp => context::L4T_UDP,
        L4Checksum::None if request.segmentation != Segmentation::None => context::L4T_TCP,
        // 3 is reserved: none.
        L4Checksum::None => 3,
    };
    let second = context::DTYP.put(context::DEXT.mask(), context::DTYP_CONTEXT);
    let second = context::L4T.put(second, l4);
    let second = context::IPV4.put(second, u64::from(!request.ipv6));
    let second = match request.segmentation {
        Segmentation::Tcp(size) => {
            context::MSS.put(context::L4LEN.put(second, u64::from(request.l4_len)), u64::from(size))
        }
        _ => second,
    };
    [first, second]
}

/// What the data descriptors ask for.
fn wishes(request: &TxRequest, tag: Option<u16>) -> u64 {
    let cut = request.segmentation != Segmentation::None;
    let ip = request.ip_checksum || (cut && !request.ipv6);
    let l4 = request.l4_checksum != L4Checksum::None || cut;
    let wish =
        |wanted: bool, field: linecard_ixgbe_regs::WideField| if wanted { field.mask() } else { 0 };
    wish(tag.is_some(), transmit::VLE)
        | wish(cut, transmit::TSE)
        | wish(ip, transmit::IXSM)
        | wish(l4, transmit::TXSM)
}
