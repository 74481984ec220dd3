//! When a transmit queue fetches descriptors (§7.2.3.4.1), and the checks that the card needs.

use linecard_ixgbe_regs::registers::txdctl;
use std::fmt;

/// The most that a threshold's seven bits hold.
const MOST: u8 = 127;

/// When a transmit queue fetches descriptors: once it holds fewer than `ahead`, and at least `at_least` wait in
/// memory (PTHRESH and HTHRESH of TXDCTL).
///
/// There is no third threshold to choose: descriptors are written back one by one (WTHRESH of 0), since only some ask
/// for it (RS), and those that do would wait for others that do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// PTHRESH: up to 127.
    pub ahead: u8,
    /// HTHRESH: from 1 to 127.
    pub at_least: u8,
}

impl Default for Fetch {
    /// 36 and 8, as §7.2.3.4.1 has it.
    fn default() -> Self {
        Fetch { ahead: 36, at_least: 8 }
    }
}

impl Fetch {
    /// What is wrong with it, if anything, for rings of `descriptors`.
    pub(crate) fn complaint(self, descriptors: usize) -> Option<String> {
        let Fetch { ahead, at_least } = self;
        if ahead > MOST || at_least > MOST {
            return Some(format!("{self}: thresholds have seven bits, {MOST} is the most"));
        }
        if at_least == 0 {
            return Some(format!("{self}: at least one must be there to be fetched"));
        }
        // One descriptor of a ring is always empty.
        let waits = usize::from(ahead) + usize::from(at_least);
        (waits >= descriptors).then(|| {
            format!("{self}: a ring of {descriptors} never has so many, ask for more descriptors")
        })
    }

    /// TXDCTL of a queue that is not enabled.
    pub(crate) fn word(self) -> u32 {
        let word = txdctl::PTHRESH.put(0, self.ahead.into());
        txdctl::HTHRESH.put(word, self.at_least.into())
    }
}

impl fmt::Display for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "descriptors fetched {} ahead, {} at least", self.ahead, self.at_least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(ahead: u8, at_least: u8, descriptors: usize) -> String {
        Fetch { ahead, at_least }.complaint(descriptors).unwrap_or_default()
    }

    #[test]
    fn thresholds_that_the_card_cannot_have_are_told_with_their_limit() {
        assert!(complaint(128, 8, 512).contains("127 is the most"));
        assert!(complaint(36, 200, 512).contains("127 is the most"));
        assert!(complaint(36, 0, 512).contains("at least one"));
        assert!(complaint(60, 4, 64).contains("a ring of 64"));
        assert_eq!(complaint(59, 4, 64), "");
    }

    #[test]
    fn the_usual_ones_fit_the_smallest_ring() {
        assert_eq!(Fetch::default().complaint(crate::queue::LEAST), None);
        assert_eq!(Fetch::default().word(), 8 << 8 | 36);
    }
}
