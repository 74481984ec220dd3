//! The card itself: its resets and semaphores.

use crate::function::{Function, Kind};
use crate::ids::{Family, Media};
use crate::registers::{Registers, Until};
use crate::trouble::Trouble;
use linecard_eal::device::{Device, DmaMemory};
use linecard_ixgbe_regs::registers::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the card's own work may take; the datasheet's figures are far below.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// §4.6.3.2: between a reset and the next access of the registers.
const AFTER_RESET: Duration = Duration::from_millis(10);

/// §5.2.5.3.2: until buffers are empty.
const FLUSH: Duration = Duration::from_micros(20);

/// How long a driver may have SMBI, under which it changes one register: many times what that takes.
const SMBI_HELD: Duration = Duration::from_millis(100);

/// Resources that driver and firmware share (§10.5.4).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shared {
    Eeprom,
    /// The EEPROM, and the mailbox to the firmware that has it.
    Mailbox,
    Phy,
    MacCsr,
}

/// A card, by its physical function.
#[derive(Debug)]
pub(crate) struct Hardware {
    pub(crate) family: Family,
    pub(crate) media: Media,
    /// The function's.
    pub(crate) registers: Registers,
    pub(crate) function: Arc<Function>,
}

impl Hardware {
    pub(crate) fn new(
        device: Box<dyn Device>,
        (family, media): (Family, Media),
    ) -> Result<Self, Trouble> {
        let function = Function::new(device, Kind::Physical)?;
        let registers = function.registers.clone();
        Ok(Hardware { family, media, registers, function: Arc::new(function) })
    }

    /// Which of the card's ports this is.
    fn port(&self) -> u32 {
        self.registers.field(&STATUS, status::LAN_ID) & 1
    }

    /// Stops all requests of the device on the bus, and resets it (§4.2.1.6.1, §4.6.3.2).
    pub(crate) fn reset(&self) -> Result<(), Trouble> {
        let registers = &self.registers;
        self.function.silence();
        registers.set(&CTRL, ctrl::GIO_DISABLE);
        // A device with requests under way is reset all the same: twice, as the datasheet wants it.
        let idle = registers.wait(&Until::clear(&STATUS, status::GIO_ENABLE, PATIENCE / 10));
        if idle.is_err() {
            self.flush();
        }
        for _ in 0..if idle.is_ok() { 1 } else { 2 } {
            registers.set(&CTRL, ctrl::RST);
            std::thread::sleep(AFTER_RESET);
            registers.wait(&Until::clear(&CTRL, ctrl::RST, PATIENCE))?;
        }
        self.function.silence();
        registers.wait(&Until::set(&EEC, eec::AUTO_RD, PATIENCE))?;
        registers.wait(&Until::set(&RDRXCTL, rdrxctl::DMAIDONE, PATIENCE))?;
        self.function.release();
        Ok(())
    }

    /// §5.2.5.3.2: empties the way of what is to be sent, into nothing, so that a reset is safe though
    /// requests did not end.
    fn flush(&self) {
        let registers = &self.registers;
        registers.set(&HLREG0, hlreg0::LPBK);
        registers.clear(&RXCTRL, rxctrl::RXEN);
        registers.set(&GCR_EXT, gcr_ext::BUFFERS_CLEAR);
        registers.flush();
        std::thread::sleep(FLUSH);
        registers.clear(&GCR_EXT, gcr_ext::BUFFERS_CLEAR);
        registers.clear(&HLREG0, hlreg0::LPBK);
    }

    /// Does something with a resource that the firmware may want too (§10.5.4).
    pub(crate) fn sharing<R>(
        &self,
        what: Shared,
        work: impl FnOnce() -> Result<R, Trouble>,
    ) -> Result<R, Trouble> {
        let (ours, theirs) = self.bits(what);
        let begin = Instant::now();
        loop {
            let word =
                self.with_semaphore(|word| (word & (ours | theirs) == 0).then_some(word | ours))?;
            if word & (ours | theirs) == 0 {
                break;
            }
            // The firmware may hold it for up to 3 s; a driver that died, for ever: then it is ours.
            if begin.elapsed() > 3 * PATIENCE {
                self.with_semaphore(|word| Some((word & !theirs) | ours))?;
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let done = work();
        self.with_semaphore(|word| Some(word & !ours))?;
        done
    }

    fn bits(&self, what: Shared) -> (u32, u32) {
        let second = self.port() == 1;
        let (ours, theirs) = match what {
            Shared::Mailbox => {
                let both = sw_fw_sync::SW_EEPROM.mask() | sw_fw_sync::SW_MNG.mask();
                // While the hardware has the flash, the firmware is busy with it.
                return (both, sw_fw_sync::FW_EEPROM.mask() | sw_fw_sync::SW_FLASH.mask());
            }
            Shared::Eeprom => (sw_fw_sync::SW_EEPROM, sw_fw_sync::FW_EEPROM),
            Shared::Phy if second => (sw_fw_sync::SW_PHY1, sw_fw_sync::FW_PHY1),
            Shared::Phy => (sw_fw_sync::SW_PHY0, sw_fw_sync::FW_PHY0),
            Shared::MacCsr => (sw_fw_sync::SW_MAC_CSR, sw_fw_sync::FW_MAC_CSR),
        };
        (ours.mask(), theirs.mask())
    }

    /// Changes SW_FW_SYNC as `change` says of it, under the semaphore of drivers and that of
    /// driver and firmware; says what it was.
    fn with_semaphore(&self, change: impl FnOnce(u32) -> Option<u32>) -> Result<u32, Trouble> {
        let registers = &self.registers;
        // Reading SMBI takes it: 0 says that it is ours. A driver that does not give it back has died with it.
        match registers.wait(&Until::clear(&SWSM, swsm::SMBI, SMBI_HELD)) {
            Ok(()) | Err(Trouble::Late { .. }) => {}
            Err(gone) => return Err(gone),
        }
        self.shut_firmware_out();
        let before = registers.read(&SW_FW_SYNC) & !sw_fw_sync::REGSMP.mask();
        match change(before) {
            Some(after) => registers.write(&SW_FW_SYNC, after),
            // That gives REGSMP back.
            None if self.family != Family::I82599 => registers.write(&SW_FW_SYNC, before),
            None => {}
        }
        let both = swsm::SMBI.mask() | swsm::SWESMBI.mask();
        registers.write(&SWSM, registers.read(&SWSM) & !both);
        Ok(before)
    }

    /// The semaphore of driver and firmware, which is elsewhere in an X540. A firmware that does not give
    /// it in time has died.
    fn shut_firmware_out(&self) {
        let registers = &self.registers;
        let begin = Instant::now();
        let is_ours = || match self.family {
            Family::I82599 => {
                registers.set(&SWSM, swsm::SWESMBI);
                registers.field(&SWSM, swsm::SWESMBI) == 1
            }
            _ => registers.field(&SW_FW_SYNC, sw_fw_sync::REGSMP) == 0,
        };
        while !is_ours() && begin.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
    }
}

/// Memory for all rings of a port.
pub(crate) type Arena = Arc<DmaMemory>;
