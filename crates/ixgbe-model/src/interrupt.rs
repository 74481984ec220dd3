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
use crate::vectors::{Table, TableWrite, Vectors};

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

#[derive(Debug)]
pub(crate) struct Interrupting {
    causes: Causes,
    mask: Causes,
    /// Causes that came since they were last told of.
    news: Causes,
    vectors: Vectors,
    level: Level,
}

impl Default for Interrupting {
    fn default() -> Self {
        Self {
            causes: Causes::NONE,
            mask: Causes::NONE,
            news: Causes::NONE,
            vectors: Vectors::new(MSIX_VECTORS),
            level: Level::Idle,
        }
    }
}

impl Interrupting {
    /// A reset of the device leaves the table, which is the function's.
    pub(crate) fn reset(&mut self) {
        (self.causes, self.mask, self.news) = (Causes::NONE, Causes::NONE, Causes::NONE);
        self.vectors.forget_times();
    }

    pub(crate) fn reset_table(&mut self) {
        self.vectors.reset_table();
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
        self.vectors.deadline(now)
    }
}

impl Device {
    /// A cause other than a queue's.
    pub(crate) fn raise(&mut self, cause: Field) {
        self.add_causes(Causes::from_word(cause.mask()));
    }

    /// A receive queue has something to tell, or a transmit queue.
    pub(crate) fn raise_queue(&mut self, queue: u32, which: QueueKind) {
        if let Some(function) = self.owner(queue) {
            return self.raise_queue_of_function(function, queue, which);
        }
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
        self.interrupting.vectors.table = table;
        self.interrupts_changed();
    }

    fn signalling(&self) -> Signalling {
        match self.interrupting.vectors.table {
            Table::AtHost => Signalling::Msix,
            Table::OnCard => self.config.signalling(),
        }
    }

    /// Sends what is enabled and news.
    pub(crate) fn deliver(&mut self) {
        self.interrupting.vectors.look_again();
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
            let causes = Causes { queues: 0, others: ready.others };
            self.deliver_vector(self.vector_of_others(), causes);
        }
    }

    /// What no driver has given a vector goes by the first: DPDK's host of virtual functions waits for it
    /// there.
    fn vector_of_others(&self) -> u32 {
        let word = self.file.get(&IVAR_MISC);
        if ivar_misc::OTHER_VALID.is_set(word) { ivar_misc::OTHER.of(word) } else { 0 }
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
        self.interrupting.vectors.must_wait(vector, interval.into(), self.now)
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
        let to = &mut *self.host.interrupts;
        self.interrupting.vectors.send(vector, &self.config, to);
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

    pub(crate) fn read_msix(&self, offset: u32) -> u32 {
        self.interrupting.vectors.read(offset)
    }

    pub(crate) fn write_msix(&mut self, offset: u32, value: u32) {
        if self.interrupting.vectors.write(offset, value) == TableWrite::Mask {
            self.deliver_unmasked();
        }
    }

    fn deliver_unmasked(&mut self) {
        self.interrupting.vectors.send_pending(&self.config, &mut *self.host.interrupts);
    }
}

/// Which of the two kinds of queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueueKind {
    Receive,
    Transmit,
}
