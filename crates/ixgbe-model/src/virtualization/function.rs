//! A virtual function, as its driver sees it.

use crate::config_space::{ConfigSpace, Written};
use crate::device::{Bar, Device};
use crate::vectors::{Table, TableWrite};

/// A virtual function of a [`Device`]: its windows, and its configuration space.
#[derive(Debug)]
pub struct Function<'a> {
    device: &'a mut Device,
    number: usize,
}

impl<'a> Function<'a> {
    pub(super) fn new(device: &'a mut Device, number: usize) -> Self {
        Self { device, number }
    }
}

impl Function<'_> {
    /// Reads `size` bytes (1, 2, 4 or 8) at `offset` of a window.
    pub fn read(&mut self, bar: Bar, offset: u64, size: u8) -> u64 {
        let number = self.number;
        self.device.read_by_words(offset, size, |device, offset| match bar {
            Bar::Registers => device.read_of_function(number, offset as u32),
            Bar::Msix => device.virtualization.functions[number].vectors.read(offset as u32),
            Bar::Io => 0,
        })
    }

    /// Writes `size` bytes (4 or 8; less is widened, as registers are written as words) at `offset`.
    pub fn write(&mut self, bar: Bar, offset: u64, value: u64, size: u8) {
        let number = self.number;
        self.device.write_by_words(offset, value, size, |device, offset, value| match bar {
            Bar::Registers => device.write_of_function(number, offset as u32, value),
            Bar::Msix => device.write_table_of_function(number, offset as u32, value),
            Bar::Io => {}
        });
    }

    /// Reads from configuration space.
    pub fn read_config(&mut self, offset: u8, size: u8) -> u32 {
        if self.device.faults.is_removed() {
            return u32::MAX >> (32 - 8 * u32::from(size.clamp(1, 4)));
        }
        self.config().read(offset, size)
    }

    /// Writes to configuration space.
    pub fn write_config(&mut self, offset: u8, value: u32, size: u8) {
        if self.device.faults.is_removed() {
            return;
        }
        let function = &mut self.device.virtualization.functions[self.number];
        match function.config.write(offset, value, size) {
            Written::FunctionReset => self.reset_function(),
            Written::Interrupts => self.device.interrupts_of_function_changed(self.number),
            Written::Storage => {}
        }
    }

    /// What a function level reset does.
    pub fn reset_function(&mut self) {
        let function = &mut self.device.virtualization.functions[self.number];
        function.config.reset();
        function.vectors.reset_table();
        self.device.reset_virtual(self.number);
    }

    /// Configuration space.
    pub fn config(&self) -> &ConfigSpace {
        &self.device.virtualization.functions[self.number].config
    }

    /// The host keeps the table of vectors and its masks (as VFIO does), or not any more.
    pub fn place_table(&mut self, table: Table) {
        self.device.virtualization.functions[self.number].vectors.table = table;
        self.device.interrupts_of_function_changed(self.number);
    }
}

impl Device {
    fn write_table_of_function(&mut self, number: usize, offset: u32, value: u32) {
        let function = &mut self.virtualization.functions[number];
        if function.vectors.write(offset, value) == TableWrite::Mask {
            function.vectors.send_pending(&function.config, &mut *function.host.interrupts);
        }
    }
}
