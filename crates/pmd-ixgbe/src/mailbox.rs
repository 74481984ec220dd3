//! The mailbox to the firmware of an X550, which has the EEPROM to itself: a command in memory of the card, a bit that
//! says that it is there, and the answer in the same memory.

use crate::hardware::Hardware;
use crate::registers::{Registers, Until};
use crate::trouble::Trouble;
use linecard_ixgbe_regs::registers::*;
use std::time::Duration;

/// How long the firmware may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// Commands that read the EEPROM, write a word of it, and copy it to the flash, with the length of what follows their
/// header, and no checksum.
const READ: u32 = 0x31 | 6 << 16 | 0xFF << 24;
const WRITE: u32 = 0x33 | 10 << 16 | 0xFF << 24;
const SAVE: u32 = 0x36 | 0xFF << 24;

/// What an answer's header says of a command that was done.
const DONE: u32 = 1;

/// Words of one read.
const MOST: u32 = 512;

/// Where an answer's words begin, in words of 32 bits.
const ANSWER: u32 = 3;

/// Words of the EEPROM from `from` on. The caller has the mailbox and the EEPROM to itself.
pub(crate) fn read(hardware: &Hardware, from: u32, count: u32) -> Result<Vec<u16>, Trouble> {
    let registers = &hardware.registers;
    let mut words = Vec::with_capacity(count as usize);
    while words.len() < count as usize {
        let at = from + words.len() as u32;
        let some = (from + count - at).min(MOST);
        // Address and length count bytes, the highest first.
        command(
            registers,
            [READ, (2 * at).swap_bytes(), u32::from((2 * some as u16).swap_bytes()), 0],
            "refused to read the EEPROM (HICR.STATUS_VALID)",
        )?;
        let pairs = (0..some.div_ceil(2)).map(|pair| registers.read_at(&FLEX_MNG, ANSWER + pair));
        let all = pairs.flat_map(|pair| [pair as u16, (pair >> 16) as u16]);
        words.extend(all.take(some as usize));
    }
    Ok(words)
}

/// Writes a word of the EEPROM's shadow RAM. The caller has both to itself.
pub(crate) fn write(hardware: &Hardware, at: u32, word: u16) -> Result<(), Trouble> {
    const REFUSED: &str = "refused to write the EEPROM";
    let registers = &hardware.registers;
    let bytes = u32::from(2u16.swap_bytes());
    command(registers, [WRITE, (2 * at).swap_bytes(), bytes, word.into()], REFUSED)?;
    match registers.read_at(&FLEX_MNG, 0) >> 16 & 0x1F {
        DONE => Ok(()),
        _ => Err(Trouble::Firmware { what: REFUSED }),
    }
}

/// Has the shadow RAM copied to the flash.
pub(crate) fn save(hardware: &Hardware) -> Result<(), Trouble> {
    command(&hardware.registers, [SAVE, 0, 0, 0], "refused to keep the EEPROM")
}

/// Has a command done.
fn command(registers: &Registers, words: [u32; 4], refused: &'static str) -> Result<(), Trouble> {
    // That it was reset is known: it does not wait for anybody to say so.
    registers.set(&FWSTS, fwsts::FWRI);
    if registers.field(&HICR, hicr::ENABLE) == 0 {
        return Err(Trouble::Firmware { what: "does not listen (HICR.ENABLE)" });
    }
    (0..).zip(words).for_each(|(at, word)| registers.write_at(&FLEX_MNG, at, word));
    registers.set(&HICR, hicr::COMMAND);
    registers.wait(&Until::clear(&HICR, hicr::COMMAND, PATIENCE))?;
    match registers.field(&HICR, hicr::STATUS_VALID) {
        0 => Err(Trouble::Firmware { what: refused }),
        _ => Ok(()),
    }
}
