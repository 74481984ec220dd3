//! What the filters of the flow director compare: one mask, which all share (§8.2.3.17.6 ff.).

use super::director::FlowDirector;
use crate::hardware::PATIENCE;
use crate::registers::{Registers, Until};
use crate::trouble::Trouble;
use linecard_ixgbe_regs::Field;
use linecard_ixgbe_regs::registers::*;

/// What all filters compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mask {
    pub(super) src: u32,
    pub(super) dst: u32,
    pub(super) sport: u16,
    pub(super) dport: u16,
    pub(super) vlan: u16,
    pub(super) transport: bool,
    /// Where the flexible word is, in words from the frame's first byte, if it is compared.
    pub(super) flex: Option<u8>,
}

impl std::fmt::Display for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Mask { src, dst, sport, dport, vlan, transport, flex } = self;
        let [src, dst] = [src, dst].map(|mask| std::net::Ipv4Addr::from_bits(*mask));
        let transport = if *transport { "the transport" } else { "any transport" };
        write!(
            f,
            "{transport}, src {src}, dst {dst}, ports {sport:#x} and {dport:#x}, tag {vlan:#x}"
        )?;
        flex.map_or(Ok(()), |words| write!(f, ", the bytes at {}", 2 * u32::from(words)))
    }
}

impl Mask {
    /// Sets it, while there are no filters.
    pub(super) fn set(self, registers: &Registers, director: FlowDirector) -> Result<(), Trouble> {
        self.set_place_of_flex(registers)?;
        // Ones are what is ignored.
        let bit = |field: Field, ignored: bool| field.put(0, u32::from(ignored));
        let word = bit(fdirm::VLANID, self.vlan & 0x0FFF == 0)
            | bit(fdirm::VLANP, self.vlan & 0xE000 == 0)
            | bit(fdirm::L4P, !self.transport)
            | bit(fdirm::FLEX, self.flex.is_none())
            | bit(fdirm::DIPV6, director.is_perfect())
            | fdirm::POOL.mask();
        registers.write(&FDIRM, word);
        if director.is_perfect() {
            self.set_perfect(registers);
        }
        Ok(())
    }

    /// The masks that signatures do not have.
    fn set_perfect(self, registers: &Registers) {
        registers.write(&FDIRSIP4M, !self.src.swap_bytes());
        registers.write(&FDIRDIP4M, !self.dst.swap_bytes());
        // Bits of ports in reverse, the source's in the low half (§8.2.3.17.9).
        let half = |mask: u16| u32::from(mask.reverse_bits());
        let ports = !(half(self.dport) << 16 | half(self.sport));
        registers.write(&FDIRTCPM, ports);
        registers.write(&FDIRUDPM, ports);
    }

    /// FDIRCTRL says where the flexible word is, and writing it sets the filters' memory up anew. That
    /// wants the table cleared before, by a bit that does not clear itself (§8.2.3.17).
    fn set_place_of_flex(self, registers: &Registers) -> Result<(), Trouble> {
        let word = registers.read(&FDIRCTRL);
        let Some(place) = self.flex.map(u32::from) else { return Ok(()) };
        if fdirctrl::FLEX_OFFSET.of(word) == place {
            return Ok(());
        }
        registers.wait(&Until::clear(&FDIRCMD, fdircmd::CMD, PATIENCE))?;
        registers.write(&FDIRCMD, fdircmd::CLEARHT.mask());
        registers.flush();
        registers.write(&FDIRCMD, 0);
        registers.flush();
        let word = fdirctrl::INIT_DONE.put(word, 0);
        registers.write(&FDIRCTRL, fdirctrl::FLEX_OFFSET.put(word, place));
        registers.wait(&Until::set(&FDIRCTRL, fdirctrl::INIT_DONE, PATIENCE))
    }
}
