//! Packets in the blocks of a pcapng file (draft-ietf-opsawg-pcapng).
//!
//! The library frames blocks and reads interface descriptions. What lies in a packet's block is read
//! here: the library keeps the padding of a simple packet and looks into options of no use to us.

use pcap_file::Endianness;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::{ENHANCED_PACKET_BLOCK, PACKET_BLOCK, SIMPLE_PACKET_BLOCK};
use pcap_file::pcapng::{PcapNgParser, RawBlock};
use std::borrow::Cow;

/// A packet as a block stores it.
pub(super) struct Stored<'a> {
    pub(super) data: &'a [u8],
    /// Its interface and its time stamp, in the units of that; a simple packet has none.
    pub(super) stamp: Option<(&'a InterfaceDescriptionBlock<'static>, u64)>,
}

/// The packet in a block, if it is one with a packet.
///
/// # Errors
/// What is wrong with it.
pub(super) fn stored<'a>(
    block: &'a RawBlock<'_>,
    parser: &'a PcapNgParser,
) -> Result<Option<Stored<'a>>, String> {
    let Cow::Borrowed(body) = &block.body else { return Ok(None) };
    let fields = Fields { body, order: parser.section().endianness };
    match block.type_ {
        ENHANCED_PACKET_BLOCK => fields.packet(parser, fields.word(0)?).map(Some),
        // The interface and a count of drops share what is now the interface's word.
        PACKET_BLOCK => fields.packet(parser, fields.half()?).map(Some),
        SIMPLE_PACKET_BLOCK => fields.simple(parser).map(Some),
        _ => Ok(None),
    }
}

/// The body of a block, as words in the order of its section.
struct Fields<'a> {
    body: &'a [u8],
    order: Endianness,
}

const SHORT: &str = "the block ends before its packet does";

impl<'a> Fields<'a> {
    fn word(&self, index: usize) -> Result<u32, String> {
        let bytes = self.body.get(4 * index..).and_then(<[u8]>::first_chunk::<4>);
        bytes.map_or(Err(SHORT.into()), |bytes| Ok(self.ordered(*bytes)))
    }

    fn ordered(&self, bytes: [u8; 4]) -> u32 {
        match self.order {
            Endianness::Big => u32::from_be_bytes(bytes),
            Endianness::Little => u32::from_le_bytes(bytes),
        }
    }

    fn half(&self) -> Result<u32, String> {
        let word = self.word(0)?;
        Ok(match self.order {
            Endianness::Big => word >> 16,
            Endianness::Little => word & 0xFFFF,
        })
    }

    fn data(&self, from_word: usize, len: usize) -> Result<&'a [u8], String> {
        let data = self.body.get(4 * from_word..).and_then(|data| data.get(..len));
        data.ok_or_else(|| SHORT.into())
    }

    /// Interface, time stamp (high word first), captured and original length, data.
    fn packet(&self, parser: &'a PcapNgParser, interface: u32) -> Result<Stored<'a>, String> {
        let described = parser.interfaces().get(interface as usize);
        let described = described
            .ok_or_else(|| format!("names interface {interface}, which is not described"))?;
        let stamp = u64::from(self.word(1)?) << 32 | u64::from(self.word(2)?);
        let data = self.data(5, self.word(3)? as usize)?;
        Ok(Stored { data, stamp: Some((described, stamp)) })
    }

    /// Original length and data, of the first interface, whose snap length cuts it.
    fn simple(&self, parser: &PcapNgParser) -> Result<Stored<'a>, String> {
        let first = parser.interfaces().first();
        let snap = first.ok_or("is a simple packet, and no interface is described")?.snaplen;
        let snap = if snap == 0 { u32::MAX } else { snap };
        let data = self.data(1, self.word(0)?.min(snap) as usize)?;
        Ok(Stored { data, stamp: None })
    }
}

/// A time stamp in nanoseconds since 1970.
pub(super) fn nanoseconds(interface: &InterfaceDescriptionBlock<'_>, raw: u64) -> u64 {
    let mut unit = Unit::Decimal(6);
    let mut offset = 0;
    for option in &interface.options {
        match option {
            InterfaceDescriptionOption::IfTsResol(n) => unit = Unit::of(*n),
            InterfaceDescriptionOption::IfTsOffset(seconds) => offset = *seconds,
            _ => {}
        }
    }
    // The offset is signed: wrapping addition takes away what a negative one stands for.
    unit.nanoseconds(raw).wrapping_add(offset.wrapping_mul(1_000_000_000))
}

/// How long a unit of a time stamp is (`if_tsresol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// 10 to the minus *n* seconds.
    Decimal(u32),
    /// 2 to the minus *n* seconds.
    Binary(u32),
}

impl Unit {
    fn of(resolution: u8) -> Self {
        match resolution & 0x80 {
            0 => Unit::Decimal(u32::from(resolution)),
            _ => Unit::Binary(u32::from(resolution & 0x7F)),
        }
    }

    pub(super) fn nanoseconds(self, raw: u64) -> u64 {
        let raw = u128::from(raw);
        let nanoseconds = match self {
            Unit::Decimal(n) if n <= 9 => raw * 10u128.pow(9 - n),
            Unit::Decimal(n) => raw / 10u128.checked_pow(n - 9).unwrap_or(u128::MAX),
            Unit::Binary(n) => (raw * 1_000_000_000) >> n.min(127),
        };
        u64::try_from(nanoseconds).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_ten_or_two() {
        assert_eq!(Unit::Decimal(6).nanoseconds(1_500_000), 1_500_000_000);
        assert_eq!(Unit::Decimal(9).nanoseconds(7), 7);
        assert_eq!(Unit::Decimal(12).nanoseconds(7_000), 7);
        assert_eq!(Unit::Binary(10).nanoseconds(512), 500_000_000);
        assert_eq!(Unit::Decimal(127).nanoseconds(u64::MAX), 0);
        assert_eq!(Unit::Decimal(0).nanoseconds(u64::MAX), u64::MAX);
    }
}
