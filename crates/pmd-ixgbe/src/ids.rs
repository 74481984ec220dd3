//! Which cards these are.

use linecard_eal::device::Identity;

/// What a card is, as far as the driver tells cards apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// 82599, X520.
    I82599,
    /// X540: copper, with a PHY behind MDIO.
    X540,
    /// X550, and those built into processors.
    X550,
}

/// What carries the bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// An SFP+ cage.
    Sfp,
    /// A backplane.
    Backplane,
    /// Twisted pair.
    Copper,
}

const INTEL: u16 = 0x8086;

use Family::{I82599, X540, X550};
use Media::{Backplane, Copper, Sfp};

/// Device ids, as the kernel's and DPDK's drivers know them. Not here: X553 (15C2 to 15CE), whose registers for the
/// EEPROM and its semaphores lie elsewhere.
const CARDS: &[(u16, Family, Media)] = &[
    (0x10F7, I82599, Backplane), // KX4
    (0x1514, I82599, Backplane), // KX4 mezzanine
    (0x1517, I82599, Backplane), // KR
    (0x10F8, I82599, Backplane), // combined backplane
    (0x10F9, I82599, Copper),    // CX4
    (0x10FB, I82599, Sfp),       // SFI/SFP+: X520
    (0x152A, I82599, Backplane), // backplane, FCoE
    (0x1529, I82599, Sfp),       // SFP+, FCoE
    (0x1507, I82599, Sfp),       // SFP+ for extended modules
    (0x154D, I82599, Sfp),       // X520-2, two ports
    (0x154A, I82599, Sfp),       // X520-4, four ports
    (0x1558, I82599, Sfp),       // QSFP+
    (0x1557, I82599, Sfp),       // EN SFP+
    (0x10FC, I82599, Copper),    // XAUI
    (0x151C, I82599, Copper),    // T3 LOM
    (0x154F, I82599, Sfp),       // LS
    (0x1528, X540, Copper),      // X540-T2
    (0x1560, X540, Copper),      // X540-T1
    (0x1563, X550, Copper),      // X550-T2
    (0x15D1, X550, Copper),      // X550-T1
    (0x15AA, X550, Backplane),   // X552 KX4
    (0x15AB, X550, Backplane),   // X552 KR
    (0x15AC, X550, Sfp),         // X552 SFP+
    (0x15AD, X550, Copper),      // X552 10GBASE-T
];

/// X552, built into processors: an X550 but for its PHY, and for its clock, of which only fuses tell how fast it is.
const X552: std::ops::RangeInclusive<u16> = 0x15AA..=0x15AD;

/// Whether a card's clock can be used.
pub(crate) fn has_clock(identity: Identity) -> bool {
    !X552.contains(&identity.device)
}

/// Whether the driver knows a device, and as what.
pub fn family(identity: Identity) -> Option<(Family, Media)> {
    let known = |card: &&(u16, Family, Media)| card.0 == identity.device;
    let card = CARDS.iter().find(known).filter(|_| identity.vendor == INTEL)?;
    Some((card.1, card.2))
}

/// Virtual functions. Not here: those that Hyper-V gives a guest, whose mailbox is elsewhere.
const VIRTUAL: &[(u16, Family)] = &[
    (0x10ED, I82599),
    (0x1515, X540),
    (0x1565, X550),
    (0x15A8, X550), // X552
    (0x15C5, X550), // X553
];

/// Whether the driver knows a device as a virtual function, and of which family.
pub fn virtual_family(identity: Identity) -> Option<Family> {
    let known = VIRTUAL.iter().find(|known| known.0 == identity.device);
    Some(known.filter(|_| identity.vendor == INTEL)?.1)
}

impl Family {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            I82599 => "82599",
            X540 => "X540",
            X550 => "X550",
        }
    }

    /// KiB of its receive packet buffer.
    pub(crate) const fn rx_buffer(self) -> u32 {
        match self {
            I82599 => 512,
            X540 | X550 => 384,
        }
    }

    /// Entries of its redirection table.
    pub(crate) const fn table(self) -> usize {
        match self {
            I82599 | X540 => 128,
            X550 => 512,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_x520_is_an_82599_with_a_cage() {
        let x520 = Identity { vendor: 0x8086, device: 0x10FB, ..Identity::default() };
        assert_eq!(family(x520), Some((I82599, Sfp)));
        assert_eq!(family(Identity { vendor: 0x1AF4, ..x520 }), None);
        assert_eq!(family(Identity { device: 0x1000, ..x520 }), None);
    }

    #[test]
    fn no_card_is_listed_twice() {
        let mut ids: Vec<_> = CARDS.iter().map(|card| card.0).collect();
        ids.extend(VIRTUAL.iter().map(|function| function.0));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), CARDS.len() + VIRTUAL.len());
    }
}
