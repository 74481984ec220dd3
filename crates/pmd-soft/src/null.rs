//! Frames out of nothing, and into it.

use crate::mac_for;
use linecard_mbuf::driver::receive_with;
use linecard_mbuf::header::{Rearm, RxFields};
use linecard_mbuf::{Burst, Flags, MbufPool};
use linecard_pmd_core::{
    Capabilities, Driver, Error, Gate, Path, PortConfig, PortInfo, QueueStats, Queues, RxCounters,
    RxQueue, TxCounters, TxQueue,
};
use std::sync::Arc;

/// What a null port receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frames {
    /// Nothing.
    None,
    /// Frames of so many bytes, whatever is in them.
    Empty(usize),
    /// Copies of this frame.
    Copies(Vec<u8>),
}

/// How a null port is to be.
#[derive(Clone, Debug)]
pub struct NullOptions {
    /// Its name.
    pub name: String,
    /// What it receives, at any rate asked of it.
    pub frames: Frames,
}

impl NullOptions {
    /// Empty frames of 64 bytes.
    pub fn new(name: impl Into<String>) -> Self {
        NullOptions { name: name.into(), frames: Frames::Empty(64) }
    }

    /// What it receives.
    pub fn frames(mut self, frames: Frames) -> Self {
        self.frames = frames;
        self
    }
}

/// A port that makes frames out of nothing and swallows what it is sent.
#[derive(Debug)]
pub struct NullPort {
    info: PortInfo,
    frames: Frames,
    config: Option<PortConfig>,
    stats: QueueStats,
    gate: Gate,
}

/// The longest frame of nothing: one buffer of the largest pool.
const MOST_BYTES: usize = 65_000;

impl NullPort {
    /// A port of these options.
    ///
    /// # Errors
    /// If its frames are longer than a buffer can be.
    pub fn open(options: NullOptions) -> Result<Self, Error> {
        let NullOptions { name, frames } = options;
        let asked = frames.len();
        if asked > MOST_BYTES {
            let (what, hint) = ("frame bytes", String::new());
            return Err(Error::Range { port: name, what, asked, min: 0, max: MOST_BYTES, hint });
        }
        let mac = mac_for(&name);
        let capabilities = Capabilities {
            rx_queues: 128,
            tx_queues: 128,
            mtu: 68..=MOST_BYTES,
            min_buffer: asked.max(64),
            ..Capabilities::default()
        };
        let info = PortInfo { name, kind: "null", mac, node: None, capabilities };
        let (stats, gate) = (QueueStats::default(), Gate::default());
        Ok(NullPort { info, frames, config: None, stats, gate })
    }
}

impl Frames {
    fn len(&self) -> usize {
        match self {
            Frames::None => 0,
            Frames::Empty(len) => *len,
            Frames::Copies(frame) => frame.len(),
        }
    }
}

impl Driver for NullPort {
    fn info(&self) -> &PortInfo {
        &self.info
    }

    fn configure(&mut self, config: PortConfig) -> Result<(), Error> {
        // `Port` has checked it; what `NullRx` does with buffers leans on it, so not on trust.
        config.check(&self.info.name, &self.info.capabilities)?;
        self.config = Some(config);
        Ok(())
    }

    fn start(&mut self) -> Result<Queues, Error> {
        let mut queues = Queues { rx: Vec::new(), tx: Vec::new() };
        let Some(config) = &self.config else { return Ok(queues) };
        self.stats = QueueStats::new(config.rx_queue_count(), config.tx_queue_count());
        self.gate = Gate::new();
        for (i, counters) in self.stats.rx.iter().enumerate() {
            let pool = config.pool(i).clone();
            queues.rx.push(Box::new(NullRx {
                rearm: pool.rearm(config.number()),
                frames: self.frames.clone(),
                gate: self.gate.clone(),
                counters: Arc::clone(counters),
                pool,
            }));
        }
        for counters in &self.stats.tx {
            let (gate, counters) = (self.gate.clone(), Arc::clone(counters));
            queues.tx.push(Box::new(NullTx { gate, counters }));
        }
        Ok(queues)
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.gate.close();
        Ok(())
    }

    fn queue_stats(&self) -> &QueueStats {
        &self.stats
    }

    fn mtu(&self) -> usize {
        self.config.as_ref().and_then(PortConfig::mtu_asked).unwrap_or(1500)
    }
}

impl Drop for NullPort {
    fn drop(&mut self) {
        self.gate.close();
    }
}

struct NullRx {
    pool: MbufPool,
    rearm: Rearm,
    frames: Frames,
    gate: Gate,
    counters: Arc<RxCounters>,
}

impl RxQueue for NullRx {
    fn receive(&mut self, burst: &mut Burst) -> usize {
        if !self.gate.is_open() || self.frames == Frames::None {
            return 0;
        }
        let (n, len) = (burst.spare(), self.frames.len());
        let fields =
            RxFields { packet_len: len as u32, data_len: len as u16, ..RxFields::default() };
        // SAFETY: the pool's data room holds `len` bytes, as the capabilities demanded
        // (`min_buffer`), and they hold what was last in them, or the copy that follows.
        let done =
            unsafe { receive_with(&self.pool, burst, n, |_| (self.rearm, Flags::empty(), fields)) };
        if !done {
            self.counters.no_buffer.add(u64::from(n > 0));
            return 0;
        }
        if let Frames::Copies(frame) = &self.frames {
            let new = burst.len() - n;
            burst[new..].iter_mut().for_each(|packet| packet.data_mut().copy_from_slice(frame));
        }
        self.counters.received(n, (n * len) as u64);
        n
    }

    fn path(&self) -> Path {
        Path::only("null")
    }

    fn is_finished(&self) -> bool {
        self.frames == Frames::None
    }

    fn waiting(&self, limit: usize) -> Option<usize> {
        Some(if self.frames == Frames::None { 0 } else { limit })
    }
}

pub(crate) struct NullTx {
    pub(crate) gate: Gate,
    pub(crate) counters: Arc<TxCounters>,
}

impl TxQueue for NullTx {
    fn send(&mut self, burst: &mut Burst) -> usize {
        if !self.gate.is_open() {
            return 0;
        }
        let n = burst.len();
        self.counters.sent(n, burst.bytes(), 0);
        burst.clear();
        n
    }

    fn path(&self) -> Path {
        Path::only("null")
    }

    fn room(&self, limit: usize) -> Option<usize> {
        Some(limit)
    }
}
