//! The register file: the words, and what they are after a reset.

use linecard_ixgbe_regs::registers::*;
use linecard_ixgbe_regs::{BAR0_BYTES, Field, Register};

use crate::effect::slot;

/// Values after a reset, where they are not 0.
const RESET: &[(Register, u32)] = &[
    (EEC, 0x0000_0700 | 6 << 11),
    (FWSM, 1 << 15),
    (AUTOC, 0xC09C_6004),
    (AUTOC2, 0x000A_0000),
    (SECTXSTAT, sectxstat::OFF.mask()),
    (SECRXSTAT, secrxstat::OFF.mask()),
    (HLREG0, 0x0800_0C03),
    (MAXFRS, 1518 << 16),
    (RDRXCTL, 0x0010_8808),
    (VLNCTRL, 0x8100),
    (EXVET, 0x8100 << 16),
    (DMATXCTL, 0x8100 << 16),
    (STATUS, 0x0008_0000),
    (EEMNGCTL, 0b11 << 18),
    // SDP3 is an output: it switches the laser off.
    (ESDP, 1 << 11),
    (DCA_CTRL, dca_ctrl::DISABLE.mask()),
    (RTTDCS, 0x00C0_0000),
    (RTTPCS, 0x8900_0000),
    (TXPBTHRESH, 0x96),
    (DTXMXSZRQ, 0x10),
    (DTXTCPFLGL, 0x0FF6_0FF6),
    (DTXTCPFLGH, 0x0F7F),
    // PTP over UDP has port 319.
    (RXMTRL, 319 << 16),
];

/// Values after a reset of whole arrays. Bit 12 of DCA_RXCTRL has no name.
const RESET_OF_ALL: &[(Register, u32)] = &[
    (RXPBSIZE, 0x80000),
    (TXPBSIZE, 0x28000),
    (DCA_RXCTRL, 0xB200),
    (DCA_TXCTRL, 0x2A00),
    (PFMBIMR, u32::MAX),
];

/// Memory of filters, which no reset clears: it is the driver that does (§4.6.7).
const KEPT: &[Register] = &[
    MTA, VFTA, PFUTA, PFVLVF, PFVLVFB, MPSAR, FTQF, SAQF, DAQF, SDPQF, L34TIMIR, RETA, ERETA, RSSRK,
];

/// Semaphores, which the card's other port and the firmware look at too: no reset of a port gives them back.
const SHARED: &[Register] = &[SWSM, SW_FW_SYNC];

/// All words of BAR 0.
#[derive(Debug)]
pub(crate) struct RegisterFile {
    words: Box<[u32]>,
}

impl RegisterFile {
    pub(crate) fn new() -> Self {
        let mut file = Self { words: vec![0; (BAR0_BYTES / 4) as usize].into() };
        file.reset();
        file
    }

    /// Back to the values after a reset.
    pub(crate) fn reset(&mut self) {
        let kept = KEPT.iter().chain(SHARED).flat_map(Register::offsets);
        let kept: Vec<_> = kept.map(|offset| (offset, self.word(offset))).collect();
        self.words.fill(0);
        for (register, value) in RESET {
            self.set(register, 0, *value);
        }
        for (register, value) in RESET_OF_ALL {
            (0..register.count()).for_each(|index| self.set(register, index, *value));
        }
        kept.into_iter().for_each(|(offset, word)| self.set_word(offset, word));
    }

    /// One element back to its value after a reset.
    pub(crate) fn reset_element(&mut self, register: &Register, index: u32) {
        let known = RESET_OF_ALL.iter().find(|(known, _)| known.name == register.name);
        self.set(register, index, known.map_or(0, |(_, value)| *value));
    }

    /// Whether a register is memory that no reset clears.
    pub(crate) fn is_kept(register: &Register) -> bool {
        KEPT.iter().any(|kept| kept.name == register.name)
    }

    /// The word at `offset`, whatever a read of it would do.
    pub(crate) fn word(&self, offset: u32) -> u32 {
        self.words[(slot(offset).home / 4) as usize]
    }

    pub(crate) fn set_word(&mut self, offset: u32, value: u32) {
        self.words[(slot(offset).home / 4) as usize] = value;
    }

    /// Element `index`, which lies in the array.
    pub(crate) fn at(&self, register: &Register, index: u32) -> u32 {
        register.at(index).map_or(0, |offset| self.words[(offset / 4) as usize])
    }

    pub(crate) fn get(&self, register: &Register) -> u32 {
        self.words[(register.offset() / 4) as usize]
    }

    pub(crate) fn has(&self, register: &Register, field: Field) -> bool {
        field.is_set(self.get(register))
    }

    pub(crate) fn set(&mut self, register: &Register, index: u32, value: u32) {
        if let Some(offset) = register.at(index) {
            self.words[(offset / 4) as usize] = value;
        }
    }

    /// Adds to a counter, which stops at all ones.
    pub(crate) fn count(&mut self, register: &Register, index: u32, amount: u32) {
        let sum = self.at(register, index).saturating_add(amount);
        self.set(register, index, sum);
    }

    /// Adds to a counter of 36 bits.
    pub(crate) fn count_wide(&mut self, low: &Register, high: &Register, index: u32, amount: u32) {
        let sum = u64::from(self.at(low, index)) + u64::from(amount);
        self.set(low, index, sum as u32);
        let carry = (sum >> 32) as u32;
        self.set(high, index, (self.at(high, index) + carry) & 0xF);
    }
}
