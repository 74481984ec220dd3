//! The PHY of an X540, behind MDIO (IEEE 802.3 clause 45; §8.2.3.22.11).

use std::collections::BTreeMap;

use linecard_ixgbe_regs::registers::*;

use crate::device::Device;
use crate::family::Family;

/// Device ids of cards with one: X540-T2, X540-T1; X550-T2, X550-T1.
const COPPER: [u16; 4] = [0x1528, 0x1560, 0x1563, 0x15D1];

/// The second word of its PHY's identifier.
const X550_PHY: (Place, u16) = ((1, 3), 0x0223);

/// Registers are of a device (MMD) of the PHY, and a number.
type Place = (u32, u16);

/// What the PHY is (§45.2.1): its identifier, that it is there, its devices (PMA, PCS, PHY XS,
/// negotiation, the vendor's), speeds (10G, 1G, 100M) and kinds of cable (twisted pair for these).
const IDENTITY: [(Place, u16); 7] = [
    ((1, 2), 0x0154),
    ((1, 3), 0x0200),
    ((1, 4), 0x0031),
    ((1, 5), 0x009A),
    ((1, 6), 0x4000),
    ((1, 8), 0x8000),
    ((1, 11), 0x00A4),
];

/// Negotiation: its control, with restart, and its status.
const NEGOTIATION: Place = (7, 0);
const NEGOTIATION_STATUS: Place = (7, 1);
const RESTART: u16 = 1 << 9;
const COMPLETE: u16 = 1 << 5;
const LINK: u16 = 1 << 2;

/// The vendor's control, with low power.
const VENDOR: Place = (30, 0);
const LOW_POWER: u16 = 1 << 11;

/// What a bus gives when nobody answers.
const NOBODY: u16 = 0xFFFF;

/// Operations of MSCA.
const ADDRESS: u32 = 0;
const WRITE: u32 = 1;

#[derive(Debug)]
pub(crate) struct Phy {
    address: u16,
    registers: BTreeMap<Place, u16>,
}

impl Phy {
    /// The PHY of a card with this device id, if it has one.
    pub(crate) fn of(device_id: u16) -> Option<Self> {
        let own = (Family::of(device_id) == Family::X550).then_some(X550_PHY);
        let registers = IDENTITY.into_iter().chain(own).collect();
        COPPER.contains(&device_id).then_some(Self { address: 0, registers })
    }

    /// Whether it does not drive the cable.
    pub(crate) fn is_asleep(&self) -> bool {
        self.registers.get(&VENDOR).is_some_and(|word| word & LOW_POWER != 0)
    }
}

impl Device {
    /// Each operation is done at once. Without a PHY nobody answers.
    pub(crate) fn write_msca(&mut self, value: u32) {
        self.file.set(&MSCA, 0, value & !msca::MDICMD.mask());
        self.late(&MSCA, 0, msca::MDICMD.mask(), value);
        if !msca::MDICMD.is_set(value) {
            return;
        }
        let data = msrwd::MDIWRDATA.of(self.file.get(&MSRWD)) as u16;
        let answer = match (&mut self.phy, msca::PHYADD.of(value)) {
            (Some(phy), 0) => match (msca::OPCODE.of(value), msca::DEVADD.of(value)) {
                (ADDRESS, _) => {
                    phy.address = msca::MDIADD.of(value) as u16;
                    return;
                }
                (WRITE, device) => {
                    let place = (device, phy.address);
                    return self.write_phy(place, data);
                }
                (_, device) => {
                    let place = (device, phy.address);
                    self.read_phy(place)
                }
            },
            _ => NOBODY,
        };
        let word = msrwd::MDIRDDATA.put(self.file.get(&MSRWD), u32::from(answer));
        self.file.set(&MSRWD, 0, word);
    }

    fn read_phy(&self, place: Place) -> u16 {
        let link = if self.link.is_up() { LINK | COMPLETE } else { 0 };
        match (place, &self.phy) {
            (NEGOTIATION_STATUS | (1, 1), _) => link,
            (place, Some(phy)) => phy.registers.get(&place).copied().unwrap_or(0),
            (_, None) => NOBODY,
        }
    }

    fn write_phy(&mut self, place: Place, data: u16) {
        if IDENTITY.iter().any(|(fixed, _)| *fixed == place) {
            return;
        }
        let restarts = place == NEGOTIATION && data & RESTART != 0;
        let kept = if restarts { data & !RESTART } else { data };
        if let Some(phy) = &mut self.phy {
            phy.registers.insert(place, kept);
        }
        if restarts {
            self.link.restart();
            self.run_link();
        }
        self.update_light();
    }
}
