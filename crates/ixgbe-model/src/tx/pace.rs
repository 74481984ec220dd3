//! When a queue may send: pauses of the link (§3.7.7.3), and rate limits of queues (§7.7.2.2).

use linecard_ixgbe_regs::registers::*;

use crate::device::Device;
use crate::rx::CRC_BYTES;

/// Preamble and gap between frames, in bytes: they take their time on the wire as well.
const AROUND: u32 = 20;

/// RTTBCNRC's factor counts in units of 2^-14.
const FACTOR_SHIFT: u32 = 14;

/// What holds transmit up.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The link partner has asked for a pause until then.
    paused_until: u64,
    /// When a queue with a limit may send again.
    ready_at: Vec<u64>,
    /// RTTBCNRC of each queue, as written.
    limits: Vec<u32>,
    /// Something waits until then.
    wakes_at: Option<u64>,
}

impl Pace {
    pub(super) fn new(queues: usize) -> Self {
        Self { paused_until: 0, ready_at: vec![0; queues], limits: vec![0; queues], wakes_at: None }
    }

    /// Nothing waits any more.
    pub(super) fn after_reset(&self) -> Self {
        Self { limits: self.limits.clone(), ..Self::new(self.limits.len()) }
    }

    /// Something is to be done with the next tick.
    pub(super) fn look_soon(&mut self, now: u64) {
        self.wakes_at = Some(now);
    }

    /// Whoever still has to wait will say so.
    pub(super) fn look_again(&mut self) {
        self.wakes_at = None;
    }
}

impl super::Transmitting {
    /// When something that waits may go on.
    pub(crate) fn wakes_at(&self) -> Option<u64> {
        self.pace.wakes_at
    }
}

impl Device {
    /// Whether a queue may begin with a packet, or go on with one.
    pub(super) fn may_send(&mut self, queue: u32) -> bool {
        let transmitting = &mut self.transmitting;
        let pace = &mut transmitting.pace;
        let is_within = transmitting.queues[queue as usize].partial.first.is_some();
        let at = pace.paused_until.max(pace.ready_at[queue as usize]);
        if is_within || at <= self.now {
            return true;
        }
        pace.wakes_at = Some(pace.wakes_at.map_or(at, |other| other.min(at)));
        false
    }

    /// A pause frame: no packet begins for as many units of 512 bit times.
    pub(crate) fn heed_pause(&mut self, quanta: u16) {
        let bits = u64::from(quanta) * 512;
        self.transmitting.pace.paused_until = self.now + bits * 1000 / self.link.megabits();
        if quanta == 0 {
            self.run_transmit();
        }
    }

    /// A frame has been sent: with a limit, its queue waits as many times as long as it took.
    pub(super) fn pace(&mut self, queue: u32, len: u32) {
        let megabits = self.link.megabits();
        let pace = &mut self.transmitting.pace;
        let word = pace.limits[queue as usize];
        if rttbcnrc::RS_ENA.is_set(word) {
            let bits = u64::from(len + CRC_BYTES + AROUND) * 8;
            let factor = u64::from(word & (rttbcnrc::RF_INT.mask() | rttbcnrc::RF_DEC.mask()));
            let time = (bits * 1000 * factor / megabits) >> FACTOR_SHIFT;
            let ready = &mut pace.ready_at[queue as usize];
            *ready = self.now.max(*ready) + time;
        }
    }

    pub(crate) fn write_rate_limit(&mut self, value: u32) {
        let queue = rttdqsel::TXDQ_IDX.of(self.file.get(&RTTDQSEL));
        self.transmitting.pace.limits[queue as usize] = value;
    }

    /// RTTBCNRC of a queue, as it was last written.
    pub fn rate_limit(&self, queue: u32) -> u32 {
        self.transmitting.pace.limits.get(queue as usize).copied().unwrap_or(0)
    }
}
