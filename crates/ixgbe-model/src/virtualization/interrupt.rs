//! Interrupts of a virtual function: three causes, each with the vector of its number; MSI-X only (§7.3.4.3).

use linecard_ixgbe_regs::registers::virtual_function::*;

use super::VirtualFunction;
use crate::config_space::Signalling;
use crate::device::Device;
use crate::interrupt::QueueKind;
use crate::vectors::Table;

#[derive(Debug, Default)]
pub(super) struct Causes {
    causes: u32,
    mask: u32,
    /// Causes that came since they were last told of.
    news: u32,
}

impl Causes {
    pub(super) fn causes(&self) -> u32 {
        self.causes
    }

    pub(super) fn mask(&self) -> u32 {
        self.mask
    }

    /// A read clears all causes.
    pub(super) fn take(&mut self) -> u32 {
        self.clear(u32::MAX)
    }

    /// The causes that there were.
    pub(super) fn clear(&mut self, which: u32) -> u32 {
        let before = self.causes;
        self.causes &= !which;
        self.news &= !which;
        before
    }

    pub(super) fn disable(&mut self, which: u32) {
        self.mask &= !which;
    }

    /// A cause that is there already when it is enabled is news.
    fn enable(&mut self, which: u32) {
        let enabled = which & vteims::VECTORS.mask();
        self.news |= enabled & !self.mask & self.causes;
        self.mask |= enabled;
    }

    fn add(&mut self, which: u32) {
        let which = which & vteics::VECTORS.mask();
        self.causes |= which;
        self.news |= which;
    }
}

impl VirtualFunction {
    /// The vector of a queue, which is one of its own.
    fn vector_of(&self, queue: u32, which: QueueKind) -> Option<u32> {
        let word = self.at(&VTIVAR, queue / 2);
        let (vector, valid) = match (which, queue % 2) {
            (QueueKind::Receive, 0) => (vtivar::RX_EVEN, vtivar::RX_EVEN_VALID),
            (QueueKind::Receive, _) => (vtivar::RX_ODD, vtivar::RX_ODD_VALID),
            (QueueKind::Transmit, 0) => (vtivar::TX_EVEN, vtivar::TX_EVEN_VALID),
            (QueueKind::Transmit, _) => (vtivar::TX_ODD, vtivar::TX_ODD_VALID),
        };
        valid.is_set(word).then(|| vector.of(word))
    }

    fn interval(&self, vector: u32) -> u64 {
        u64::from(vteitr::INTERVAL.of(self.at(&VTEITR, vector))) * 2_000
    }

    pub(super) fn add_causes(&mut self, which: u32, now: u64) {
        self.causes.add(which);
        self.deliver(now);
    }

    pub(super) fn enable_causes(&mut self, which: u32, now: u64) {
        self.causes.enable(which);
        self.deliver(now);
    }

    /// The mailbox, or a reset of the physical function.
    pub(super) fn raise_mailbox(&mut self, now: u64) {
        let word = self.at(&VTIVAR_MISC, 0);
        if vtivar_misc::MAILBOX_VALID.is_set(word) {
            self.add_causes(1 << vtivar_misc::MAILBOX.of(word), now);
        }
    }

    fn signals(&self) -> bool {
        self.vectors.table == Table::AtHost || self.config.signalling() == Signalling::Msix
    }

    /// Sends what is enabled and news.
    pub(super) fn deliver(&mut self, now: u64) {
        self.vectors.look_again();
        let mut left = self.causes.news & self.causes.mask;
        if !self.signals() {
            return;
        }
        while left != 0 {
            let vector = left.trailing_zeros();
            left &= left - 1;
            let interval = self.interval(vector);
            if !self.vectors.must_wait(vector, interval, now) {
                self.told(1 << vector);
                self.vectors.send(vector, &self.config, &mut *self.host.interrupts);
            }
        }
    }

    /// The interrupt for `causes` is on its way: masks and causes clear themselves as configured.
    fn told(&mut self, causes: u32) {
        let (masks, clears) = (self.at(&VTEIAM, 0), self.at(&VTEIAC, 0));
        self.causes.news &= !causes;
        self.causes.mask &= !(causes & masks);
        self.causes.causes &= !(causes & clears);
    }

    /// As after a reset of the function.
    pub(super) fn forget_interrupts(&mut self) {
        self.causes = Causes::default();
        self.vectors.forget_times();
    }

    /// As after a reset of the physical function: that it was reset stays to be read.
    pub(super) fn disable_interrupts(&mut self) {
        self.causes.disable(u32::MAX);
        self.causes.news = 0;
        self.vectors.forget_times();
    }
}

impl Device {
    pub(crate) fn raise_queue_of_function(&mut self, number: usize, queue: u32, which: QueueKind) {
        let index = self.index_in_pool(queue);
        let now = self.now;
        let function = &mut self.virtualization.functions[number];
        if let Some(vector) = function.vector_of(index, which) {
            function.causes.add(1 << vector);
        }
        if !self.faults.is_removed() {
            function.deliver(now);
        }
    }

    /// What passes between two interrupts of a receive queue.
    pub(crate) fn interval_of_function(&self, number: usize, queue: u32) -> u64 {
        let function = &self.virtualization.functions[number];
        let vector = function.vector_of(self.index_in_pool(queue), QueueKind::Receive);
        vector.map_or(0, |vector| function.interval(vector))
    }

    fn index_in_pool(&self, queue: u32) -> u32 {
        self.queues_per_pool().map_or(queue, |count| queue % count)
    }

    /// Moderated interrupts are sent.
    pub(crate) fn deliver_of_functions(&mut self) {
        if !self.faults.is_removed() {
            let now = self.now;
            self.virtualization.functions.iter_mut().for_each(|function| function.deliver(now));
        }
    }

    /// The way of a function's interrupts has changed.
    pub(super) fn interrupts_of_function_changed(&mut self, number: usize) {
        let function = &mut self.virtualization.functions[number];
        function.deliver(self.now);
        function.vectors.send_pending(&function.config, &mut *function.host.interrupts);
    }
}
