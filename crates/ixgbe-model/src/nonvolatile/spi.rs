//! The SPI bus to the EEPROM of an 82599, as drivers bang it in EEC (§8.2.3.2.1).

use linecard_ixgbe_regs::registers::eec;

const WRITE: u32 = 0x02;
const READ: u32 = 0x03;
const DISABLE_WRITES: u32 = 0x04;
const READ_STATUS: u32 = 0x05;
const ENABLE_WRITES: u32 = 0x06;

/// Its status: it takes a write.
const WRITES_ENABLED: u8 = 1 << 1;

/// Bytes of a page, at the end of which a write goes on at its beginning.
const PAGE: usize = 128;

/// An EEPROM of two address bytes.
#[derive(Debug, Default)]
pub(crate) struct Spi {
    clock: bool,
    /// Bits that came in since the chip was selected.
    bits: u32,
    count: u32,
    /// What goes out, from the left.
    answer: u32,
    left: u32,
    /// Byte address of what is read next, once a READ has come in.
    address: Option<u32>,
    /// Byte address of what is written, once a WRITE has come in, and the bytes.
    written: Option<(usize, Vec<u8>)>,
    takes_writes: bool,
    output: bool,
}

impl Spi {
    /// EEC as it reads: the stored bits with the data line, and the grant.
    pub(crate) fn eec(&self, stored: u32) -> u32 {
        let granted = eec::REQ.of(stored);
        eec::GNT.put(eec::DO.put(stored, u32::from(self.output)), granted)
    }

    pub(crate) fn drive(&mut self, word: u32, image: &mut [u16]) {
        let clock = eec::SK.is_set(word);
        if eec::CS.is_set(word) {
            let has_written = self.finish_write(image);
            let takes_writes = self.takes_writes && !has_written;
            *self = Self { clock, takes_writes, ..Self::default() };
            return;
        }
        if clock && !self.clock {
            self.shift_in(eec::DI.of(word), image);
        } else if !clock && self.clock {
            self.shift_out(image);
        }
        self.clock = clock;
    }

    fn shift_in(&mut self, bit: u32, image: &[u16]) {
        if self.address.is_some() || self.left > 0 {
            return;
        }
        self.bits = self.bits << 1 | bit;
        self.count += 1;
        let byte = (self.bits & 0xFF) as u8;
        match self.count {
            8 if self.bits & 0xFF == READ_STATUS => {
                self.load(if self.takes_writes { WRITES_ENABLED } else { 0 });
            }
            8 if self.bits & 0xFF == ENABLE_WRITES => self.takes_writes = true,
            8 if self.bits & 0xFF == DISABLE_WRITES => self.takes_writes = false,
            24 if self.bits >> 16 & 0xF7 == WRITE && self.takes_writes => {
                self.written = Some(((self.bits & 0xFFFF) as usize, Vec::new()));
            }
            24 if self.bits >> 16 & 0xF7 == READ => {
                self.address = Some(self.bits & 0xFFFF);
                self.load_next(image);
            }
            32.. if self.count.is_multiple_of(8) => {
                self.written.iter_mut().for_each(|(_, bytes)| bytes.push(byte));
            }
            _ => {}
        }
    }

    /// A write is done when the chip is let go. Whether there was one.
    fn finish_write(&mut self, image: &mut [u16]) -> bool {
        let Some((from, bytes)) = self.written.take() else { return false };
        for (at, byte) in bytes.into_iter().enumerate() {
            let at = from / PAGE * PAGE + (from + at) % PAGE;
            if let Some(word) = image.get_mut(at / 2) {
                let mut pair = word.to_le_bytes();
                pair[at % 2] = byte;
                *word = u16::from_le_bytes(pair);
            }
        }
        true
    }

    fn shift_out(&mut self, image: &[u16]) {
        if self.left == 0 {
            self.load_next(image);
        }
        if self.left > 0 {
            self.left -= 1;
            self.output = self.answer >> self.left & 1 != 0;
        }
    }

    fn load(&mut self, byte: u8) {
        (self.answer, self.left) = (u32::from(byte), 8);
    }

    /// Words lie in the EEPROM with their low byte first.
    fn load_next(&mut self, image: &[u16]) {
        let Some(address) = self.address else { return };
        let word = image.get(address as usize / 2).copied().unwrap_or(0xFFFF);
        self.address = Some(address + 1);
        self.load(word.to_le_bytes()[address as usize % 2]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(spi: &mut Spi, bit: u32, image: &mut [u16]) -> u32 {
        let data = eec::DI.put(eec::REQ.mask(), bit);
        spi.drive(data, image);
        spi.drive(data | eec::SK.mask(), image);
        eec::DO.of(spi.eec(0))
    }

    /// Selects the chip anew, and sends bits.
    fn send(spi: &mut Spi, word: u64, bits: u32, image: &mut [u16]) {
        spi.drive(eec::CS.mask(), image);
        (0..bits).rev().for_each(|at| {
            clock(spi, (word >> at & 1) as u32, image);
        });
    }

    #[test]
    fn a_word_is_read_bit_by_bit() {
        let mut image = [0x1234, 0xABCD];
        let mut spi = Spi::default();
        send(&mut spi, 0x03_0002, 24, &mut image);
        let word = (0..16).fold(0, |word, _| word << 1 | clock(&mut spi, 0, &mut image));
        assert_eq!(word, 0xCDAB);
    }

    #[test]
    fn words_are_written_once_that_was_allowed() {
        let mut image = [0; 128];
        let mut spi = Spi::default();
        let image = &mut image;
        send(&mut spi, 0x02_0002_CDAB, 40, image);
        spi.drive(eec::CS.mask(), image);
        assert_eq!(image[1], 0, "not allowed");
        send(&mut spi, 0x06, 8, image);
        send(&mut spi, 0x02_0002_CDAB, 40, image);
        spi.drive(eec::CS.mask(), image);
        assert_eq!(image[1], 0xABCD);
        send(&mut spi, 0x02_0004_CDAB, 40, image);
        spi.drive(eec::CS.mask(), image);
        assert_eq!(image[2], 0, "that was for one");
        send(&mut spi, 0x06, 8, image);
        send(&mut spi, 0x02_007E_1122_3344, 56, image);
        spi.drive(eec::CS.mask(), image);
        assert_eq!([image[63], image[0], image[64]], [0x2211, 0x4433, 0], "within a page");
    }
}
