//! A look inside: EEPROM and registers.

use crate::eeprom;
use crate::port::IxgbePort;
use linecard_ixgbe_regs::Access::{ReadOnly, ReadWrite};
use linecard_ixgbe_regs::registers::*;
use linecard_pmd_core::{Error, RegisterValue};
use std::ops::Range;

impl IxgbePort {
    /// Bytes of the EEPROM: 2^(6 + n) words (§8.2.3.2.1).
    pub(crate) fn eeprom_bytes(&mut self, range: Range<usize>) -> Result<Vec<u8>, Error> {
        let size = 2 << (6 + self.hardware.registers.field(&EEC, eec::SIZE));
        if range.end > size || range.start > range.end {
            let (port, hint) = (self.info.name.clone(), "; it counts bytes".into());
            let asked = range.end.max(range.start);
            return Err(Error::Range { port, what: "EEPROM byte", asked, min: 0, max: size, hint });
        }
        let words = range.start as u32 / 2..range.end.div_ceil(2) as u32;
        let read =
            eeprom::words(&self.hardware, words.start, words.end.saturating_sub(words.start));
        let words = self.at("read the EEPROM", read)?;
        let bytes = words.into_iter().flat_map(u16::to_le_bytes);
        Ok(bytes.skip(range.start % 2).take(range.len()).collect())
    }

    /// Every register that the driver knows and that reading does not change.
    pub(crate) fn every_register(&self) -> Result<Vec<RegisterValue>, Error> {
        if self.hardware.is_gone() {
            return Err(Error::Gone { port: self.info.name.clone() });
        }
        let still = linecard_ixgbe_regs::all().filter(|r| matches!(r.access, ReadOnly | ReadWrite));
        // Reading the high half of a stamp gives its place away.
        let still = still.filter(|r| ![RXSTMPH.name, TXSTMPH.name].contains(&r.name));
        let each = still.flat_map(|register| {
            (0..register.count())
                .filter_map(move |index| Some((register, index, register.at(index)?)))
        });
        let value =
            |(register, index, offset): (&'static linecard_ixgbe_regs::Register, u32, u32)| {
                let value = self.hardware.registers.read_at(register, index);
                RegisterValue { name: register.name, index, offset, value }
            };
        Ok(each.map(value).collect())
    }
}
