//! Writing packets to a capture file.

use super::read::{MOST_BYTES, PcapError};
use linecard_mbuf::Mbuf;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, Endianness, TsResolution};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// The longest packet that is written.
const SNAPLEN: u32 = MOST_BYTES as u32;

/// A capture file being written: pcapng if its name says so, else pcap; with nanoseconds either way.
pub(super) struct Writer {
    path: PathBuf,
    file: Shared,
    format: Format,
    scratch: Vec<u8>,
    /// Why a packet could not be written; nothing is written after it.
    failed: Option<String>,
}

/// The file, held by the format's writer and, to flush it, by us.
#[derive(Clone)]
struct Shared(Arc<Mutex<BufWriter<File>>>);

impl Shared {
    fn file(&self) -> MutexGuard<'_, BufWriter<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

enum Format {
    Pcap(PcapWriter<Shared>),
    PcapNg(PcapNgWriter<Shared>),
}

impl Writer {
    /// Creates the file.
    pub(super) fn create(path: &Path) -> Result<Self, PcapError> {
        let io = |error| PcapError::Io { path: path.into(), error };
        let file = BufWriter::with_capacity(1 << 18, File::create(path).map_err(io)?);
        let file = Shared(Arc::new(Mutex::new(file)));
        let pcapng = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("pcapng"));
        let format = match pcapng {
            true => Format::pcapng(file.clone()),
            false => Format::pcap(file.clone()),
        };
        let format = format.map_err(|e| io(into_io(e)))?;
        Ok(Writer { path: path.into(), file, format, scratch: Vec::new(), failed: None })
    }

    /// Writes a packet with its own time stamp, or that of now. Says whether it did.
    pub(super) fn write(&mut self, packet: &Mbuf) -> bool {
        if self.failed.is_some() {
            return false;
        }
        let now = || SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let time = packet.timestamp().map_or_else(now, Duration::from_nanos);
        let data: &[u8] = if packet.segment_count() == 1 {
            packet.data()
        } else {
            self.scratch.resize(packet.len(), 0);
            packet.copy_to(0, &mut self.scratch);
            &self.scratch
        };
        let done = self.format.write(time, data);
        self.failed = done.map_err(|error| into_io(error).to_string()).err();
        self.failed.is_none()
    }

    /// Writes out what is buffered; an error if that, or any packet before, could not be written.
    pub(super) fn finish(&mut self) -> Result<(), PcapError> {
        let flushed = match &self.failed {
            Some(why) => Err(lost(why)),
            None => self.file.flush(),
        };
        flushed.map_err(|error| PcapError::Io { path: self.path.clone(), error })
    }
}

fn lost(why: &str) -> io::Error {
    io::Error::other(format!("{why}: a packet could not be written, nor any after it"))
}

impl Format {
    fn pcap(file: Shared) -> Result<Self, pcap_file::PcapError> {
        let header = PcapHeader {
            snaplen: SNAPLEN,
            datalink: DataLink::ETHERNET,
            ts_resolution: TsResolution::NanoSecond,
            endianness: Endianness::native(),
            ..PcapHeader::default()
        };
        Ok(Format::Pcap(PcapWriter::with_header(file, header)?))
    }

    fn pcapng(file: Shared) -> Result<Self, pcap_file::PcapError> {
        let mut writer = PcapNgWriter::with_endianness(file, Endianness::native())?;
        writer.write_pcapng_block(InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: SNAPLEN,
            options: vec![InterfaceDescriptionOption::IfTsResol(9)],
        })?;
        Ok(Format::PcapNg(writer))
    }

    fn write(&mut self, timestamp: Duration, data: &[u8]) -> Result<(), pcap_file::PcapError> {
        let original_len = data.len() as u32;
        match self {
            Format::Pcap(writer) => {
                writer.write_packet(&PcapPacket::new(timestamp, original_len, data))?;
            }
            Format::PcapNg(writer) => {
                writer.write_pcapng_block(EnhancedPacketBlock {
                    interface_id: 0,
                    timestamp,
                    original_len,
                    data: data.into(),
                    options: Vec::new(),
                })?;
            }
        }
        Ok(())
    }
}

fn into_io(error: pcap_file::PcapError) -> io::Error {
    match error {
        pcap_file::PcapError::IoError(error) => error,
        other => io::Error::other(other.to_string()),
    }
}
