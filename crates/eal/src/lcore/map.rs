//! Which lcore runs on which cpus, as text: the syntax of DPDK's `--lcores`.

use std::fmt;
use std::str::FromStr;

use super::parse;

/// A worker's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lcore {
    /// Its number in the program; any number, not a cpu's.
    pub id: u32,
    /// The cpus that it may run on; usually one.
    pub cpus: Vec<u32>,
}

/// All workers' places, by number.
///
/// | text | meaning |
/// |---|---|
/// | `1-3` | lcores 1, 2 and 3 on the cpus of the same number |
/// | `1@5` | lcore 1 on cpu 5 |
/// | `2@(5-7)` | lcore 2 on any of the cpus 5, 6 and 7 |
/// | `(0-3)@0` | lcores 0 to 3 all on cpu 0 |
/// | `(3-5)@(0,2)` | lcores 3, 4 and 5, each on any of the cpus 0 and 2 |
/// | `(0,6)` | lcores 0 and 6, each on any of the cpus 0 and 6 |
///
/// and any of them after another, with commas in between. Parentheses may be left out around a
/// single number, and only there when there is an `@`.
///
/// ```
/// use linecard_eal::lcore::LcoreMap;
///
/// let map: LcoreMap = "0,2@(5-7)".parse().unwrap();
/// assert_eq!(map.lcores()[1].cpus, [5, 6, 7]);
///
/// let error = "0,2@x".parse::<LcoreMap>().unwrap_err();
/// assert_eq!(error.to_string(), "column 5: a number was expected\n  0,2@x\n      ^");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LcoreMap {
    lcores: Vec<Lcore>,
}

impl LcoreMap {
    /// The places, by lcore number; never none.
    pub fn lcores(&self) -> &[Lcore] {
        &self.lcores
    }

    /// One lcore on each of the cpus, with the same number.
    pub fn of_cpus(cpus: impl IntoIterator<Item = u32>) -> Option<Self> {
        let mut cpus: Vec<u32> = cpus.into_iter().collect();
        cpus.sort_unstable();
        cpus.dedup();
        let lcores: Vec<_> = cpus.into_iter().map(|id| Lcore { id, cpus: vec![id] }).collect();
        (!lcores.is_empty()).then_some(Self { lcores })
    }
}

impl FromStr for LcoreMap {
    type Err = MapError;

    fn from_str(text: &str) -> Result<Self, MapError> {
        let mut lcores = parse::map(text).map_err(|(at, wrong)| MapError {
            text: text.into(),
            column: at + 1,
            wrong,
        })?;
        lcores.sort_unstable_by_key(|lcore| lcore.id);
        Ok(Self { lcores })
    }
}

impl fmt::Display for LcoreMap {
    /// In the same syntax.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, lcore) in self.lcores.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match lcore.cpus.as_slice() {
                [cpu] if *cpu == lcore.id => write!(f, "{comma}{cpu}")?,
                [cpu] => write!(f, "{comma}{}@{cpu}", lcore.id)?,
                cpus => write!(f, "{comma}{}@({})", lcore.id, crate::cpulist::format(cpus))?,
            }
        }
        Ok(())
    }
}

/// A text that is no map, and where in it that shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapError {
    text: String,
    column: usize,
    wrong: Wrong,
}

/// What is wrong with a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong {
    /// There is something else, or nothing.
    #[error("a number was expected")]
    NoNumber,
    /// A number that no machine has.
    #[error("the number is too large: the limit is {}", parse::MOST)]
    TooLarge,
    /// As in `3-1`.
    #[error("the range ends before it starts")]
    Backwards,
    /// A `(` without its `)`.
    #[error("a `)` was expected")]
    Unclosed,
    /// As in `1-3@5`.
    #[error("several numbers around an `@` need parentheses: (1-3)@(4-6)")]
    NoParentheses,
    /// The lcore has a place already.
    #[error("this lcore was given a place before")]
    Twice,
    /// Something between one part and the next.
    #[error("a `,` was expected")]
    NoComma,
}

impl MapError {
    /// The character at which it shows, counted from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong.
    pub fn wrong(&self) -> Wrong {
        self.wrong
    }
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, column, wrong } = self;
        write!(f, "column {column}: {wrong}\n  {text}\n  {:>column$}", "^")
    }
}

impl std::error::Error for MapError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn places(text: &str) -> Vec<(u32, Vec<u32>)> {
        let map: LcoreMap = text.parse().unwrap();
        map.lcores().iter().map(|lcore| (lcore.id, lcore.cpus.clone())).collect()
    }

    fn wrong(text: &str) -> (usize, Wrong) {
        let error = text.parse::<LcoreMap>().unwrap_err();
        (error.column(), error.wrong())
    }

    #[test]
    fn a_range_places_each_lcore_on_the_cpu_of_its_number() {
        assert_eq!(places("1-3"), [(1, vec![1]), (2, vec![2]), (3, vec![3])]);
        assert_eq!(places(" 7 , 5 "), [(5, vec![5]), (7, vec![7])]);
    }

    #[test]
    fn an_at_sign_places_lcores_elsewhere() {
        assert_eq!(places("1@5"), [(1, vec![5])]);
        assert_eq!(places("(0-1)@0"), [(0, vec![0]), (1, vec![0])]);
        assert_eq!(places("2@(5-7,9)"), [(2, vec![5, 6, 7, 9])]);
    }

    #[test]
    fn dpdks_own_example_is_understood() {
        let expected = [
            (0, vec![0, 6]),
            (1, vec![1]),
            (2, vec![5, 6, 7]),
            (3, vec![0, 2]),
            (4, vec![0, 2]),
            (5, vec![0, 2]),
            (6, vec![0, 6]),
            (7, vec![7]),
            (8, vec![8]),
        ];
        assert_eq!(places("1,2@(5-7),(3-5)@(0,2),(0,6),7-8"), expected);
    }

    #[test]
    fn an_error_points_at_the_column() {
        assert_eq!(wrong(""), (1, Wrong::NoNumber));
        assert_eq!(wrong("1,"), (3, Wrong::NoNumber));
        assert_eq!(wrong("1;2"), (2, Wrong::NoComma));
        assert_eq!(wrong("3-1"), (3, Wrong::Backwards));
        assert_eq!(wrong("(1,2"), (5, Wrong::Unclosed));
        assert_eq!(wrong("1-3@5"), (4, Wrong::NoParentheses));
        assert_eq!(wrong("1@5-6"), (3, Wrong::NoParentheses));
        assert_eq!(wrong("1,2,1@3"), (5, Wrong::Twice));
        assert_eq!(wrong("70000"), (1, Wrong::TooLarge));
        assert_eq!(wrong("99999999999999999999"), (1, Wrong::TooLarge));
    }

    #[test]
    fn no_cpus_are_no_map() {
        assert_eq!(LcoreMap::of_cpus([]), None);
        assert_eq!(LcoreMap::of_cpus([3, 1, 3]).unwrap().to_string(), "1,3");
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(
            places in proptest::collection::btree_map(
                0u32..50, proptest::collection::btree_set(0u32..50, 1..5), 1..10,
            ),
        ) {
            let lcores = places.into_iter()
                .map(|(id, cpus)| Lcore { id, cpus: cpus.into_iter().collect() }).collect();
            let map = LcoreMap { lcores };
            prop_assert_eq!(map.to_string().parse(), Ok(map));
        }

        #[test]
        fn no_text_is_too_strange(text in "[0-9@(),\\- é]{0,24}") {
            if let Err(error) = text.parse::<LcoreMap>() {
                prop_assert!(error.column() <= text.chars().count() + 1);
            }
        }
    }
}
