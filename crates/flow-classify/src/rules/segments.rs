//! A list that grows without moving: readers keep what they found.

use std::sync::OnceLock;

/// Places in the first segment; each further one has twice as many as the one before.
const FIRST: usize = 32;
const SEGMENTS: usize = 26;

/// A list of as many places as are asked for.
#[derive(Debug)]
pub(super) struct Segments<T> {
    segments: [OnceLock<Box<[T]>>; SEGMENTS],
}

impl<T> Default for Segments<T> {
    fn default() -> Self {
        Self { segments: [const { OnceLock::new() }; SEGMENTS] }
    }
}

impl<T: Default> Segments<T> {
    /// How many places there can be.
    pub(super) const LIMIT: u32 = (FIRST as u32) * ((1 << SEGMENTS as u32) - 1);

    /// The segment of a place, and where in it.
    fn position(at: u32) -> (usize, usize) {
        let number = at as usize + FIRST;
        let segment = (number / FIRST).ilog2() as usize;
        (segment, number - (FIRST << segment))
    }

    /// The place, if it has been used.
    #[inline]
    pub(super) fn find(&self, at: u32) -> Option<&T> {
        let (segment, place) = Self::position(at);
        self.segments.get(segment)?.get()?.get(place)
    }

    /// The place, made if need be; `None` beyond [`Segments::LIMIT`].
    #[inline]
    pub(super) fn place(&self, at: u32) -> Option<&T> {
        let (segment, place) = Self::position(at);
        let make = || (0..FIRST << segment).map(|_| T::default()).collect();
        self.segments.get(segment)?.get_or_init(make).get(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_apart_and_stay_where_they_are() {
        let list = Segments::<std::cell::Cell<u32>>::default();
        assert!(list.find(5).is_none());
        let first: *const _ = list.place(0).unwrap();
        (0..10_000).for_each(|at| list.place(at).unwrap().set(at));
        assert!((0..10_000).all(|at| list.find(at).unwrap().get() == at));
        assert!(std::ptr::eq(first, list.find(0).unwrap()));
        assert!(list.place(u32::MAX).is_none());
    }
}
