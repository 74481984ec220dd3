//! A PCI function of a card, physical or virtual: its registers, and what must outlive its queues.

use crate::registers::Registers;
use crate::trouble::Trouble;
use linecard_eal::device::{Command, Device};
use linecard_ixgbe_regs::Register;
use linecard_ixgbe_regs::registers::virtual_function::*;
use linecard_ixgbe_regs::registers::*;
use std::any::Any;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Which of a card's functions it is: they have different windows of registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Physical,
    Virtual,
}

/// The registers of a ring.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) low: &'static Register,
    pub(crate) high: &'static Register,
    pub(crate) length: &'static Register,
    pub(crate) head: &'static Register,
    pub(crate) tail: &'static Register,
    /// RXDCTL or TXDCTL.
    pub(crate) control: &'static Register,
    /// DCA_RXCTRL or DCA_TXCTRL.
    pub(crate) access: &'static Register,
}

/// The registers of all rings. The fields of a virtual function's are named by the physical one's.
#[derive(Debug)]
pub(crate) struct Rings {
    pub(crate) receive: Ring,
    pub(crate) transmit: Ring,
    /// SRRCTL.
    pub(crate) split: &'static Register,
}

static PHYSICAL: Rings = Rings {
    receive: Ring {
        low: &RDBAL,
        high: &RDBAH,
        length: &RDLEN,
        head: &RDH,
        tail: &RDT,
        control: &RXDCTL,
        access: &DCA_RXCTRL,
    },
    transmit: Ring {
        low: &TDBAL,
        high: &TDBAH,
        length: &TDLEN,
        head: &TDH,
        tail: &TDT,
        control: &TXDCTL,
        access: &DCA_TXCTRL,
    },
    split: &SRRCTL,
};

static VIRTUAL: Rings = Rings {
    receive: Ring {
        low: &VFRDBAL,
        high: &VFRDBAH,
        length: &VFRDLEN,
        head: &VFRDH,
        tail: &VFRDT,
        control: &VFRXDCTL,
        access: &VFDCA_RXCTRL,
    },
    transmit: Ring {
        low: &VFTDBAL,
        high: &VFTDBAH,
        length: &VFTDLEN,
        head: &VFTDH,
        tail: &VFTDT,
        control: &VFTXDCTL,
        access: &VFDCA_TXCTRL,
    },
    split: &VFSRRCTL,
};

/// A function, and what must outlive its queues.
#[derive(Debug)]
pub(crate) struct Function {
    kind: Kind,
    pub(crate) registers: Registers,
    /// Memory of queues that did not stop: kept until the device is reset.
    quarantine: Mutex<Vec<Box<dyn Any + Send>>>,
    /// Last: its drop takes bus mastering away, before the quarantine's memory may go.
    pub(crate) device: Box<dyn Device>,
}

impl Function {
    pub(crate) fn new(device: Box<dyn Device>, kind: Kind) -> Result<Self, Trouble> {
        let registers = match kind {
            Kind::Physical => Registers::new(device.bar(0)?)?,
            Kind::Virtual => Registers::of_virtual_function(device.bar(0)?)?,
        };
        Ok(Function { kind, registers, quarantine: Mutex::default(), device })
    }

    pub(crate) fn rings(&self) -> &'static Rings {
        match self.kind {
            Kind::Physical => &PHYSICAL,
            Kind::Virtual => &VIRTUAL,
        }
    }

    /// No interrupts, and none pending (§4.6.3.1).
    pub(crate) fn silence(&self) {
        match self.kind {
            Kind::Physical => {
                self.registers.write(&EIMC, u32::MAX >> 1);
                self.registers.fill(&EIMC_EX, u32::MAX);
                let _ = self.registers.read(&EICR);
            }
            Kind::Virtual => {
                self.registers.write(&VTEIMC, vteimc::VECTORS.mask());
                let _ = self.registers.read(&VTEICR);
            }
        }
    }

    /// Neither interrupts nor accesses of memory any more, of a function that did not start.
    pub(crate) fn quiet(&self) {
        self.silence();
        // Why it did not start counts for more than that this fails too.
        let _ = self.device.interrupts().disable();
        let _ = self.device.config().disable_bus_master();
    }

    /// Whether reads are answered by nobody.
    pub(crate) fn is_gone(&self) -> bool {
        self.device.is_gone()
    }

    /// Keeps what a queue used that did not stop.
    pub(crate) fn keep(&self, memory: impl Any + Send) {
        self.lock_quarantine().push(Box::new(memory));
    }

    /// How many queues' memory is kept.
    pub(crate) fn kept(&self) -> usize {
        self.lock_quarantine().len()
    }

    /// The function has been reset: nothing reaches any more what queues had used.
    pub(crate) fn release(&self) {
        self.lock_quarantine().clear();
    }

    fn lock_quarantine(&self) -> MutexGuard<'_, Vec<Box<dyn Any + Send>>> {
        self.quarantine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Function {
    /// Nothing reaches memory once bus mastering is off; only then may the quarantine go. That it is
    /// off is read back: a way to the device that fails may swallow the write.
    fn drop(&mut self) {
        self.silence();
        let config = self.device.config();
        // What it says counts for less than what is read back.
        let _ = config.disable_bus_master();
        let off = config.command().is_ok_and(|word| !word.contains(Command::BUS_MASTER));
        if !off && !self.device.is_cut_off() {
            // It may still write: better to lose the memory than to give it to somebody else.
            self.lock_quarantine().drain(..).for_each(std::mem::forget);
        }
    }
}
