//! The EEPROM: words of 16 bits (§6, §8.2.3.2).

use crate::hardware::{Hardware, PATIENCE, Shared};
use crate::ids::Family;
use crate::registers::Until;
use crate::trouble::Trouble;
use crate::{mailbox, spi};
use linecard_ixgbe_regs::registers::*;
use std::time::Duration;

/// What may be done with a card's EEPROM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EepromAccess {
    /// It is read.
    #[default]
    Read,
    /// It is written as well, with [`Port::write_eeprom`](linecard_pmd_core::Port::write_eeprom). The driver sees to the
    /// checksum; what the other words mean is the caller's business, and a wrong one can make the card useless.
    Write,
}

/// The word that makes the sum right.
const CHECKSUM: u32 = 0x3F;

/// How long an X540 may take to copy its shadow RAM to the flash.
const COPY: Duration = Duration::from_secs(5);

/// §6.3.3.1: what words 0 to 0x3F sum up to, when the pointers' areas are left out.
const SUM: u16 = 0xBABA;

/// Words that the sum is about besides areas, and the last that an X550's is.
const OWN: u32 = 0x40;
const OWN_OF_X550: u32 = 0x42;

/// The pointers whose areas count too (§6.3.3.1): words 3 to 0xE, and of an X550 from 2 on.
const AREAS: std::ops::RangeInclusive<u32> = 0x03..=0x0E;
const AREAS_OF_X550: std::ops::RangeInclusive<u32> = 0x02..=0x0E;

/// The pointers of an X540 and an X550 whose areas do not: the PHY's, and the option ROM's.
const NEVER: [u32; 2] = [0x04, 0x05];

/// Areas of an X550 that do not begin with their length, and their words.
const LENGTHS_OF_X550: [(u32, u16); 3] = [(0x06, 0x24), (0x07, 0x08), (0x08, 0x08)];

/// What is beyond an EEPROM.
const END: u16 = 0x4000;

/// Words from `from` on.
pub(crate) fn words(hardware: &Hardware, from: u32, count: u32) -> Result<Vec<u16>, Trouble> {
    sharing(hardware, || read(hardware, from, count))
}

fn sharing<R>(
    hardware: &Hardware,
    work: impl FnOnce() -> Result<R, Trouble>,
) -> Result<R, Trouble> {
    let what = if hardware.family == Family::X550 { Shared::Mailbox } else { Shared::Eeprom };
    hardware.sharing(what, work)
}

/// Words, by whoever has them: a register, or the firmware.
fn read(hardware: &Hardware, from: u32, count: u32) -> Result<Vec<u16>, Trouble> {
    match hardware.family {
        Family::X550 => mailbox::read(hardware, from, count),
        _ => (from..from + count).map(|at| word(hardware, at)).collect(),
    }
}

fn word(hardware: &Hardware, at: u32) -> Result<u16, Trouble> {
    let registers = &hardware.registers;
    registers.write(&EERD, eerd::ADDR.put(eerd::START.mask(), at));
    registers.wait(&Until::set(&EERD, eerd::DONE, PATIENCE))?;
    Ok(registers.field(&EERD, eerd::DATA) as u16)
}

/// An error unless the checksum is right.
pub(crate) fn check(hardware: &Hardware) -> Result<(), Trouble> {
    let sum = sharing(hardware, || sum(hardware))?;
    if sum == SUM { Ok(()) } else { Err(Trouble::Eeprom { sum }) }
}

/// The sum of all that counts. The caller has the EEPROM.
fn sum(hardware: &Hardware) -> Result<u16, Trouble> {
    let (count, areas) = match hardware.family {
        Family::X550 => (OWN_OF_X550, AREAS_OF_X550),
        _ => (OWN, AREAS),
    };
    let never = if hardware.family == Family::I82599 { &[][..] } else { &NEVER };
    let own = read(hardware, 0, count)?;
    let mut sum = total(&own);
    for pointer in areas.filter(|pointer| !never.contains(pointer)) {
        sum = sum.wrapping_add(area(hardware, pointer, own[pointer as usize])?);
    }
    Ok(sum)
}

/// Writes bytes from byte `at` on, then the checksum, and has them kept. What is there already is not written again; nor
/// is the checksum's word as anybody wants it.
pub(crate) fn write(hardware: &Hardware, at: usize, bytes: &[u8]) -> Result<(), Trouble> {
    if bytes.is_empty() {
        return Ok(());
    }
    let first = at as u32 / 2;
    let count = (at + bytes.len()).div_ceil(2) as u32 - first;
    sharing(hardware, || {
        let before = read(hardware, first, count)?;
        let mut new: Vec<u8> = before.iter().flat_map(|word| word.to_le_bytes()).collect();
        new[at % 2..][..bytes.len()].copy_from_slice(bytes);
        let words = new.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let changed = (first..).zip(words.zip(before)).filter(|(at, _)| *at != CHECKSUM);
        for (at, (word, before)) in changed {
            if word != before {
                put(hardware, at, word)?;
            }
        }
        let missing = SUM.wrapping_sub(sum(hardware)?);
        if missing != 0 {
            let checksum = read(hardware, CHECKSUM, 1)?[0];
            put(hardware, CHECKSUM, checksum.wrapping_add(missing))?;
        }
        keep(hardware)
    })
}

/// Writes a word, and sees that it is there.
fn put(hardware: &Hardware, at: u32, word: u16) -> Result<(), Trouble> {
    let registers = &hardware.registers;
    match hardware.family {
        Family::I82599 => spi::write(registers, at, word)?,
        Family::X540 => {
            registers.wait(&Until::set(&EEWR, eewr::DONE, PATIENCE))?;
            let order = eewr::DATA.put(eewr::START.mask(), word.into());
            registers.write(&EEWR, eewr::ADDR.put(order, at));
            registers.wait(&Until::set(&EEWR, eewr::DONE, PATIENCE))?;
        }
        Family::X550 => mailbox::write(hardware, at, word)?,
    }
    let there = read(hardware, at, 1)?[0];
    if there == word { Ok(()) } else { Err(Trouble::Unwritten { at, word, there }) }
}

/// An X540 and an X550 have written to a shadow RAM, which the flash is to follow.
fn keep(hardware: &Hardware) -> Result<(), Trouble> {
    let registers = &hardware.registers;
    match hardware.family {
        Family::I82599 => Ok(()),
        Family::X540 => {
            registers.wait(&Until::set(&EEC, eec::FLUDONE, COPY))?;
            registers.set(&EEC, eec::FLUPD);
            registers.wait(&Until::set(&EEC, eec::FLUDONE, COPY))
        }
        Family::X550 => mailbox::save(hardware),
    }
}

fn total(words: &[u16]) -> u16 {
    words.iter().fold(0, |sum, word| sum.wrapping_add(*word))
}

/// The sum of an area, which most have begin with its length. Absent, or beyond what an EEPROM has: nothing.
fn area(hardware: &Hardware, pointer: u32, at: u16) -> Result<u16, Trouble> {
    if at == 0 || at >= END {
        return Ok(0);
    }
    let fixed = LENGTHS_OF_X550.iter().find(|(of, _)| *of == pointer);
    let (at, length) = match fixed.filter(|_| hardware.family == Family::X550) {
        Some((_, length)) => (at, *length),
        None => (at + 1, read(hardware, at.into(), 1)?[0]),
    };
    if length == 0 || length >= END - at {
        return Ok(0);
    }
    Ok(total(&read(hardware, at.into(), length.into())?))
}
