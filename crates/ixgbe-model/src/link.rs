//! The link: LINKS, AUTOC and their interrupt; pins of the SFP+ cage (§3.7.4, §8.2.3.22.19).

use linecard_ixgbe_regs::registers::*;

use crate::bus::Light;
use crate::device::Device;
use crate::family::Family;

/// What the link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// No light.
    Down,
    /// 1 Gb/s.
    OneGigabit,
    /// 2.5 Gb/s, of an X550.
    TwoAndAHalfGigabit,
    /// 5 Gb/s, of an X550.
    FiveGigabit,
    /// 10 Gb/s.
    TenGigabit,
}

#[derive(Debug)]
pub(crate) struct Link {
    carrier: Carrier,
    /// LSC is to be raised.
    has_changed: bool,
    /// What the other end of the wire was told of the laser.
    light: Light,
}

impl Default for Link {
    fn default() -> Self {
        Self { carrier: Carrier::TenGigabit, has_changed: false, light: Light::On }
    }
}

/// Ten gigabit, aligned, synchronised, signals detected, without UP and SPEED.
const TEN_GIGABIT: u32 = 0x0000_D000;
const ONE_GIGABIT: u32 = 0x0002_1000;
/// SDP3, as an output: no laser.
const LASER_OFF: u32 = 1 << 3;
/// SDP2: no module.
const MODULE_ABSENT: u32 = 1 << 2;

impl Link {
    /// Negotiation begins anew, and is done.
    pub(crate) fn restart(&mut self) {
        self.has_changed = true;
    }

    pub(crate) fn is_up(&self) -> bool {
        self.carrier != Carrier::Down
    }

    /// Mb/s of the link, or of the last one.
    pub(crate) fn megabits(&self) -> u64 {
        match self.carrier {
            Carrier::OneGigabit => 1_000,
            Carrier::TwoAndAHalfGigabit => 2_500,
            Carrier::FiveGigabit => 5_000,
            Carrier::TenGigabit | Carrier::Down => 10_000,
        }
    }

    pub(crate) fn links(&self, family: Family) -> u32 {
        // An X550 has the mode's bit for speeds between the others.
        let (word, speed, between) = match self.carrier {
            Carrier::Down => return 0,
            Carrier::OneGigabit => (ONE_GIGABIT, 2, 0),
            Carrier::TwoAndAHalfGigabit => (TEN_GIGABIT, 3, 1),
            Carrier::FiveGigabit => (TEN_GIGABIT, 1, 1),
            Carrier::TenGigabit => (TEN_GIGABIT, 3, 0),
        };
        let is_serial = u32::from(word == TEN_GIGABIT);
        let mode = if family == Family::X550 { between } else { is_serial };
        let word = links::MODE.put(word, mode);
        links::UP.put(links::SPEED.put(word, speed), 1)
    }

    /// ESDP as it reads.
    pub(crate) fn pins(&self, stored: u32) -> u32 {
        stored & !MODULE_ABSENT
    }
}

impl Device {
    /// Plugs and unplugs, or changes the speed; the driver gets LSC.
    pub fn set_carrier(&mut self, carrier: Carrier) {
        if self.link.carrier != carrier {
            self.hold_clock();
            self.link.carrier = carrier;
            self.link.restart();
            self.run_link();
        }
    }

    /// The other end's laser: without it there is no link.
    pub fn set_light(&mut self, light: Light) {
        self.set_carrier(match light {
            Light::On => Carrier::TenGigabit,
            Light::Off => Carrier::Down,
        });
    }

    /// The laser is what the pins say, a PHY what its power: the wire is told when it changes.
    pub(crate) fn update_light(&mut self) {
        let word = self.file.get(&ESDP);
        let is_off = esdp::DIRECTION.of(word) & esdp::DATA.of(word) & LASER_OFF != 0;
        let is_asleep = self.phy.as_ref().is_some_and(|phy| phy.is_asleep());
        let light = if is_off || is_asleep { Light::Off } else { Light::On };
        if light != self.link.light {
            self.link.light = light;
            self.host.wire.light(light);
        }
    }

    /// The link as it is.
    pub fn carrier(&self) -> Carrier {
        self.link.carrier
    }

    /// Puts an SFP+ module into the cage, or takes it out.
    pub fn set_module_present(&mut self, is_present: bool) {
        self.module.set_present(is_present);
    }

    pub(crate) fn run_link(&mut self) {
        if std::mem::take(&mut self.link.has_changed) {
            self.raise(eicr::LSC);
        }
    }

    /// RESTART_AN clears itself; ANLP1 tells that negotiation has gone on.
    pub(crate) fn write_autoc(&mut self, before: u32, value: u32) {
        self.file.set(&AUTOC, 0, value & !autoc::RESTART_AN.mask());
        let restarts = autoc::RESTART_AN.is_set(value);
        if restarts || (before ^ value) & autoc::LMS.mask() != 0 {
            self.file.set(&ANLP1, 0, anlp1::STATE.put(self.file.get(&ANLP1), 1));
        }
        if restarts {
            self.late(&AUTOC, 0, autoc::RESTART_AN.mask(), value);
            self.link.restart();
            self.run_link();
        }
    }
}
