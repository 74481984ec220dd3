//! PCI configuration space: ids, BARs, and the capabilities that drivers look for (§9.3).

use linecard_ixgbe_regs::{
    BAR0_BYTES, MSIX_BAR_BYTES, MSIX_PBA, MSIX_VECTORS, VF_BAR_BYTES, VF_MSIX_VECTORS,
};

const COMMAND: usize = 0x04;
const MSI: usize = 0x50;
const MSIX: usize = 0x70;
const PCIE: usize = 0xA0;

/// What a write was to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Storage,
    /// MSI, MSI-X, or the pin.
    Interrupts,
    FunctionReset,
}

/// How interrupts leave the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signalling {
    Msix,
    Msi,
    Pin,
    /// The pin, and it is disabled.
    None,
}

/// Device id of the virtual functions of an 82599.
pub(crate) const FUNCTION_OF_82599: u16 = 0x10ED;

/// Device id of a card's virtual functions.
pub(crate) fn id_of_functions(card: u16) -> u16 {
    match card {
        0x1528 | 0x1560 => 0x1515,
        0x1563 | 0x15D1 => 0x1565,
        _ => FUNCTION_OF_82599,
    }
}

/// Whose configuration space it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Physical,
    Virtual,
}

/// 256 bytes of configuration space.
#[derive(Debug, Clone)]
pub struct ConfigSpace {
    bytes: [u8; 256],
    writable: [u8; 256],
    device_id: u16,
    kind: Kind,
}

impl ConfigSpace {
    pub(crate) fn new(device_id: u16) -> Self {
        Self::of_kind(Kind::Physical, device_id)
    }

    /// A virtual function's, of a card with this device id, as a hypervisor shows it: with ids and BARs
    /// of its own, which on the bus are in the physical function's SR-IOV capability.
    pub(crate) fn of_function(card: u16) -> Self {
        Self::of_kind(Kind::Virtual, id_of_functions(card))
    }

    fn of_kind(kind: Kind, device_id: u16) -> Self {
        let mut space = Self { bytes: [0; 256], writable: [0; 256], device_id, kind };
        space.reset();
        space
    }

