//! What a driver sets the card up with: the last word of each register since the last reset, when the first
//! frame goes out to the wire.
//!
//! [`LINUX`] and [`DPDK`] are what Linux's and DPDK's drivers do; the guests in which they run see to it that
//! it stays true. A driver's tests may compare its own with [`compare`].

mod compare;

use std::collections::BTreeMap;
use std::fmt::Write;

use linecard_ixgbe_regs::registers::*;
use linecard_ixgbe_regs::{Access as Mode, Register, find};

use crate::journal::Access;
pub use compare::{Comparison, Difference, compare};

/// Linux 6.1's `ixgbe` with two queues, an address and an MTU of 1500.
pub const LINUX: &str = include_str!("setup/linux.txt");

/// DPDK 22.11's `net_ixgbe` under testpmd, with one queue, promiscuous.
pub const DPDK: &str = include_str!("setup/dpdk.txt");

/// Registers through which something is done at once: what they were last told is no setting.
const DEEDS: &[Register] = &[
    CTRL, EEC, EERD, I2CCTL, SWSM, SW_FW_SYNC, MSCA, MSRWD, EICR, EICS, EIMS, EIMC, EICS_EX,
    EIMS_EX, EIMC_EX, FDIRCMD, TDT,
];

/// Registers with addresses, keys and times of the moment: it is only told that they were written.
const MOMENTARY: &[Register] = &[RDBAL, RDBAH, TDBAL, TDBAH, RSSRK, RDT, EITR];

/// The same, of which an element that is 0 is unused.
const MOMENTARY_OR_UNUSED: &[Register] = &[RAL, RAH];

/// A word of the moment.
const MOMENT: &str = "*";

/// Up to so many words that come again and again are told once.
const LONGEST_PERIOD: usize = 4;

/// What registers were set to.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    words: BTreeMap<u32, u32>,
    is_complete: bool,
}

impl Setup {
    /// Whether a frame has gone out: from then on, nothing is noted any more.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Goes on with writes from the card's journal, in order.
    pub fn follow(&mut self, writes: &[Access]) {
        for write in writes {
            if self.is_complete {
                return;
            }
            self.written(write);
        }
    }

    fn written(&mut self, write: &Access) {
        let resets = ctrl::RST.is_set(write.value) || ctrl::LRST.is_set(write.value);
        if write.offset == CTRL.offset() && resets {
            return self.words.clear();
        }
        self.words.insert(write.offset, write.value);
        // A test of the card by itself is no beginning.
        let loops = self.words.get(&HLREG0.offset()).is_some_and(|word| hlreg0::LPBK.is_set(*word));
        let rings = TDT.index_of(write.offset).is_some() && write.value != 0;
        self.is_complete = rings && !loops;
    }

    /// A line a register: its name, and what its elements were set to. `MTA 0-127=0x0`, `FCRTH 0=0x6a000;
    /// 1-7=0x0`; `RQSMR 0-31=0x100,0x302` where words come again and again; `RDBAL 0=*` for a word of
    /// the moment.
    pub fn lines(&self) -> Vec<String> {
        let mut registers: BTreeMap<u32, (String, Words)> = BTreeMap::new();
        for (offset, word) in &self.words {
            let (home, name, index, word) = match find(*offset) {
                Some(place) => {
                    let register = place.register;
                    if is_among(DEEDS, register) || register.access == Mode::ReadClear {
                        continue;
                    }
                    let word = text(register, *word);
                    (register.offset(), register.name.to_owned(), place.index, word)
                }
                None => (*offset, format!("{offset:#07x}"), 0, format!("{word:#x}")),
            };
            let entry = registers.entry(home).or_insert_with(|| (name, Words::new()));
            entry.1.insert(index, word);
        }
        registers.into_values().map(|(name, words)| format!("{name} {}", written(&words))).collect()
    }

    /// What differs from a recording: `- ` what only that has, `+ ` what only this has.
    pub fn differences(&self, recording: &str) -> Vec<String> {
        let (lines, others) = (self.lines(), lines_of(recording));
        let gone = others.iter().filter(|other| !lines.iter().any(|line| line == *other));
        let new = lines.iter().filter(|line| !others.contains(&line.as_str()));
        let gone = gone.map(|line| format!("- {line}"));
        gone.chain(new.map(|line| format!("+ {line}"))).collect()
    }
}

/// Words of a register by element, as text.
type Words = BTreeMap<u32, String>;

fn is_among(list: &[Register], register: &Register) -> bool {
    list.iter().any(|other| other.name == register.name)
}

fn text(register: &Register, word: u32) -> String {
    let of_the_moment =
        is_among(MOMENTARY, register) || (is_among(MOMENTARY_OR_UNUSED, register) && word != 0);
    if of_the_moment { MOMENT.to_owned() } else { format!("{word:#x}") }
}

