//! Building frames, for traffic generators and tests.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::checksum::{fill_ipv4, fill_l4};
use crate::header::{
    Ethernet, Icmp, Icmpv6, Ipv4, Ipv6, Sctp, Tcp, TcpFlags, U16, U32, Udp, Vlan, ethertype,
    protocol,
};
use crate::parse::MAX_VLANS;
use crate::{Error, MacAddr, parse};

/// Describes one frame and writes it, lengths and checksums filled.
///
/// ```
/// use linecard_net::{FrameBuilder, MacAddr};
///
/// let mut buffer = [0; 128];
/// let len = FrameBuilder::new(MacAddr::BROADCAST, MacAddr([2, 0, 0, 0, 0, 1]))
///     .vlan(100)
///     .ipv4([192, 0, 2, 1].into(), [192, 0, 2, 2].into())
///     .udp(1234, 53)
///     .payload(b"hello")
///     .write_to(&mut buffer)?;
/// assert_eq!(len, 14 + 4 + 20 + 8 + 5);
/// # Ok::<(), linecard_net::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FrameBuilder<'a> {
    dst: MacAddr,
    src: MacAddr,
    tags: [u16; MAX_VLANS],
    tag_count: usize,
    ether_type: u16,
    network: Network,
    tos: u8,
    ttl: u8,
    id: u16,
    transport: Transport,
    payload: &'a [u8],
    min_len: usize,
}

#[derive(Clone, Copy, Debug)]
enum Network {
    None,
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

#[derive(Clone, Copy, Debug)]
enum Transport {
    None(u8),
    Tcp(Tcp),
    Udp(Udp),
    Sctp(Sctp),
    Icmp(Icmp),
    Icmpv6(Icmpv6),
}

impl<'a> FrameBuilder<'a> {
    /// A frame with an Ethernet header and nothing else.
    pub fn new(dst: MacAddr, src: MacAddr) -> Self {
        Self {
            dst,
            src,
            tags: [0; MAX_VLANS],
            tag_count: 0,
            ether_type: 0xffff,
            network: Network::None,
            tos: 0,
            ttl: 64,
            id: 0,
            transport: Transport::None(protocol::NONE),
            payload: &[],
            min_len: 0,
        }
    }

    /// Adds a VLAN tag inside those already there; the outer of two or more is a service tag.
    #[must_use]
    pub fn vlan(mut self, tci: u16) -> Self {
        if let Some(tag) = self.tags.get_mut(self.tag_count) {
            *tag = tci;
        }
        self.tag_count += 1;
        self
    }

    /// Announces the payload by an EtherType, for frames without IP.
    #[must_use]
    pub fn ether_type(mut self, ether_type: u16) -> Self {
        self.ether_type = ether_type;
        self
    }

    /// Puts an IPv4 header: source, destination.
    #[must_use]
    pub fn ipv4(mut self, src: Ipv4Addr, dst: Ipv4Addr) -> Self {
        self.network = Network::V4(src, dst);
        self
    }

    /// Puts an IPv6 header: source, destination.
    #[must_use]
    pub fn ipv6(mut self, src: Ipv6Addr, dst: Ipv6Addr) -> Self {
        self.network = Network::V6(src, dst);
        self
    }

    /// Type of service or traffic class; 0 unless set.
    #[must_use]
    pub fn tos(mut self, tos: u8) -> Self {
        self.tos = tos;
        self
    }

    /// Time to live or hop limit; 64 unless set.
    #[must_use]
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// IPv4 identification; 0 unless set.
    #[must_use]
    pub fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    /// Announces the payload by an IP protocol, for packets without a transport header here.
    #[must_use]
    pub fn protocol(mut self, proto: u8) -> Self {
        self.transport = Transport::None(proto);
        self
    }

    /// Puts a UDP header: source port, destination port.
    #[must_use]
    pub fn udp(mut self, sport: u16, dport: u16) -> Self {
        let (src_port, dst_port) = (U16::new(sport), U16::new(dport));
        self.transport = Transport::Udp(Udp { src_port, dst_port, ..Udp::default() });
        self
    }

