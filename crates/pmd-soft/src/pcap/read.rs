//! A capture file in memory, and where its packets are.
//!
//! The file is read and checked as a whole when the port is opened: a broken one is an error then,
//! with the place in the file, and receiving later cannot fail. Its size in memory is that of the
//! file and 24 bytes a packet.

use pcap_file::DataLink;
use pcap_file::pcap::PcapParser;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgParser};
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with a capture file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PcapError {
    /// It cannot be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is neither pcap nor pcapng.
    #[error(
        "{}: no capture file: it begins with {found}, and neither pcap (a1b2c3d4, a1b23c4d) nor \
         pcapng (0a0d0d0a) does",
        path.display()
    )]
    NotACapture {
        /// Which file.
        path: PathBuf,
        /// Its first bytes.
        found: String,
    },
    /// It is cut off or broken.
    #[error("{}: packet {packet}, at byte {offset} of {len}: {what}", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// How many packets came before, counted from 1 as Wireshark does.
        packet: usize,
        /// Where in the file.
        offset: usize,
        /// How long the file is.
        len: usize,
        /// What is wrong there.
        what: String,
    },
    /// Its packets are not Ethernet frames.
    #[error(
        "{}: packets of link type {link:?}, and ports carry Ethernet frames: convert it, for example \
         with tcprewrite --dlt=enet", path.display()
    )]
    LinkType {
        /// Which file.
        path: PathBuf,
        /// What they are.
        link: DataLink,
    },
}

/// Where a packet lies in the file, and when it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) offset: usize,
    pub(super) len: u32,
    /// Nanoseconds since 1970.
    pub(super) time: u64,
}

/// A capture file in memory.
#[derive(Debug)]
pub(super) struct Capture {
    pub(super) bytes: Vec<u8>,
    pub(super) records: Vec<Record>,
}

impl Capture {
    /// Reads and checks a file.
    pub(super) fn open(path: &Path) -> Result<Self, PcapError> {
        let io = |error| PcapError::Io { path: path.into(), error };
        let bytes = std::fs::read(path).map_err(io)?;
        let records = Indexer { path, bytes: &bytes, records: Vec::new() }.index()?;
        Ok(Capture { bytes, records })
    }

    /// The bytes of a packet.
    pub(super) fn packet(&self, record: &Record) -> &[u8] {
        &self.bytes[record.offset..][..record.len as usize]
    }
}

struct Indexer<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    records: Vec<Record>,
}

impl<'a> Indexer<'a> {
    fn index(mut self) -> Result<Vec<Record>, PcapError> {
        match self.bytes {
            [0x0a, 0x0d, 0x0d, 0x0a, ..] => self.pcapng()?,
            [0xd4, 0xc3, 0xb2, 0xa1, ..]
            | [0xa1, 0xb2, 0xc3, 0xd4, ..]
            | [0x4d, 0x3c, 0xb2, 0xa1, ..]
            | [0xa1, 0xb2, 0x3c, 0x4d, ..] => self.pcap()?,
            other => {
                let found: Vec<_> = other.iter().take(4).map(|b| format!("{b:02x}")).collect();
                let found = if found.is_empty() { "nothing".into() } else { found.concat() };
                return Err(PcapError::NotACapture { path: self.path.into(), found });
            }
        }
        Ok(self.records)
    }

    fn broken(&self, rest: &[u8], what: impl ToString) -> PcapError {
        PcapError::Broken {
            path: self.path.into(),
            packet: self.records.len() + 1,
            offset: self.bytes.len() - rest.len(),
            len: self.bytes.len(),
            what: what.to_string(),
        }
    }

    fn ethernet(&self, link: DataLink) -> Result<(), PcapError> {
        match link {
            DataLink::ETHERNET => Ok(()),
            link => Err(PcapError::LinkType { path: self.path.into(), link }),
        }
    }

    /// Where `data`, a part of the file, begins.
    fn offset_of(&self, data: &[u8]) -> usize {
        data.as_ptr() as usize - self.bytes.as_ptr() as usize
    }

    fn pcap(&mut self) -> Result<(), PcapError> {
        let (mut rest, parser) =
            PcapParser::new(self.bytes).map_err(|e| self.broken(self.bytes, e))?;
        self.ethernet(parser.header().datalink)?;
        while !rest.is_empty() {
            let (next, packet) =
                parser.next_packet(rest).map_err(|e| self.broken(rest, explain(&e)))?;
            let time = u64::try_from(packet.timestamp.as_nanos()).unwrap_or(u64::MAX);
            self.record(&packet.data, time);
            rest = next;
        }
        Ok(())
    }

    fn record(&mut self, data: &[u8], time: u64) {
        let offset = self.offset_of(data);
        self.records.push(Record { offset, len: data.len() as u32, time });
    }

    fn pcapng(&mut self) -> Result<(), PcapError> {
        let (mut rest, mut parser) =
            PcapNgParser::new(self.bytes).map_err(|e| self.broken(self.bytes, e))?;
        while !rest.is_empty() {
            let (next, block) =
                parser.next_block(rest).map_err(|e| self.broken(rest, explain(&e)))?;
            self.block(&parser, &block, rest)?;
            rest = next;
        }
        Ok(())
    }

    fn block(
        &mut self,
        parser: &PcapNgParser,
        block: &Block<'_>,
        rest: &[u8],
    ) -> Result<(), PcapError> {
        match block {
            Block::InterfaceDescription(interface) => self.ethernet(interface.linktype),
            Block::EnhancedPacket(packet) => {
                let Some(interface) = parser.packet_interface(packet) else {
                    let what =
                        format!("names interface {}, which is not described", packet.interface_id);
                    return Err(self.broken(rest, what));
                };
                let unit = resolution(&interface.options);
                let raw = packet.timestamp.as_nanos() as u64;
                self.record(&packet.data, unit.nanoseconds(raw));
                Ok(())
            }
            // Without a time stamp of its own; it counts from the packet before.
            Block::SimplePacket(packet) => {
                let time = self.records.last().map_or(0, |last| last.time);
                self.record(&packet.data, time);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// A parser's error in words that say what to do.
fn explain(error: &pcap_file::PcapError) -> String {
    match error {
        pcap_file::PcapError::IncompleteBuffer => "the file ends in the middle of it".into(),
        other => other.to_string(),
    }
}

/// How long a unit of a pcapng time stamp is (pcapng, `if_tsresol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// 10 to the minus *n* seconds.
    Decimal(u32),
    /// 2 to the minus *n* seconds.
    Binary(u32),
}

fn resolution(options: &[InterfaceDescriptionOption<'_>]) -> Unit {
    let resolution = options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfTsResol(n) => Some(*n),
        _ => None,
    });
    match resolution {
        None => Unit::Decimal(6),
        Some(n) if n & 0x80 == 0 => Unit::Decimal(u32::from(n)),
        Some(n) => Unit::Binary(u32::from(n & 0x7F)),
    }
}

impl Unit {
    fn nanoseconds(self, raw: u64) -> u64 {
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
