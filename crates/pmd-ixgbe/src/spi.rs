//! The SPI bus to an 82599's EEPROM, bit by bit in EEC (§8.2.3.2.1): by it words are written.

use crate::hardware::PATIENCE;
use crate::registers::{Registers, Until};
use crate::trouble::Trouble;
use linecard_ixgbe_regs::registers::*;
use std::time::{Duration, Instant};

/// Half a bit: parts of 1 MHz and more are used.
const HALF: Duration = Duration::from_micros(1);

/// What the part is told: to write, to tell its status, to take a write.
const WRITE: u8 = 0x02;
const READ_STATUS: u8 = 0x05;
const ENABLE_WRITES: u8 = 0x06;

/// Of its status: it is writing.
const BUSY: u8 = 1;

/// Writes a word, and waits until the part has it. The bus is the firmware's again whatever comes of it.
pub(crate) fn write(registers: &Registers, at: u32, word: u16) -> Result<(), Trouble> {
    registers.set(&EEC, eec::REQ);
    let granted = registers.wait(&Until::set(&EEC, eec::GNT, PATIENCE));
    let written = granted.and_then(|()| Bus::new(registers).write(at, word));
    registers.clear(&EEC, eec::REQ);
    written
}

struct Bus<'a> {
    registers: &'a Registers,
    /// EEC with the chip selected, and both lines low.
    idle: u32,
}

impl<'a> Bus<'a> {
    fn new(registers: &'a Registers) -> Self {
        let lines = eec::SK.mask() | eec::CS.mask() | eec::DI.mask();
        Bus { registers, idle: registers.read(&EEC) & !lines }
    }

    fn write(&self, at: u32, word: u16) -> Result<(), Trouble> {
        self.wait_until_ready()?;
        self.tell(&[ENABLE_WRITES]);
        // No part has more than 64 KiB; each word is read back.
        let [high, low] = ((2 * at) as u16).to_be_bytes();
        // Words lie there with their low byte first.
        let [first, second] = word.to_le_bytes();
        self.tell(&[WRITE, high, low, first, second]);
        self.wait_until_ready()
    }

    fn wait_until_ready(&self) -> Result<(), Trouble> {
        let begin = Instant::now();
        while self.status() & BUSY != 0 {
            if begin.elapsed() > PATIENCE {
                return Err(Trouble::Busy);
            }
        }
        Ok(())
    }

    fn status(&self) -> u8 {
        self.drive(self.idle);
        self.send(READ_STATUS);
        let status = (0..8).fold(0, |byte, _| {
            self.drive(self.idle);
            self.drive(self.idle | eec::SK.mask());
            byte << 1 | self.registers.field(&EEC, eec::DO) as u8
        });
        self.let_go();
        status
    }

    /// Selects the chip, sends, and lets it go, which is when it does what it was told.
    fn tell(&self, bytes: &[u8]) {
        self.drive(self.idle);
        bytes.iter().for_each(|byte| self.send(*byte));
        self.let_go();
    }

    fn send(&self, byte: u8) {
        for at in (0..8).rev() {
            let word = eec::DI.put(self.idle, u32::from(byte >> at & 1));
            self.drive(word);
            self.drive(word | eec::SK.mask());
        }
    }

    fn let_go(&self) {
        self.drive(self.idle);
        self.drive(self.idle | eec::CS.mask());
    }

    fn drive(&self, word: u32) {
        self.registers.write(&EEC, word);
        self.registers.flush();
        let begin = Instant::now();
        while begin.elapsed() < HALF {
            std::hint::spin_loop();
        }
    }
}
