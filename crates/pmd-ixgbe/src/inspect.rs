//! A look inside: EEPROM, module, registers, firmware; and the lamp.

use crate::eeprom::EepromAccess;
use crate::function::Function;
use crate::ids::{Family, Media};
use crate::port::IxgbePort;
use crate::{eeprom, i2c};
use linecard_ixgbe_regs::Access::{ReadOnly, ReadWrite};
use linecard_ixgbe_regs::Register;
use linecard_ixgbe_regs::registers::*;
use linecard_pmd_core::{Driver, Error, Led, Module, RegisterValue};
use std::ops::Range;

/// Words of the EEPROM that name its contents (§6.2.25): the low half, the high half.
const TRACK_ID: u32 = 0x2D;

/// LEDCTL's modes (§8.2.3.1.4).
const LINK_ACTIVE: u32 = 4;
const LIT: u32 = 0xE;
const DARK: u32 = 0xF;

/// The lamp that is switched if none tells of link and activity.
const USUAL_LAMP: u32 = 2;

/// Bits of LEDCTL that each lamp has.
const LAMP_BITS: u32 = 8;

impl IxgbePort {
    /// Bytes of the EEPROM: 2^(6 + n) words (§8.2.3.2.1).
    pub(crate) fn eeprom_bytes(&mut self, range: Range<usize>) -> Result<Vec<u8>, Error> {
        let size = self.eeprom_size();
        if range.end > size || range.start > range.end {
            let (port, hint) = (self.engine.info.name.clone(), "; it counts bytes".into());
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

    fn eeprom_size(&self) -> usize {
        2 << (6 + self.hardware.registers.field(&EEC, eec::SIZE))
    }

    pub(crate) fn put_eeprom_bytes(&mut self, at: usize, bytes: &[u8]) -> Result<(), Error> {
        if self.eeprom == EepromAccess::Read {
            return Err(self.cannot(
                "write its EEPROM unless asked for IxgbeOptions::eeprom(EepromAccess::Write)",
            ));
        }
        let max = self.eeprom_size();
        let asked = at.saturating_add(bytes.len());
        if asked > max {
            let (port, hint) = (self.engine.info.name.clone(), "; it counts bytes".into());
            return Err(Error::Range { port, what: "EEPROM byte", asked, min: 0, max, hint });
        }
        let written = eeprom::write(&self.hardware, at, bytes);
        self.at("write the EEPROM", written)
    }

    /// Every register that the driver knows and that reading does not change.
    pub(crate) fn every_register(&self) -> Result<Vec<RegisterValue>, Error> {
        // Reading the high half of a stamp gives its place away; an X540 gives a semaphore.
        let is_x540 = self.hardware.family != Family::I82599;
        let is_x550 = self.hardware.family == Family::X550;
        let kept = [
            RXSTMPH.name,
            TXSTMPH.name,
            if is_x540 { SW_FW_SYNC.name } else { "" },
            if is_x550 { "" } else { ERETA.name },
        ];
        let all = linecard_ixgbe_regs::all().filter(|register| !kept.contains(&register.name));
        values(&self.hardware.function, all)
            .ok_or_else(|| Error::Gone { port: self.engine.info.name.clone() })
    }

    pub(crate) fn module_memory(&self) -> Result<Module, Error> {
        match (self.hardware.family, self.hardware.media) {
            (Family::I82599, Media::Sfp) => self.at("read the module", i2c::module(&self.hardware)),
            (Family::X550, Media::Sfp) => {
                Err(self.cannot("reach a module that its firmware keeps"))
            }
            _ => Err(self.cannot("show a module without an SFP+ cage")),
        }
    }

    /// The track id of the EEPROM: what vendors name their releases by.
    pub(crate) fn firmware_version(&self) -> Result<String, Error> {
        let words = self.at("read the EEPROM", eeprom::words(&self.hardware, TRACK_ID, 2))?;
        match words[..] {
            [0xFFFF, 0xFFFF] => Err(self.refused("the EEPROM has no track id".into())),
            [low, high] => Ok(format!("{:#010x}", u32::from(high) << 16 | u32::from(low))),
            _ => Err(self.refused("the EEPROM is too short for a track id".into())),
        }
    }

    /// Switches the lamp that tells of link and activity.
    pub(crate) fn switch_lamp(&mut self, led: Led) {
        let registers = &self.hardware.registers;
        let normal = *self.lamps.get_or_insert_with(|| registers.read(&LEDCTL));
        let mode = |lamp: u32| normal >> (LAMP_BITS * lamp) & 0xF;
        let lamp = (0..4).find(|lamp| mode(*lamp) == LINK_ACTIVE).unwrap_or(USUAL_LAMP);
        let word = |mode: u32| normal & !(0xFF << (LAMP_BITS * lamp)) | mode << (LAMP_BITS * lamp);
        registers.write(
            &LEDCTL,
            match led {
                Led::On => word(LIT),
                Led::Off => word(DARK),
                Led::Normal => normal,
            },
        );
    }
}

/// The registers that reading does not change. `None` if nobody answers.
pub(crate) fn values(
    function: &Function,
    registers: impl Iterator<Item = &'static Register>,
) -> Option<Vec<RegisterValue>> {
    if function.is_gone() {
        return None;
    }
    let still = registers.filter(|r| matches!(r.access, ReadOnly | ReadWrite));
    let each = still.flat_map(|register| {
        (0..register.count()).filter_map(move |index| Some((register, index, register.at(index)?)))
    });
    let value = |(register, index, offset): (&'static Register, u32, u32)| {
        let value = function.registers.read_at(register, index);
        RegisterValue { name: register.name, index, offset, value }
    };
    Some(each.map(value).collect())
}
