//! Multiplication by a fraction that is fixed in advance, without dividing.

/// `x * numerator / denominator` as `x * factor >> shift`, with `factor` as large as fits 64
/// bits: it is then less than exact by a relative 2^-63.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    factor: u64,
    shift: u32,
}

impl Scale {
    /// `denominator` must not be 0; neither may exceed 2^40, far beyond any clock.
    pub(super) fn new(numerator: u64, denominator: u64) -> Self {
        let (numerator, denominator) = (u128::from(numerator), u128::from(denominator.max(1)));
        let whole = |shift: u32| (numerator << shift) / denominator;
        let fits = |shift: &u32| whole(*shift) <= u128::from(u64::MAX);
        let shift = (0..=80).rev().find(fits).unwrap_or(0);
        Self { factor: whole(shift) as u64, shift }
    }

    /// Rounded down. Saturates.
    #[inline(always)]
    pub(super) fn apply(self, x: u64) -> u64 {
        let product = (u128::from(x) * u128::from(self.factor)) >> self.shift;
        u64::try_from(product).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exact(x: u64, numerator: u64, denominator: u64) -> u64 {
        let exact = u128::from(x) * u128::from(numerator) / u128::from(denominator);
        u64::try_from(exact).unwrap_or(u64::MAX)
    }

    proptest! {
        #[test]
        fn the_result_is_exact_or_less_by_at_most_two_if_below_a_century_of_nanoseconds(
            x in 0u64..1 << 62, n in 1u64..1 << 34, d in 1u64..1 << 34,
        ) {
            let (exact, ours) = (exact(x, n, d), Scale::new(n, d).apply(x));
            prop_assert!(ours <= exact);
            if exact < 1 << 62 {
                prop_assert!(exact - ours <= 2, "{} {}", exact, ours);
            }
        }

        #[test]
        fn more_never_becomes_less(
            a in any::<u64>(), b in any::<u64>(), n in 1u64..1 << 34, d in 1u64..1 << 34,
        ) {
            let scale = Scale::new(n, d);
            prop_assert!(scale.apply(a.min(b)) <= scale.apply(a.max(b)));
        }
    }

    #[test]
    fn one_to_one_is_exact() {
        let scale = Scale::new(1_000_000_000, 1_000_000_000);
        assert_eq!(scale.apply(u64::MAX), u64::MAX);
        assert_eq!(scale.apply(12345), 12345);
    }
}
