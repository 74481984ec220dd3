//! Traffic classes (§4.6.11.3), for the queues that there are with them alone: without classes and pools
//! the card has 64 transmit queues, with four classes 128 (§7.2.1.2.1).
//!
//! Nothing is told apart by them. Receive has everything in class 0, whatever its priority, so that RSS
//! chooses among the same queues as ever. Transmit queues are of the class that their number makes them
//! of, and classes have credits by the number of their queues: queues that are all busy have equal shares.

use crate::init::unlimited;
use crate::port::LARGEST;
use crate::registers::Registers;
use linecard_ixgbe_regs::registers::*;
use linecard_ixgbe_regs::{Field, Register};

/// Transmit queues without classes.
pub(crate) const WITHOUT: usize = 64;

/// KiB of all transmit packet buffers (§4.6.11.3.4).
const BUFFER: u32 = 160;

/// Credits of each class, in units of 64 bytes: as 64, 32, 16 and 16, the queues that they have, with the
/// last at half of a largest frame, which is the least (§4.6.11.3.3).
const CREDITS: [u32; 4] = [496, 248, 124, 124];

/// What a class may save up: a segment of 32 KiB of TCP and one unit more, so that it is more than what
/// comes at once, and more than a largest frame.
const MOST_CREDITS: u32 = 513;

/// Requests of memory under way, in units of 256 bytes: with classes, one must not have all of them.
const REQUESTS: u32 = 0x10;

/// RTTPCS.ARBD: how long the arbiter waits, with classes.
const DELAY: u32 = 4;

/// The security block's room between frames, with classes.
const MARK: u32 = 0x1F;

/// Whether there are classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Classes {
    None,
    Four,
}

impl Classes {
    /// What so many transmit queues need.
    pub(crate) fn of(transmit_queues: usize) -> Self {
        if transmit_queues > WITHOUT { Classes::Four } else { Classes::None }
    }

    fn count(self) -> u32 {
        match self {
            Classes::None => 1,
            Classes::Four => 4,
        }
    }

    /// MRQC.MRQE, with RSS or without.
    pub(crate) fn receive_mode(self, rss: bool) -> u32 {
        match (self, rss) {
            (Classes::None, false) => 0b0000,
            (Classes::None, true) => 0b0001,
            (Classes::Four, false) => 0b0011,
            (Classes::Four, true) => 0b0101,
        }
    }

    /// Receive: every priority is of class 0 (§4.6.11.3.1).
    pub(crate) fn receive(self, registers: &Registers) {
        registers.write(&MRQC, mrqc::MRQE.put(0, self.receive_mode(false)));
        if self == Classes::None {
            return;
        }
        let on = rtrpcs::RRM.mask() | rtrpcs::RAC.mask();
        registers.write(&RTRPCS, on | rtrpcs::ARBDIS.mask());
        registers.write(&RTRUP2TC, 0);
        credits(registers, &RTRPT4C, [rtrpt4c::CRQ, rtrpt4c::MCL]);
        registers.write(&RTRPCS, on);
    }

    /// Transmit, but for its queues (§4.6.11.3.2 to 4). Packet buffers are filled up to a threshold, above
    /// which a largest frame has room (§8.2.3.9.16).
    pub(crate) fn transmit(self, registers: &Registers) {
        let frame = (LARGEST as u32).div_ceil(1 << 10);
        // Without classes as many requests as the device can have.
        registers.write(&DTXMXSZRQ, if self == Classes::Four { REQUESTS } else { 0xFFF });
        registers.set(&RTTDCS, rttdcs::ARBDIS);
        let four = mtqc::NUM_TC_OR_Q.put(mtqc::RT_ENA.mask(), 2);
        registers.write(&MTQC, if self == Classes::Four { four } else { 0 });
        unlimited(registers);
        if self == Classes::Four {
            self.arbiters(registers);
        } else {
            registers.clear(&RTTDCS, rttdcs::ARBDIS);
        }
        for buffer in 0..TXPBSIZE.count() {
            let size = if buffer < self.count() { BUFFER / self.count() } else { 0 };
            registers.write_at(&TXPBSIZE, buffer, txpbsize::SIZE.put(0, size));
            registers.write_at(&TXPBTHRESH, buffer, size.saturating_sub(frame));
        }
    }

    /// Weighted, with what was not used going to the others; no bypass of the checks for one class.
    fn arbiters(self, registers: &Registers) {
        credits(registers, &RTTDT2C, [rttdt2c::CRQ, rttdt2c::MCL]);
        let on = rttpcs::ARBD.put(rttpcs::TPPAC.mask() | rttpcs::TPRM.mask(), DELAY);
        registers.write(&RTTPCS, on | rttpcs::ARBDIS.mask());
        credits(registers, &RTTPT2C, [rttpt2c::CRQ, rttpt2c::MCL]);
        registers.write(&RTTPCS, on);
        registers.put(&SECTXMINIFG, sectxminifg::SECTXDCB, MARK);
        registers.write(&RTTDCS, rttdcs::TDPAC.mask() | rttdcs::TDRM.mask());
    }
}

/// Credits of the four classes, and none of the others.
fn credits(registers: &Registers, register: &Register, fields: [Field; 2]) {
    registers.fill(register, 0);
    for (class, refill) in (0..).zip(CREDITS) {
        let word = fields[1].put(fields[0].put(0, refill), MOST_CREDITS);
        registers.write_at(register, class, word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credits_are_enough_for_the_largest_frame() {
        let frame = (LARGEST as u32).div_ceil(64);
        assert!(CREDITS.iter().all(|refill| 2 * refill >= frame), "half of a frame at least");
        assert!(CREDITS.iter().all(|refill| *refill < MOST_CREDITS.min(1 << 9)));
        assert!(MOST_CREDITS >= frame);
    }

    #[test]
    fn each_of_four_buffers_has_room_for_two_largest_frames() {
        let frame = (LARGEST as u32).div_ceil(1 << 10);
        assert!(BUFFER / Classes::Four.count() >= 2 * frame, "one that goes, one that comes");
    }
}
