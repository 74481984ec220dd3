//! What the device recognizes in a frame (§7.1.2, table 7-17).

/// Transport of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Transport {
    #[default]
    None,
    Tcp,
    Udp,
    Sctp,
}

/// Network of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Network {
    #[default]
    None,
    Ipv4,
    Ipv6,
}

/// Offsets and types of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// The tag, if there is one.
    pub(crate) vlan: Option<u16>,
    /// Where it stands: behind the outer tag, if there is one.
    pub(crate) tag: usize,
    /// After the tag.
    pub(crate) ether_type: u16,
    pub(crate) network: Network,
    /// Where the network header begins.
    pub(crate) l3: usize,
    /// Options of IPv4, extension headers of IPv6.
    pub(crate) has_extensions: bool,
    pub(crate) is_fragment: bool,
    pub(crate) protocol: u8,
    pub(crate) transport: Transport,
    /// Where the transport header begins, if there is one, or else the payload.
    pub(crate) l4: usize,
    /// Where the packet ends, which may be before the frame does.
    pub(crate) end: usize,
}

/// Bytes at an offset, as far as they are there.
pub(crate) fn be16(frame: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?))
}

impl Parsed {
    /// Looks at a frame; `tag_type` is the EtherType of VLAN tags.
    pub(crate) fn of(frame: &[u8], tag_type: u16) -> Self {
        Self::behind(frame, 12, tag_type)
    }

    /// The same, where every frame has an outer tag of type `outer` (§7.4.5); what has none is looked at
    /// as it is.
    pub(crate) fn with_outer(frame: &[u8], outer: u16, tag_type: u16) -> Self {
        Self::behind(frame, if be16(frame, 12) == Some(outer) { 16 } else { 12 }, tag_type)
    }

    /// With the tag, or else the EtherType, at `tag`.
    fn behind(frame: &[u8], tag: usize, tag_type: u16) -> Self {
        let (l4, end) = (frame.len(), frame.len());
        let mut parsed = Self { tag, l3: tag + 2, l4, end, ..Self::default() };
        parsed.ether_type = be16(frame, tag).unwrap_or(0);
        if parsed.ether_type == tag_type {
            parsed.vlan = be16(frame, tag + 2);
            parsed.ether_type = be16(frame, tag + 4).unwrap_or(0);
            parsed.l3 = tag + 6;
        }
        let known = match parsed.ether_type {
            0x0800 => parsed.ipv4(frame),
            0x86DD => parsed.ipv6(frame),
            _ => None,
        };
        known.unwrap_or(parsed)
    }

    fn ipv4(mut self, frame: &[u8]) -> Option<Self> {
        let header = frame.get(self.l3..self.l3 + 20)?;
        let len = usize::from(header[0] & 0xF) * 4;
        let total = usize::from(be16(header, 2)?);
        if header[0] >> 4 != 4 || len < 20 || total < len || self.l3 + total > frame.len() {
            return None;
        }
        self.network = Network::Ipv4;
        self.has_extensions = len > 20;
        self.is_fragment = be16(header, 6)? & 0x3FFF != 0;
        self.protocol = header[9];
        self.l4 = self.l3 + len;
        self.end = self.l3 + total;
        Some(self.transport())
    }

    fn ipv6(mut self, frame: &[u8]) -> Option<Self> {
        let header = frame.get(self.l3..self.l3 + 40)?;
        let end = self.l3 + 40 + usize::from(be16(header, 4)?);
        if header[0] >> 4 != 6 || end > frame.len() {
            return None;
        }
        self.network = Network::Ipv6;
        self.protocol = header[6];
        self.l4 = self.l3 + 40;
        self.end = end;
        self.skip_extensions(frame)?;
        Some(self.transport())
    }

    fn skip_extensions(&mut self, frame: &[u8]) -> Option<()> {
        while let 0 | 43 | 44 | 60 = self.protocol {
            let header = frame.get(self.l4..self.l4 + 8)?;
            self.has_extensions = true;
            self.is_fragment |= self.protocol == 44;
            self.l4 += match self.protocol {
                44 => 8,
                _ => 8 + 8 * usize::from(header[1]),
            };
            self.protocol = header[0];
        }
        Some(())
    }

    fn transport(mut self) -> Self {
        let (transport, least) = match self.protocol {
            6 => (Transport::Tcp, 20),
            17 => (Transport::Udp, 8),
            132 => (Transport::Sctp, 12),
            _ => (Transport::None, 0),
        };
        if !self.is_fragment && self.l4 + least <= self.end {
            self.transport = transport;
        }
        self
    }

    /// Source and destination address, as they are in the frame.
    pub(crate) fn addresses<'a>(&self, frame: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let (at, len) = match self.network {
            Network::None => (0, 0),
            Network::Ipv4 => (self.l3 + 12, 4),
            Network::Ipv6 => (self.l3 + 8, 16),
        };
        (&frame[at..at + len], &frame[at + len..at + 2 * len])
    }

    /// Source and destination port, or 0.
    pub(crate) fn ports(&self, frame: &[u8]) -> (u16, u16) {
        match self.transport {
            Transport::None => (0, 0),
            _ => (be16(frame, self.l4).unwrap_or(0), be16(frame, self.l4 + 2).unwrap_or(0)),
        }
    }

    /// Flags of TCP.
    pub(crate) fn tcp_flags(&self, frame: &[u8]) -> u8 {
        match self.transport {
            Transport::Tcp => frame[self.l4 + 13],
            _ => 0,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A frame of TCP over IPv4 from 10.0.0.1 to 10.0.0.2, with checksums of 0.
    pub(crate) fn tcp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x02, 0x1c, 0x5f, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0];
        let total = (40 + payload.len()) as u16;
        frame.extend([0x45, 0]);
        frame.extend(total.to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend(source.to_be_bytes());
        frame.extend(destination.to_be_bytes());
        frame.extend([0; 8]);
        frame.extend([0x50, 0x10, 0, 0, 0, 0, 0, 0]);
        frame.extend(payload);
        frame
    }

    #[test]
    fn tcp_over_ipv4_is_recognized_with_its_tag() {
        let mut frame = tcp(80, 1024, b"hello");
        let parsed = Parsed::of(&frame, 0x8100);
        assert_eq!((parsed.transport, parsed.l4, parsed.end), (Transport::Tcp, 34, 59));
        assert_eq!(parsed.ports(&frame), (80, 1024));

        frame.splice(12..12, [0x81, 0, 0, 5]);
        let parsed = Parsed::of(&frame, 0x8100);
        assert_eq!((parsed.vlan, parsed.transport, parsed.l4), (Some(5), Transport::Tcp, 38));
    }

    #[test]
    fn a_header_that_ends_early_is_no_network() {
        let frame = tcp(80, 1024, b"");
        for len in 0..frame.len() {
            let parsed = Parsed::of(&frame[..len], 0x8100);
            assert_eq!(parsed.network, Network::None, "{len}");
        }
    }

    #[test]
    fn noise_is_parsed_without_a_panic() {
        let mut state = 1u64;
        for _ in 0..20_000 {
            let mut frame = tcp(1, 2, &[0; 30]);
            for _ in 0..4 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (state >> 33) as usize % frame.len();
                frame[at] = (state >> 20) as u8;
            }
            let parsed = Parsed::of(&frame, 0x8100);
            let _ = (parsed.addresses(&frame), parsed.ports(&frame), parsed.tcp_flags(&frame));
        }
    }
}
