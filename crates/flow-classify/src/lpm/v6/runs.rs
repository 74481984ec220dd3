//! Routes as runs of addresses: 32 bits of the address behind `depth`, cut where the longest route changes.

use super::entry::MOST_RUNS;
use crate::lpm::prefix::Bits;
use crate::lpm::rib::Route;
use core::ops::Range;

/// Bits that a bucket tells apart.
pub(super) const BUCKET_BITS: u8 = 32;

/// What the addresses of a run find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Find {
    /// An entry.
    Entry(u32),
    /// What these routes say, all longer than a bucket can tell apart, and this entry where they say
    /// nothing.
    Longer(Range<usize>, u32),
}

/// At most [`MOST_RUNS`] runs: where they start, and what they find.
#[derive(Debug)]
pub(super) struct Runs {
    found: Vec<(u32, Find)>,
}

impl Runs {
    /// Cuts what `routes` say, which are longer than `depth` and in order; `None` if it is too much.
    pub(super) fn cut(
        routes: &[Route<u128>],
        depth: u8,
        inherited: u32,
    ) -> Option<Vec<(u32, Find)>> {
        let mut runs = Self { found: vec![(0, Find::Entry(inherited))] };
        // The routes around the current address: where each ends, and what it says.
        let mut around = vec![(u32::MAX, inherited)];
        let mut next = 0;
        while let Some(route) = routes.get(next) {
            let start = window(route.key, depth);
            runs.leave(&mut around, |end| end < start);
            let inside = around.last().map_or(inherited, |it| it.1);
            if route.len - depth <= BUCKET_BITS {
                let end = window(route.key.last(route.len), depth);
                runs.push(start, Find::Entry(route.value));
                around.push((end, route.value));
                next += 1;
            } else {
                let same = |it: &&Route<u128>| window(it.key, depth) == start;
                let count = routes[next..].iter().take_while(same).count();
                runs.push(start, Find::Longer(next..next + count, inside));
                around.push((start, inside));
                next += count;
            }
            if runs.found.len() > MOST_RUNS {
                return None;
            }
        }
        runs.leave(&mut around, |end| end < u32::MAX);
        (runs.found.len() <= MOST_RUNS).then_some(runs.found)
    }

    /// Leaves the innermost routes as long as they end so.
    fn leave(&mut self, around: &mut Vec<(u32, u32)>, ends: impl Fn(u32) -> bool) {
        while let [.., (_, outer), (end, _)] = around[..]
            && ends(end)
        {
            self.push(end + 1, Find::Entry(outer));
            around.pop();
        }
    }

    fn push(&mut self, start: u32, find: Find) {
        if self.found.last().is_some_and(|last| last.0 == start) {
            self.found.pop();
        }
        if self.found.last().is_none_or(|last| last.1 != find) {
            self.found.push((start, find));
        }
    }
}

/// The 32 bits behind the first `depth`; zeros behind the last.
#[inline(always)]
pub(super) fn window(addr: u128, depth: u8) -> u32 {
    (addr << depth >> 96) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(key: u128, len: u8, value: u32) -> Route<u128> {
        Route { key, len, value }
    }

    #[test]
    fn nested_routes_end_inside_each_other() {
        let routes = [route(0, 17, 1), route(0, 20, 2), route(1 << 100, 28, 3)];
        let runs = Runs::cut(&routes, 16, 9).unwrap();
        let entry = |start: u32, value| (start, Find::Entry(value));
        let expected = [
            entry(0, 2),
            entry(1 << 20, 3),
            entry(2 << 20, 2),
            entry(1 << 28, 1),
            entry(1 << 31, 9),
        ];
        assert_eq!(runs, expected);
    }

    #[test]
    fn longer_routes_are_a_run_of_their_own() {
        let routes = [route(0, 48, 1), route(0, 64, 2), route(5, 128, 3)];
        let runs = Runs::cut(&routes, 16, 0).unwrap();
        assert_eq!(runs, [(0, Find::Longer(1..3, 1)), (1, Find::Entry(0))]);
    }

    #[test]
    fn neighbours_with_the_same_next_hop_are_one_run() {
        let half = 1 << 111;
        let runs = Runs::cut(&[route(0, 17, 4), route(half, 17, 4)], 16, 1).unwrap();
        assert_eq!(runs, [(0, Find::Entry(4))]);
    }

    #[test]
    fn too_many_runs_are_refused() {
        let routes: Vec<_> = (0..40).map(|i| route(i << 80, 48, i as u32 + 1)).collect();
        assert_eq!(Runs::cut(&routes, 16, 0), None);
    }
}
