//! Resets of virtual functions, and what one of the physical function does to them (§4.2.2).

use linecard_ixgbe_regs::registers::*;

use super::window::QUEUE_REGISTERS;
use super::{VirtualFunction, Virtualization};
use crate::device::Device;

impl VirtualFunction {
    /// The physical function is reset, and all queues with it. The mailbox's interrupt is the last.
    fn physical_is_reset(&mut self, now: u64) {
        self.mailbox.physical_is_reset();
        self.raise_mailbox(now);
        self.disable_interrupts();
        self.words.fill(0);
        self.host.dma.forget();
    }
}

impl Device {
    /// What a reset of the physical function does to the others, after that of the registers.
    pub(crate) fn reset_functions(&mut self) {
        let Virtualization { functions, is_ready, drops } = &mut self.virtualization;
        (*is_ready, *drops) = (false, 0);
        functions.iter_mut().for_each(|function| function.physical_is_reset(self.now));
    }

    /// What VFCTRL.RST, or a function level reset, does: the counters stay.
    pub(super) fn reset_virtual(&mut self, number: usize) {
        for index in 0..self.queues_per_pool().unwrap_or(0) {
            if let Some(queue) = self.queue_of_function(number, index) {
                self.reset_queue(queue);
            }
        }
        self.file.set(&PSRTYPE, number as u32, 0);
        for register in [&PFVFRE, &PFVFTE] {
            let (index, bit) = (number as u32 / 32, number % 32);
            let word = self.file.at(register, index) & !(1 << bit);
            self.file.set(register, index, word);
        }
        let function = &mut self.virtualization.functions[number];
        function.forget_interrupts();
        function.forget_registers();
        function.mailbox.forget();
        function.host.dma.forget();
        self.tell_of_reset(number);
        self.run_receive();
    }

    /// Off, with nothing of it left: no descriptor is written after it.
    fn reset_queue(&mut self, queue: u32) {
        for register in QUEUE_REGISTERS.iter().map(|(_, register)| register) {
            self.file.reset_element(register, queue);
        }
        self.forget_contexts(queue);
        self.faults.deferred.retain(|deferred| deferred.queue != queue);
        self.transmitting.forget(queue);
    }
}