    /// Puts a TCP header: source port, destination port, control bits.
    #[must_use]
    pub fn tcp(self, sport: u16, dport: u16, flags: TcpFlags) -> Self {
        let (src_port, dst_port) = (U16::new(sport), U16::new(dport));
        let (flags, window) = (flags.bits(), U16::new(0xffff));
        self.tcp_header(Tcp { src_port, dst_port, flags, window, ..Tcp::default() })
    }

    /// Puts a TCP header of which only length and checksum are filled.
    #[must_use]
    pub fn tcp_header(mut self, header: Tcp) -> Self {
        self.transport = Transport::Tcp(Tcp { data_offset: 5 << 4, ..header });
        self
    }

    /// Puts an SCTP common header: source port, destination port.
    #[must_use]
    pub fn sctp(mut self, sport: u16, dport: u16, tag: u32) -> Self {
        let (src_port, dst_port) = (U16::new(sport), U16::new(dport));
        let tag = U32::new(tag);
        self.transport = Transport::Sctp(Sctp { src_port, dst_port, tag, ..Sctp::default() });
        self
    }

    /// Puts an ICMP echo request, or an ICMPv6 one over IPv6: identifier, sequence number.
    #[must_use]
    pub fn echo_request(mut self, id: u16, seq: u16) -> Self {
        let (id, seq) = (U16::new(id), U16::new(seq));
        self.transport = match self.network {
            Network::V6(..) => {
                let kind = Icmpv6::ECHO_REQUEST;
                Transport::Icmpv6(Icmpv6 { kind, id, seq, ..Icmpv6::default() })
            }
            _ => Transport::Icmp(Icmp { kind: Icmp::ECHO_REQUEST, id, seq, ..Icmp::default() }),
        };
        self
    }

    /// What follows the headers.
    #[must_use]
    pub fn payload(mut self, payload: &'a [u8]) -> Self {
        self.payload = payload;
        self
    }

    /// Makes the frame at least `len` bytes long (without frame check sequence), by zeros at the
    /// end of the payload.
    #[must_use]
    pub fn frame_len(mut self, len: usize) -> Self {
        self.min_len = len;
        self
    }

    /// Bytes the frame takes.
    pub fn len(&self) -> usize {
        (self.headers_len() + self.payload.len()).max(self.min_len)
    }

    /// Never: a frame has an Ethernet header.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Writes the frame at the front of `out` and gives its length.
    ///
    /// # Errors
    /// [`Error::NoRoom`]; [`Error::TooLong`] for an IP packet over 65,535 bytes;
    /// [`Error::BadLayers`] for a transport header without IP, ICMP over the wrong version, or
    /// too many tags.
    pub fn write_to(&self, out: &mut [u8]) -> Result<usize, Error> {
        self.check()?;
        let (need, room) = (self.len(), out.len());
        let frame = out.get_mut(..need).ok_or(Error::NoRoom { need, room })?;
        let rest = self.write_link(frame);
        let rest = self.write_network(rest);
        let rest = self.write_transport(rest);
        let (payload, padding) = rest.split_at_mut(self.payload.len());
        payload.copy_from_slice(self.payload);
        padding.fill(0);
        self.fill_checksums(frame)?;
        Ok(need)
    }

    /// The frame in a `Vec`.
    ///
    /// # Errors
    /// Those of [`FrameBuilder::write_to`], but for [`Error::NoRoom`].
    #[cfg(any(feature = "alloc", test))]
    pub fn to_vec(&self) -> Result<alloc::vec::Vec<u8>, Error> {
        self.check()?;
        let mut frame = alloc::vec![0; self.len()];
        self.write_to(&mut frame)?;
        Ok(frame)
    }

    fn headers_len(&self) -> usize {
        self.l3_offset() + self.network_len() + self.transport_bytes().len()
    }

