//! Two drivers' ways to set a card up, side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use linecard_ixgbe_regs::{Register, all};

use super::{MOMENTARY, MOMENTARY_OR_UNUSED};
use super::{Words, is_among, lines_of, text, written};
use crate::file::RegisterFile;

/// What two drivers do differently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Registers that hold different words in the end, by name.
    pub differences: Vec<Difference>,
    /// Registers that only our driver writes, and with the word that a reset leaves.
    pub only_ours: Vec<String>,
    /// Registers that only the other one writes, and with the word that a reset leaves.
    pub only_theirs: Vec<String>,
}

/// A register that holds different words in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub register: String,
    /// What our driver leaves there, as [`Setup::lines`](super::Setup::lines) has it. What was not written is in
    /// parentheses: the word that a reset leaves, or `(?)` for memory that has no reset.
    pub ours: String,
    /// What the other one leaves there.
    pub theirs: String,
}

/// Compares recordings of [`Setup::lines`](super::Setup::lines).
pub fn compare(ours: &str, theirs: &str) -> Comparison {
    let sides = [ours, theirs].map(registers);
    let names: BTreeSet<&String> = sides.iter().flat_map(BTreeMap::keys).collect();
    let mut comparison = Comparison::default();
    for name in names {
        let sides = sides.each_ref().map(|side| side.get(name).cloned().unwrap_or_default());
        comparison.add(name, sides);
    }
    comparison
}

impl Comparison {
    fn add(&mut self, name: &str, written_words: [Words; 2]) {
        let elements: BTreeSet<u32> =
            written_words.iter().flat_map(BTreeMap::keys).copied().collect();
        let fill = |words: &Words| -> Words {
            let word = |at: &u32| words.get(at).cloned().unwrap_or_else(|| left_alone(name, *at));
            elements.iter().map(|at| (*at, word(at))).collect()
        };
        let [ours, theirs] = written_words.each_ref().map(fill);
        let bare = |word: &String| word.trim_matches(['(', ')']).to_owned();
        if ours.values().map(bare).ne(theirs.values().map(bare)) {
            let register = name.to_owned();
            let (ours, theirs) = (written(&ours), written(&theirs));
            return self.differences.push(Difference { register, ours, theirs });
        }
        let [we, they] = written_words.map(|words| words.len());
        match we.cmp(&they) {
            std::cmp::Ordering::Greater => self.only_ours.push(name.to_owned()),
            std::cmp::Ordering::Less => self.only_theirs.push(name.to_owned()),
            std::cmp::Ordering::Equal => {}
        }
    }
}

/// What is in an element that was not written.
fn left_alone(name: &str, index: u32) -> String {
    static FILE: LazyLock<RegisterFile> = LazyLock::new(RegisterFile::new);
    let Some(register) = all().find(|register| register.name == name) else {
        return "(?)".to_owned();
    };
    let is_of_the_moment = |register: &Register| is_among(MOMENTARY, register);
    if RegisterFile::is_kept(register) || is_of_the_moment(register) {
        return "(?)".to_owned();
    }
    let word = FILE.at(register, index);
    match is_among(MOMENTARY_OR_UNUSED, register) {
        true => format!("({})", text(register, word)),
        false => format!("({word:#x})"),
    }
}

/// Registers of a recording.
fn registers(recording: &str) -> BTreeMap<String, Words> {
    let lines = lines_of(recording);
    let halves = lines.iter().filter_map(|line| line.split_once(' '));
    halves.map(|(name, words)| (name.to_owned(), elements(words))).collect()
}

/// The reverse of [`written`].
fn elements(text: &str) -> Words {
    let mut all = Words::new();
    for (range, words) in text.split("; ").filter_map(|part| part.split_once('=')) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) else { continue };
        let words = words.split(',').cycle();
        all.extend((first..=last).zip(words.map(str::to_owned)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_back_as_they_were_told() {
        for told in ["0=0x1", "0-7=0x0; 9=*", "0-31=0x1,0x2,0x3; 40=0x0", "0-1=0x7; 2-3=(0x0)"] {
            assert_eq!(written(&elements(told)), told);
        }
    }

    #[test]
    fn a_word_that_a_reset_leaves_is_no_difference_but_told() {
        let compared = compare("MTQC 0=0x0\nFCTRL 0=0x400", "FCTRL 0=0x400\nFCCFG 0=0x0");
        let only = |name: &str| vec![name.to_owned()];
        let expected = Comparison {
            differences: Vec::new(),
            only_ours: only("MTQC"),
            only_theirs: only("FCCFG"),
        };
        assert_eq!(compared, expected);
    }

    #[test]
    fn what_was_not_written_is_what_a_reset_leaves() {
        let compared = compare("RXPBSIZE 0=0x70000; 1-7=0x0", "TXPBTHRESH 0-7=0x0");
        let row = |register: &str, ours: &str, theirs: &str| Difference {
            register: register.into(),
            ours: ours.into(),
            theirs: theirs.into(),
        };
        let rows = [
            row("RXPBSIZE", "0=0x70000; 1-7=0x0", "0-7=(0x80000)"),
            row("TXPBTHRESH", "0=(0x96); 1-7=(0x0)", "0-7=0x0"),
        ];
        assert_eq!(compared.differences, rows);
    }

    #[test]
    fn memory_without_a_reset_is_never_what_somebody_writes() {
        let compared = compare("MTA 0-127=0x0", "");
        assert_eq!(compared.differences[0].theirs, "0-127=(?)");
    }
}
