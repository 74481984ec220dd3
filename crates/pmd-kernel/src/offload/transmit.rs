//! To the kernel: what a packet asks for, as the header in front of the frame and changes to its
//! first bytes. The packet itself is not touched, so that it can be offered again.

use super::{TCP_CHECKSUM, UDP_CHECKSUM, Unsound};
use crate::vnet::{self, VNET, VnetHdr};
use linecard_mbuf::{Flags, L4Checksum, Mbuf, Segmentation, TxRequest};
use linecard_net::checksum::{fold, ipv4_header_checksum};
use linecard_net::header::TcpFlags;
use zerocopy::IntoBytes;

/// Bytes of the two addresses, behind which a tag goes.
const ADDRESSES: usize = 12;
/// Bytes of a tag.
pub(crate) const TAG: usize = 4;
/// The most bytes of headers that are changed.
const HEADERS: usize = 512;

/// Whether a packet is sent as it is.
#[inline(always)]
pub(crate) fn is_simple(packet: &Mbuf) -> bool {
    !packet.flags().intersects(Flags::TX)
}

/// What goes before a frame: the header that the kernel wants, and the frame's first bytes if they
/// are to be others.
pub(crate) struct Head {
    bytes: [u8; VNET + HEADERS],
    len: usize,
    replaces: usize,
}

impl Head {
    /// For a packet that asks for something.
    ///
    /// # Errors
    /// What it asks for does not fit it, or cannot be done.
    pub(crate) fn of(packet: &Mbuf) -> Result<Self, Unsound> {
        let mut head = Head { bytes: [0; VNET + HEADERS], len: VNET, replaces: 0 };
        let request = packet.tx_request();
        if let Some(request) = &request {
            head.take_headers(packet, request)?;
        }
        let mut vnet = request.map_or(Ok(VnetHdr::default()), |r| head.apply(packet, &r))?;
        if let Some(tci) = packet.vlan_to_insert() {
            head.insert_tag(packet, tci)?;
            vnet = if vnet.is_plain() { vnet } else { vnet.shifted(TAG as u16) };
        }
        head.bytes[..VNET].copy_from_slice(vnet.as_bytes());
        Ok(head)
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// How many of the frame's first bytes they stand for.
    pub(crate) fn replaces(&self) -> usize {
        self.replaces
    }

    /// Bytes that the frame will have, given those of the packet.
    pub(crate) fn frame_len(&self, packet: usize) -> usize {
        packet - self.replaces + self.len - VNET
    }

    /// Whether the kernel will cut the frame.
    pub(crate) fn is_large(&self) -> bool {
        VnetHdr::read(&self.bytes).is_large()
    }

    /// Copies the headers that the request is about.
    fn take_headers(&mut self, packet: &Mbuf, request: &TxRequest) -> Result<(), Unsound> {
        let n = usize::from(request.l2_len) + usize::from(request.l3_len) + l4_len(request);
        if request.l2_len < 14 || n > packet.len() || n > HEADERS - TAG {
            return Err(Unsound);
        }
        packet.copy_to(0, &mut self.bytes[VNET..VNET + n]);
        (self.len, self.replaces) = (VNET + n, n);
        Ok(())
    }

    fn headers(&mut self) -> &mut [u8] {
        &mut self.bytes[VNET..self.len]
    }

    /// Does what the kernel does not, and says the rest in the header.
    fn apply(&mut self, packet: &Mbuf, request: &TxRequest) -> Result<VnetHdr, Unsound> {
        let l3 = usize::from(request.l2_len);
        let l4 = l3 + usize::from(request.l3_len);
        if request.ip_checksum && !request.ipv6 {
            fill_ipv4(self.headers().get_mut(l3..l4).ok_or(Unsound)?)?;
        }
        let csum_offset = match request.l4_checksum {
            L4Checksum::Tcp => TCP_CHECKSUM,
            L4Checksum::Udp => UDP_CHECKSUM,
            L4Checksum::Sctp => return Err(Unsound),
            L4Checksum::None => match request.segmentation {
                Segmentation::None => return Ok(VnetHdr::default()),
                Segmentation::Tcp(_) => TCP_CHECKSUM,
                Segmentation::Udp(_) => UDP_CHECKSUM,
            },
        };
        let flags = vnet::NEEDS_CSUM;
        let (csum_start, hdr_len) = (l4 as u16, self.replaces as u16);
        let vnet = VnetHdr { flags, hdr_len, csum_start, csum_offset, ..VnetHdr::default() };
        if l4 + usize::from(csum_offset) + 2 > packet.len() {
            return Err(Unsound);
        }
        match request.segmentation {
            Segmentation::None => Ok(vnet),
            Segmentation::Tcp(size) => self.cut_tcp(vnet, request, size, packet.len()),
            Segmentation::Udp(size) => self.cut(vnet, vnet::GSO_UDP_L4, size, packet.len()),
        }
    }

    fn cut_tcp(
        &mut self,
        vnet: VnetHdr,
        request: &TxRequest,
        size: u16,
        len: usize,
    ) -> Result<VnetHdr, Unsound> {
        let flags = *self.headers().get(usize::from(vnet.csum_start) + 13).ok_or(Unsound)?;
        let ecn = if flags & TcpFlags::CWR.bits() != 0 { vnet::GSO_ECN } else { 0 };
        let kind = if request.ipv6 { vnet::GSO_TCPV6 } else { vnet::GSO_TCPV4 };
        self.cut(vnet, kind | ecn, size, len)
    }

    /// The kernel wants the length of the large frame in the pseudo-header's sum.
    fn cut(
        &mut self,
        vnet: VnetHdr,
        gso_type: u8,
        gso_size: u16,
        len: usize,
    ) -> Result<VnetHdr, Unsound> {
        let l4 = usize::from(vnet.csum_start);
        let at = l4 + usize::from(vnet.csum_offset);
        let field = self.headers().get_mut(at..at + 2).filter(|_| gso_size > 0).ok_or(Unsound)?;
        let without = u64::from(u16::from_be_bytes([field[0], field[1]]));
        field.copy_from_slice(&fold(without + (len - l4) as u64).to_be_bytes());
        Ok(VnetHdr { gso_type, gso_size, ..vnet })
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

/// The type of a frame with a customer tag (IEEE 802.1Q).
const TPID: u16 = 0x8100;

/// A tag as it stands in a frame.
pub(crate) fn tag(tpid: u16, tci: u16) -> [u8; TAG] {
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
