//! The control side of a pcap port.

use super::read::{Capture, PcapError};
use super::rx::PcapRx;
use super::tx::PcapTx;
use super::write::Writer;
use crate::mac_for;
use core::fmt;
use linecard_mbuf::MAX_SEGMENTS;
use linecard_pmd_core::{
    Capabilities, Driver, Error, Gate, PortConfig, PortInfo, QueueStats, Queues, RxOffloads,
};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// How often a capture is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// So many times; 0 for not at all.
    Times(u64),
    /// Again and again.
    Forever,
}

impl Repeat {
    /// Uses up one of the times; says whether there was one.
    pub(super) fn again(&mut self) -> bool {
        match self {
            Repeat::Forever => true,
            Repeat::Times(left) if *left > 1 => {
                *left -= 1;
                true
            }
            Repeat::Times(_) => false,
        }
    }
}

/// How fast a capture is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as it is asked for.
    AtSpeed,
    /// With the gaps that were captured.
    AsCaptured,
}

/// How a pcap port is to be.
#[derive(Clone, Debug)]
pub struct PcapOptions {
    /// Its name.
    pub name: String,
    /// The capture to receive, pcap or pcapng.
    pub rx: Option<PathBuf>,
    /// The file to send into: pcapng if its name ends so, else pcap.
    pub tx: Option<PathBuf>,
    /// How often the capture is received.
    pub repeat: Repeat,
    /// How fast.
    pub pace: Pace,
}

impl PcapOptions {
    /// A port with neither file yet; the capture will be received once, at speed.
    pub fn new(name: impl Into<String>) -> Self {
        let (repeat, pace) = (Repeat::Times(1), Pace::AtSpeed);
        PcapOptions { name: name.into(), rx: None, tx: None, repeat, pace }
    }

    /// The capture to receive.
    pub fn rx(mut self, path: impl Into<PathBuf>) -> Self {
        self.rx = Some(path.into());
        self
    }

    /// The file to send into.
    pub fn tx(mut self, path: impl Into<PathBuf>) -> Self {
        self.tx = Some(path.into());
        self
    }

    /// How often the capture is received.
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// How fast.
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }
}

/// A port that receives from a capture file and sends into one. Without a file to receive it receives
/// nothing; without one to send into it swallows what it is sent.
///
/// The file to send into is created, or emptied, when the port is opened, and complete when it is
/// stopped. Writing makes system calls, as files do.
pub struct PcapPort {
    info: PortInfo,
    capture: Arc<Capture>,
    writer: Option<Arc<Mutex<Writer>>>,
    repeat: Repeat,
    pace: Pace,
    config: Option<PortConfig>,
    stats: QueueStats,
    gate: Gate,
}

impl PcapPort {
    /// A port of these options. The whole capture is read and checked now.
    ///
    /// # Errors
    /// What is wrong with a file, and where.
    pub fn open(options: PcapOptions) -> Result<Self, PcapError> {
        let mut capture = options.rx.as_deref().map_or(Ok(Capture::default()), Capture::open)?;
        if options.repeat == Repeat::Times(0) {
            capture.records.clear();
        }
        let writer = options.tx.as_deref().map(Writer::create).transpose()?;
        let mac = mac_for(&options.name);
        let capabilities = Capabilities {
            mtu: 68..=65_000,
            rx_offloads: RxOffloads::SCATTER | RxOffloads::TIMESTAMP,
            ..Capabilities::default()
        };
        let info = PortInfo { name: options.name, kind: "pcap", mac, node: None, capabilities };
        Ok(PcapPort {
            info,
            capture: Arc::new(capture),
            writer: writer.map(|writer| Arc::new(Mutex::new(writer))),
            repeat: options.repeat,
            pace: options.pace,
            config: None,
            stats: QueueStats::default(),
            gate: Gate::default(),
        })
    }

    /// Packets in the capture.
    pub fn packets(&self) -> usize {
        self.capture.records.len()
    }

    /// The longest packet finds room: in a buffer, or in as many as a packet may have.
    fn check_buffers(&self, config: &PortConfig) -> Result<(), Error> {
        let frame = self.capture.longest();
        let scatter = config.rx_offloads_asked().contains(RxOffloads::SCATTER);
        let needed = if scatter { frame.div_ceil(MAX_SEGMENTS) } else { frame };
        let rooms = (0..config.rx_queue_count()).map(|queue| config.pool(queue).data_room());
        match rooms.min().filter(|room| *room < needed) {
            Some(room) => Err(Error::Buffers { port: self.info.name.clone(), room, frame, needed }),
            None => Ok(()),
        }
    }
}

impl Driver for PcapPort {
    fn info(&self) -> &PortInfo {
        &self.info
    }

    fn configure(&mut self, config: PortConfig) -> Result<(), Error> {
        self.check_buffers(&config)?;
        self.config = Some(config);
        Ok(())
    }

    fn start(&mut self) -> Result<Queues, Error> {
        let mut queues = Queues { rx: Vec::new(), tx: Vec::new() };
        let Some(config) = &self.config else { return Ok(queues) };
        self.stats = QueueStats::new(config.rx_queue_count(), config.tx_queue_count());
        self.gate = Gate::new();
        for (i, counters) in self.stats.rx.iter().enumerate() {
            queues.rx.push(Box::new(PcapRx {
                capture: Arc::clone(&self.capture),
                pool: config.pool(i).clone(),
                number: config.number(),
                gate: self.gate.clone(),
                counters: Arc::clone(counters),
                left: self.repeat,
                pace: self.pace,
                next: 0,
                started: None,
            }));
        }
        for counters in &self.stats.tx {
            let (gate, counters) = (self.gate.clone(), Arc::clone(counters));
            queues.tx.push(match &self.writer {
                Some(writer) => Box::new(PcapTx { writer: Arc::clone(writer), gate, counters }),
                None => Box::new(crate::null::NullTx { gate, counters }),
            });
        }
        Ok(queues)
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.gate.close();
        let Some(writer) = &self.writer else { return Ok(()) };
        let done = writer.lock().unwrap_or_else(PoisonError::into_inner).finish();
        done.map_err(|error| Error::Refused {
            port: self.info.name.clone(),
            what: error.to_string(),
        })
    }

    fn queue_stats(&self) -> &QueueStats {
        &self.stats
    }

    fn mtu(&self) -> usize {
        self.config.as_ref().and_then(PortConfig::mtu_asked).unwrap_or(1500)
    }
}

impl Drop for PcapPort {
    fn drop(&mut self) {
        // What could not be written was told by `stop`, if anybody called it.
        let _ = self.stop();
    }
}

impl fmt::Debug for PcapPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PcapPort")
            .field("name", &self.info.name)
            .field("packets", &self.packets())
            .field("writes", &self.writer.is_some())
            .finish_non_exhaustive()
    }
}
