//! Interrupts: causes, masks, vectors, moderation; MSI-X, MSI and the pin (§7.3).
//!
//! Causes of queues are numbered 0 to 63. The first 16 are bits 15:0 of EICR as well; bits 31:16
//! of EICR are the other causes, which go out by the vector of IVAR_MISC.

use linecard_ixgbe_regs::registers::*;
use linecard_ixgbe_regs::{Field, MSIX_VECTORS};

use crate::bus::{Level, Message};
use crate::config_space::Signalling;
use crate::device::Device;
use crate::effect::{Effect, Slot};

const QUEUE_BITS: u32 = 0xFFFF;

/// Both kinds of causes as one number: queues' in bits 63:0, others' in bits 95:80.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Causes {
    queues: u64,
    others: u32,
}

impl Causes {
    const NONE: Self = Self { queues: 0, others: 0 };

    fn from_slot(slot: Slot, value: u32) -> Self {
        match (slot.effect, slot.index) {
            (Effect::EicsEx | Effect::EimsEx | Effect::EimcEx, 0) => {
                Self { queues: u64::from(value), others: 0 }
            }
            (Effect::EicsEx | Effect::EimsEx | Effect::EimcEx, _) => {
                Self { queues: u64::from(value) << 32, others: 0 }
            }
            _ => Self::from_word(value),
        }
    }

    /// As in EICR.
    fn from_word(value: u32) -> Self {
        Self { queues: u64::from(value & QUEUE_BITS), others: value & !QUEUE_BITS }
    }

    fn word(self) -> u32 {
        self.queues as u32 & QUEUE_BITS | self.others
    }

    fn in_slot(self, slot: Slot) -> u32 {
        match (slot.effect, slot.index) {
            (Effect::EicsEx | Effect::EimsEx | Effect::EimcEx, 0) => self.queues as u32,
            (Effect::EicsEx | Effect::EimsEx | Effect::EimcEx, _) => (self.queues >> 32) as u32,
            _ => self.word(),
        }
    }

    fn and(self, other: Self) -> Self {
        Self { queues: self.queues & other.queues, others: self.others & other.others }
    }

    fn or(self, other: Self) -> Self {
        Self { queues: self.queues | other.queues, others: self.others | other.others }
    }

    fn without(self, other: Self) -> Self {
        Self { queues: self.queues & !other.queues, others: self.others & !other.others }
    }

    fn is_empty(self) -> bool {
        self == Self::NONE
    }
}

/// Who keeps the table of MSI-X vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// BAR 4.
    OnCard,
    /// The host: messages have a vector and no address.
    AtHost,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    address: u64,
    data: u32,
    control: u32,
}

#[derive(Debug)]
pub(crate) struct Interrupting {
    causes: Causes,
    mask: Causes,
    /// Causes that came since they were last told of.
    news: Causes,
    entries: Vec<Entry>,
    pending: u64,
    /// When each vector may be sent again.
    not_before: Vec<u64>,
    /// A vector waits for its time.
    waits_until: Option<u64>,
    level: Level,
    table: Table,
}

impl Default for Interrupting {
    fn default() -> Self {
        let vectors = MSIX_VECTORS as usize;
        Self {
            causes: Causes::NONE,
            mask: Causes::NONE,
            news: Causes::NONE,
            entries: vec![Entry { control: 1, ..Entry::default() }; vectors],
            pending: 0,
            not_before: vec![0; vectors],
            waits_until: None,
            level: Level::Idle,
            table: Table::OnCard,
        }
    }
}

impl Interrupting {
    /// A reset of the device leaves the table, which is the function's.
    pub(crate) fn reset(&mut self) {
        (self.causes, self.mask, self.news) = (Causes::NONE, Causes::NONE, Causes::NONE);
        self.not_before.fill(0);
        self.waits_until = None;
    }

    pub(crate) fn reset_table(&mut self) {
        self.entries.fill(Entry { control: 1, ..Entry::default() });
        self.pending = 0;
    }

    pub(crate) fn mask_word(&self, slot: Slot) -> u32 {
        let slot = match slot.effect {
            Effect::Eimc => Slot { effect: Effect::Eims, ..slot },
            _ => slot,
        };
        self.mask.in_slot(slot)
    }

    pub(crate) fn causes_without_clearing(&self, slot: Slot) -> u32 {
        self.causes.in_slot(slot)
    }

