//! A function's MSI-X vectors: the table with its pending bits, and the moderation of each vector (§7.3).

use linecard_ixgbe_regs::MSIX_PBA;

use crate::bus::{Interrupts, Message};
use crate::config_space::ConfigSpace;

/// Who keeps the table of MSI-X vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// BAR 4, of a virtual function BAR 3.
    OnCard,
    /// The host: messages have a vector and no address.
    AtHost,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    address: u64,
    data: u32,
    control: u32,
}

/// As after a reset of the function: masked.
const MASKED: Entry = Entry { address: 0, data: 0, control: 1 };

/// What a write to the table was to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableWrite {
    /// An address or data, or nothing at all.
    Message,
    /// The mask of a vector.
    Mask,
}

#[derive(Debug)]
pub(crate) struct Vectors {
    entries: Vec<Entry>,
    pending: u64,
    /// When each vector may be sent again.
    not_before: Vec<u64>,
    /// A vector waits for its time.
    waits_until: Option<u64>,
    pub(crate) table: Table,
}

impl Vectors {
    /// At most 64.
    pub(crate) fn new(count: u32) -> Self {
        let count = count as usize;
        Self {
            entries: vec![MASKED; count],
            pending: 0,
            not_before: vec![0; count],
            waits_until: None,
            table: Table::OnCard,
        }
    }

    /// No vector waits any more.
    pub(crate) fn forget_times(&mut self) {
        self.not_before.fill(0);
        self.waits_until = None;
    }

    pub(crate) fn reset_table(&mut self) {
        self.entries.fill(MASKED);
        self.pending = 0;
    }

    pub(crate) fn deadline(&self, now: u64) -> Option<u64> {
        self.waits_until.map(|at| at.max(now))
    }

    /// Whoever still has to wait will say so.
    pub(crate) fn look_again(&mut self) {
        self.waits_until = None;
    }

    /// Moderation: no two interrupts of a vector within its interval, in nanoseconds.
    pub(crate) fn must_wait(&mut self, vector: u32, interval: u64, now: u64) -> bool {
        let Some(not_before) = self.not_before.get_mut(vector as usize) else { return false };
        if interval > 0 && now < *not_before {
            let until = self.waits_until.unwrap_or(u64::MAX).min(*not_before);
            self.waits_until = Some(until);
            return true;
        }
        *not_before = now + interval;
        false
    }

    /// Sends a vector, or keeps it pending while it is masked. One beyond the table is lost.
    pub(crate) fn send(&mut self, vector: u32, config: &ConfigSpace, to: &mut dyn Interrupts) {
        let Some(entry) = self.entries.get(vector as usize) else { return };
        let is_masked = entry.control & 1 != 0 || config.masks_all_vectors();
        if self.table == Table::OnCard && is_masked {
            self.pending |= 1 << vector;
            return;
        }
        let Entry { address, data, .. } = *entry;
        to.message(Message { vector: vector as u16, address, data });
    }

    /// What was pending when its vector was masked.
    pub(crate) fn send_pending(&mut self, config: &ConfigSpace, to: &mut dyn Interrupts) {
        let mut left = std::mem::take(&mut self.pending);
        while left != 0 {
            let vector = left.trailing_zeros();
            left &= left - 1;
            self.send(vector, config, to);
        }
    }

    /// Reads the window of the table.
    pub(crate) fn read(&self, offset: u32) -> u32 {
        let Some(entry) = self.entries.get((offset / 16) as usize) else {
            return self.read_pending(offset);
        };
        match offset % 16 {
            0 => entry.address as u32,
            4 => (entry.address >> 32) as u32,
            8 => entry.data,
            _ => entry.control,
        }
    }

    fn read_pending(&self, offset: u32) -> u32 {
        match offset.checked_sub(MSIX_PBA) {
            Some(0) => self.pending as u32,
            Some(4) => (self.pending >> 32) as u32,
            _ => 0,
        }
    }

    pub(crate) fn write(&mut self, offset: u32, value: u32) -> TableWrite {
        let Some(entry) = self.entries.get_mut((offset / 16) as usize) else {
            return TableWrite::Message;
        };
        match offset % 16 {
            0 => entry.address = entry.address & !0xFFFF_FFFF | u64::from(value),
            4 => entry.address = entry.address & 0xFFFF_FFFF | u64::from(value) << 32,
            8 => entry.data = value,
            _ => {
                entry.control = value & 1;
                return TableWrite::Mask;
            }
        }
        TableWrite::Message
    }
}
