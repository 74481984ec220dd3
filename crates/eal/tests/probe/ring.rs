//! A split virtqueue with one frame in it (virtio 1.2, §2.7).

use linecard_eal::barrier;
use linecard_eal::device::DmaMemory;
use linecard_eal::mem::Iova;

const PAGE: usize = 4096;

pub(super) struct Ring {
    memory: DmaMemory,
    size: u16,
    sent: u16,
    used: usize,
    /// Where a header of 12 bytes and a frame of 60 are, behind the queue.
    frame: usize,
}

impl Ring {
    /// With the used ring right behind the others, as the modern interface allows.
    pub(super) fn new(memory: DmaMemory, size: u16) -> Self {
        Self { memory, size, sent: 0, used: 2048, frame: 6144 }
    }

    /// With the used ring at the next page, as the legacy interface has it.
    pub(super) fn legacy(memory: DmaMemory, size: u16) -> Self {
        let used = (18 * usize::from(size) + 6).next_multiple_of(PAGE);
        Self { memory, size, sent: 0, used, frame: used + 8 * usize::from(size) + PAGE }
    }

    fn available(&self) -> usize {
        16 * usize::from(self.size)
    }

    /// Of the descriptors, the available ring and the used ring.
    pub(super) fn addresses(&self) -> [Iova; 3] {
        [0, self.available(), self.used].map(|offset| self.address(offset))
    }

    fn address(&self, offset: usize) -> Iova {
        self.memory.contiguous(offset, 72).expect("contiguous for the device")
    }

    pub(super) fn frame(&self) -> Iova {
        self.address(self.frame)
    }

    /// Gives the device one buffer to read.
    pub(super) fn post(&mut self, address: Iova, len: u32) {
        let slot = usize::from(self.sent % self.size);
        self.put(16 * slot, address.raw());
        self.put(16 * slot + 8, u64::from(len));
        self.put(self.available() + 4 + 2 * slot, slot as u16);
        barrier::dma_publish();
        self.sent = self.sent.wrapping_add(1);
        self.put(self.available() + 2, self.sent);
        barrier::dma_full();
    }

    pub(super) fn is_done(&self) -> bool {
        let place = self.memory.base().as_ptr().wrapping_add(self.used + 2).cast::<u16>();
        // SAFETY: within the memory and aligned; the device writes it, hence volatile.
        unsafe { place.read_volatile() == self.sent }
    }

    fn put<T>(&mut self, offset: usize, value: T) {
        let place = self.memory.base().as_ptr().wrapping_add(offset).cast::<T>();
        // SAFETY: within the memory and aligned; the device reads it, hence volatile.
        unsafe { place.write_volatile(value) };
    }
}
