//! Rate limits of transmit queues (§7.7.2.2): how many times as long as on the link a queue's frames take.

use crate::registers::Registers;
use linecard_ixgbe_regs::registers::*;
use linecard_pmd_core::TxRate;

/// RTTBCNRC counts the factor in units of 2^-14, up to 1,023.
const FACTOR_SHIFT: u32 = 14;
const MOST: u32 = 1023;

/// The largest frame of the usual MTU, with two tags.
const USUAL: u32 = 1526;

/// RTTBCNRM.MMW_SIZE: what a queue may save up while it has nothing to send, for frames of up to
/// that and for larger ones.
const SAVED: u32 = 4;
const SAVED_FOR_JUMBO: u32 = 0x14;

/// Limits that a link of so many Mb/s can keep.
pub(crate) fn range(link: u32) -> std::ops::RangeInclusive<u32> {
    link.div_ceil(MOST)..=link
}

/// Limits a queue, on a link of so many Mb/s, to a rate in its [`range`].
pub(crate) fn apply(registers: &Registers, queue: u32, rate: TxRate, link: u32, frame: u32) {
    let word = match rate {
        TxRate::Unlimited => 0,
        TxRate::Megabits(rate) => {
            let factor = (u64::from(link) << FACTOR_SHIFT) / u64::from(rate.max(1));
            let word =
                rttbcnrc::RF_INT.put(rttbcnrc::RS_ENA.mask(), (factor >> FACTOR_SHIFT) as u32);
            rttbcnrc::RF_DEC.put(word, factor as u32)
        }
    };
    registers.write(&RTTDQSEL, rttdqsel::TXDQ_IDX.put(0, queue));
    registers.write(&RTTBCNRM, if frame > USUAL { SAVED_FOR_JUMBO } else { SAVED });
    registers.write(&RTTBCNRC, word);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rate_of_the_range_has_a_factor() {
        for link in [10_000, 1_000, 100] {
            let (least, most) = (*range(link).start(), *range(link).end());
            assert_eq!(most, link);
            assert!(link / least <= MOST, "{link} / {least}");
        }
        assert_eq!(*range(10_000).start(), 10);
    }
}