    fn l3_offset(&self) -> usize {
        Ethernet::LEN + self.tag_count * Vlan::LEN
    }

    fn network_len(&self) -> usize {
        match self.network {
            Network::None => 0,
            Network::V4(..) => Ipv4::LEN,
            Network::V6(..) => Ipv6::LEN,
        }
    }

    fn transport_bytes(&self) -> &[u8] {
        match &self.transport {
            Transport::None(_) => &[],
            Transport::Tcp(header) => header.as_bytes(),
            Transport::Udp(header) => header.as_bytes(),
            Transport::Sctp(header) => header.as_bytes(),
            Transport::Icmp(header) => header.as_bytes(),
            Transport::Icmpv6(header) => header.as_bytes(),
        }
    }

    fn proto(&self) -> u8 {
        match self.transport {
            Transport::None(proto) => proto,
            Transport::Tcp(_) => protocol::TCP,
            Transport::Udp(_) => protocol::UDP,
            Transport::Sctp(_) => protocol::SCTP,
            Transport::Icmp(_) => protocol::ICMP,
            Transport::Icmpv6(_) => protocol::ICMPV6,
        }
    }

    /// Bytes from the transport header to the end.
    fn segment_len(&self) -> usize {
        self.len() - self.l3_offset() - self.network_len()
    }

    fn check(&self) -> Result<(), Error> {
        if self.tag_count > MAX_VLANS {
            return Err(Error::BadLayers { upper: "another VLAN tag", lower: "four VLAN tags" });
        }
        let lower = match (&self.network, &self.transport) {
            (_, Transport::None(_)) => None,
            (Network::None, _) => Some("Ethernet"),
            (Network::V6(..), Transport::Icmp(_)) => Some("IPv6"),
            (Network::V4(..), Transport::Icmpv6(_)) => Some("IPv4"),
            _ => None,
        };
        if let Some(lower) = lower {
            return Err(Error::BadLayers { upper: "this transport header", lower });
        }
        let packet = self.len() - self.l3_offset();
        let is_ip = !matches!(self.network, Network::None);
        if is_ip && packet > usize::from(u16::MAX) { Err(Error::TooLong(packet)) } else { Ok(()) }
    }

    fn write_link<'b>(&self, out: &'b mut [u8]) -> &'b mut [u8] {
        let announced = match self.network {
            Network::None => self.ether_type,
            Network::V4(..) => ethertype::IPV4,
            Network::V6(..) => ethertype::IPV6,
        };
        let tags = &self.tags[..self.tag_count];
        let ether_type = match tags.len() {
            0 => announced,
            1 => ethertype::VLAN,
            _ => ethertype::QINQ,
        };
        let eth = Ethernet { dst: self.dst, src: self.src, ether_type: U16::new(ether_type) };
        let mut out = put(out, eth.as_bytes());
        for (n, &tci) in tags.iter().enumerate() {
            let next = if n + 1 < tags.len() { ethertype::VLAN } else { announced };
            let vlan = Vlan { tci: U16::new(tci), ether_type: U16::new(next) };
            out = put(out, vlan.as_bytes());
        }
        out
    }

    fn write_network<'b>(&self, out: &'b mut [u8]) -> &'b mut [u8] {
        // `check` has seen to it that the packet's length fits in 16 bits.
        let len = self.segment_len() as u16;
        match self.network {
            Network::None => out,
            Network::V4(src, dst) => put(out, self.ipv4_header(src, dst, len).as_bytes()),
            Network::V6(src, dst) => put(out, self.ipv6_header(src, dst, len).as_bytes()),
        }
    }

    fn ipv4_header(&self, src: Ipv4Addr, dst: Ipv4Addr, len: u16) -> Ipv4 {
        Ipv4 {
            version_ihl: 0x45,
            tos: self.tos,
            total_len: U16::new(len + Ipv4::LEN as u16),
            id: U16::new(self.id),
            flags_fragment: U16::new(0),
            ttl: self.ttl,
            protocol: self.proto(),
            checksum: U16::new(0),
            src: src.octets(),
            dst: dst.octets(),
        }
    }

    fn ipv6_header(&self, src: Ipv6Addr, dst: Ipv6Addr, len: u16) -> Ipv6 {
        Ipv6 {
            version_class_label: U32::new(6 << 28 | u32::from(self.tos) << 20),
            payload_len: U16::new(len),
            next_header: self.proto(),
            hop_limit: self.ttl,
            src: src.octets(),
            dst: dst.octets(),
        }
    }

    fn write_transport<'b>(&self, out: &'b mut [u8]) -> &'b mut [u8] {
        let Transport::Udp(udp) = self.transport else {
            return put(out, self.transport_bytes());
        };
        let len = U16::new(self.segment_len() as u16);
        put(out, Udp { len, ..udp }.as_bytes())
    }

    fn fill_checksums(&self, frame: &mut [u8]) -> Result<(), Error> {
        let layers = parse(frame).outer;
        if layers.l3.is_ipv4() {
            fill_ipv4(frame, &layers)?;
        }
        match self.transport {
            Transport::None(_) => Ok(()),
            _ => fill_l4(frame, &layers),
        }
    }
}

