//! The mailbox to the firmware of an X550, which has the EEPROM to itself: a command in memory of the card, a bit that
//! says that it is there, and the answer in the same memory.

use crate::hardware::Hardware;
use crate::registers::{Registers, Until};
use crate::trouble::Trouble;
use linecard_ixgbe_regs::registers::*;
use std::time::Duration;

/// How long the firmware may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// The command that reads the EEPROM, with the length of what follows its header, and no checksum.
const READ: u32 = 0x31 | 6 << 16 | 0xFF << 24;

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
        )?;
        let pairs = (0..some.div_ceil(2)).map(|pair| registers.read_at(&FLEX_MNG, ANSWER + pair));
        let all = pairs.flat_map(|pair| [pair as u16, (pair >> 16) as u16]);
        words.extend(all.take(some as usize));
    }
    Ok(words)
}

/// Has a command done.
fn command(registers: &Registers, words: [u32; 4]) -> Result<(), Trouble> {
    // That it was reset is known: it does not wait for anybody to say so.
    registers.set(&FWSTS, fwsts::FWRI);
    if registers.field(&HICR, hicr::ENABLE) == 0 {
        return Err(Trouble::Firmware { what: "does not listen (HICR.ENABLE)" });
    }
    (0..).zip(words).for_each(|(at, word)| registers.write_at(&FLEX_MNG, at, word));
    registers.set(&HICR, hicr::COMMAND);
    registers.wait(&Until::clear(&HICR, hicr::COMMAND, PATIENCE))?;
    match registers.field(&HICR, hicr::STATUS_VALID) {
        0 => Err(Trouble::Firmware { what: "refused to read the EEPROM (HICR.STATUS_VALID)" }),
        _ => Ok(()),
    }
}
