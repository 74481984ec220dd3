//! The device as a bus master.

use crate::bus::{Direction, DmaFault};
use crate::device::Device;
use crate::fault::Deferred;

impl Device {
    /// Reads memory. `None` if it was refused, which the journal keeps.
    pub(crate) fn dma_read(&mut self, address: u64, into: &mut [u8]) -> Option<()> {
        self.may_access(address, into.len(), Direction::Read)?;
        let outcome = self.host.dma.read(address, into);
        self.note(outcome)
    }

    pub(crate) fn dma_write(&mut self, address: u64, bytes: &[u8]) -> Option<()> {
        self.may_access(address, bytes.len(), Direction::Write)?;
        let outcome = self.host.dma.write(address, bytes);
        self.note(outcome)
    }

    pub(crate) fn dma_descriptor(&mut self, address: u64, words: [u64; 2]) -> Option<()> {
        self.may_access(address, 16, Direction::Write)?;
        let outcome = self.host.dma.write_descriptor(address, words);
        self.note(outcome)
    }

    pub(crate) fn read_descriptor(&mut self, address: u64) -> Option<[u64; 2]> {
        let mut bytes = [0; 16];
        self.dma_read(address, &mut bytes)?;
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        Some([word(0), word(8)])
    }

    /// Writes a descriptor back, now or when the faults say.
    pub(crate) fn write_back(&mut self, address: u64, words: [u64; 2]) {
        match self.faults.write_back_delay {
            0 => drop(self.dma_descriptor(address, words)),
            left => self.faults.deferred.push(Deferred { address, words, left }),
        }
    }

    fn may_access(&mut self, address: u64, len: usize, what: Direction) -> Option<()> {
        if self.faults.is_removed() || !self.config.is_bus_master() {
            return None;
        }
        if self.faults.dma_faults > 0 {
            self.faults.dma_faults -= 1;
            self.journal.fault(DmaFault { address, len, what });
            return None;
        }
        Some(())
    }

    fn note(&mut self, outcome: Result<(), DmaFault>) -> Option<()> {
        outcome.map_err(|fault| self.journal.fault(fault)).ok()
    }
}