    pub(crate) fn deadline(&self, now: u64) -> Option<u64> {
        self.waits_until.map(|at| at.max(now))
    }
}

impl Device {
    /// A cause other than a queue's.
    pub(crate) fn raise(&mut self, cause: Field) {
        self.add_causes(Causes::from_word(cause.mask()));
    }

    /// A receive queue has something to tell, or a transmit queue.
    pub(crate) fn raise_queue(&mut self, queue: u32, which: QueueKind) {
        let word = self.file.at(&IVAR, queue / 2);
        let (vector, valid) = match (which, queue % 2) {
            (QueueKind::Receive, 0) => (ivar::RX_EVEN, ivar::RX_EVEN_VALID),
            (QueueKind::Receive, _) => (ivar::RX_ODD, ivar::RX_ODD_VALID),
            (QueueKind::Transmit, 0) => (ivar::TX_EVEN, ivar::TX_EVEN_VALID),
            (QueueKind::Transmit, _) => (ivar::TX_ODD, ivar::TX_ODD_VALID),
        };
        if valid.is_set(word) {
            self.add_causes(Causes { queues: 1 << vector.of(word), others: 0 });
        }
    }

    fn add_causes(&mut self, causes: Causes) {
        self.interrupting.causes = self.interrupting.causes.or(causes);
        self.interrupting.news = self.interrupting.news.or(causes);
        self.deliver();
    }

    pub(crate) fn set_causes(&mut self, slot: Slot, value: u32) {
        self.add_causes(Causes::from_slot(slot, value));
    }

    /// A cause that is there already when it is enabled is news.
    pub(crate) fn enable_causes(&mut self, slot: Slot, value: u32) {
        let enabled = Causes::from_slot(slot, value);
        let state = &mut self.interrupting;
        let fresh = enabled.without(state.mask).and(state.causes);
        state.mask = state.mask.or(enabled);
        state.news = state.news.or(fresh);
        self.deliver();
    }

    pub(crate) fn disable_causes(&mut self, slot: Slot, value: u32) {
        let disabled = Causes::from_slot(slot, value);
        self.interrupting.mask = self.interrupting.mask.without(disabled);
        self.update_pin();
    }

    /// A read clears all causes, and masks what EIAM says if a vector does not.
    pub(crate) fn read_eicr(&mut self) -> u32 {
        let causes = self.interrupting.causes;
        self.interrupting.causes =
            Causes { others: 0, queues: causes.queues & !u64::from(QUEUE_BITS) };
        self.interrupting.news = self.interrupting.news.and(self.interrupting.causes);
        self.mask_after_eicr();
        self.update_pin();
        causes.word()
    }

    pub(crate) fn write_eicr(&mut self, value: u32) {
        let cleared = Causes::from_word(value);
        let state = &mut self.interrupting;
        state.causes = state.causes.without(cleared);
        state.news = state.news.without(cleared);
        self.mask_after_eicr();
        self.update_pin();
    }

    fn mask_after_eicr(&mut self) {
        if !self.file.has(&GPIE, gpie::EIAME) {
            let masked = Causes::from_word(self.file.get(&EIAM));
            self.interrupting.mask = self.interrupting.mask.without(masked);
        }
    }

    /// The way of interrupts has changed.
    pub(crate) fn interrupts_changed(&mut self) {
        self.update_pin();
        self.deliver();
        self.deliver_unmasked();
    }

    /// The host keeps the table of vectors and its masks (as VFIO does), or not any more.
    pub fn place_table(&mut self, table: Table) {
        self.interrupting.table = table;
        self.interrupts_changed();
    }

    fn signalling(&self) -> Signalling {
        match self.interrupting.table {
            Table::AtHost => Signalling::Msix,
            Table::OnCard => self.config.signalling(),
        }
    }

    /// Sends what is enabled and news.
    pub(crate) fn deliver(&mut self) {
        self.interrupting.waits_until = None;
        let ready = self.interrupting.news.and(self.interrupting.mask);
        if ready.is_empty() || self.faults.is_removed() {
            return self.update_pin();
        }
        match self.signalling() {
            Signalling::Msix => self.deliver_vectors(ready),
            Signalling::Msi => self.deliver_msi(ready),
            Signalling::Pin | Signalling::None => self.update_pin(),
        }
    }

