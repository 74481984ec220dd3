//! Initialisation, section by section of the datasheet's §4.6.

use crate::classes::Classes;
use crate::engine::Coalesce;
use crate::hardware::{Hardware, PATIENCE};
use crate::registers::{Registers, Until};
use crate::trouble::Trouble;
use linecard_ixgbe_regs::QUEUES;
use linecard_ixgbe_regs::registers::*;

/// Where the driver does not do what the datasheet says, or does what it does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The datasheet does not say it, and it is needed.
    Missing,
    /// It says two things.
    Contradiction,
    /// It says it, and nothing depends on it.
    Pointless,
    /// The driver has no use for it.
    Unused,
}

/// Every departure of the initialisation, by section.
pub const DEPARTURES: &[(&str, Departure, &str)] = &[
    (
        "4.6.3.2",
        Departure::Missing,
        "if requests on the bus did not end, buffers are flushed and the reset is done twice (§5.2.5.3.2 says so)",
    ),
    (
        "4.6.4",
        Departure::Unused,
        "SFP+ modules' own settings in the EEPROM: the firmware's defaults carry 10G SR, LR and DA",
    ),
    (
        "4.6.6",
        Departure::Pointless,
        "interrupts are set up when the port starts, not before: none is wanted until then",
    ),
    (
        "4.6.7",
        Departure::Contradiction,
        "RDRXCTL.RSCFRSTSIZE: reserved with a default of 8, to be written 0; it is written 0",
    ),
    (
        "4.6.7",
        Departure::Unused,
        "RXFECCERR0.ECCFLT_EN: reception that stops at an error in a filter's memory, and an interrupt that says so",
    ),
    (
        "4.6.7",
        Departure::Unused,
        "header split: packets go into one buffer or several, headers first",
    ),
    ("4.6.8", Departure::Unused, "DTXTCPFLGL/H: their defaults are right for TCP segmentation"),
    (
        "4.6.11",
        Departure::Unused,
        "traffic classes, but for the transmit queues above 64: one packet buffer for all there is (512 KiB, 384 of an X540 or X550), and of 160 KiB for transmit",
    ),
    (
        "4.6.11",
        Departure::Unused,
        "with classes, for the queues above 64: priorities, which are all of receive class 0, and their flow control",
    ),
    (
        "7.1.2.7",
        Departure::Missing,
        "FDIRCTRL is written again where the flexible word moves: while there are no filters, and after FDIRCMD.CLEARHT",
    ),
    ("7.1.2", Departure::Unused, "pools of virtual machines: everything is in pool 0"),
];

/// Bytes of the receive packet buffer above FCRTH, which wants to be set whether pauses are sent or not
/// (§4.6.3.2).
const ABOVE_MARK: u32 = 0x6000;

/// §4.6.3: after a reset, all but queues and link. `frame` is the largest frame in bytes, its check
/// sequence included; `director` the KiB of the receive packet buffer that the flow director has.
pub(crate) fn bring_up(hardware: &Hardware, classes: Classes, frame: u32, director: u32) {
    let registers = &hardware.registers;
    tables(registers);
    receive(registers, frame, hardware.family.rx_buffer() - director);
    classes.receive(registers);
    transmit(registers, classes);
    // §4.6.3: a driver has the device.
    registers.set(&CTRL_EXT, ctrl_ext::DRV_LOAD);
}

/// §4.6.7: filters hold whatever they held before, as they have no reset.
fn tables(registers: &Registers) {
    registers.fill(&MTA, 0);
    registers.fill(&VFTA, 0);
    registers.fill(&PFUTA, 0);
    registers.fill(&PFVLVF, 0);
    registers.fill(&PFVLVFB, 0);
    // Address 0 is the card's own, from the EEPROM. All belong to pool 0.
    (1..RAH.count()).for_each(|index| {
        registers.write_at(&RAL, index, 0);
        registers.write_at(&RAH, index, 0);
    });
    registers.fill(&MPSAR, 0);
    registers.write_at(&MPSAR, 0, 1);
    registers.fill(&FTQF, 0);
    registers.fill(&ETQF, 0);
    registers.write(&SYNQF, 0);
}

