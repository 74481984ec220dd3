//! The driver's side of both rings, one chain at a time.

use super::{GUEST, Manner, Memory, USER, address};
use linecard_virtqueue::packed::{self, Position, available, is_used};
use linecard_virtqueue::split;
use linecard_virtqueue::vhost_user::message::VringAddr;
use linecard_virtqueue::{DescFlags, Features};
use std::collections::VecDeque;

/// A buffer of a chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffer {
    pub(crate) address: u64,
    pub(crate) len: u32,
    pub(crate) write: bool,
}

struct Chain {
    id: u16,
    slots: Vec<u16>,
    buffers: Vec<Buffer>,
}

/// A ring as its driver sees it, at an offset in the guest's memory.
pub(crate) struct DriverRing {
    pub(crate) parts: [usize; 3],
    pub(crate) size: u16,
    packed: bool,
    in_order: bool,
    indirect: bool,
    /// Split: free descriptors. Packed: free ids.
    free: Vec<u16>,
    /// Packed: free slots.
    slots: usize,
    pub(crate) next: u16,
    pub(crate) used: u16,
    pub(crate) avail_at: Position,
    pub(crate) used_at: Position,
    /// Chains that stay behind one that stood for a batch.
    done: VecDeque<(Vec<Buffer>, u32)>,
    chains: VecDeque<Chain>,
    tables: usize,
    /// Where an IOMMU has the guest's memory.
    pub(crate) iova: Option<u64>,
}

impl DriverRing {
    pub(crate) fn new(start: usize, manner: Manner) -> Self {
        let size = manner.size;
        let (parts, end) = if manner.packed {
            let layout = packed::Layout::new(size, 64).expect("a size");
            ([layout.ring().start, layout.driver().start, layout.device().start], layout.bytes())
        } else {
            let layout = split::Layout::new(size, 64).expect("a size");
            ([layout.table().start, layout.avail().start, layout.used().start], layout.bytes())
        };
        DriverRing {
            parts: parts.map(|part| start + part),
            size,
            packed: manner.packed,
            in_order: manner.features().contains(Features::IN_ORDER),
            indirect: manner.indirect,
            free: (0..size).rev().collect(),
            slots: size.into(),
            next: 0,
            used: 0,
            avail_at: Position::START,
            used_at: Position::START,
            done: VecDeque::new(),
            chains: VecDeque::new(),
            tables: start + end.next_multiple_of(64),
            iova: None,
        }
    }

    pub(crate) fn address(&self, index: usize) -> VringAddr {
        let mut address = address(index, self.parts);
        if let Some(iova) = self.iova {
            for part in [&mut address.descriptors, &mut address.used, &mut address.available] {
                *part = *part - USER + iova;
            }
        }
        address
    }

    /// Descriptors that it takes.
    pub(crate) fn room(&self) -> usize {
        if self.packed { self.slots.min(self.free.len()) } else { self.free.len() }
    }

    /// Chains that the device has.
    pub(crate) fn outstanding(&self) -> usize {
        self.chains.len()
    }

    /// Makes a chain available; `false` if there is no room.
    pub(crate) fn add(&mut self, memory: &Memory, buffers: &[Buffer]) -> bool {
        // Each table has room for eight descriptors, one for each of the first 256 ids.
        let table = self.indirect && buffers.len() > 1 && buffers.len() <= 8;
        let needed = if table { 1 } else { buffers.len() };
        if self.room() < needed || self.size > 256 && table {
            return false;
        }
        if self.packed {
            self.add_packed(memory, buffers, table);
        } else {
            self.add_split(memory, buffers, table);
        }
        true
    }

    fn table(&self, memory: &Memory, buffers: &[Buffer], id: u16) -> Buffer {
        let at = self.tables + usize::from(id) * 128;
        for (i, buffer) in buffers.iter().enumerate() {
            let last = i + 1 == buffers.len();
            // Packed tables have no NEXT; `next` is their id, which means nothing there.
            let next = if last || self.packed { 0 } else { DescFlags::NEXT.bits() };
            let flags = next | if buffer.write { DescFlags::WRITE.bits() } else { 0 };
            let words = if self.packed { [i as u16, flags] } else { [flags, i as u16 + 1] };
            put(memory, at + 16 * i, &self.for_device(buffer), words);
        }
        let len = 16 * buffers.len() as u32;
        Buffer { address: GUEST + at as u64, len, write: false }
    }

