//! The link: SFP+ and backplane by the MAC itself (§4.6.4), copper by the PHY behind MDIO.

use crate::hardware::{Hardware, PATIENCE, Shared};
use crate::ids::{Family, Media};
use crate::registers::{Registers, Until};
use crate::trouble::Trouble;
use linecard_ixgbe_regs::Register;
use linecard_ixgbe_regs::registers::*;
use linecard_pmd_core::{Duplex, Link, LinkState};

/// AUTOC.LMS: 10 Gb/s serial, without negotiation (§8.2.3.22.19).
const LMS_10G_SERIAL: u32 = 3;

/// AUTOC2.10G_PMA_PMD_Serial: SFI.
const SERIAL_SFI: u32 = 2;

/// ESDP: pin SDP3 switches the laser off.
const LASER_OFF: u32 = 1 << 3;

/// MDIO: device 7 is negotiation (IEEE 802.3 §45.2.7), its control register, restart and enable.
const NEGOTIATION: u32 = 7;
const RESTART: u16 = 1 << 9 | 1 << 12;

/// The vendor's device of the PHY, its control register, low power.
const VENDOR: u32 = 30;
const LOW_POWER: u16 = 1 << 11;

/// Sets the link up, or lets it negotiate anew.
pub(crate) fn up(hardware: &Hardware) -> Result<(), Trouble> {
    match (hardware.family, hardware.media) {
        (Family::I82599, media) => hardware.sharing(Shared::MacCsr, || serial(hardware, media)),
        (Family::X540, _) => negotiate(hardware),
        // The firmware of an X550 keeps its PHY.
        (Family::X550, _) => Ok(()),
    }
}

/// Switches the laser off: the other end sees no light, and its link goes down. Only SFP+ cages have
/// that switch.
pub(crate) fn down(hardware: &Hardware) {
    let registers = &hardware.registers;
    registers.write(&ESDP, laser(registers.read(&ESDP)) | LASER_OFF);
    registers.flush();
}

/// Has the PHY of an X540 sleep: the other end's link goes down.
pub(crate) fn sleep(hardware: &Hardware) -> Result<(), Trouble> {
    hardware.sharing(Shared::Phy, || {
        let power = mdio_read(hardware, VENDOR, 0)?;
        mdio_write(hardware, VENDOR, 0, power | LOW_POWER)
    })
}

/// ESDP with SDP3 as an output, low.
fn laser(word: u32) -> u32 {
    let direction = esdp::DIRECTION.of(word) | LASER_OFF;
    esdp::DIRECTION.put(word, direction) & !LASER_OFF
}

fn serial(hardware: &Hardware, media: Media) -> Result<(), Trouble> {
    let registers = &hardware.registers;
    if media == Media::Sfp {
        registers.write(&ESDP, laser(registers.read(&ESDP)));
        registers.put(&AUTOC2, autoc2::TEN_G_PMA_PMD_SERIAL, SERIAL_SFI);
        registers.put(&AUTOC, autoc::LMS, LMS_10G_SERIAL);
    }
    registers.set(&AUTOC, autoc::RESTART_AN);
    registers.flush();
    Ok(())
}

fn negotiate(hardware: &Hardware) -> Result<(), Trouble> {
    hardware.sharing(Shared::Phy, || {
        let power = mdio_read(hardware, VENDOR, 0)?;
        mdio_write(hardware, VENDOR, 0, power & !LOW_POWER)?;
        let control = mdio_read(hardware, NEGOTIATION, 0)?;
        mdio_write(hardware, NEGOTIATION, 0, control | RESTART)
    })
}

/// MSCA's operations (§8.2.3.22.11): an address cycle, then a read or a write.
const ADDRESS: u32 = 0;
const WRITE: u32 = 1;
const READ: u32 = 3;

fn mdio(hardware: &Hardware, operation: u32, device: u32, register: u32) -> Result<(), Trouble> {
    let word = msca::MDIADD.put(msca::MDICMD.mask(), register);
    let word = msca::OPCODE.put(msca::DEVADD.put(word, device), operation);
    hardware.registers.write(&MSCA, word);
    hardware.registers.wait(&Until::clear(&MSCA, msca::MDICMD, PATIENCE))
}

fn mdio_read(hardware: &Hardware, device: u32, register: u32) -> Result<u16, Trouble> {
    mdio(hardware, ADDRESS, device, register)?;
    mdio(hardware, READ, device, register)?;
    Ok(hardware.registers.field(&MSRWD, msrwd::MDIRDDATA) as u16)
}

fn mdio_write(hardware: &Hardware, device: u32, register: u32, data: u16) -> Result<(), Trouble> {
    mdio(hardware, ADDRESS, device, register)?;
    hardware.registers.put(&MSRWD, msrwd::MDIWRDATA, u32::from(data));
    mdio(hardware, WRITE, device, register)
}

/// The link now (§8.2.3.22.20).
pub(crate) fn state(hardware: &Hardware) -> Result<Link, Trouble> {
    read(&hardware.registers, &LINKS, hardware.family)
}

/// The link that LINKS tells of, or VFLINKS.
pub(crate) fn read(
    registers: &Registers,
    register: &'static Register,
    family: Family,
) -> Result<Link, Trouble> {
    let word = registers.read(register);
    if word == u32::MAX {
        return Err(Trouble::Silent { register: register.name });
    }
    if !links::UP.is_set(word) {
        return Ok(Link::DOWN);
    }
    Ok(Link { state: LinkState::Up, speed: speed(family, word), duplex: Duplex::Full })
}

/// Mb/s, of LINKS. An X550 tells speeds between by another bit.
fn speed(family: Family, word: u32) -> Option<u32> {
    match (links::SPEED.of(word), family == Family::X550 && links::MODE.is_set(word)) {
        (3, false) => Some(10_000),
        (3, true) => Some(2_500),
        (2, _) => Some(1_000),
        (1, false) => Some(100),
        (1, true) => Some(5_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_x550_has_speeds_between() {
        let word = |speed, mode| links::MODE.put(links::SPEED.put(0, speed), mode);
        let all = [(3, 0), (3, 1), (2, 0), (1, 0), (1, 1), (0, 0)];
        let told = |family| all.map(|(bits, mode)| speed(family, word(bits, mode)));
        let [ten, one, tenth] = [Some(10_000), Some(1_000), Some(100)];
        assert_eq!(told(Family::I82599), [ten, ten, one, tenth, tenth, None]);
        assert_eq!(told(Family::X550), [ten, Some(2_500), one, tenth, Some(5_000), None]);
    }
}
