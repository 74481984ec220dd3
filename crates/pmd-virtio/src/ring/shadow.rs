//! What the device of a packed ring has, by number.
//!
//! What begins at a position has that number, unless a device that goes in no order has kept an earlier one
//! of it. Then it gets the number of one that came back elsewhere: a stray. A device that goes in
//! order, as nearly all do, whether it says so or not, never makes one.

/// What the device has: as many places as the ring has descriptors.
pub(crate) struct Shadow<T> {
    places: Box<[Option<T>]>,
    /// Numbers that came back at other positions; some may be in use again.
    strays: Vec<u16>,
}

impl<T: Copy> Shadow<T> {
    /// Of a ring of `size`, of which the device has nothing.
    pub(crate) fn new(size: u16) -> Self {
        let size = usize::from(size);
        Shadow { places: vec![None; size].into(), strays: Vec::with_capacity(size) }
    }

    /// The number for what begins at a position. There is one.
    #[inline(always)]
    pub(crate) fn number(&self, at: u16) -> u16 {
        if self.places[usize::from(at)].is_none() { at } else { self.other_number() }
    }

    #[cold]
    #[inline(never)]
    fn other_number(&self) -> u16 {
        let free = |id: &u16| self.places[usize::from(*id)].is_none();
        let stray = self.strays.iter().rev().copied().find(free);
        // Places are no more than descriptors are: 15 bits.
        stray.or_else(|| (0..self.places.len() as u16).find(free)).unwrap_or(0)
    }

    /// Keeps what has been given away under a number, at a position.
    #[inline(always)]
    pub(crate) fn keep(&mut self, id: u16, at: u16, what: T) {
        self.places[usize::from(id)] = Some(what);
        if id != at {
            let Shadow { places, strays } = self;
            while strays.pop_if(|id| places[usize::from(*id)].is_some()).is_some() {}
        }
    }

    /// What the device has under a number.
    #[inline(always)]
    pub(crate) fn get(&self, id: u16) -> Option<T> {
        self.places.get(usize::from(id)).copied().flatten()
    }

    /// Takes what came back under a number, at a position. `None` if the device did not have it.
    #[inline(always)]
    pub(crate) fn take(&mut self, id: u16, at: u16) -> Option<T> {
        let what = self.places.get_mut(usize::from(id)).and_then(Option::take)?;
        if id != at {
            self.stray(id);
        }
        Some(what)
    }

    #[cold]
    #[inline(never)]
    fn stray(&mut self, id: u16) {
        if self.strays.len() < self.places.len() {
            self.strays.push(id);
        } else {
            let all = 0..self.places.len() as u16;
            self.strays.clear();
            self.strays.extend(all.filter(|id| self.places[usize::from(*id)].is_none()));
        }
    }

    /// The places from a position on.
    #[inline(always)]
    pub(crate) fn from(&mut self, at: u16) -> &mut [Option<T>] {
        &mut self.places[usize::from(at)..]
    }

    /// Takes everything, by number.
    pub(crate) fn recall(&mut self) -> impl Iterator<Item = T> + '_ {
        self.strays.clear();
        self.places.iter_mut().filter_map(Option::take)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A device gives back in whatever order: no number is had twice, each comes back as what it was.
        #[test]
        fn a_number_is_had_once_whatever_the_order(
            turns in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..400),
        ) {
            const SIZE: u16 = 7;
            let (mut shadow, mut out) = (Shadow::new(SIZE), Vec::new());
            let (mut next, mut seen) = (0, 0);
            for (turn, (give, which)) in turns.into_iter().enumerate() {
                if give && out.len() < usize::from(SIZE) {
                    let id = shadow.number(next);
                    prop_assert_eq!(shadow.get(id), None);
                    shadow.keep(id, next, turn);
                    out.push((id, turn));
                    next = (next + 1) % SIZE;
                } else if !out.is_empty() {
                    let (id, kept) = out.remove(which.index(out.len()));
                    prop_assert_eq!(shadow.take(id, seen), Some(kept));
                    prop_assert_eq!(shadow.take(id, seen), None);
                    seen = (seen + 1) % SIZE;
                }
                prop_assert!(shadow.strays.len() <= usize::from(SIZE));
            }
            prop_assert_eq!(shadow.recall().count(), out.len());
        }
    }

    #[test]
    fn a_device_in_order_makes_no_strays() {
        let mut shadow = Shadow::new(4);
        for turn in 0..40u16 {
            let at = turn % 4;
            assert_eq!(shadow.number(at), at);
            shadow.keep(at, at, turn);
            assert_eq!((shadow.take(at, at), shadow.take(9, at)), (Some(turn), None));
        }
        assert!(shadow.strays.is_empty());
    }
}
