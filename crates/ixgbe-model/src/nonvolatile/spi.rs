//! The SPI bus to the EEPROM, as drivers bang it in EEC (§8.2.3.2.1).

use linecard_ixgbe_regs::registers::eec;

const READ: u32 = 0x03;
const READ_STATUS: u32 = 0x05;

/// An EEPROM of two address bytes that answers READ and RDSR.
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
    output: bool,
}

impl Spi {
    /// EEC as it reads: the stored bits with the data line, and the grant.
    pub(crate) fn eec(&self, stored: u32) -> u32 {
        let granted = eec::REQ.of(stored);
        eec::GNT.put(eec::DO.put(stored, u32::from(self.output)), granted)
    }

    pub(crate) fn drive(&mut self, word: u32, image: &[u16]) {
        let clock = eec::SK.is_set(word);
        if eec::CS.is_set(word) {
            *self = Self { clock, ..Self::default() };
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
        match self.count {
            8 if self.bits & 0xFF == READ_STATUS => self.load(0),
            24 if self.bits >> 16 & 0xF7 == READ => {
                self.address = Some(self.bits & 0xFFFF);
                self.load_next(image);
            }
            _ => {}
        }
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

    fn clock(spi: &mut Spi, bit: u32, image: &[u16]) -> u32 {
        let data = eec::DI.put(eec::REQ.mask(), bit);
        spi.drive(data, image);
        spi.drive(data | eec::SK.mask(), image);
        eec::DO.of(spi.eec(0))
    }

    #[test]
    fn a_word_is_read_bit_by_bit() {
        let image = [0x1234, 0xABCD];
        let mut spi = Spi::default();
        spi.drive(eec::CS.mask(), &image);
        for at in (0..24).rev() {
            clock(&mut spi, 0x03_0002 >> at & 1, &image);
        }
        let word = (0..16).fold(0, |word, _| word << 1 | clock(&mut spi, 0, &image));
        assert_eq!(word, 0xCDAB);
    }
}
