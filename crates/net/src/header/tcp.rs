//! TCP (RFC 9293).

use super::{TlvOptions, U16, U32, header};

header! {
    /// A TCP header, without its options.
    pub struct Tcp[20] {
        /// Source port.
        pub src_port: U16,
        /// Destination port.
        pub dst_port: U16,
        /// Sequence number.
        pub seq: U32,
        /// Acknowledgement number.
        pub ack: U32,
        /// Header length in 32-bit words (4 bits), reserved (4 bits).
        pub data_offset: u8,
        /// Control bits, see [`TcpFlags`].
        pub flags: u8,
        /// Receive window.
        pub window: U16,
        /// Checksum over pseudo-header, header and payload.
        pub checksum: U16,
        /// Urgent pointer.
        pub urgent: U16,
    }
}

bitflags::bitflags! {
    /// The control bits of a TCP header.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct TcpFlags: u8 {
        /// No more data from the sender.
        const FIN = 0x01;
        /// Synchronise sequence numbers.
        const SYN = 0x02;
        /// Reset the connection.
        const RST = 0x04;
        /// Push.
        const PSH = 0x08;
        /// The acknowledgement number counts.
        const ACK = 0x10;
        /// The urgent pointer counts.
        const URG = 0x20;
        /// ECN echo.
        const ECE = 0x40;
        /// Congestion window reduced.
        const CWR = 0x80;
    }
}

impl Tcp {
    /// Length of the header in bytes, as it claims: 0 to 60.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.data_offset >> 4) * 4
    }

    /// The control bits.
    pub fn control(&self) -> TcpFlags {
        TcpFlags::from_bits_retain(self.flags)
    }

    /// Header, options and payload; `None` unless the length is sound and all is there.
    #[inline]
    pub fn split(bytes: &[u8]) -> Option<(&Self, &[u8], &[u8])> {
        let (tcp, rest) = Self::ref_from_prefix(bytes)?;
        let (options, payload) = rest.split_at_checked(tcp.header_len().checked_sub(Self::LEN)?)?;
        Some((tcp, options, payload))
    }

    /// Walks what `split` gave as options.
    pub fn options(options: &[u8]) -> TlvOptions<'_> {
        TlvOptions::new(options)
    }
}
