//! One parser from bytes to packet type, layer offsets and flow keys.
//!
//! [`parse`] never panics, allocates nothing, and does bounded work: at most [`MAX_VLANS`] tags,
//! [`crate::header::MAX_LABELS`] labels and [`crate::header::MAX_EXTENSIONS`] extension headers
//! per packet, and one tunnel. What it cannot read it leaves unknown; [`Layers::stop`] says why.

mod link;
mod network;
mod transport;
mod tunnel;

use crate::flow::FlowKey;
use crate::packet_type::{L2, L3, L4, PacketType};
use link::Start;

/// VLAN tags read at most; a deeper stack is [`Stop::TooDeep`].
pub const MAX_VLANS: usize = 4;

/// What [`parse`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parsed {
    /// All layers in one word.
    pub packet_type: PacketType,
    /// The headers from the first byte on.
    pub outer: Layers,
    /// The headers inside a tunnel, where the tunnel carries a readable packet.
    pub inner: Option<Layers>,
    /// Where the tunnel's own header (VXLAN, GRE …) begins, when there is one; for IP in IP,
    /// which has none, where the inner packet begins.
    pub tunnel_offset: u16,
}

impl Parsed {
    /// The innermost headers: those of the packet that applications see.
    #[inline]
    pub fn innermost(&self) -> &Layers {
        self.inner.as_ref().unwrap_or(&self.outer)
    }

    /// The flow key of the outer headers.
    #[inline]
    pub fn flow(&self) -> Option<FlowKey> {
        self.outer.flow
    }
}

/// One set of headers, link to transport, with offsets from the start of the frame.
///
/// Always `l2_offset <= l3_offset <= l4_offset <= payload_offset <= end <= frame.len()`.
/// A layer that is not there has its successor's offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layers {
    /// The link layer.
    pub l2: L2,
    /// The network layer.
    pub l3: L3,
    /// The transport layer; unknown under a tunnel that lies directly on IP.
    pub l4: L4,
    /// Whether the packet is a fragment.
    pub fragment: Fragment,
    /// Why parsing stopped.
    pub stop: Stop,
    /// Whether the IP header claims more bytes than the frame has.
    pub cut_short: bool,
    /// Whether an IPv6 routing header has segments left, so that the destination is not the last.
    pub source_routed: bool,
    /// Whether there is an Ethernet header; inside a tunnel there need not be.
    pub has_ethernet: bool,
    /// VLAN tags.
    pub vlans: Vlans,
    /// Where the Ethernet header begins, or what stands in its place.
    pub l2_offset: u16,
    /// Where the IP header (or ARP packet) begins.
    pub l3_offset: u16,
    /// Where the transport header begins.
    pub l4_offset: u16,
    /// Where the transport payload begins.
    pub payload_offset: u16,
    /// Where the IP packet ends; Ethernet padding lies behind. Without IP, the end of the frame.
    pub end: usize,
    /// Who talks to whom, when this is IP.
    pub flow: Option<FlowKey>,
}

impl Layers {
    fn at(offset: usize, frame: &[u8]) -> Self {
        let offset = to_offset(offset);
        Self {
            l2: L2::Unknown,
            l3: L3::Unknown,
            l4: L4::Unknown,
            fragment: Fragment::None,
            stop: Stop::Complete,
            cut_short: false,
            source_routed: false,
            has_ethernet: false,
            vlans: Vlans::default(),
            l2_offset: offset,
            l3_offset: offset,
            l4_offset: offset,
            payload_offset: offset,
            end: frame.len(),
            flow: None,
        }
    }

    /// Length of the link layer: Ethernet, tags and labels.
    #[inline]
    pub fn l2_len(&self) -> usize {
        usize::from(self.l3_offset - self.l2_offset)
    }

    /// Length of the network header, options and extension headers included.
    #[inline]
    pub fn l3_len(&self) -> usize {
        usize::from(self.l4_offset - self.l3_offset)
    }

    /// Length of the transport header, options included.
    #[inline]
    pub fn l4_len(&self) -> usize {
        usize::from(self.payload_offset - self.l4_offset)
    }

    /// The bytes from the network header to the end of the packet.
    #[inline]
    pub fn l3_bytes<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        frame.get(usize::from(self.l3_offset)..self.end).unwrap_or_default()
    }

    /// The bytes from the transport header to the end of the packet.
    #[inline]
    pub fn l4_bytes<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        frame.get(usize::from(self.l4_offset)..self.end).unwrap_or_default()
    }

    /// The transport payload.
    #[inline]
    pub fn payload<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        frame.get(usize::from(self.payload_offset)..self.end).unwrap_or_default()
    }

    fn packet_type(&self) -> PacketType {
        PacketType::new(self.l2, self.l3, self.l4)
    }

    /// Puts the offsets of all layers from the network layer up at `at`.
    fn put_l3(&mut self, at: usize) {
        (self.l3_offset, self.l4_offset, self.payload_offset) =
            (to_offset(at), to_offset(at), to_offset(at));
    }
}

