//! Intel's IOMMU, walked by the model, as QEMU does not translate for a device in another process
//! (VT-d specification, §3.4, §3.7 and §5.1; legacy mode).

use std::io;

use super::qtest::Qtest;
use super::system_memory::SystemMemory;
use crate::bus::{Direction, Message};

const GLOBAL_STATUS: u64 = 0xFED9_001C;
const ROOT_TABLE: u64 = 0xFED9_0020;
const REMAPPING_TABLE: u64 = 0xFED9_00B8;
const TRANSLATES: u32 = 1 << 31;
const REMAPS: u32 = 1 << 25;

const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;
const PAGE: u64 = 4096;

/// What the guest has told its IOMMU, as it was last read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Iommu {
    status: u32,
    root: u64,
    remapping: u64,
}

/// Where a device is: bus, and device with function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Requester {
    pub(crate) bus: u8,
    pub(crate) slot: u8,
}

impl Iommu {
    pub(crate) fn look(qtest: &mut Qtest) -> io::Result<Self> {
        Ok(Self {
            status: qtest.read_word(GLOBAL_STATUS)?,
            root: qtest.read_quadword(ROOT_TABLE)?,
            remapping: qtest.read_quadword(REMAPPING_TABLE)?,
        })
    }

    pub(crate) fn translates(&self) -> bool {
        self.status & TRANSLATES != 0
    }

    /// The physical address of an access within one page. `None`: refused.
    pub(crate) fn translate(
        &self,
        memory: &SystemMemory,
        from: Requester,
        address: u64,
        what: Direction,
    ) -> Option<u64> {
        let root = memory.word((self.root & ADDRESS) + 16 * u64::from(from.bus))?;
        let at = (root & ADDRESS) + 16 * 8 * u64::from(from.slot);
        let (low, high) = (memory.word(at)?, memory.word(at + 8)?);
        if root & 1 == 0 || low & 1 == 0 {
            return None;
        }
        match low >> 2 & 3 {
            2 => Some(address),
            _ => walk(memory, low & ADDRESS, 2 + (high & 7), address, what),
        }
    }

    /// The message that a remappable one stands for.
    pub(crate) fn remap(&self, memory: &SystemMemory, message: Message) -> Option<Message> {
        if self.status & REMAPS == 0 || message.address & 1 << 4 == 0 {
            return Some(message);
        }
        let handle = message.address >> 5 & 0x7FFF | (message.address >> 2 & 1) << 15;
        let sub = message.address >> 3 & 1 != 0;
        let index = handle + if sub { u64::from(message.data & 0xFFFF) } else { 0 };
        let low = memory.word((self.remapping & ADDRESS) + 16 * index)?;
        if low & 1 == 0 {
            return None;
        }
        let destination = match self.remapping >> 11 & 1 {
            0 => low >> 40 & 0xFF,
            _ => low >> 32,
        };
        let (mode, hint, trigger) = (low >> 2 & 1, low >> 3 & 1, low >> 4 & 1);
        let address = 0xFEE0_0000 | (destination & 0xFF) << 12 | hint << 3 | mode << 2;
        let data = low >> 16 & 0xFF | (low >> 5 & 7) << 8 | trigger << 15;
        Some(Message { address, data: data as u32, ..message })
    }
}

/// The second-level tables.
fn walk(
    memory: &SystemMemory,
    mut table: u64,
    levels: u64,
    address: u64,
    what: Direction,
) -> Option<u64> {
    let right = match what {
        Direction::Read => 1 << 0,
        Direction::Write => 1 << 1,
    };
    for level in (0..levels).rev() {
        let shift = 12 + 9 * level;
        let entry = memory.word(table + 8 * (address >> shift & 0x1FF))?;
        if entry & right == 0 {
            return None;
        }
        if level == 0 || entry & 1 << 7 != 0 {
            let within = (1 << shift) - 1;
            return Some(entry & ADDRESS & !within | address & within);
        }
        table = entry & ADDRESS;
    }
    None
}

/// Bytes from `address` to the end of its page.
pub(crate) fn left_in_page(address: u64) -> usize {
    (PAGE - address % PAGE) as usize
}
