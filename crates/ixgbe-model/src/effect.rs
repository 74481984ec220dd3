//! The side-effect table: what a read or a write of a register does beyond storing a word.

use std::sync::LazyLock;

use linecard_ixgbe_regs::registers::*;
use linecard_ixgbe_regs::{Access, BAR0_BYTES, Register, all};

/// What happens at a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Reads give what was written.
    Plain,
    /// Writes change nothing.
    Constant,
    /// A read clears it, a write too.
    Counter,
    Ctrl,
    I2cctl,
    Eec,
    Eerd,
    Eewr,
    Swsm,
    Msca,
    Autoc,
    Links,
    Status,
    Esdp,
    Eicr,
    Eics,
    Eims,
    Eimc,
    EicsEx,
    EimsEx,
    EimcEx,
    Rxctrl,
    Rxdctl,
    Rdt,
    Txdctl,
    Tdt,
    Dmatxctl,
    Fdirctrl,
    Fdircmd,
    Fctrl,
    SystemTime,
    ClockRate,
    Tsicr,
    RxStampHigh,
    TxStampHigh,
    Rttbcnrc,
    Hicr,
    CtrlExt,
    Pfmailbox,
    Pfmbicr,
    Pfvflrec,
    Pfqde,
    Pfvfte,
    Sectxstat,
    Secrxstat,
}

use Effect::*;

const EFFECTS: &[(Register, Effect)] = &[
    (CTRL, Ctrl),
    (STATUS, Status),
    (I2CCTL, I2cctl),
    (ESDP, Esdp),
    (EEC, Eec),
    (EERD, Eerd),
    (EEWR, Eewr),
    (SWSM, Swsm),
    (MSCA, Msca),
    (AUTOC, Autoc),
    (LINKS, Links),
    (EICR, Eicr),
    (EICS, Eics),
    (EIMS, Eims),
    (EIMC, Eimc),
    (EICS_EX, EicsEx),
    (EIMS_EX, EimsEx),
    (EIMC_EX, EimcEx),
    (RXCTRL, Rxctrl),
    (RXDCTL, Rxdctl),
    (RDT, Rdt),
    (TXDCTL, Txdctl),
    (TDT, Tdt),
    (DMATXCTL, Dmatxctl),
    (FDIRCTRL, Fdirctrl),
    (FDIRCMD, Fdircmd),
    (SYSTIML, SystemTime),
    (SYSTIMH, SystemTime),
    (SYSTIMR, SystemTime),
    (TIMINCA, ClockRate),
    (TSAUXC, ClockRate),
    (TSICR, Tsicr),
    (RXSTMPH, RxStampHigh),
    (TXSTMPH, TxStampHigh),
    (RTTBCNRC, Rttbcnrc),
    (FCTRL, Fctrl),
    (HICR, Hicr),
    (CTRL_EXT, CtrlExt),
    (PFMAILBOX, Pfmailbox),
    (PFMBICR, Pfmbicr),
    (PFVFLREC, Pfvflrec),
    (PFQDE, Pfqde),
    (PFVFTE, Pfvfte),
    (SECTXSTAT, Sectxstat),
    (SECRXSTAT, Secrxstat),
];

/// Bits that a write can change, where that is not all of them.
const WRITABLE: &[(Register, u32)] = &[
    (RDBAL, 0xFFFF_FF80),
    (TDBAL, 0xFFFF_FF80),
    (RDLEN, 0x000F_FF80),
    (TDLEN, 0x000F_FF80),
    (RDH, 0xFFFF),
    (RDT, 0xFFFF),
    (TDH, 0xFFFF),
    (TDT, 0xFFFF),
    (RAH, 0x8000_FFFF),
    (RDRXCTL, !rdrxctl::DMAIDONE.mask()),
    (CTRL_EXT, !ctrl_ext::PFRSTD.mask()),
];

/// What a word of BAR 0 is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// Offset of the register itself, if this is an alias.
    pub(crate) home: u32,
    pub(crate) effect: Effect,
    /// Which element of the array.
    pub(crate) index: u16,
    pub(crate) writable: u32,
    /// Whether the table has it.
    pub(crate) is_known: bool,
}

static SLOTS: LazyLock<Box<[Slot]>> = LazyLock::new(slots);

/// The slot of the word at `offset`, which is cut to the BAR.
pub(crate) fn slot(offset: u32) -> Slot {
    SLOTS[((offset % BAR0_BYTES) / 4) as usize]
}

fn slots() -> Box<[Slot]> {
    let unknown = |word| Slot {
        home: word * 4,
        effect: Plain,
        index: 0,
        writable: u32::MAX,
        is_known: false,
    };
    let mut slots: Box<[Slot]> = (0..BAR0_BYTES / 4).map(unknown).collect();
    for register in all() {
        let effect = effect_of(register);
        let writable = writable_bits(register);
        for (index, home) in register.offsets().enumerate() {
            let slot = Slot { home, effect, index: index as u16, writable, is_known: true };
            slots[(home / 4) as usize] = slot;
            if let Some(alias) = register.alias.and_then(|span| span.at(index as u32)) {
                slots[(alias / 4) as usize] = slot;
            }
        }
    }
    slots
}

fn effect_of(register: &Register) -> Effect {
    let special = EFFECTS.iter().find(|(known, _)| known.name == register.name);
    match (special, register.access) {
        (Some((_, effect)), _) => *effect,
        (None, Access::ReadOnly) => Constant,
        (None, Access::ReadClear) => Counter,
        (None, _) => Plain,
    }
}

fn writable_bits(register: &Register) -> u32 {
    let known = WRITABLE.iter().find(|(known, _)| known.name == register.name);
    known.map_or(u32::MAX, |(_, mask)| *mask)
}