/// A header's offset as stored.
fn to_offset(at: usize) -> u16 {
    // No header begins past 42 KiB: a link layer takes at most 62 bytes, a network layer 16,424,
    // a UDP tunnel 8,180, and there are two sets of the first two.
    at as u16
}

/// Whether a packet is a fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fragment {
    /// A whole packet.
    #[default]
    None,
    /// The first fragment: it has the ports.
    First,
    /// Any other fragment: no transport header, hence no ports.
    Later,
}

/// Why parsing stopped where it did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stop {
    /// Everything that has headers was read.
    #[default]
    Complete,
    /// A header does not fit in the bytes there are.
    Truncated,
    /// A header contradicts itself: a version, or a length below the minimum.
    Malformed,
    /// A header announces a protocol this parser does not know.
    UnknownProtocol,
    /// More tags, labels, extension headers or tunnels than are followed.
    TooDeep,
}

/// The VLAN tags of a frame, outermost first, each as its tag control information.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Vlans {
    tci: [u16; MAX_VLANS],
    len: u8,
}

impl Vlans {
    /// The tags.
    pub fn as_slice(&self) -> &[u16] {
        &self.tci[..usize::from(self.len)]
    }

    /// The VLAN id of the outermost tag.
    pub fn outer_id(&self) -> Option<u16> {
        self.as_slice().first().map(|tci| tci & 0xfff)
    }

    /// The VLAN id of the innermost tag.
    pub fn inner_id(&self) -> Option<u16> {
        self.as_slice().last().map(|tci| tci & 0xfff)
    }

    fn push(&mut self, tci: u16) -> Result<(), Stop> {
        *self.tci.get_mut(usize::from(self.len)).ok_or(Stop::TooDeep)? = tci;
        self.len += 1;
        Ok(())
    }
}

/// Reads the headers of an Ethernet frame.
#[inline]
pub fn parse(frame: &[u8]) -> Parsed {
    parse_from(frame, Start::Ethernet)
}

/// Reads the headers of a packet that begins with IP, as a TUN device gives it.
pub fn parse_ip(packet: &[u8]) -> Parsed {
    parse_from(packet, Start::by_version(packet))
}

fn parse_from(frame: &[u8], start: Start) -> Parsed {
    let mut outer = Layers::at(0, frame);
    let found = outer.read(frame, start).and_then(|()| tunnel::find(frame, &mut outer));
    let found = found.unwrap_or_else(|stop| {
        outer.stop = stop;
        None
    });
    let Some(found) = found else {
        let packet_type = outer.packet_type();
        let tunnel_offset = outer.payload_offset;
        return Parsed { packet_type, outer, inner: None, tunnel_offset };
    };
    let inner = found.inside.map(|(start, at)| read_inner(frame, &outer, start, at));
    let inner_type = inner.map_or(PacketType::UNKNOWN, |inner| inner.packet_type());
    let packet_type = outer.packet_type().with_inner(found.tunnel, inner_type);
    Parsed { packet_type, outer, inner, tunnel_offset: found.offset }
}

fn read_inner(frame: &[u8], outer: &Layers, start: Start, at: usize) -> Layers {
    let frame = &frame[..outer.end];
    let mut inner = Layers::at(at, frame);
    inner.stop = match inner.read(frame, start) {
        Ok(()) if tunnel::lies_on_ip(&inner) => Stop::TooDeep,
        Ok(()) => Stop::Complete,
        Err(stop) => stop,
    };
    inner
}

impl Layers {
    /// Reads link, network and transport header in turn; on an error, what was read stays.
    #[inline]
    fn read(&mut self, frame: &[u8], start: Start) -> Result<(), Stop> {
        let Some(packet) = self.read_network(frame, start)? else {
            return Ok(());
        };
        self.read_transport(frame, packet)
    }
}

/// What `FlowKey::from_frame` does.
#[inline]
pub(crate) fn flow_key(frame: &[u8]) -> Option<FlowKey> {
    let mut layers = Layers::at(0, frame);
    // An error after the addresses were read leaves the key in place.
    let _ = layers.read_network(frame, Start::Ethernet);
    layers.flow
}

#[cfg(test)]
mod tests;
