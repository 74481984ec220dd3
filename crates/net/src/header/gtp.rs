//! GTP-U, version 1 (3GPP TS 29.281).

use super::{U16, U32, header};

header! {
    /// The GTP-U header that is always there.
    pub struct Gtpu[8] {
        /// Version (3 bits), protocol type (1), reserved (1), and the E, S and PN bits.
        pub flags: u8,
        /// Message type; 255 carries a user packet ([`Gtpu::G_PDU`]).
        pub message: u8,
        /// Bytes after these 8.
        pub len: U16,
        /// Tunnel endpoint identifier.
        pub teid: U32,
    }
}

/// The optional fields of a GTP-U header, present when any of the E, S and PN bits is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GtpuFields<'a> {
    /// Sequence number, when the S bit says it counts.
    pub sequence: Option<u16>,
    /// N-PDU number, when the PN bit says it counts.
    pub n_pdu: Option<u8>,
    /// Type of the first extension header, 0 for none.
    pub first_extension: u8,
    /// The extension headers, back to back, each beginning with its length in units of 4 bytes
    /// and ending with the type of the next.
    pub extensions: &'a [u8],
}

impl Gtpu {
    /// Message type of a user packet.
    pub const G_PDU: u8 = 255;
    /// The E bit: an extension header follows.
    pub const HAS_EXTENSION: u8 = 0x04;
    /// The S bit: the sequence number counts.
    pub const HAS_SEQUENCE: u8 = 0x02;
    /// The PN bit: the N-PDU number counts.
    pub const HAS_N_PDU: u8 = 0x01;
    /// Extension headers walked at most.
    pub const MAX_EXTENSIONS: usize = 8;

    /// The version field, 1.
    pub fn version(&self) -> u8 {
        self.flags >> 5
    }

    /// Whether this is GTP and not GTP' (charging).
    pub fn is_gtp(&self) -> bool {
        self.flags & 0x10 != 0
    }

    /// Header, optional fields and payload; `None` unless this is GTP version 1 and all is there.
    pub fn split(bytes: &[u8]) -> Option<(&Self, GtpuFields<'_>, &[u8])> {
        let (gtp, rest) = Self::ref_from_prefix(bytes)?;
        if gtp.version() != 1 || !gtp.is_gtp() {
            return None;
        }
        if gtp.flags & 7 == 0 {
            return Some((gtp, GtpuFields::default(), rest));
        }
        let (&[high, low, n_pdu, next], rest) = rest.split_first_chunk()?;
        let extended = gtp.flags & Self::HAS_EXTENSION != 0;
        let first_extension = if extended { next } else { 0 };
        let (extensions, payload) =
            rest.split_at_checked(extensions_len(first_extension, rest)?)?;
        let sequence =
            (gtp.flags & Self::HAS_SEQUENCE != 0).then(|| u16::from_be_bytes([high, low]));
        let n_pdu = (gtp.flags & Self::HAS_N_PDU != 0).then_some(n_pdu);
        Some((gtp, GtpuFields { sequence, n_pdu, first_extension, extensions }, payload))
    }
}

/// Bytes that the chain of extension headers takes, or `None` if it does not fit or is too long.
fn extensions_len(first: u8, bytes: &[u8]) -> Option<usize> {
    let (mut next, mut at) = (first, 0);
    for _ in 0..Gtpu::MAX_EXTENSIONS {
        if next == 0 {
            return Some(at);
        }
        let len = usize::from(*bytes.get(at)?) * 4;
        let last = (at + len).checked_sub(1).filter(|_| len > 0)?;
        next = *bytes.get(last)?;
        at += len;
    }
    (next == 0).then_some(at)
}
