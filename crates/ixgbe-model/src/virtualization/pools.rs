//! Which pools a frame is for (§7.10.3.3), and what the physical function sets up for pools.

use linecard_ixgbe_regs::registers::*;
use linecard_ixgbe_regs::{Field, Register};

use crate::config_space::{FUNCTION_OF_82599, id_of_functions};
use crate::device::Device;
use crate::effect::{Effect, Slot};
use crate::parse::Parsed;

/// A set of pools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pools(u64);

impl Pools {
    pub(super) const NONE: Self = Self(0);

    pub(super) fn one(pool: u32) -> Self {
        Self(1u64.checked_shl(pool).unwrap_or(0))
    }

    /// Registers `2 * index` and the one behind it, as a mask.
    fn in_pair(device: &Device, register: &Register, index: u32) -> Self {
        let [low, high] =
            [2 * index, 2 * index + 1].map(|at| u64::from(device.file.at(register, at)));
        Self(low | high << 32)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn has(self, pool: u32) -> bool {
        self.and(Self::one(pool)) != Self::NONE
    }

    pub(super) fn is_empty(self) -> bool {
        self == Self::NONE
    }

    fn first(self) -> Self {
        Self(self.0 & self.0.wrapping_neg())
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u32> {
        (0..u64::BITS).filter(move |pool| self.0 >> pool & 1 != 0)
    }
}

impl Device {
    /// Frames are for pools.
    pub(super) fn has_pools(&self) -> bool {
        self.file.has(&PFVTCTL, pfvtctl::VT_ENA) && self.queues_per_pool().is_some()
    }

    /// The physical function's, and of what no other is for.
    pub(crate) fn default_pool(&self) -> u32 {
        pfvtctl::DEF_PL.of(self.file.get(&PFVTCTL))
    }

    fn default_pools(&self) -> Pools {
        match self.file.has(&PFVTCTL, pfvtctl::DIS_DEF_POOL) {
            true => Pools::NONE,
            false => Pools::one(self.default_pool()),
        }
    }

    /// The queue of a pool that an entry of the redirection table says.
    pub(crate) fn queue_in_pool(&self, pool: u32, entry: u32) -> u32 {
        let count = self.queues_per_pool().unwrap_or(1);
        let most = match mrqc::MRQE.of(self.file.get(&MRQC)) {
            0b1010 => 4,
            0b1011 => 2,
            _ => 1,
        };
        let asked = 1 << psrtype::RQPL.of(self.file.at(&PSRTYPE, pool)).min(3);
        pool * count + entry % count.min(most).min(asked)
    }

    /// Pools with a bit of PFVML2FLT. An 82599 has no UPE and no VPE.
    fn pools_with(&self, field: Field) -> Pools {
        let is_82599 = id_of_functions(self.identity.device_id) == FUNCTION_OF_82599;
        if is_82599 && (field == pfvml2flt::UPE || field == pfvml2flt::VPE) {
            return Pools::NONE;
        }
        let pools =
            (0..PFVML2FLT.count()).filter(|&pool| field.is_set(self.file.at(&PFVML2FLT, pool)));
        pools.fold(Pools::NONE, |sum, pool| sum.or(Pools::one(pool)))
    }

    /// Pools that have an address in one of the card's filters.
    pub(super) fn pools_of_address(&self, address: &[u8]) -> Pools {
        let pools = self.filters_of(address).map(|index| Pools::in_pair(self, &MPSAR, index));
        pools.fold(Pools::NONE, Pools::or)
    }

    /// Pools that want an address for other reasons.
    fn pools_of_kind(&self, address: &[u8]) -> Pools {
        if address == [0xFF; 6] {
            return self.pools_with(pfvml2flt::BAM);
        }
        let (hashed, all) = match address[0] & 1 {
            0 => (pfvml2flt::ROPE, pfvml2flt::UPE),
            _ => (pfvml2flt::ROMPE, pfvml2flt::MPE),
        };
        let by_hash = if self.is_hashed(address) { self.pools_with(hashed) } else { Pools::NONE };
        by_hash.or(self.pools_with(all))
    }

    /// Pools that a tag lets pass, or that there is none.
    pub(super) fn pools_of_tag(&self, tag: Option<u16>) -> Pools {
        if !self.file.has(&VLNCTRL, vlnctrl::VFE) {
            return Pools(u64::MAX);
        }
        match tag {
            None => self.pools_with(pfvml2flt::AUPE),
            Some(tag) => self.members(u32::from(tag & 0xFFF)).or(self.pools_with(pfvml2flt::VPE)),
        }
    }

    /// Pools of a VLAN.
    fn members(&self, id: u32) -> Pools {
        let found = (0..PFVLVF.count()).find(|&index| {
            let word = self.file.at(&PFVLVF, index);
            pfvlvf::VI_EN.is_set(word) && pfvlvf::VLAN_ID.of(word) == id
        });
        found.map_or(Pools::NONE, |index| Pools::in_pair(self, &PFVLVFB, index))
    }

    /// Pools that a frame is for by its address and its tag.
    pub(super) fn pools_of_frame(&self, frame: &[u8], parsed: &Parsed) -> Pools {
        let address = &frame[..6];
        let pools = self.pools_of_address(address).or(self.pools_of_kind(address));
        pools.and(self.pools_of_tag(parsed.vlan))
    }

    /// Pools that may receive.
    pub(super) fn receiving_pools(&self) -> Pools {
        Pools::in_pair(self, &PFVFRE, 0)
    }

    /// Pools that a frame from the wire is for. `None` if there are no pools.
    pub(crate) fn pools_of_received(&self, frame: &[u8], parsed: &Parsed) -> Option<Pools> {
        if !self.has_pools() {
            return None;
        }
        let pools = self.pools_of_frame(frame, parsed);
        let pools = match (self.file.has(&PFVTCTL, pfvtctl::RPL_EN), frame[0] & 1) {
            (true, _) => pools,
            (false, 0) => pools.first(),
            (false, _) => Pools::NONE,
        };
        let pools = if pools.is_empty() { self.default_pools() } else { pools };
        Some(pools.and(self.receiving_pools()))
    }

    /// Whether PFVFTE lets the pool of a queue send.
    pub(crate) fn pool_may_send(&self, queue: u32) -> bool {
        match self.pool_of(queue).filter(|_| self.has_pools()) {
            Some(pool) => Pools::in_pair(self, &PFVFTE, 0).has(pool),
            None => true,
        }
    }

    /// Whether PFQDE says so for a queue.
    pub(crate) fn drops_in_pools(&self, queue: u32) -> bool {
        self.virtualization.drops.checked_shr(queue).unwrap_or(0) & 1 != 0
    }

    /// WE sets a queue's bit; RE asks for it.
    fn write_pfqde(&mut self, value: u32) {
        let queue = pfqde::QUEUE_IDX.of(value);
        let drops = &mut self.virtualization.drops;
        if pfqde::WE.is_set(value) {
            *drops = *drops & !(1 << queue) | u128::from(pfqde::QDE.of(value)) << queue;
        }
        let answer = pfqde::QDE.put(value, (*drops >> queue & 1) as u32);
        self.file.set(&PFQDE, 0, answer & !pfqde::WE.mask() & !pfqde::RE.mask());
    }

    /// Effects of the physical function's registers for pools.
    pub(crate) fn after_write_of_pools(&mut self, slot: Slot, before: u32, value: u32) {
        let index = u32::from(slot.index);
        match slot.effect {
            Effect::CtrlExt if ctrl_ext::PFRSTD.is_set(value) => self.physical_is_ready(),
            Effect::Pfmailbox => self.write_mailbox(index, value),
            Effect::Pfmbicr => self.file.set(&PFMBICR, index, before & !value),
            Effect::Pfvflrec => self.clear_functions_reset(index, value),
            Effect::Pfqde => self.write_pfqde(value),
            Effect::Pfvfte => self.run_transmit(),
            _ => {}
        }
    }
}