/// §4.6.7: receive, but for its queues.
fn receive(registers: &Registers, frame: u32, buffer: u32) {
    registers.write(&FCTRL, fctrl::BAM.mask());
    registers.fill(&RXPBSIZE, 0);
    registers.write_at(&RXPBSIZE, 0, rxpbsize::SIZE.put(0, buffer));
    registers.write(&FCRTH, (buffer << 10) - ABOVE_MARK);
    frames(registers, frame);
    registers.set(&HLREG0, hlreg0::RXCRCSTRP);
    let word = registers.read(&RDRXCTL);
    let word = rdrxctl::RSCFRSTSIZE.put(rdrxctl::CRCSTRIP.put(word, 1), 0);
    // §8.2.3.8.8: these two are to be set, whether segments are merged or not.
    registers.write(&RDRXCTL, word | rdrxctl::RSCACKC.mask() | rdrxctl::FCOE_WRFIX.mask());
    // Checksums are always checked; whether anybody is told is the queue's choice. PCSD: the RSS
    // hash has the place of the fragment checksum.
    registers.write(&RXCSUM, rxcsum::PCSD.mask());
    registers.set(&CTRL_EXT, ctrl_ext::NS_DIS);
    registers.write_at(&PSRTYPE, 0, 0);
}

/// §4.6.7.2: what merging TCP segments needs besides its switch in each queue; or that there is none.
pub(crate) fn coalesce(registers: &Registers, on: Coalesce) {
    if on == Coalesce::No {
        return registers.set(&RFCTL, rfctl::RSC_DIS);
    }
    registers.clear(&RFCTL, rfctl::RSC_DIS);
    // Acknowledgements without data are not held back.
    registers.set(&RSCDBU, rscdbu::RSCACKDIS);
    registers.write_at(&PSRTYPE, 0, psrtype::TCP.mask());
}

/// §7.4.5: every frame has an outer tag of this EtherType, that the card looks past: the tags that it
/// filters, strips and inserts are those behind it.
pub(crate) fn outer_tag(registers: &Registers, ether_type: Option<u16>) {
    if let Some(ether_type) = ether_type {
        registers.write(&EXVET, exvet::VET_EXT.put(0, u32::from(ether_type)));
        registers.set(&CTRL_EXT, ctrl_ext::EXTENDED_VLAN);
        registers.set(&DMATXCTL, dmatxctl::GDV);
    }
}

/// The largest frame that is received (§8.2.3.22.13).
pub(crate) fn frames(registers: &Registers, frame: u32) {
    registers.put(&HLREG0, hlreg0::JUMBOEN, u32::from(frame > 1518));
    registers.put(&MAXFRS, maxfrs::MFS, frame);
}

/// §4.6.8: transmit, but for its queues.
fn transmit(registers: &Registers, classes: Classes) {
    registers.set(&HLREG0, hlreg0::TXCRCEN);
    registers.set(&HLREG0, hlreg0::TXPADEN);
    classes.transmit(registers);
    registers.set(&DMATXCTL, dmatxctl::TE);
}

/// §4.6.11.3.4: no queue has credits or a rate, whatever the memory behind RTTDQSEL held.
pub(crate) fn unlimited(registers: &Registers) {
    for queue in 0..QUEUES {
        registers.write(&RTTDQSEL, rttdqsel::TXDQ_IDX.put(0, queue));
        registers.write(&RTTDT1C, 0);
        registers.write(&RTTBCNRC, 0);
    }
}

/// §4.6.7, last: lets packets in. The path through the security block is emptied before.
pub(crate) fn open_receive(registers: &Registers) -> Result<(), Trouble> {
    registers.set(&SECRXCTRL, secrxctrl::RX_DIS);
    registers.wait(&Until::set(&SECRXSTAT, secrxstat::RDY, PATIENCE))?;
    registers.set(&RXCTRL, rxctrl::RXEN);
    registers.clear(&SECRXCTRL, secrxctrl::RX_DIS);
    Ok(())
}

/// The reverse: no packet comes in.
pub(crate) fn close_receive(registers: &Registers) {
    registers.clear(&RXCTRL, rxctrl::RXEN);
}