    fn add_split(&mut self, memory: &Memory, buffers: &[Buffer], table: bool) {
        let n = if table { 1 } else { buffers.len() };
        let slots: Vec<_> = (0..n).map(|_| self.free.pop().expect("room")).collect();
        let outer = [self.table_or(memory, buffers, slots[0], table)].concat();
        for (i, (slot, buffer)) in slots.iter().zip(&outer).enumerate() {
            let mut flags = if buffer.write { DescFlags::WRITE.bits() } else { 0 };
            flags |= if i + 1 < n { DescFlags::NEXT.bits() } else { 0 };
            flags |= if table { DescFlags::INDIRECT.bits() } else { 0 };
            let next = slots.get(i + 1).copied().unwrap_or(0);
            put(memory, self.parts[0] + 16 * usize::from(*slot), buffer, [flags, next]);
        }
        let entry = split::RING + 2 * usize::from(self.next % self.size);
        memory.store(self.parts[1] + entry, slots[0]);
        self.next = self.next.wrapping_add(1);
        memory.store(self.parts[1] + split::IDX, self.next);
        self.chains.push_back(Chain { id: slots[0], slots, buffers: buffers.to_vec() });
    }

    fn table_or(&self, memory: &Memory, buffers: &[Buffer], id: u16, table: bool) -> Vec<Buffer> {
        let outer = if table { vec![self.table(memory, buffers, id)] } else { buffers.to_vec() };
        outer.iter().map(|buffer| self.for_device(buffer)).collect()
    }

    /// A buffer as the device is told of it.
    fn for_device(&self, buffer: &Buffer) -> Buffer {
        let address = self.iova.map_or(buffer.address, |iova| buffer.address - GUEST + iova);
        Buffer { address, ..*buffer }
    }

    fn add_packed(&mut self, memory: &Memory, buffers: &[Buffer], table: bool) {
        // In order, ids are positions as DPDK has them; else any will do.
        let id = self.free.pop().expect("room");
        let outer = self.table_or(memory, buffers, id, table);
        let (n, start) = (outer.len(), self.avail_at);
        for (i, buffer) in outer.iter().enumerate().rev() {
            let at = start.ahead(i as u16, self.size);
            let mut flags =
                available(at.wrap) | if buffer.write { DescFlags::WRITE.bits() } else { 0 };
            flags |= if i + 1 < n { DescFlags::NEXT.bits() } else { 0 };
            flags |= if table { DescFlags::INDIRECT.bits() } else { 0 };
            let place = self.parts[0] + 16 * usize::from(at.at);
            memory.write(place, &buffer.address.to_le_bytes());
            memory.write(place + 8, &buffer.len.to_le_bytes());
            memory.write(place + 12, &id.to_le_bytes());
            memory.store(place + 14, flags);
        }
        self.avail_at = start.ahead(n as u16, self.size);
        self.slots -= n;
        self.chains.push_back(Chain { id, slots: vec![0; n], buffers: buffers.to_vec() });
    }

    /// The next chain that the device has given back, and how much it wrote.
    pub(crate) fn take(&mut self, memory: &Memory) -> Option<(Vec<Buffer>, u32)> {
        if let Some(done) = self.done.pop_front() {
            return Some(done);
        }
        let (id, len) =
            if self.packed { self.used_packed(memory)? } else { self.used_split(memory)? };
        // The device works in order, whatever was agreed on; a batch has its last one's id.
        let at = self.chains.iter().position(|chain| chain.id == id).expect("an id that is out");
        assert!(at == 0 || self.in_order && self.packed, "chain {at} came first");
        for _ in 0..=at {
            let chain = self.chains.pop_front().expect("found");
            if self.packed {
                self.used_at = self.used_at.ahead(chain.slots.len() as u16, self.size);
                self.slots += chain.slots.len();
                self.free.push(chain.id);
            } else {
                self.free.extend(&chain.slots);
            }
            self.done.push_back((chain.buffers, len));
        }
        self.done.pop_front()
    }

    fn used_split(&mut self, memory: &Memory) -> Option<(u16, u32)> {
        if memory.load(self.parts[2] + split::IDX) == self.used {
            return None;
        }
        let at = self.parts[2] + split::RING + 8 * usize::from(self.used % self.size);
        let bytes = memory.read(at, 8);
        self.used = self.used.wrapping_add(1);
        let word =
            |i: usize| u32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        Some((word(0) as u16, word(4)))
    }

    fn used_packed(&self, memory: &Memory) -> Option<(u16, u32)> {
        let at = self.parts[0] + 16 * usize::from(self.used_at.at);
        if !is_used(memory.load(at + 14), self.used_at.wrap) {
            return None;
        }
        let bytes = memory.read(at + 8, 6);
        let len = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        Some((u16::from_le_bytes([bytes[4], bytes[5]]), len))
    }
}

fn put(memory: &Memory, at: usize, buffer: &Buffer, words: [u16; 2]) {
    memory.write(at, &buffer.address.to_le_bytes());
    memory.write(at + 8, &buffer.len.to_le_bytes());
    memory.write(at + 12, &words[0].to_le_bytes());
    memory.write(at + 14, &words[1].to_le_bytes());
}
