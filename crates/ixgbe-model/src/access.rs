//! Reads and writes of registers, with their effects.

use linecard_ixgbe_regs::registers::*;

use crate::device::Device;
use crate::effect::{Effect, Slot, slot};

impl Device {
    pub(crate) fn read_register(&mut self, offset: u32) -> u32 {
        let slot = self.slot(offset);
        let value = self.read_slot(slot);
        self.lateness.seen(slot.home, value)
    }

    fn slot(&mut self, offset: u32) -> Slot {
        let slot = slot(offset);
        if !slot.is_known {
            self.journal.unknown(slot.home);
        }
        slot
    }

    fn read_slot(&mut self, slot: Slot) -> u32 {
        let stored = self.file.word(slot.home);
        match slot.effect {
            Effect::Counter | Effect::Tsicr => self.read_counter(slot.home, stored),
            Effect::Status => self.status(stored),
            Effect::I2cctl => self.module.levels(),
            Effect::Eec => self.nonvolatile.spi.eec(stored),
            Effect::Swsm => self.read_swsm(stored),
            Effect::Links => self.link.links(self.family),
            Effect::Esdp => self.link.pins(stored),
            Effect::Eicr => self.read_eicr(),
            Effect::Eics | Effect::EicsEx => self.interrupting.causes_without_clearing(slot),
            Effect::Eims | Effect::EimsEx | Effect::Eimc | Effect::EimcEx => {
                self.interrupting.mask_word(slot)
            }
            // A path is empty as soon as it is closed; of one that is open nothing is said.
            Effect::Sectxstat => {
                let closed = self.file.has(&SECTXCTRL, sectxctrl::TX_DIS);
                sectxstat::RDY.put(stored, closed.into())
            }
            Effect::Secrxstat => {
                let closed = self.file.has(&SECRXCTRL, secrxctrl::RX_DIS);
                secrxstat::RDY.put(stored, closed.into())
            }
            Effect::SystemTime => self.system_time(slot.home),
            Effect::RxStampHigh => self.take_stamp(&TSYNCRXCTL, stored),
            Effect::TxStampHigh => self.take_stamp(&TSYNCTXCTL, stored),
            Effect::Pfmailbox => self.read_mailbox(slot.index.into()),
            Effect::Pfvflrec => self.functions_reset(slot.index.into()),
            _ => stored,
        }
    }

    fn read_counter(&mut self, home: u32, stored: u32) -> u32 {
        self.file.set_word(home, 0);
        stored
    }

    /// SMBI: the first who reads has it.
    fn read_swsm(&mut self, stored: u32) -> u32 {
        self.file.set(&SWSM, 0, stored | swsm::SMBI.mask());
        stored
    }

    fn status(&self, stored: u32) -> u32 {
        let idle = self.file.has(&CTRL, ctrl::GIO_DISABLE) && !self.faults.endless_requests;
        let stored = status::GIO_ENABLE.put(stored, u32::from(!idle));
        status::LINK_UP.put(stored, u32::from(self.link.is_up()))
    }

    pub(crate) fn write_register(&mut self, offset: u32, value: u32) {
        let slot = self.slot(offset);
        self.journal.written(slot.home, value);
        self.write_slot(slot, value);
    }

    /// By whichever function's window.
    pub(crate) fn write_slot(&mut self, slot: Slot, value: u32) {
        let before = self.file.word(slot.home);
        if !matches!(
            slot.effect,
            Effect::Constant
                | Effect::Status
                | Effect::Links
                | Effect::Sectxstat
                | Effect::Secrxstat
        ) {
            self.file.set_word(slot.home, merge(before, value, slot.writable));
        }
        self.after_write(slot, before, value);
    }

    fn after_write(&mut self, slot: Slot, before: u32, value: u32) {
        let index = u32::from(slot.index);
        match slot.effect {
            Effect::Counter => self.file.set_word(slot.home, 0),
            Effect::Ctrl => self.write_ctrl(value),
            Effect::I2cctl => self.module.drive(value),
            Effect::Eec => self.write_eec(before, value),
            Effect::Eerd => self.write_eerd(value),
            Effect::Eewr => self.write_eewr(before, value),
            Effect::Swsm => self.file.set(&SWSM, 0, value & 0b11),
            Effect::Msca => self.write_msca(value),
            Effect::Autoc => self.write_autoc(before, value),
            Effect::Esdp => self.update_light(),
            Effect::Eicr => self.write_eicr(value),
            Effect::Eics | Effect::EicsEx => self.set_causes(slot, value),
            Effect::Eims | Effect::EimsEx => self.enable_causes(slot, value),
            Effect::Eimc | Effect::EimcEx => self.disable_causes(slot, value),
            Effect::Rxdctl => self.write_rxdctl(index, before, value),
            Effect::Rdt => self.write_rdt(index, before),
            Effect::Rxctrl | Effect::Fctrl => self.run_receive(),
            Effect::Txdctl => self.write_txdctl(index, before, value),
            Effect::Tdt => self.write_tdt(index, before),
            Effect::Dmatxctl => self.run_transmit(),
            Effect::Fdirctrl => self.write_fdirctrl(value),
            Effect::Fdircmd => self.write_fdircmd(value),
            Effect::SystemTime => self.write_system_time(slot.home, value),
            Effect::ClockRate => self.change_rate(slot.home, before),
            Effect::Tsicr => self.write_tsicr(before, value),
            Effect::Rttbcnrc => self.write_rate_limit(value),
            Effect::Hicr => self.write_hicr(before, value),
            _ => self.after_write_of_pools(slot, before, value),
        }
    }

    /// Resets are done at once; the bits clear themselves.
    fn write_ctrl(&mut self, value: u32) {
        if ctrl::RST.is_set(value) || ctrl::LRST.is_set(value) {
            self.reset();
            self.late(&CTRL, 0, ctrl::RST.mask() | ctrl::LRST.mask(), value);
        }
    }
}

fn merge(before: u32, value: u32, writable: u32) -> u32 {
    (before & !writable) | (value & writable)
}
