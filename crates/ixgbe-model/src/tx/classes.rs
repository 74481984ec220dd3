//! Traffic classes: which a queue is of, and what it needs to send (§7.2.1.2.1, §4.6.11.3). Credits are
//! looked at, and shared out by none: queues send in the order in which they are told to.

use linecard_ixgbe_regs::registers::*;

use crate::device::Device;
use crate::journal::Breach;
use crate::parse::Parsed;

/// The first queue of each class, of four and of eight.
const OF_FOUR: [u32; 4] = [0, 64, 96, 112];
const OF_EIGHT: [u32; 8] = [0, 32, 64, 80, 96, 104, 112, 120];

/// Queues that there are without classes and pools.
const WITHOUT: u32 = 64;

/// KiB of all packet buffers.
const BUFFERS: u32 = 160;

/// Credits are units of so many bytes.
const CREDIT: u32 = 64;

fn within(starts: &[u32], queue: u32) -> Option<u32> {
    starts.iter().rposition(|start| *start <= queue).map(|class| class as u32)
}

impl Device {
    /// The class of a transmit queue, which is the number of its packet buffer. `None` if there is no such
    /// queue in the mode that MTQC says.
    fn class_of(&self, queue: u32) -> Option<u32> {
        let word = self.file.get(&MTQC);
        let [classes, pools] = [mtqc::RT_ENA, mtqc::VT_ENA].map(|field| field.is_set(word));
        match (classes, pools, mtqc::NUM_TC_OR_Q.of(word)) {
            (false, false, 0) => (queue < WITHOUT).then_some(0),
            (false, true, _) => Some(0),
            (true, false, 2) => within(&OF_FOUR, queue),
            (true, false, 3) => within(&OF_EIGHT, queue),
            (true, true, 2) => Some(queue % 4),
            (true, true, 3) => Some(queue % 8),
            _ => None,
        }
    }

    /// Whether a queue has all that it needs to send.
    pub(super) fn class_may_send(&mut self, queue: u32) -> bool {
        let Some(class) = self.class_of(queue) else {
            self.journal.breach(Breach::NoSuchQueue);
            return false;
        };
        let size = |class| txpbsize::SIZE.of(self.file.at(&TXPBSIZE, class));
        let classes = self.file.has(&MTQC, mtqc::RT_ENA);
        let credits = rttdt2c::CRQ.of(self.file.at(&RTTDT2C, class)) > 0
            && rttpt2c::CRQ.of(self.file.at(&RTTPT2C, class)) > 0;
        let fits = (0..TXPBSIZE.count()).map(size).sum::<u32>() <= BUFFERS;
        let may = size(class) > 0 && (!classes || credits && fits);
        if !may {
            self.journal.breach(Breach::ClassWithoutMeans);
        }
        may
    }

    /// The packet buffer fetches up to its threshold, and one frame more (§8.2.3.9.16). With classes, no frame
    /// is longer than the most that its class may save up (§4.6.11.3.3).
    pub(super) fn check_room(&mut self, queue: u32, len: u32) {
        let class = self.class_of(queue).unwrap_or(0);
        let [size, threshold] =
            [&TXPBSIZE, &TXPBTHRESH].map(|register| self.file.at(register, class));
        let room = txpbsize::SIZE.of(size).saturating_sub(txpbthresh::THRESH.of(threshold));
        if len > room << 10 {
            self.journal.breach(Breach::NoRoomAboveThreshold);
        }
        let most = rttdt2c::MCL
            .of(self.file.at(&RTTDT2C, class))
            .min(rttpt2c::MCL.of(self.file.at(&RTTPT2C, class)));
        if self.file.has(&MTQC, mtqc::RT_ENA) && len.div_ceil(CREDIT) > most {
            self.journal.breach(Breach::ClassWithoutMeans);
        }
    }

    /// Where the receive queues of a packet's class begin, for RSS (§7.1.2.2).
    pub(crate) fn first_of_class(&self, parsed: &Parsed) -> u32 {
        let priority = u32::from(parsed.vlan.unwrap_or(0) >> 13);
        let class = self.file.get(&RTRUP2TC) >> (3 * priority) & 7;
        match mrqc::MRQE.of(self.file.get(&MRQC)) {
            0b0010 | 0b0100 => 16 * class,
            0b0011 | 0b0101 => 32 * (class & 3),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_the_queues_that_the_datasheet_says() {
        let counts = |starts: &[u32]| {
            let class = |queue| within(starts, queue).expect("every queue has one") as usize;
            let mut counts = vec![0; starts.len()];
            (0..linecard_ixgbe_regs::QUEUES).for_each(|queue| counts[class(queue)] += 1);
            counts
        };
        assert_eq!(counts(&OF_FOUR), [64, 32, 16, 16]);
        assert_eq!(counts(&OF_EIGHT), [32, 32, 16, 16, 8, 8, 8, 8]);
    }
}
