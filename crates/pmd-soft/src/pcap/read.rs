//! A capture file in memory, and where its packets are.
//!
//! The file is read and checked as a whole when the port is opened: a broken one is an error then,
//! with the place in the file, and receiving later cannot fail. Its size in memory is that of the
//! file and 24 bytes a packet.

use super::pcapng::{Stored, Unit, nanoseconds, stored};
use pcap_file::pcap::PcapParser;
use pcap_file::pcapng::blocks::INTERFACE_DESCRIPTION_BLOCK;
use pcap_file::pcapng::{PcapNgParser, RawBlock};
use pcap_file::{DataLink, TsResolution};
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

/// The longest packet that a capture may have: as much as Wireshark and libpcap allow.
pub(super) const MOST_BYTES: usize = 262_144;

/// Where a packet lies in the file, and when it was captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) offset: usize,
    pub(super) len: u32,
    /// Nanoseconds since 1970.
    pub(super) time: u64,
}

/// A capture file in memory.
#[derive(Debug, Default)]
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

    /// The length of the longest packet.
    pub(super) fn longest(&self) -> usize {
        self.records.iter().map(|record| record.len as usize).max().unwrap_or(0)
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
            PcapParser::new(self.bytes).map_err(|e| self.broken(self.bytes, explain(&e)))?;
        let header = parser.header();
        self.ethernet(header.datalink)?;
        let unit = match header.ts_resolution {
            TsResolution::MicroSecond => Unit::Decimal(6),
            TsResolution::NanoSecond => Unit::Decimal(9),
        };
        while !rest.is_empty() {
            // Taken raw: a packet that was longer on the wire than the capture's snap length is
            // nothing wrong.
            let (next, packet) =
                parser.next_raw_packet(rest).map_err(|e| self.broken(rest, explain(&e)))?;
            let fraction = unit.nanoseconds(u64::from(packet.ts_frac));
            let time = u64::from(packet.ts_sec) * 1_000_000_000 + fraction;
            self.record(&packet.data, time, rest)?;
            rest = next;
        }
        Ok(())
    }

    fn record(&mut self, data: &[u8], time: u64, rest: &[u8]) -> Result<(), PcapError> {
        if data.len() > MOST_BYTES {
            let what = format!("{} bytes: a packet has at most {MOST_BYTES}", data.len());
            return Err(self.broken(rest, what));
        }
        let offset = self.offset_of(data);
        self.records.push(Record { offset, len: data.len() as u32, time });
        Ok(())
    }

    fn pcapng(&mut self) -> Result<(), PcapError> {
        let (mut rest, mut parser) =
            PcapNgParser::new(self.bytes).map_err(|e| self.broken(self.bytes, explain(&e)))?;
        while !rest.is_empty() {
            let (next, block) =
                parser.next_raw_block(rest).map_err(|e| self.broken(rest, explain(&e)))?;
            self.block(&parser, &block, rest)?;
            rest = next;
        }
        Ok(())
    }

    fn block(
        &mut self,
        parser: &PcapNgParser,
        block: &RawBlock<'_>,
        rest: &[u8],
    ) -> Result<(), PcapError> {
        if block.type_ == INTERFACE_DESCRIPTION_BLOCK {
            let new = parser.interfaces().last();
            return new.map_or(Ok(()), |interface| self.ethernet(interface.linktype));
        }
        let stored = stored(block, parser).map_err(|what| self.broken(rest, what))?;
        let Some(Stored { data, stamp }) = stored else { return Ok(()) };
        // Without a time stamp of its own it counts from the packet before.
        let before = self.records.last().map_or(0, |last| last.time);
        let time = stamp.map_or(before, |(interface, raw)| nanoseconds(interface, raw));
        self.record(data, time, rest)
    }
}

/// A parser's error in words that say what to do.
fn explain(error: &pcap_file::PcapError) -> String {
    match error {
        pcap_file::PcapError::IncompleteBuffer => "the file ends in the middle of it".into(),
        other => other.to_string(),
    }
}