/// Writes `bytes` at the front of `out`, which is long enough, and gives what follows.
fn put<'b>(out: &'b mut [u8], bytes: &[u8]) -> &'b mut [u8] {
    let (front, rest) = out.split_at_mut(bytes.len());
    front.copy_from_slice(bytes);
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::{Status, verify_ipv4, verify_l4};

    fn base() -> FrameBuilder<'static> {
        FrameBuilder::new(MacAddr::BROADCAST, MacAddr([2, 0, 0, 0, 0, 1]))
    }

    fn v4() -> FrameBuilder<'static> {
        base().ipv4([192, 0, 2, 1].into(), [192, 0, 2, 2].into())
    }

    fn v6() -> FrameBuilder<'static> {
        base().ipv6([1; 16].into(), [2; 16].into())
    }

    #[test]
    fn every_transport_over_both_versions_has_good_checksums() {
        for ip in [v4(), v6(), v4().vlan(7), v6().vlan(7).vlan(8)] {
            let tcp = ip.tcp(1, 2, TcpFlags::SYN);
            for builder in [ip.udp(1, 2), tcp, ip.sctp(1, 2, 3), ip.echo_request(1, 2)] {
                let mut buffer = [0xaa; 256];
                let len = builder.payload(b"odd").write_to(&mut buffer).unwrap();
                let layers = parse(&buffer[..len]).outer;
                assert_eq!(verify_l4(&buffer[..len], &layers), Status::Good, "{builder:?}");
                assert_ne!(verify_ipv4(&buffer[..len], &layers), Status::Bad, "{builder:?}");
                assert_eq!((layers.end, layers.payload(&buffer)), (len, &b"odd"[..]));
            }
        }
    }

    #[test]
    fn a_frame_is_made_as_long_as_asked() {
        let mut buffer = [0xaa; 64];
        assert_eq!(v4().udp(1, 2).frame_len(60).write_to(&mut buffer), Ok(60));
        assert_eq!(parse(&buffer[..60]).outer.end, 60);
        assert_eq!(buffer[42..60], [0; 18]);
    }

    #[test]
    fn what_cannot_be_written_is_an_error_that_says_why() {
        let mut buffer = [0; 41];
        let no_room = Err(Error::NoRoom { need: 42, room: 41 });
        assert_eq!(v4().udp(1, 2).write_to(&mut buffer), no_room);
        assert_eq!(v4().frame_len(70_000).write_to(&mut buffer), Err(Error::TooLong(69_986)));
        assert!(matches!(base().udp(1, 2).write_to(&mut buffer), Err(Error::BadLayers { .. })));
        let five_tags = base().vlan(1).vlan(1).vlan(1).vlan(1).vlan(1);
        assert!(matches!(five_tags.write_to(&mut buffer), Err(Error::BadLayers { .. })));
    }
}
