//! To the other side: what a packet asks for, as the header in front of the frame and changes to its
//! first bytes.

use super::{TCP_CHECKSUM, UDP_CHECKSUM, Unsound};
use crate::net::{self as vnet, VNET, VnetHdr};
use linecard_mbuf::{Flags, L4Checksum, Mbuf, Segmentation, TxRequest};
use linecard_net::checksum::{fold, ipv4_header_checksum};
use linecard_net::header::TcpFlags;
use zerocopy::IntoBytes;

/// Bytes of the two addresses, behind which a tag goes.
const ADDRESSES: usize = 12;
/// Bytes of a tag.
pub const TAG: usize = 4;
/// The most bytes of headers that are changed.
const HEADERS: usize = 512;

/// Whether a packet is sent as it is.
#[inline(always)]
pub fn is_simple(packet: &Mbuf) -> bool {
    !packet.flags().intersects(Flags::TX)
}

/// What goes before a frame: the header that the other side wants, and the frame's first bytes if
/// they are to be others. The packet itself is not touched, so that it can be offered again.
#[derive(Debug)]
pub struct Head {
    bytes: [u8; VNET + HEADERS],
    len: usize,
    replaces: usize,
}

impl Head {
    /// For a packet that asks for something.
    ///
    /// # Errors
    /// What it asks for does not fit it, or cannot be done.
    pub fn of(packet: &Mbuf) -> Result<Self, Unsound> {
        let mut head = Head { bytes: [0; VNET + HEADERS], len: VNET, replaces: 0 };
        let request = packet.tx_request();
        if let Some(request) = &request {
            head.take_headers(packet, request)?;
        }
        let headers = &mut head.bytes[VNET..head.len];
        let mut vnet = match request {
            Some(request) => apply(headers, packet.len(), &request)?,
            None => VnetHdr::default(),
        };
        if let Some(tci) = packet.vlan_to_insert() {
            head.insert_tag(packet, tci)?;
            vnet = if vnet.is_plain() { vnet } else { vnet.shifted(TAG as u16) };
        }
        head.bytes[..VNET].copy_from_slice(vnet.as_bytes());
        Ok(head)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// How many of the frame's first bytes they stand for.
    pub fn replaces(&self) -> usize {
        self.replaces
    }

    /// Bytes that the frame will have, given those of the packet.
    pub fn frame_len(&self, packet: usize) -> usize {
        packet - self.replaces + self.len - VNET
    }

    /// Whether the other side will cut the frame.
    pub fn is_large(&self) -> bool {
        VnetHdr::read(&self.bytes).is_large()
    }

    /// Copies the headers that the request is about.
    fn take_headers(&mut self, packet: &Mbuf, request: &TxRequest) -> Result<(), Unsound> {
        let n = headers_len(request);
        if n > packet.len() || n > HEADERS - TAG {
            return Err(Unsound);
        }
        packet.copy_to(0, &mut self.bytes[VNET..VNET + n]);
        (self.len, self.replaces) = (VNET + n, n);
        Ok(())
    }

    /// Puts a tag behind the addresses.
    fn insert_tag(&mut self, packet: &Mbuf, tci: u16) -> Result<(), Unsound> {
        if self.replaces < ADDRESSES {
            let addresses = &mut self.bytes[VNET..VNET + ADDRESSES];
            if packet.copy_to(0, addresses) < ADDRESSES {
                return Err(Unsound);
            }
            (self.len, self.replaces) = (VNET + ADDRESSES, ADDRESSES);
        }
        let at = VNET + ADDRESSES;
        self.bytes.copy_within(at..self.len, at + TAG);
        self.bytes[at..at + TAG].copy_from_slice(&tag(TPID, tci));
        self.len += TAG;
        Ok(())
    }
}

/// The header for a packet that asks for something, whose own headers are changed in place: for a
/// port that sends the packet's memory. Its first segment has them all.
///
/// A tag to be inserted is put into the packet: it moves the addresses into the headroom, and asks
/// no more, so that a second call does not put in another. Once is enough for the rest too: called
/// again for the same packet, it adds the length of a large frame to its checksum again.
///
/// # Errors
/// What it asks for does not fit it, or cannot be done; nothing was changed but for a tag.
pub fn prepare(packet: &mut Mbuf) -> Result<VnetHdr, Unsound> {
    if let Some(tci) = packet.vlan_to_insert() {
        push_tag(packet, tci)?;
    }
    let Some(request) = packet.tx_request() else { return Ok(VnetHdr::default()) };
    let (len, n) = (packet.len(), headers_len(&request));
    let headers = packet.data_mut().get_mut(..n).ok_or(Unsound)?;
    apply(headers, len, &request)
}

/// Puts the tag in that a packet asks for, and makes its request fit.
fn push_tag(packet: &mut Mbuf, tci: u16) -> Result<(), Unsound> {
    let request = packet.tx_request();
    if packet.data().len() < ADDRESSES {
        return Err(Unsound);
    }
    let room = packet.prepend(TAG).map_err(|_| Unsound)?.len();
    debug_assert_eq!(room, TAG);
    let bytes = packet.data_mut();
    bytes.copy_within(TAG..TAG + ADDRESSES, 0);
    bytes[ADDRESSES..ADDRESSES + TAG].copy_from_slice(&tag(TPID, tci));
    if let Some(request) = request {
        packet.request(TxRequest { l2_len: request.l2_len + TAG as u8, ..request });
    }
    packet.change_flags(Flags::empty(), Flags::INSERT_VLAN);
    Ok(())
}

/// Bytes of the headers that a request is about.
fn headers_len(request: &TxRequest) -> usize {
    usize::from(request.l2_len) + usize::from(request.l3_len) + l4_len(request)
}

/// Does what the other side does not do to the headers of a frame of `len` bytes, and says the rest
/// in the header.
fn apply(headers: &mut [u8], len: usize, request: &TxRequest) -> Result<VnetHdr, Unsound> {
    let l3 = usize::from(request.l2_len);
    let l4 = l3 + usize::from(request.l3_len);
    if l3 < 14 {
        return Err(Unsound);
    }
    let csum_offset = match (request.l4_checksum, request.segmentation) {
        (L4Checksum::Tcp, _) | (L4Checksum::None, Segmentation::Tcp(_)) => Some(TCP_CHECKSUM),
        (L4Checksum::Udp, _) | (L4Checksum::None, Segmentation::Udp(_)) => Some(UDP_CHECKSUM),
        (L4Checksum::Sctp, _) => return Err(Unsound),
        (L4Checksum::None, Segmentation::None) => None,
    };
    let fits = csum_offset.is_none_or(|offset| l4 + usize::from(offset) + 2 <= len);
    let ip = headers.get_mut(l3..l4).filter(|_| fits).ok_or(Unsound)?;
    if request.ip_checksum && !request.ipv6 {
        fill_ipv4(ip)?;
    }
    let Some(csum_offset) = csum_offset else { return Ok(VnetHdr::default()) };
    let (flags, csum_start, hdr_len) = (vnet::NEEDS_CSUM, l4 as u16, headers.len() as u16);
    let vnet = VnetHdr { flags, hdr_len, csum_start, csum_offset, ..VnetHdr::default() };
    match request.segmentation {
        Segmentation::None => Ok(vnet),
        Segmentation::Tcp(size) => cut_tcp(headers, len, vnet, request.ipv6, size),
        Segmentation::Udp(size) => cut(headers, len, vnet, vnet::GSO_UDP_L4, size),
    }
}

fn cut_tcp(
    headers: &mut [u8],
    len: usize,
    vnet: VnetHdr,
    ipv6: bool,
    size: u16,
) -> Result<VnetHdr, Unsound> {
    let flags = *headers.get(usize::from(vnet.csum_start) + 13).ok_or(Unsound)?;
    let ecn = if flags & TcpFlags::CWR.bits() != 0 { vnet::GSO_ECN } else { 0 };
    let kind = if ipv6 { vnet::GSO_TCPV6 } else { vnet::GSO_TCPV4 };
    cut(headers, len, vnet, kind | ecn, size)
}

/// The other side wants the length of the large frame in the pseudo-header's sum.
fn cut(
    headers: &mut [u8],
    len: usize,
    vnet: VnetHdr,
    gso_type: u8,
    gso_size: u16,
) -> Result<VnetHdr, Unsound> {
    let l4 = usize::from(vnet.csum_start);
    let at = l4 + usize::from(vnet.csum_offset);
    let field = headers.get_mut(at..at + 2).filter(|_| gso_size > 0).ok_or(Unsound)?;
    let without = u64::from(u16::from_be_bytes([field[0], field[1]]));
    field.copy_from_slice(&fold(without + (len - l4) as u64).to_be_bytes());
    Ok(VnetHdr { gso_type, gso_size, ..vnet })
}

/// The type of a frame with a customer tag (IEEE 802.1Q).
const TPID: u16 = 0x8100;

/// A tag as it stands in a frame.
pub fn tag(tpid: u16, tci: u16) -> [u8; TAG] {
    let ([a, b], [c, d]) = (tpid.to_be_bytes(), tci.to_be_bytes());
    [a, b, c, d]
}

/// Bytes of the transport header that are needed for what is asked.
fn l4_len(request: &TxRequest) -> usize {
    match request.segmentation {
        Segmentation::None => 0,
        Segmentation::Tcp(_) => usize::from(request.l4_len).max(20),
        Segmentation::Udp(_) => usize::from(request.l4_len).max(8),
    }
}

fn fill_ipv4(header: &mut [u8]) -> Result<(), Unsound> {
    let checksum = (header.len() >= 20).then(|| ipv4_header_checksum(header)).ok_or(Unsound)?;
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    Ok(())
}
