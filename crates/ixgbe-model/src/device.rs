//! The device: its parts, and what its BARs do.

use linecard_ixgbe_regs::BAR0_BYTES;
use linecard_ixgbe_regs::registers::*;

use crate::bus::Host;
use crate::config_space::{ConfigSpace, Written};
use crate::family::Family;
use crate::fault::{Faults, Lateness};
use crate::file::RegisterFile;
use crate::flow_director::FlowDirector;
use crate::interrupt::Interrupting;
use crate::journal::Journal;
use crate::link::Link;
use crate::nonvolatile::Nonvolatile;
use crate::nonvolatile::i2c::I2c;
use crate::phy::Phy;
use crate::rx::Receiving;
use crate::time::Clock;
use crate::tx::Transmitting;
use crate::virtualization::Virtualization;

/// Which card it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its first MAC address.
    pub mac: [u8; 6],
    /// PCI device id. An X540's (1528, 1560) and an X550's (1563, 15D1) has a PHY behind MDIO, an X550's an EEPROM
    /// behind its firmware, and each a clock of its own; otherwise the behaviour is the 82599's whatever it says.
    pub device_id: u16,
}

impl Default for Identity {
    /// An X520 with an SFP+ cage (10FB) and a local address.
    fn default() -> Self {
        Self { mac: [0x02, 0x1c, 0x5f, 0, 0, 1], device_id: 0x10FB }
    }
}

/// A window of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// BAR 0: the registers.
    Registers,
    /// BAR 2: address and data ports. A virtual function has none.
    Io,
    /// BAR 4, of a virtual function BAR 3: the MSI-X table and its pending bits.
    Msix,
}

/// An 82599.
#[derive(Debug)]
pub struct Device {
    pub(crate) identity: Identity,
    pub(crate) family: Family,
    pub(crate) file: RegisterFile,
    pub(crate) config: ConfigSpace,
    pub(crate) host: Host,
    pub(crate) interrupting: Interrupting,
    pub(crate) nonvolatile: Nonvolatile,
    pub(crate) module: I2c,
    pub(crate) link: Link,
    /// Of an X540.
    pub(crate) phy: Option<Phy>,
    pub(crate) receiving: Receiving,
    pub(crate) transmitting: Transmitting,
    pub(crate) clock: Clock,
    pub(crate) director: FlowDirector,
    pub(crate) faults: Faults,
    pub(crate) lateness: Lateness,
    pub(crate) journal: Journal,
    pub(crate) virtualization: Virtualization,
    /// Nanoseconds since some beginning.
    pub(crate) now: u64,
    io_address: u32,
}

impl Device {
    /// A device after power-on, with its link up.
    pub fn new(identity: Identity, host: Host) -> Self {
        let mut device = Self {
            identity,
            family: Family::of(identity.device_id),
            file: RegisterFile::new(),
            config: ConfigSpace::new(identity.device_id),
            host,
            interrupting: Interrupting::default(),
            nonvolatile: Nonvolatile::new(identity.mac, identity.device_id),
            module: I2c::new(),
            link: Link::default(),
            phy: Phy::of(identity.device_id),
            receiving: Receiving::default(),
            transmitting: Transmitting::new(),
            clock: Clock::default(),
            director: FlowDirector::default(),
            faults: Faults::default(),
            lateness: Lateness::default(),
            journal: Journal::default(),
            virtualization: Virtualization::default(),
            now: 0,
            io_address: 0,
        };
        device.reset();
        device
    }

    /// What a reset by CTRL, or of the function, does.
    pub(crate) fn reset(&mut self) {
        self.file.reset();
        self.interrupting.reset();
        self.receiving = Receiving::default();
        self.transmitting.reset();
        self.reset_clock();
        self.director = FlowDirector::default();
        self.module.reset();
        self.reset_nonvolatile();
        self.faults.deferred.clear();
        self.link.restart();
        self.enable_mailbox();
        self.update_light();
        self.preset_address();
        self.update_pin();
        self.host.dma.forget();
        self.reset_functions();
    }

    /// The first address filter is loaded from the EEPROM.
    fn preset_address(&mut self) {
        let mac = self.identity.mac;
        let low = u32::from_le_bytes([mac[0], mac[1], mac[2], mac[3]]);
        let high = u32::from(u16::from_le_bytes([mac[4], mac[5]]));
        self.file.set(&RAL, 0, low);
        self.file.set(&RAH, 0, rah::AV.put(high, 1));
        self.file.set(&MPSAR, 0, 1);
    }

    /// Reads `size` bytes (1, 2, 4 or 8) at `offset` of a window.
    pub fn read(&mut self, bar: Bar, offset: u64, size: u8) -> u64 {
        self.read_by_words(offset, size, |device, offset| device.read_word(bar, offset))
    }

