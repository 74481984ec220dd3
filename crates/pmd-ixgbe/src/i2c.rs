//! I2C to the SFP+ module, bit by bit in I2CCTL (§8.2.3.1.5): the driver is the bus's master.

use crate::hardware::{Hardware, Shared};
use crate::registers::Registers;
use crate::trouble::Trouble;
use linecard_ixgbe_regs::registers::*;
use linecard_pmd_core::{Module, ModuleKind};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Half a bit at 100 kHz.
const HALF: Duration = Duration::from_micros(5);

/// How long a module may hold the clock down.
const STRETCH: Duration = Duration::from_millis(5);

/// The two memories of a module (SFF-8472 §4).
const IDENTIFICATION: u8 = 0xA0;
const DIAGNOSTICS: u8 = 0xA2;

/// Bytes of each.
const BYTES: u16 = 256;

/// Where the identification says which diagnostics there are (SFF-8472 table 8-5, 8-11): that they
/// are there, that they are at an address of their own, and the revision.
const DIAGNOSTIC_TYPE: usize = 92;
const REVISION: usize = 94;
const IMPLEMENTED: u8 = 1 << 6;
const CHANGES_ADDRESS: u8 = 1 << 2;

/// Everything that the module says of itself.
pub(crate) fn module(hardware: &Hardware) -> Result<Module, Trouble> {
    hardware.sharing(Shared::Phy, || {
        let bus = Bus(&hardware.registers);
        let mut bytes = bus.read(IDENTIFICATION, 0..BYTES)?;
        let has = |bit| bytes[DIAGNOSTIC_TYPE] & bit != 0;
        if bytes[REVISION] == 0 || !has(IMPLEMENTED) || has(CHANGES_ADDRESS) {
            return Ok(Module { kind: ModuleKind::Sff8079, bytes });
        }
        bytes.extend(bus.read(DIAGNOSTICS, 0..BYTES)?);
        Ok(Module { kind: ModuleKind::Sff8472, bytes })
    })
}

/// The bus's lines: each is low if either end pulls it down.
struct Bus<'a>(&'a Registers);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Low = 0,
    High = 1,
}

use Level::{High, Low};

impl Bus<'_> {
    /// Reads bytes; the bus is free again whatever comes of it.
    fn read(&self, device: u8, range: Range<u16>) -> Result<Vec<u8>, Trouble> {
        let bytes = self.try_read(device, range);
        self.stop()?;
        bytes
    }

    fn try_read(&self, device: u8, range: Range<u16>) -> Result<Vec<u8>, Trouble> {
        self.start()?;
        self.put(device, device)?;
        self.put(device, range.start as u8)?;
        self.lines(Low, High);
        self.start()?;
        self.put(device, device | 1)?;
        // Each byte is acknowledged but the last.
        let last = range.end - 1;
        range.map(|at| self.take(if at == last { High } else { Low })).collect()
    }

    fn lines(&self, clock: Level, data: Level) {
        let word = i2cctl::CLK_OUT.put(self.0.read(&I2CCTL), clock as u32);
        self.0.write(&I2CCTL, i2cctl::DATA_OUT.put(word, data as u32));
        self.0.flush();
        let begin = Instant::now();
        while begin.elapsed() < HALF {
            std::hint::spin_loop();
        }
    }

    /// Lets the clock rise, and waits until the module lets it.
    fn rise(&self, data: Level) -> Result<(), Trouble> {
        self.lines(High, data);
        let begin = Instant::now();
        while self.0.field(&I2CCTL, i2cctl::CLK_IN) == 0 {
            if begin.elapsed() > STRETCH {
                return Err(Trouble::Module { what: "holds the clock down" });
            }
        }
        Ok(())
    }

    fn start(&self) -> Result<(), Trouble> {
        self.rise(High)?;
        self.lines(High, Low);
        self.lines(Low, Low);
        Ok(())
    }

    fn stop(&self) -> Result<(), Trouble> {
        self.lines(Low, Low);
        self.rise(Low)?;
        self.lines(High, High);
        Ok(())
    }

    /// A bit out; what the line was meanwhile.
    fn bit(&self, data: Level) -> Result<u8, Trouble> {
        self.lines(Low, data);
        self.rise(data)?;
        let level = self.0.field(&I2CCTL, i2cctl::DATA_IN);
        self.lines(Low, data);
        Ok(level as u8)
    }

    /// A byte out, that `device` has to acknowledge.
    fn put(&self, device: u8, byte: u8) -> Result<(), Trouble> {
        for at in (0..8).rev() {
            self.bit(if byte >> at & 1 == 1 { High } else { Low })?;
        }
        match (self.bit(High)?, device) {
            (0, _) => Ok(()),
            (_, IDENTIFICATION) => {
                Err(Trouble::Module { what: "does not answer: is there one in the cage?" })
            }
            _ => Err(Trouble::Module { what: "does not show its diagnostics" }),
        }
    }

    /// A byte in.
    fn take(&self, acknowledge: Level) -> Result<u8, Trouble> {
        let mut byte = 0;
        for _ in 0..8 {
            byte = byte << 1 | self.bit(High)?;
        }
        self.bit(acknowledge)?;
        Ok(byte)
    }
}
