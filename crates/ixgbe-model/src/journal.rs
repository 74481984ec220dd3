//! What happened, for those who judge a driver: refused DMA, unknown registers, broken rules.

use std::collections::BTreeMap;

use crate::bus::DmaFault;

/// A rule of the datasheet that the driver broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Breach {
    /// A tail was written while its queue was disabled.
    TailOfDisabledQueue,
    /// A tail beyond the ring.
    TailBeyondRing,
    /// A packet without a context descriptor, or with one that does not fit it.
    BadContext,
    /// A descriptor of an unknown type.
    BadDescriptor,
    /// A packet with more descriptors than the device takes.
    TooManyDescriptors,
    /// A buffer of a size that the queue cannot have.
    BadBufferSize,
    /// A frame was sent for which the transmit packet buffer has no room above its threshold.
    NoRoomAboveThreshold,
    /// A transmit queue was to send that there is not in the mode of MTQC.
    NoSuchQueue,
    /// A traffic class was to send without a packet buffer of its own within the memory that there is, or
    /// without credits for its frame.
    ClassWithoutMeans,
}

/// What a register was written with, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Offset in BAR 0; an alias is led to its register.
    pub offset: u32,
    /// What was written.
    pub value: u32,
}

/// Most writes that are kept.
const WRITES: usize = 1 << 16;

/// Notes of what happened.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// Accesses to memory that the host refused.
    pub dma_faults: Vec<DmaFault>,
    /// Rules that were broken, and how often.
    pub breaches: BTreeMap<Breach, u64>,
    /// Registers that were used and are not in the table, with how often.
    pub unknown: BTreeMap<u32, u64>,
    /// The same of virtual functions' registers: offsets in their BAR 0.
    pub unknown_of_functions: BTreeMap<u32, u64>,
    /// Writes to registers, if they are recorded.
    pub writes: Vec<Access>,
    recording: bool,
}

impl Journal {
    /// Begins to record writes.
    pub fn record_writes(&mut self) {
        self.recording = true;
    }

    /// One with nothing in it, that records as this does.
    pub(crate) fn empty(&self) -> Self {
        Self { recording: self.recording, ..Self::default() }
    }

    pub(crate) fn fault(&mut self, fault: DmaFault) {
        if self.dma_faults.len() < WRITES {
            self.dma_faults.push(fault);
        }
    }

    pub(crate) fn breach(&mut self, breach: Breach) {
        *self.breaches.entry(breach).or_default() += 1;
    }

    pub(crate) fn unknown(&mut self, offset: u32) {
        *self.unknown.entry(offset).or_default() += 1;
    }

    pub(crate) fn unknown_of_function(&mut self, offset: u32) {
        *self.unknown_of_functions.entry(offset).or_default() += 1;
    }

    pub(crate) fn written(&mut self, offset: u32, value: u32) {
        if self.recording && self.writes.len() < WRITES {
            self.writes.push(Access { offset, value });
        }
    }
}