    /// A read of any size, of a window of which words are read.
    pub(crate) fn read_by_words(
        &mut self,
        offset: u64,
        size: u8,
        word: impl Fn(&mut Self, u64) -> u32,
    ) -> u64 {
        if self.faults.is_removed() {
            return u64::MAX >> (64 - 8 * u32::from(size.clamp(1, 8)));
        }
        self.settle();
        if size == 8 {
            return u64::from(word(self, offset))
                | u64::from(word(self, offset.wrapping_add(4))) << 32;
        }
        let shift = (offset % 4) * 8;
        let word = u64::from(word(self, offset & !3)) >> shift;
        word & (u64::MAX >> (64 - 8 * u32::from(size.clamp(1, 4))))
    }

    /// Writes `size` bytes (4 or 8; less is widened, as registers are written as words) at `offset`.
    pub fn write(&mut self, bar: Bar, offset: u64, value: u64, size: u8) {
        self.write_by_words(offset, value, size, |device, offset, value| {
            device.write_word(bar, offset, value);
        });
    }

    /// A write of any size, to a window of which words are written.
    pub(crate) fn write_by_words(
        &mut self,
        offset: u64,
        value: u64,
        size: u8,
        word: impl Fn(&mut Self, u64, u32),
    ) {
        if self.faults.is_removed() {
            return;
        }
        word(self, offset & !3, value as u32);
        if size == 8 {
            word(self, offset.wrapping_add(4), (value >> 32) as u32);
        }
        self.settle();
    }

    fn read_word(&mut self, bar: Bar, offset: u64) -> u32 {
        let offset = offset as u32;
        match (bar, offset) {
            (Bar::Registers, _) => self.read_register(offset),
            (Bar::Msix, _) => self.read_msix(offset),
            (Bar::Io, 0) => self.io_address,
            (Bar::Io, 4) => self.read_register(self.io_address),
            (Bar::Io, _) => 0,
        }
    }

    fn write_word(&mut self, bar: Bar, offset: u64, value: u32) {
        let offset = offset as u32;
        match (bar, offset) {
            (Bar::Registers, _) => self.write_register(offset, value),
            (Bar::Msix, _) => self.write_msix(offset, value),
            (Bar::Io, 0) => self.io_address = value % BAR0_BYTES,
            (Bar::Io, 4) => self.write_register(self.io_address, value),
            (Bar::Io, _) => {}
        }
    }

    /// Reads from configuration space.
    pub fn read_config(&mut self, offset: u8, size: u8) -> u32 {
        if self.faults.is_removed() {
            return u32::MAX >> (32 - 8 * u32::from(size.clamp(1, 4)));
        }
        self.config.read(offset, size)
    }

    /// Writes to configuration space.
    pub fn write_config(&mut self, offset: u8, value: u32, size: u8) {
        if self.faults.is_removed() {
            return;
        }
        match self.config.write(offset, value, size) {
            Written::FunctionReset => self.reset_function(),
            Written::Interrupts => self.interrupts_changed(),
            Written::Storage => {}
        }
    }

    /// What a function level reset, or one of the bus, does.
    pub fn reset_function(&mut self) {
        self.config.reset();
        self.interrupting.reset_table();
        self.reset();
    }

    /// Configuration space.
    pub fn config(&self) -> &ConfigSpace {
        &self.config
    }

    /// Time passes: what was delayed happens, and moderated interrupts are sent.
    pub fn tick(&mut self, now: u64) {
        self.now = now.max(self.now);
        self.settle();
        self.run_coalescing();
        self.run_transmit();
        self.run_link();
        self.deliver();
        self.deliver_of_functions();
    }

    /// The time that [`tick`](Self::tick) was last told.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// When [`tick`](Self::tick) has something to do next.
    pub fn deadline(&self) -> Option<u64> {
        let others = [self.coalescing_until(), self.transmitting.wakes_at()];
        let others = others.into_iter().flatten().map(|at| at.max(self.now));
        let functions = self.virtualization.functions.iter();
        let functions = functions.filter_map(|function| function.deadline(self.now));
        others.chain(self.interrupting.deadline(self.now)).chain(functions).min()
    }

    /// What the device is asked to do wrong.
    pub fn faults(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// What was done to the device and what it did: refused accesses of memory, unknown registers.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// From now on, writes to registers are in the journal as well.
    pub fn record_writes(&mut self) {
        self.journal.record_writes();
    }

    /// Makes the journal empty, and gives what was in it.
    pub fn take_journal(&mut self) -> Journal {
        let empty = self.journal.empty();
        std::mem::replace(&mut self.journal, empty)
    }
}
