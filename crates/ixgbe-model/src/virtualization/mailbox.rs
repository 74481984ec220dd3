//! Mailboxes between virtual functions and the physical one: sixteen words that both see, a lock, and two
//! bells each way (§7.10.2.9.1, §8.2.3.27, §8.3).

use linecard_ixgbe_regs::registers::virtual_function::*;
use linecard_ixgbe_regs::registers::*;

use super::VirtualFunction;
use crate::device::Device;

/// Words of memory of each mailbox.
pub(super) const WORDS: u32 = 16;

/// Functions whose bells share one register.
const BELLS: u32 = 16;

/// The bits of VFMAILBOX.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    is_virtuals: bool,
    is_physicals: bool,
    /// PFSTS, PFACK and RSTD, until they are read.
    told: u32,
    /// The physical function has been reset, and is not ready.
    is_resetting: bool,
}

impl Mailbox {
    /// What the virtual function reads; what it has been told of is cleared.
    fn read(&mut self) -> u32 {
        let told = std::mem::take(&mut self.told);
        let told = vfmailbox::RSTI.put(told, u32::from(self.is_resetting));
        let told = vfmailbox::VFU.put(told, u32::from(self.is_virtuals));
        vfmailbox::PFU.put(told, u32::from(self.is_physicals))
    }

    /// What the physical function reads.
    fn read_by_physical(&self) -> u32 {
        let word = pfmailbox::VFU.put(0, u32::from(self.is_virtuals));
        pfmailbox::PFU.put(word, u32::from(self.is_physicals))
    }

    /// Neither has the memory, and nothing is told.
    pub(super) fn forget(&mut self) {
        *self = Self {
            is_resetting: self.is_resetting,
            told: self.told & vfmailbox::RSTD.mask(),
            ..Self::default()
        };
    }

    pub(super) fn physical_is_reset(&mut self) {
        *self = Self { is_resetting: true, ..Self::default() };
    }

    fn physical_is_ready(&mut self) {
        self.is_resetting = false;
        self.told |= vfmailbox::RSTD.mask();
    }
}

impl VirtualFunction {
    pub(super) fn read_mailbox(&mut self) -> u32 {
        self.mailbox.read()
    }
}

impl Device {
    /// The memory is whose who asked first, until it is given back.
    pub(super) fn write_mailbox_of_function(&mut self, number: usize, value: u32) {
        let mailbox = &mut self.virtualization.functions[number].mailbox;
        mailbox.is_virtuals = vfmailbox::VFU.is_set(value) && !mailbox.is_physicals;
        let (index, bell) = (number as u32 / BELLS, number as u32 % BELLS);
        let rung = vfmailbox::REQ.of(value) << bell | vfmailbox::ACK.of(value) << (bell + BELLS);
        if rung != 0 {
            let rings = self.file.at(&PFMBICR, index) | rung;
            self.file.set(&PFMBICR, index, rings);
            self.raise_mailbox(number);
        }
    }

    /// Tells the physical function, if it wants to know of this one.
    fn raise_mailbox(&mut self, number: usize) {
        let wanted = self.file.at(&PFMBIMR, number as u32 / 32);
        if wanted >> (number % 32) & 1 != 0 {
            self.raise(eicr::MAILBOX);
        }
    }

    pub(crate) fn read_mailbox(&self, number: u32) -> u32 {
        let function = self.virtualization.functions.get(number as usize);
        function.map_or(0, |function| function.mailbox.read_by_physical())
    }

    pub(super) fn write_mailbox(&mut self, number: u32, value: u32) {
        let now = self.now;
        let Some(function) = self.virtualization.functions.get_mut(number as usize) else { return };
        let mailbox = &mut function.mailbox;
        if pfmailbox::RVFU.is_set(value) {
            mailbox.is_virtuals = false;
        }
        mailbox.is_physicals = pfmailbox::PFU.is_set(value) && !mailbox.is_virtuals;
        let told = vfmailbox::PFSTS.put(0, pfmailbox::STS.of(value));
        let told = vfmailbox::PFACK.put(told, pfmailbox::ACK.of(value));
        if told != 0 {
            mailbox.told |= told;
            function.raise_mailbox(now);
        }
    }

    /// The driver of the physical function is ready: RSTI goes, RSTD comes.
    pub(super) fn physical_is_ready(&mut self) {
        self.virtualization.is_ready = true;
        for function in &mut self.virtualization.functions {
            function.mailbox.physical_is_ready();
        }
    }

    /// A virtual function has been reset: PFVFLRE says which.
    pub(super) fn tell_of_reset(&mut self, number: usize) {
        let register = if number < 32 { &PFVFLRE } else { &PFVFLRE1 };
        let word = self.file.get(register) | 1 << (number % 32);
        self.file.set(register, 0, word);
        self.raise_mailbox(number);
    }

    /// PFVFLREC reads as PFVFLRE, which is where an X540's driver looks.
    pub(crate) fn functions_reset(&self, index: u32) -> u32 {
        self.file.get(if index == 0 { &PFVFLRE } else { &PFVFLRE1 })
    }

    pub(super) fn clear_functions_reset(&mut self, index: u32, value: u32) {
        let register = if index == 0 { &PFVFLRE } else { &PFVFLRE1 };
        self.file.set(register, 0, self.functions_reset(index) & !value);
    }
}
