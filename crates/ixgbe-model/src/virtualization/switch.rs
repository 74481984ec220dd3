//! What pools send: tags that the card inserts, sources that it checks, and frames that stay inside
//! (§7.10.3.4 to §7.10.3.9).

use linecard_ixgbe_regs::Field;
use linecard_ixgbe_regs::registers::*;

use super::Pools;
use crate::device::Device;

/// Where a frame that is sent goes to, beside other pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the wire.
    Out,
    /// Nowhere else: it is for a pool.
    Inside,
}

impl Device {
    /// The pool that a queue sends for.
    fn sender(&self, queue: u32) -> Option<u32> {
        self.pool_of(queue).filter(|_| self.has_pools())
    }

    /// The tag that is inserted into a frame whose descriptor asks for `asked`.
    pub(crate) fn tag_of(&self, queue: u32, asked: Option<u16>) -> Option<u16> {
        let word = self.sender(queue).map_or(0, |pool| self.file.at(&PFVMVIR, pool));
        match pfvmvir::VLANA.of(word) {
            0 => asked,
            1 => Some(pfvmvir::TAG.of(word) as u16),
            _ => None,
        }
    }

    /// Whether a frame of a pool has a source or a tag that is not the pool's; it is counted.
    pub(crate) fn refuses_as_spoofed(&mut self, queue: u32, frame: &[u8]) -> bool {
        let Some(pool) = self.sender(queue).filter(|_| frame.len() >= 14) else { return false };
        let is_checked = |field: Field| {
            let checks = field.of(self.file.at(&PFVFSPOOF, pool / 8));
            checks >> (pool % 8) & 1 != 0
        };
        let is_stranger =
            is_checked(pfvfspoof::MAC) && !self.pools_of_address(&frame[6..12]).has(pool);
        let tag = self.parse(frame).vlan;
        let is_elsewhere =
            is_checked(pfvfspoof::VLAN) && tag.is_some() && !self.pools_of_tag(tag).has(pool);
        let is_spoofed = is_stranger || is_elsewhere;
        if is_spoofed && self.file.at(&PFVMECM, pool / 32) >> (pool % 32) & 1 != 0 {
            self.file.count(&SSVPC, 0, 1);
        }
        is_spoofed
    }

    /// Gives other pools what a pool sends to them. What is for a pool's own address stays inside.
    pub(crate) fn switch(&mut self, queue: u32, frame: &[u8]) -> Way {
        let is_on = self.file.has(&PFDTXGSWC, pfdtxgswc::LBE) && frame.len() >= 14;
        let Some(sender) = self.sender(queue).filter(|_| is_on) else { return Way::Out };
        let parsed = self.parse(frame);
        if !self.passes_vlan(&parsed) {
            return Way::Out;
        }
        let pools = self.pools_of_frame(frame, &parsed);
        let others = pools.without(Pools::one(sender)).and(self.receiving_pools());
        self.accept_from_pool(others, frame, &parsed);
        let own = self.pools_of_address(&frame[..6]).and(pools);
        match frame[0] & 1 == 0 && !own.is_empty() {
            true => Way::Inside,
            false => Way::Out,
        }
    }
}
