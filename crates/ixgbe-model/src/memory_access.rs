//! The device as a bus master. Each access is for a queue, and done by the function that has the queue.

use crate::bus::{Direction, Dma, DmaFault};
use crate::config_space::ConfigSpace;
use crate::device::Device;
use crate::fault::Deferred;

impl Device {
    /// Reads memory. `None` if it was refused, which the journal keeps.
    pub(crate) fn dma_read(&mut self, queue: u32, address: u64, into: &mut [u8]) -> Option<()> {
        self.may_access(queue, address, into.len(), Direction::Read)?;
        let outcome = self.requester(queue).1.read(address, into);
        self.note(outcome)
    }

    pub(crate) fn dma_write(&mut self, queue: u32, address: u64, bytes: &[u8]) -> Option<()> {
        self.may_access(queue, address, bytes.len(), Direction::Write)?;
        let outcome = self.requester(queue).1.write(address, bytes);
        self.note(outcome)
    }

    pub(crate) fn dma_descriptor(
        &mut self,
        queue: u32,
        address: u64,
        words: [u64; 2],
    ) -> Option<()> {
        self.may_access(queue, address, 16, Direction::Write)?;
        let outcome = self.requester(queue).1.write_descriptor(address, words);
        self.note(outcome)
    }

    pub(crate) fn read_descriptor(&mut self, queue: u32, address: u64) -> Option<[u64; 2]> {
        let mut bytes = [0; 16];
        self.dma_read(queue, address, &mut bytes)?;
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        Some([word(0), word(8)])
    }

    /// Writes a descriptor back, now or when the faults say.
    pub(crate) fn write_back(&mut self, queue: u32, address: u64, words: [u64; 2]) {
        match self.faults.write_back_delay {
            0 => drop(self.dma_descriptor(queue, address, words)),
            left => self.faults.deferred.push(Deferred { queue, address, words, left }),
        }
    }

    /// The function that has a queue.
    fn requester(&mut self, queue: u32) -> (&ConfigSpace, &mut dyn Dma) {
        match self.owner(queue) {
            Some(at) => {
                let function = &mut self.virtualization.functions[at];
                (&function.config, &mut *function.host.dma)
            }
            None => (&self.config, &mut *self.host.dma),
        }
    }

    fn may_access(&mut self, queue: u32, address: u64, len: usize, what: Direction) -> Option<()> {
        if self.faults.is_removed() || !self.requester(queue).0.is_bus_master() {
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
