//! The EEPROM: words of 16 bits (§6, §8.2.3.2).

use crate::hardware::{Hardware, PATIENCE, Shared};
use crate::ids::Family;
use crate::registers::Until;
use crate::trouble::Trouble;
use linecard_ixgbe_regs::registers::*;

/// §6.3.3.1: what words 0 to 0x3F sum up to, when the pointers' areas are left out.
const SUM: u16 = 0xBABA;

/// The pointers whose areas count too (§6.3.3.1): words 3 to 0xE.
const AREAS: std::ops::RangeInclusive<u16> = 0x03..=0x0E;

/// The pointers of an X540 whose areas do not: its PHY's, and the option ROM's.
const NOT_OF_X540: [u16; 2] = [0x04, 0x05];

/// A word.
pub(crate) fn word(hardware: &Hardware, at: u16) -> Result<u16, Trouble> {
    let registers = &hardware.registers;
    let ask = eerd::ADDR.put(eerd::START.mask(), u32::from(at));
    registers.write(&EERD, ask);
    registers.wait(&Until::set(&EERD, eerd::DONE, PATIENCE))?;
    Ok(registers.field(&EERD, eerd::DATA) as u16)
}

/// Words from `from` on.
pub(crate) fn words(hardware: &Hardware, from: u32, count: u32) -> Result<Vec<u16>, Trouble> {
    let read = || (from..from + count).map(|at| word(hardware, at as u16)).collect();
    hardware.sharing(Shared::Eeprom, read)
}

/// An error unless the checksum is right.
pub(crate) fn check(hardware: &Hardware) -> Result<(), Trouble> {
    let sum = hardware.sharing(Shared::Eeprom, || {
        let mut sum = 0u16;
        for at in 0..0x40 {
            sum = sum.wrapping_add(word(hardware, at)?);
        }
        let is_left_out =
            |pointer: &u16| hardware.family != Family::I82599 && NOT_OF_X540.contains(pointer);
        for pointer in AREAS.filter(|pointer| !is_left_out(pointer)) {
            sum = sum.wrapping_add(area(hardware, pointer)?);
        }
        Ok(sum)
    })?;
    if sum == SUM { Ok(()) } else { Err(Trouble::Eeprom { sum }) }
}

/// The sum of an area: its first word is its length. Absent, or beyond what an EEPROM has: nothing.
fn area(hardware: &Hardware, pointer: u16) -> Result<u16, Trouble> {
    const END: u16 = 0x4000;
    let at = word(hardware, pointer)?;
    if at == 0 || at >= END {
        return Ok(0);
    }
    let length = word(hardware, at)?;
    if length == 0 || length >= END - at {
        return Ok(0);
    }
    (at + 1..=at + length).try_fold(0u16, |sum, at| Ok(sum.wrapping_add(word(hardware, at)?)))
}