/// Lines of a recording, without its comments.
fn lines_of(recording: &str) -> Vec<&str> {
    recording.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// Elements as [`Setup::lines`] has them.
fn written(words: &Words) -> String {
    let mut told = String::new();
    let mut rest: Vec<(u32, &str)> = words.iter().map(|(at, word)| (*at, word.as_str())).collect();
    while let Some((first, _)) = rest.first().copied() {
        let (count, period) = stretch(&rest);
        let last = first + count as u32 - 1;
        let range = if count == 1 { first.to_string() } else { format!("{first}-{last}") };
        let one: Vec<&str> = rest.drain(..count).map(|(_, word)| word).take(period).collect();
        let separator = if told.is_empty() { "" } else { "; " };
        // A string takes whatever is written to it.
        let _ = write!(told, "{separator}{range}={}", one.join(","));
    }
    told
}

/// How many elements from the first on can be told at once, and by how many words: all of those side by side
/// that come again and again at least twice, or as many as are the same.
fn stretch(elements: &[(u32, &str)]) -> (usize, usize) {
    let first = elements[0].0;
    let beside =
        (0..).zip(elements).take_while(|(nth, (at, _))| first + nth == *at).map(|(_, one)| one.1);
    let beside: Vec<&str> = beside.collect();
    let again = |period: &usize| {
        beside.len() >= 2 * period
            && (*period..beside.len()).all(|nth| beside[nth] == beside[nth - period])
    };
    let same = beside.iter().take_while(|word| **word == beside[0]).count();
    (1..=LONGEST_PERIOD).find(again).map_or((same, 1), |period| (beside.len(), period))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(writes: &[(&Register, u32, u32)]) -> Setup {
        let access = |(register, index, value): &(&Register, u32, u32)| Access {
            offset: register.at(*index).unwrap(),
            value: *value,
        };
        let writes: Vec<Access> = writes.iter().map(access).collect();
        let mut setup = Setup::default();
        setup.follow(&writes);
        setup
    }

    #[test]
    fn the_last_word_counts_and_neighbours_are_told_together() {
        let writes = [(&MTA, 0, 0), (&MTA, 1, 0), (&MTA, 3, 9), (&FCTRL, 0, 1), (&FCTRL, 0, 2)];
        let told = setup(&writes);
        assert_eq!(told.lines(), ["FCTRL 0=0x2", "MTA 0-1=0x0; 3=0x9"]);
        let recording = "# of a test\nFCTRL 0=0x2\nMTA 0=0x0\n";
        assert_eq!(told.differences(recording), ["- MTA 0=0x0", "+ MTA 0-1=0x0; 3=0x9"]);
    }

    #[test]
    fn words_that_come_again_are_told_once() {
        let writes: Vec<_> = (0..32).map(|at| (&RQSMR, at, at % 4)).collect();
        assert_eq!(setup(&writes).lines(), ["RQSMR 0-31=0x0,0x1,0x2,0x3"]);
        let writes: Vec<_> = (0..4).map(|at| (&RQSMR, at, at)).collect();
        assert_eq!(setup(&writes).lines(), ["RQSMR 0=0x0; 1=0x1; 2=0x2; 3=0x3"]);
    }

    #[test]
    fn what_is_of_the_moment_is_not_told() {
        let told = setup(&[(&RDBAL, 0, 0x1000), (&EIMS, 0, 1), (&RDT, 0, 31), (&RAH, 1, 0)]);
        assert_eq!(told.lines(), ["RDBAL 0=*", "RDT 0=*", "RAH 1=0x0"]);
        assert_eq!(setup(&[(&RAH, 0, 0x8000_0100)]).lines(), ["RAH 0=*"]);
    }

    #[test]
    fn a_reset_forgets_and_the_first_frame_ends_it() {
        let reset = (&CTRL, 0, ctrl::RST.mask());
        let told =
            setup(&[(&FCTRL, 0, 7), reset, (&MTQC, 0, 0), (&TDT, 0, 0), (&TDT, 0, 1), reset]);
        assert!(told.is_complete());
        assert_eq!(told.lines(), ["MTQC 0=0x0"]);
    }

    #[test]
    fn a_test_in_loopback_is_no_beginning() {
        let told = setup(&[(&HLREG0, 0, hlreg0::LPBK.mask()), (&TDT, 0, 1)]);
        assert!(!told.is_complete());
    }

    #[test]
    fn a_register_without_a_name_is_told_by_its_offset() {
        let mut setup = Setup::default();
        setup.follow(&[Access { offset: 0x5B50, value: 3 }]);
        assert_eq!(setup.lines(), ["0x05b50 0=0x3"]);
    }
}
