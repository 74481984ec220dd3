//! What the device was told of headers: two contexts a queue (§7.2.3.2.3), so that packets that ask for one thing and
//! for another need no descriptor between them.

use linecard_ixgbe_regs::descriptor::context;
use linecard_mbuf::Mbuf;
use linecard_mbuf::driver::Asked;

/// How many contexts a queue has.
const CONTEXTS: usize = 2;

/// The contexts of a queue, and what packets that use them asked for.
#[derive(Debug, Default)]
pub(super) struct Contexts {
    /// The words of each context's descriptor, as far as it has been told.
    told: [Option<[u64; 2]>; CONTEXTS],
    /// Which was used last: the other one is told anew when a third is wanted.
    used: usize,
    /// What was asked for lately, the last one where `recent` says.
    lately: [Option<Lately>; CONTEXTS],
    recent: usize,
}

/// What a packet of one plain buffer asked for, and what its descriptor said for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lately {
    pub(super) asked: Asked,
    /// The second quadword, but for lengths.
    pub(super) data: u64,
    /// Which context it names.
    context: usize,
}

/// Where a packet's context is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The device has it there.
    There(usize),
    /// It has to be told, there.
    ToTell(usize),
}

impl Found {
    /// Its number.
    pub(super) fn index(self) -> usize {
        match self {
            Found::There(index) | Found::ToTell(index) => index,
        }
    }
}

impl Contexts {
    /// Where a context with these words is, or will be.
    pub(super) fn find(&self, words: [u64; 2]) -> Found {
        match self.told.iter().position(|told| *told == Some(words)) {
            Some(index) => Found::There(index),
            None => Found::ToTell((self.used + 1) % CONTEXTS),
        }
    }

    /// Uses a context of these words; its descriptor, if the device has to be told.
    pub(super) fn take(&mut self, words: [u64; 2], found: Found) -> Option<[u64; 2]> {
        self.used = found.index();
        let Found::ToTell(index) = found else { return None };
        self.told[index] = Some(words);
        // What named it would get other headers now.
        let names = |lately: &mut Option<Lately>| lately.is_some_and(|one| one.context == index);
        self.lately
            .iter_mut()
            .filter_map(|one| names(one).then_some(one))
            .for_each(|one| *one = None);
        Some([words[0], context::IDX.put(words[1], index as u64)])
    }

    /// Keeps in mind what a packet asked for, whose descriptor said `data` and names a context.
    pub(super) fn remember(&mut self, packet: &Mbuf, data: u64, context: usize) {
        let asked = Asked::of(packet);
        let is_known = |one: &Option<Lately>| one.is_some_and(|one| one.asked == asked);
        self.recent = match self.lately.iter().position(is_known) {
            Some(known) => known,
            None => (self.recent + 1) % CONTEXTS,
        };
        self.lately[self.recent] = Some(Lately { asked, data, context });
    }

    /// What was asked for last: a copy, so that a loop need not look for it again.
    #[inline(always)]
    pub(super) fn latest(&self) -> Option<Lately> {
        self.lately[self.recent]
    }

    /// What was asked for before that, if `packet` asks for the same; it is the last then.
    #[inline(never)]
    pub(super) fn before(&mut self, packet: &Mbuf) -> Option<Lately> {
        let other = (self.recent + 1) % CONTEXTS;
        let lately = self.lately[other].filter(|lately| lately.asked.is_same(packet))?;
        (self.recent, self.used) = (other, lately.context);
        Some(lately)
    }

    /// Whether [`latest`](Self::latest) or [`before`](Self::before) would do.
    pub(super) fn has(&self, packet: &Mbuf) -> bool {
        self.lately.iter().flatten().any(|lately| lately.asked.is_same(packet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_are_kept_and_a_third_takes_the_place_of_the_one_not_used_last() {
        let mut contexts = Contexts::default();
        let mut take = |first: u64| {
            let words = [first, 0];
            let found = contexts.find(words);
            contexts.take(words, found).map(|told| (told[0], context::IDX.of(told[1])))
        };
        assert_eq!(take(7), Some((7, 1)));
        assert_eq!(take(8), Some((8, 0)));
        assert_eq!([take(7), take(8), take(7)], [None; 3]);
        assert_eq!(take(9), Some((9, 0)), "8 was not the last");
        assert_eq!(take(7), None);
        assert_eq!(take(8), Some((8, 0)));
    }
}
