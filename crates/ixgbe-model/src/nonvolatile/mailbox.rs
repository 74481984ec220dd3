//! The mailbox to an X550's firmware (HICR and its memory), by which its EEPROM is read and written.

use linecard_ixgbe_regs::registers::*;

use super::{CHECKSUM_WORD, Way, sum};
use crate::device::Device;
use crate::family::Family;
use crate::fault::MailboxFault;

/// Commands: read what the firmware has of the EEPROM; write a word of it; copy it to the flash; be told of a driver's
/// version, short and long.
const READ: u32 = 0x31;
const WRITE: u32 = 0x33;
const SAVE: u32 = 0x36;
const VERSION: [u32; 2] = [0xDD, 0xDF];

/// Bytes of a command behind its header.
const READ_LENGTH: u32 = 6;
const WRITE_LENGTH: u32 = 10;
const SAVE_LENGTH: u32 = 0;

/// Instead of a checksum.
const NO_CHECKSUM: u32 = 0xFF;

/// Most bytes of one read.
const MOST: u32 = 1024;

/// Where the words of an answer begin, in words of 32 bits.
const DATA: u32 = 3;

/// What a status says if a command was done.
const DONE: u32 = 1;

/// Areas that have a length of their own, by their pointers, and one that begins with its length.
const AREAS: [(usize, u16, usize); 3] =
    [(0x06, 0x400, 0x24), (0x07, 0x440, 0x08), (0x08, 0x450, 0x08)];
const COUNTED: (usize, u16, usize) = (0x03, 0x460, 300);

/// The last word that the checksum is about, besides areas.
const LAST: usize = 0x41;

pub(super) fn way(device_id: u16) -> Way {
    if Family::of(device_id) == Family::X550 { Way::Mailbox } else { Way::Register }
}

/// Puts areas behind their pointers; says the sum of all that counts.
pub(super) fn lay_areas(words: &mut [u16]) -> u16 {
    let fill = |words: &mut [u16], from: usize, count: usize| {
        (0..count).for_each(|at| words[from + at] = (from + at) as u16 ^ 0xA5C3);
        sum(&words[from..from + count])
    };
    let mut total = 0u16;
    for (pointer, at, count) in AREAS {
        words[pointer] = at;
        total = total.wrapping_add(fill(words, at.into(), count));
    }
    let (pointer, at, count) = COUNTED;
    (words[pointer], words[usize::from(at)]) = (at, count as u16);
    total = total.wrapping_add(fill(words, usize::from(at) + 1, count));
    let own = sum(&words[..=LAST]).wrapping_sub(words[CHECKSUM_WORD]);
    total.wrapping_add(own)
}

impl Device {
    /// The firmware listens, if there is one.
    pub(crate) fn enable_mailbox(&mut self) {
        let listens = self.nonvolatile.way == Way::Mailbox;
        self.file.set(&HICR, 0, hicr::ENABLE.put(0, u32::from(listens)));
    }

    /// A command is done at once, if it is one.
    pub(crate) fn write_hicr(&mut self, before: u32, value: u32) {
        let kept = before & hicr::ENABLE.mask();
        self.file.set(&HICR, 0, kept | value & hicr::COMMAND.mask());
        if kept == 0 || !hicr::COMMAND.is_set(value) {
            return;
        }
        let fault = self.faults.mailbox;
        if fault == Some(MailboxFault::Silent) {
            return;
        }
        let is_done = fault != Some(MailboxFault::Refuses) && self.answer();
        let word = hicr::STATUS_VALID.put(kept, u32::from(is_done));
        self.file.set(&HICR, 0, word);
        self.late(&HICR, 0, hicr::COMMAND.mask(), value);
    }

    fn answer(&mut self) -> bool {
        let [header, address, length] = [0, 1, 2].map(|at| self.file.at(&FLEX_MNG, at));
        let (command, checksum) = (header & 0xFF, header >> 24);
        if VERSION.contains(&command) {
            return true;
        }
        let bytes = u32::from((length as u16).swap_bytes());
        let lengths = [(READ, READ_LENGTH), (WRITE, WRITE_LENGTH), (SAVE, SAVE_LENGTH)];
        let is_sound = lengths.contains(&(command, header >> 16 & 0xFF)) && header >> 8 & 0xFF == 0;
        if !is_sound || checksum != NO_CHECKSUM {
            return false;
        }
        let first = address.swap_bytes() / 2;
        match command {
            SAVE => self.nonvolatile.save(),
            WRITE if bytes == 2 => {
                let word = self.file.at(&FLEX_MNG, DATA) as u16;
                self.nonvolatile.put(first, word);
            }
            READ if bytes <= MOST => return self.answer_read(first, bytes),
            _ => return false,
        }
        self.file.set(&FLEX_MNG, 0, command | DONE << 16);
        true
    }

    fn answer_read(&mut self, first: u32, bytes: u32) -> bool {
        for at in 0..bytes.div_ceil(4) {
            let word = |at| u32::from(self.nonvolatile.word(first + at));
            let pair = word(2 * at) | word(2 * at + 1) << 16;
            self.file.set(&FLEX_MNG, DATA + at, pair);
        }
        let answer = READ | (bytes & 0xFF) << 8 | (bytes >> 8 << 5 | DONE) << 16;
        self.file.set(&FLEX_MNG, 0, answer);
        true
    }
}