    fn deliver_vectors(&mut self, ready: Causes) {
        let mut left = ready.queues;
        while left != 0 {
            let vector = left.trailing_zeros();
            left &= left - 1;
            self.deliver_vector(vector, Causes { queues: 1 << vector, others: 0 });
        }
        if ready.others != 0 {
            let word = self.file.get(&IVAR_MISC);
            if ivar_misc::OTHER_VALID.is_set(word) {
                let causes = Causes { queues: 0, others: ready.others };
                self.deliver_vector(ivar_misc::OTHER.of(word), causes);
            }
        }
    }

    fn deliver_vector(&mut self, vector: u32, causes: Causes) {
        if self.must_wait(vector) {
            return;
        }
        self.told(causes);
        self.send_vector(vector);
    }

    /// Moderation: no two interrupts of a vector within its interval.
    fn must_wait(&mut self, vector: u32) -> bool {
        let interval = eitr::INTERVAL.of(self.file.at(&EITR, vector)) * 2_000;
        let at = self.interrupting.not_before[vector as usize];
        if interval > 0 && self.now < at {
            let until = self.interrupting.waits_until.unwrap_or(u64::MAX).min(at);
            self.interrupting.waits_until = Some(until);
            return true;
        }
        self.interrupting.not_before[vector as usize] = self.now + u64::from(interval);
        false
    }

    /// The interrupt for `causes` is on its way: masks and causes clear themselves as configured.
    fn told(&mut self, causes: Causes) {
        let masks = match self.file.has(&GPIE, gpie::EIAME) {
            true => Causes {
                queues: u64::from(self.file.at(&EIAM_EX, 0))
                    | u64::from(self.file.at(&EIAM_EX, 1)) << 32,
                others: self.file.get(&EIAM) & !QUEUE_BITS,
            },
            false => Causes::NONE,
        };
        let mut clears = Causes::from_word(self.file.get(&EIAC));
        clears.queues |= !u64::from(QUEUE_BITS);
        let state = &mut self.interrupting;
        state.news = state.news.without(causes);
        state.mask = state.mask.without(causes.and(masks));
        state.causes = state.causes.without(causes.and(clears));
    }

    fn send_vector(&mut self, vector: u32) {
        let entry = self.interrupting.entries[vector as usize];
        let is_masked = entry.control & 1 != 0 || self.config.masks_all_vectors();
        if self.interrupting.table == Table::OnCard && is_masked {
            self.interrupting.pending |= 1 << vector;
            return;
        }
        let Entry { address, data, .. } = entry;
        self.host.interrupts.message(Message { vector: vector as u16, address, data });
    }

    fn deliver_msi(&mut self, ready: Causes) {
        if self.must_wait(0) {
            return;
        }
        self.interrupting.news = self.interrupting.news.without(ready);
        let (address, data) = self.config.msi();
        self.host.interrupts.message(Message { vector: 0, address, data });
    }

    /// Asserted as long as an enabled cause is there.
    pub(crate) fn update_pin(&mut self) {
        let active = !self.interrupting.causes.and(self.interrupting.mask).is_empty();
        let level = match self.signalling() {
            Signalling::Pin if active => Level::Asserted,
            _ => Level::Idle,
        };
        if level != self.interrupting.level {
            self.interrupting.level = level;
            self.host.interrupts.pin(level);
        }
    }

    pub(crate) fn read_msix(&mut self, offset: u32) -> u32 {
        let Some(entry) = self.interrupting.entries.get((offset / 16) as usize) else {
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
        match offset.checked_sub(linecard_ixgbe_regs::MSIX_PBA) {
            Some(0) => self.interrupting.pending as u32,
            Some(4) => (self.interrupting.pending >> 32) as u32,
            _ => 0,
        }
    }

    pub(crate) fn write_msix(&mut self, offset: u32, value: u32) {
        let Some(entry) = self.interrupting.entries.get_mut((offset / 16) as usize) else { return };
        match offset % 16 {
            0 => entry.address = entry.address & !0xFFFF_FFFF | u64::from(value),
            4 => entry.address = entry.address & 0xFFFF_FFFF | u64::from(value) << 32,
            8 => entry.data = value,
            _ => {
                entry.control = value & 1;
                self.deliver_unmasked();
            }
        }
    }

    /// What was pending when its vector was masked.
    fn deliver_unmasked(&mut self) {
        let mut left = std::mem::take(&mut self.interrupting.pending);
        while left != 0 {
            let vector = left.trailing_zeros();
            left &= left - 1;
            self.send_vector(vector);
        }
    }
}

/// Which of the two kinds of queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueueKind {
    Receive,
    Transmit,
}
