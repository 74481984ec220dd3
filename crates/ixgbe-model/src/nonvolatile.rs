//! EEPROM: its image, and reading and writing it word by word (§6, §8.2.3.2).
//!
//! What an X540 and an X550 have is a shadow RAM of a flash: what was written is lost with the power unless it was copied.

pub(crate) mod i2c;
mod mailbox;
pub(crate) mod spi;

use linecard_ixgbe_regs::registers::{EEC, EERD, EEWR, eec, eerd, eewr};

use crate::device::Device;
use crate::family::Family;
use spi::Spi;

/// Words of the EEPROM.
pub(crate) const WORDS: usize = 4096;

/// The sum of words 0 to 3Fh.
const CHECKSUM: u16 = 0xBABA;
const CHECKSUM_WORD: usize = 0x3F;

/// Where the list for SFP+ modules begins.
const MODULES: u16 = 0x200;
const FIRMWARE: u16 = 0x300;

#[derive(Debug)]
pub(crate) struct Nonvolatile {
    pub(crate) spi: Spi,
    image: Box<[u16]>,
    /// What the image is after the power was away.
    flash: Box<[u16]>,
    way: Way,
}

/// How words are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By EERD.
    Register,
    /// An X550's, by its firmware.
    Mailbox,
}

impl Nonvolatile {
    pub(crate) fn new(mac: [u8; 6], device_id: u16) -> Self {
        let way = mailbox::way(device_id);
        let image = image(mac, device_id, way);
        Self { spi: Spi::default(), flash: image.clone(), image, way }
    }

    pub(crate) fn reset(&mut self) {
        self.spi = Spi::default();
    }

    fn save(&mut self) {
        self.flash = self.image.clone();
    }

    fn put(&mut self, address: u32, word: u16) {
        if let Some(place) = self.image.get_mut(address as usize) {
            *place = word;
        }
    }

    fn word(&self, address: u32) -> u16 {
        self.image.get(address as usize).copied().unwrap_or(0xFFFF)
    }
}

/// What drivers look at, and 0xFFFF elsewhere.
fn image(mac: [u8; 6], device_id: u16, way: Way) -> Box<[u16]> {
    let mut words = vec![0xFFFFu16; WORDS];
    words[0x00] = 0x0000;
    for (at, pair) in mac.chunks(2).enumerate() {
        words[0x10 + at] = u16::from_le_bytes([pair[0], pair[1]]);
    }
    let fixed = [
        (0x15, 0x4C43),
        (0x16, 0x3030),
        (0x18, 0x0001),
        (0x2B, MODULES),
        // Any SFP+ module, and no fix for crosstalk.
        (0x2C, 0x0081),
        (0x2D, 0x0001),
        (0x2E, 0x8000),
        (0x2F, 0x0000),
        (0x0F, FIRMWARE),
    ];
    for (at, word) in fixed {
        words[at] = word;
    }
    words[0x19] = device_id;
    lay_modules(&mut words);
    lay_firmware(&mut words);
    words[CHECKSUM_WORD] = 0;
    let sum = match way {
        Way::Register => sum(&words[..CHECKSUM_WORD]),
        Way::Mailbox => mailbox::lay_areas(&mut words),
    };
    words[CHECKSUM_WORD] = CHECKSUM.wrapping_sub(sum);
    words.into()
}

fn sum(words: &[u16]) -> u16 {
    words.iter().fold(0, |sum, word| sum.wrapping_add(*word))
}

/// A header, then pairs of a module's type and where its sequence lies; then the sequences, of which
/// each has one word that is skipped, one for the analog core, and an end.
fn lay_modules(words: &mut [u16]) {
    let list = usize::from(MODULES) + 1;
    words[list - 1] = 16;
    for kind in 0..8u16 {
        let sequence = MODULES + 0x20 + 4 * kind;
        words[list + 2 * usize::from(kind)] = kind;
        words[list + 2 * usize::from(kind) + 1] = sequence;
        let at = usize::from(sequence);
        words[at..at + 3].copy_from_slice(&[0x0001, 0x1000 | kind, 0xFFFF]);
    }
    words[list + 16] = 0xFFFF;
}

/// A firmware block with its patch block: a release, and no LESM.
fn lay_firmware(words: &mut [u16]) {
    let at = usize::from(FIRMWARE);
    words[at + 4] = FIRMWARE + 0x10;
    words[at + 2] = 0xFFFF;
    words[at + 0x10 + 7] = 0x0006;
}

impl Device {
    /// The word is there at once.
    pub(crate) fn write_eerd(&mut self, value: u32) {
        if !eerd::START.is_set(value) || self.nonvolatile.way == Way::Mailbox {
            return;
        }
        let word = self.nonvolatile.word(eerd::ADDR.of(value));
        let done = eerd::DONE.put(value & eerd::ADDR.mask(), 1);
        self.file.set(&EERD, 0, eerd::DATA.put(done, u32::from(word)));
        self.late(&EERD, 0, eerd::DONE.mask(), 0);
    }

    /// An X540's word is written at once.
    pub(crate) fn write_eewr(&mut self, before: u32, value: u32) {
        self.file.set(&EEWR, 0, before);
        if self.family == Family::X540 && eewr::START.is_set(value) {
            self.nonvolatile.put(eewr::ADDR.of(value), eewr::DATA.of(value) as u16);
            self.late(&EEWR, 0, eewr::DONE.mask(), 0);
        }
    }

    pub(crate) fn write_eec(&mut self, before: u32, value: u32) {
        let fixed = !0x7F;
        self.file.set(&EEC, 0, (before & fixed) | (value & !fixed));
        if self.family == Family::I82599 {
            self.nonvolatile.spi.drive(value, &mut self.nonvolatile.image);
        } else if self.family == Family::X540 && eec::FLUPD.is_set(value) {
            self.nonvolatile.save();
            self.late(&EEC, 0, eec::FLUDONE.mask(), 0);
        }
    }

    /// An X540 has nothing to write, and to copy, after a reset.
    pub(crate) fn reset_nonvolatile(&mut self) {
        self.nonvolatile.reset();
        if self.family == Family::X540 {
            self.file.set(&EEWR, 0, eewr::DONE.mask());
            self.file.set(&EEC, 0, self.file.get(&EEC) | eec::FLUDONE.mask());
        }
    }

    /// The power goes and comes: what was not copied to an X540's or X550's flash is lost.
    pub fn lose_power(&mut self) {
        if self.family != Family::I82599 {
            self.nonvolatile.image = self.nonvolatile.flash.clone();
        }
        self.reset_function();
    }

    /// Changes a word of the EEPROM, and mends the checksum.
    pub fn set_eeprom_word(&mut self, address: u16, value: u16) {
        let image = &mut self.nonvolatile.image;
        let Some(word) = image.get_mut(usize::from(address)) else { return };
        let before = std::mem::replace(word, value);
        if usize::from(address) < CHECKSUM_WORD {
            let sum = &mut image[CHECKSUM_WORD];
            *sum = sum.wrapping_add(before).wrapping_sub(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_that_drivers_want() {
        let image = image([2, 0, 0, 0, 0, 1], 0x10FB, Way::Register);
        assert_eq!(sum(&image[..=CHECKSUM_WORD]), CHECKSUM);
    }
}
