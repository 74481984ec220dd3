//! The card's registers, by the names of `linecard-ixgbe-regs`, and waiting for them.

use crate::trouble::Trouble;
use linecard_eal::device::{Bar, BarRegister, DeviceError};
use linecard_ixgbe_regs::{Field, Register, VF_BAR_BYTES};
use std::time::{Duration, Instant};

/// Up to here reach the registers that the driver uses; a card may decode more.
const WINDOW: usize = 0x20000;

/// Between two looks at a register that is waited for.
const PAUSE: Duration = Duration::from_micros(20);

/// What a read gives when nobody answers.
const NOBODY: u32 = u32::MAX;

/// BAR 0.
#[derive(Clone, Debug)]
pub(crate) struct Registers(Bar);

/// A register to wait for, until these bits of it are that.
pub(crate) struct Until {
    pub(crate) register: &'static Register,
    pub(crate) index: u32,
    pub(crate) mask: u32,
    pub(crate) value: u32,
    pub(crate) within: Duration,
}

impl Until {
    /// Until `field` is not 0.
    pub(crate) fn set(register: &'static Register, field: Field, within: Duration) -> Self {
        Until { register, index: 0, mask: field.mask(), value: field.mask(), within }
    }

    /// Until `field` is 0.
    pub(crate) fn clear(register: &'static Register, field: Field, within: Duration) -> Self {
        Until { value: 0, ..Self::set(register, field, within) }
    }

    /// Of element `index` of an array.
    pub(crate) fn at(self, index: u32) -> Self {
        Until { index, ..self }
    }
}

impl Registers {
    /// The registers behind BAR 0.
    pub(crate) fn new(bar: Bar) -> Result<Self, DeviceError> {
        bar.at_least(WINDOW)?;
        Ok(Registers(bar))
    }

    /// Those of a virtual function.
    pub(crate) fn of_virtual_function(bar: Bar) -> Result<Self, DeviceError> {
        bar.at_least(VF_BAR_BYTES as usize)?;
        Ok(Registers(bar))
    }

    pub(crate) fn read(&self, register: &Register) -> u32 {
        self.read_at(register, 0)
    }

    pub(crate) fn write(&self, register: &Register, value: u32) {
        self.write_at(register, 0, value);
    }

    /// Reads element `index` of an array of registers.
    pub(crate) fn read_at(&self, register: &Register, index: u32) -> u32 {
        self.0.read32(offset(register, index))
    }

    /// Writes element `index` of an array of registers.
    pub(crate) fn write_at(&self, register: &Register, index: u32, value: u32) {
        self.0.write32(offset(register, index), value);
    }

    /// Writes the same to all elements.
    pub(crate) fn fill(&self, register: &Register, value: u32) {
        (0..register.count()).for_each(|index| self.write_at(register, index, value));
    }

    /// Sets a field.
    pub(crate) fn put(&self, register: &Register, field: Field, value: u32) {
        self.put_at(register, 0, field, value);
    }

    /// Sets a field of element `index`.
    pub(crate) fn put_at(&self, register: &Register, index: u32, field: Field, value: u32) {
        let word = self.read_at(register, index);
        self.write_at(register, index, field.put(word, value));
    }

    /// Sets all bits of a field.
    pub(crate) fn set(&self, register: &Register, field: Field) {
        self.put(register, field, field.mask() >> field.lsb);
    }

    /// Clears a field.
    pub(crate) fn clear(&self, register: &Register, field: Field) {
        self.put(register, field, 0);
    }

    /// A field's value.
    pub(crate) fn field(&self, register: &Register, field: Field) -> u32 {
        field.of(self.read(register))
    }

    /// Whether nobody answers: no card's status is all ones.
    pub(crate) fn is_silent(&self) -> bool {
        self.read(&linecard_ixgbe_regs::registers::STATUS) == NOBODY
    }

    /// Posted writes have arrived once a read has come back.
    pub(crate) fn flush(&self) {
        let _ = self.read(&linecard_ixgbe_regs::registers::STATUS);
    }

    /// One element, for the hot path.
    pub(crate) fn bind(
        &self,
        register: &Register,
        index: u32,
    ) -> Result<BarRegister<u32>, DeviceError> {
        Ok(self.0.register(offset(register, index))?)
    }

    /// Waits, and never for longer than told.
    pub(crate) fn wait(&self, until: &Until) -> Result<(), Trouble> {
        let begin = Instant::now();
        loop {
            let word = self.read_at(until.register, until.index);
            if word & until.mask == until.value && word != NOBODY {
                return Ok(());
            }
            if begin.elapsed() > until.within {
                return Err(late(until, word));
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// Where an element lies. The driver's indices are below the counts that it offered.
fn offset(register: &Register, index: u32) -> usize {
    match register.at(index) {
        Some(offset) => offset as usize,
        None => beyond(register.name, index, register.count()),
    }
}

#[cold]
fn beyond(name: &str, index: u32, count: u32) -> ! {
    panic!("{name}({index}) is beyond its {count} elements: a mistake of the driver")
}

#[cold]
fn late(until: &Until, word: u32) -> Trouble {
    let Until { register, index, mask, value, within } = until;
    if word == NOBODY {
        return Trouble::Silent { register: register.name };
    }
    let (name, section) = (register.name, register.section);
    Trouble::Late {
        register: if register.count() > 1 { format!("{name}({index})") } else { name.to_owned() },
        section,
        wanted: format!("{value:#x} under {mask:#x}"),
        word,
        within: *within,
    }
}