    pub(crate) fn reset(&mut self) {
        self.bytes = [0; 256];
        self.writable = [0; 256];
        self.lay_header();
        match self.kind {
            Kind::Physical => {
                self.lay_bars();
                self.lay_power_management();
                self.lay_msi();
                self.lay_msix(4, MSIX_VECTORS);
            }
            Kind::Virtual => {
                self.lay_bars_of_function();
                self.lay_msix(3, VF_MSIX_VECTORS);
            }
        }
        self.lay_pcie();
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn open(&mut self, offset: usize, mask: &[u8]) {
        self.writable[offset..offset + mask.len()].copy_from_slice(mask);
    }

    fn lay_header(&mut self) {
        self.put(0x00, &0x8086u16.to_le_bytes());
        self.put(0x02, &self.device_id.to_le_bytes());
        self.put(0x06, &[0x10]);
        self.put(0x08, &[0x01, 0x00, 0x00, 0x02]);
        self.put(0x2C, &0x8086u16.to_le_bytes());
        self.put(0x2E, &0x000Cu16.to_le_bytes());
        self.open(0x0C, &[0xFF]);
    }

    /// 0: registers; 2: ports; 4: MSI-X. And the pin.
    fn lay_bars(&mut self) {
        self.put(0x10, &[0x0C]);
        self.put(0x18, &[0x01]);
        self.put(0x20, &[0x0C]);
        self.put(0x34, &[0x40]);
        self.put(0x3D, &[0x01]);
        // I/O, memory, bus master, parity, SERR; and INTx disable.
        self.open(COMMAND, &[0x47, 0x05]);
        self.open(0x10, &(!(BAR0_BYTES - 1)).to_le_bytes());
        self.open(0x14, &[0xFF; 4]);
        self.open(0x18, &(!31u32).to_le_bytes());
        self.open(0x20, &(!(MSIX_BAR_BYTES - 1)).to_le_bytes());
        self.open(0x24, &[0xFF; 4]);
        self.open(0x3C, &[0xFF]);
    }

    /// 0: registers; 3: MSI-X.
    fn lay_bars_of_function(&mut self) {
        self.put(0x10, &[0x0C]);
        self.put(0x1C, &[0x0C]);
        self.put(0x34, &[MSIX as u8]);
        // Memory, and bus master.
        self.open(COMMAND, &[0x06]);
        for bar in [0x10, 0x1C] {
            self.open(bar, &(!(VF_BAR_BYTES - 1)).to_le_bytes());
            self.open(bar + 4, &[0xFF; 4]);
        }
    }

    fn lay_power_management(&mut self) {
        self.put(0x40, &[0x01, MSI as u8, 0x23, 0x48]);
        self.open(0x44, &[0x03, 0x01]);
    }

    /// 64-bit addresses and masks by vector.
    fn lay_msi(&mut self) {
        self.put(MSI, &[0x05, MSIX as u8, 0x80, 0x01]);
        self.open(MSI + 2, &[0x71]);
        self.open(MSI + 4, &[0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
        self.open(MSI + 16, &[0x01]);
    }

    /// The table at 0 of a BAR, and the pending bits behind it.
    fn lay_msix(&mut self, bar: u32, vectors: u32) {
        self.put(MSIX, &[0x11, PCIE as u8]);
        self.put(MSIX + 2, &(vectors as u16 - 1).to_le_bytes());
        self.put(MSIX + 4, &bar.to_le_bytes());
        self.put(MSIX + 8, &(MSIX_PBA | bar).to_le_bytes());
        self.open(MSIX + 3, &[0xC0]);
    }

    /// An endpoint with function level reset, and a link of 8 lanes at 5 GT/s.
    fn lay_pcie(&mut self) {
        self.put(PCIE, &[0x10, 0x00, 0x02, 0x00]);
        self.put(PCIE + 4, &0x1000_8CC2u32.to_le_bytes());
        self.put(PCIE + 8, &0x2810u16.to_le_bytes());
        self.put(PCIE + 12, &0x0000_0482u32.to_le_bytes());
        self.put(PCIE + 18, &0x0082u16.to_le_bytes());
        self.put(PCIE + 0x24, &0x1Fu32.to_le_bytes());
        self.put(PCIE + 0x2C, &0x6u32.to_le_bytes());
        self.open(PCIE + 8, &[0xFF, 0x7F]);
        self.open(PCIE + 16, &[0xFF, 0x0F]);
        self.open(PCIE + 0x28, &[0x1F]);
    }

    /// Reads `size` bytes.
    pub fn read(&self, offset: u8, size: u8) -> u32 {
        let from = usize::from(offset);
        let bytes = self.bytes[from..].iter().take(usize::from(size));
        bytes.rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
    }

    pub(crate) fn write(&mut self, offset: u8, value: u32, size: u8) -> Written {
        let from = usize::from(offset);
        let until = (from + usize::from(size)).min(256);
        for (at, byte) in (from..until).zip(value.to_le_bytes()) {
            let mask = self.writable[at];
            self.bytes[at] = (self.bytes[at] & !mask) | (byte & mask);
        }
        let touches = |begin: usize, len: usize| from < begin + len && begin < until;
        let control =
            (PCIE + 9).checked_sub(from).and_then(|at| value.to_le_bytes().get(at).copied());
        if touches(PCIE + 9, 1) && control.is_some_and(|byte| byte & 0x80 != 0) {
            return Written::FunctionReset;
        }
        match touches(COMMAND, 2) || touches(MSI, 24) || touches(MSIX, 12) {
            true => Written::Interrupts,
            false => Written::Storage,
        }
    }

    /// Whether the device may access memory.
    pub fn is_bus_master(&self) -> bool {
        self.bytes[COMMAND] & 0x04 != 0
    }

    pub(crate) fn signalling(&self) -> Signalling {
        if self.bytes[MSIX + 3] & 0x80 != 0 {
            Signalling::Msix
        } else if self.bytes[MSI + 2] & 0x01 != 0 {
            Signalling::Msi
        } else if self.bytes[COMMAND + 1] & 0x04 != 0 {
            Signalling::None
        } else {
            Signalling::Pin
        }
    }

    /// All vectors are masked by the capability.
    pub(crate) fn masks_all_vectors(&self) -> bool {
        self.bytes[MSIX + 3] & 0x40 != 0
    }

    /// Address and data of MSI.
    pub(crate) fn msi(&self) -> (u64, u32) {
        let address =
            u64::from(self.read(MSI as u8 + 4, 4)) | u64::from(self.read(MSI as u8 + 8, 4)) << 32;
        (address, self.read(MSI as u8 + 12, 2))
    }

    /// Address of a BAR (0, 2 or 4; of a virtual function 0 or 3), as it has been programmed.
    pub fn bar(&self, number: u8) -> u64 {
        let at = 0x10 + 4 * number;
        let low = self.read(at, 4);
        match low & 1 {
            1 => u64::from(low & !3),
            _ => u64::from(low & !0xF) | u64::from(self.read(at + 4, 4)) << 32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_sized_by_writing_ones() {
        let mut space = ConfigSpace::new(0x10FB);
        space.write(0x10, u32::MAX, 4);
        assert_eq!(!(space.read(0x10, 4) & !0xF) + 1, BAR0_BYTES);
        space.write(0x18, u32::MAX, 4);
        assert_eq!(space.read(0x18, 4), 0xFFFF_FFE1);
    }

    #[test]
    fn capabilities_form_a_list() {
        let space = ConfigSpace::new(0x10FB);
        let mut at = space.read(0x34, 1);
        let mut ids = Vec::new();
        while at != 0 {
            ids.push(space.read(at as u8, 1));
            at = space.read(at as u8 + 1, 1);
        }
        assert_eq!(ids, [0x01, 0x05, 0x11, 0x10]);
    }

    #[test]
    fn a_virtual_function_has_two_windows_and_messages_only() {
        let mut space = ConfigSpace::of_function(0x1528);
        assert_eq!(space.read(0, 4), 0x1515_8086);
        for bar in [0x10, 0x1C] {
            space.write(bar, u32::MAX, 4);
            assert_eq!(!(space.read(bar, 4) & !0xF) + 1, VF_BAR_BYTES);
        }
        assert_eq!(
            [space.read(0x34, 1), space.read(0x71, 1), space.read(0xA1, 1)],
            [0x70, 0xA0, 0]
        );
        assert_eq!([space.read(0x72, 2), space.read(0x74, 4), space.read(0x78, 4)], [2, 3, 0x2003]);
        space.write(4, 0xFFFF, 2);
        assert_eq!(space.read(4, 2), 6);
        assert_eq!(space.write(0xA8, 0x8000, 2), Written::FunctionReset);
    }

    #[test]
    fn a_function_reset_is_seen_in_writes_of_any_size() {
        let mut space = ConfigSpace::new(0x10FB);
        assert_eq!(space.write(0xA8, 0xA810, 2), Written::FunctionReset);
        assert_eq!(space.write(0xA9, 0xA8, 1), Written::FunctionReset);
        assert_eq!(space.write(0xA8, 0x0000_A810, 4), Written::FunctionReset);
        assert_eq!(space.write(0xA8, 0x2810, 2), Written::Storage);
    }

    #[test]
    fn messages_go_before_the_pin() {
        let mut space = ConfigSpace::new(0x10FB);
        assert_eq!(space.signalling(), Signalling::Pin);
        space.write(0x04, 0x0406, 2);
        assert_eq!(space.signalling(), Signalling::None);
        space.write(0x72, 0x8000, 2);
        assert_eq!(space.signalling(), Signalling::Msix);
        assert!(space.is_bus_master());
    }
}
