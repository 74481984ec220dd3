//! GRE (RFC 2784, RFC 2890).

use super::{U16, U32, header};

header! {
    /// The GRE header that is always there.
    pub struct Gre[4] {
        /// Presence bits and version.
        pub flags_version: U16,
        /// EtherType of the payload.
        pub protocol: U16,
    }
}

/// The optional fields of a GRE header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GreFields {
    /// Checksum of header and payload.
    pub checksum: Option<u16>,
    /// Key.
    pub key: Option<u32>,
    /// Sequence number.
    pub sequence: Option<u32>,
}

impl Gre {
    /// The bit that says a checksum (and a reserved half-word) is there.
    pub const HAS_CHECKSUM: u16 = 0x8000;
    /// The bit of the routing field that RFC 2784 abolished.
    pub const HAS_ROUTING: u16 = 0x4000;
    /// The bit that says a key is there.
    pub const HAS_KEY: u16 = 0x2000;
    /// The bit that says a sequence number is there.
    pub const HAS_SEQUENCE: u16 = 0x1000;

    /// The version field: 0, or 1 for PPTP.
    pub fn version(&self) -> u8 {
        (self.flags_version.get() & 7) as u8
    }

    /// Length of the header with its optional fields.
    pub fn header_len(&self) -> usize {
        let optional = Self::HAS_CHECKSUM | Self::HAS_KEY | Self::HAS_SEQUENCE;
        Self::LEN + 4 * (self.flags_version.get() & optional).count_ones() as usize
    }

    /// Header, optional fields and payload; `None` unless all is there, the version is 0 and the
    /// abolished routing field is absent.
    pub fn split(bytes: &[u8]) -> Option<(&Self, GreFields, &[u8])> {
        let (gre, rest) = Self::ref_from_prefix(bytes)?;
        let flags = gre.flags_version.get();
        if gre.version() != 0 || flags & Self::HAS_ROUTING != 0 {
            return None;
        }
        let (checksum, rest) = optional_word(flags & Self::HAS_CHECKSUM, rest)?;
        let (key, rest) = optional_word(flags & Self::HAS_KEY, rest)?;
        let (sequence, rest) = optional_word(flags & Self::HAS_SEQUENCE, rest)?;
        let checksum = checksum.map(|word| (word >> 16) as u16);
        Some((gre, GreFields { checksum, key, sequence }, rest))
    }
}

/// A 32-bit word if `present` has a bit set; outer `None` when it should be there and is not.
fn optional_word(present: u16, bytes: &[u8]) -> Option<(Option<u32>, &[u8])> {
    if present == 0 {
        return Some((None, bytes));
    }
    let (word, rest): (&U32, _) = zerocopy::FromBytes::ref_from_prefix(bytes).ok()?;
    Some((Some(word.get()), rest))
}
