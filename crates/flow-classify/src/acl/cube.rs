//! A set of keys: those with certain values in certain bits. Every path down a tree leads to one.

use super::key::{Key, Packed};
use super::rule::{Compiled, Span};

/// The keys that have `value` in the bits of `mask`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cube<K: Key> {
    pub(super) mask: Packed<K>,
    pub(super) value: Packed<K>,
}

impl<K: Key> Cube<K> {
    /// All keys.
    pub(super) fn all() -> Self {
        Self { mask: Packed::default(), value: Packed::default() }
    }

    /// Whether some key may be in the cube and match the rule. Exact, but for ranges of addresses.
    pub(super) fn meets(&self, rule: &Compiled<K>) -> bool {
        self.meets_masks(rule) && self.meets_ports(rule)
    }

    fn meets_masks(&self, rule: &Compiled<K>) -> bool {
        let words = (0..Packed::<K>::WORDS).map(|n| {
            (self.value.word(n) ^ rule.value.word(n)) & self.mask.word(n) & rule.mask.word(n)
        });
        words.fold(0, |differ, word| differ | word) == 0
    }

    /// After `meets_masks`: whether the ports do.
    pub(super) fn meets_ports(&self, rule: &Compiled<K>) -> bool {
        let (mask, value) = (&self.mask, &self.value);
        meets(rule.sport, mask.sport(), value.sport())
            && meets(rule.dport, mask.dport(), value.dport())
    }

    /// Whether every key of the cube matches the rule; may say no where it does.
    pub(super) fn is_within(&self, rule: &Compiled<K>) -> bool {
        let (mask, value) = (&self.mask, &self.value);
        let masks = (0..Packed::<K>::WORDS).all(|n| {
            let asked = rule.mask.word(n);
            asked & !mask.word(n) == 0 && (value.word(n) ^ rule.value.word(n)) & asked == 0
        });
        masks
            && rule.settles()
            && is_within(rule.sport, mask.sport(), value.sport())
            && is_within(rule.dport, mask.dport(), value.dport())
            && is_within(rule.proto, u16::from(mask.proto()) | 0xFF00, value.proto().into())
    }

    /// The least cube around both.
    pub(super) fn around(mut self, other: &Self) -> Self {
        for n in 0..Packed::<K>::WORDS {
            let differ = self.value.word(n) ^ other.value.word(n);
            let mask = self.mask.word(n) & other.mask.word(n) & !differ;
            *self.mask.word_mut(n) = mask;
            *self.value.word_mut(n) &= mask;
        }
        self
    }

    /// The part of the cube that has `value` in the bits of `mask` of word `n`.
    pub(super) fn fix(&mut self, n: usize, mask: u64, value: u64) {
        *self.mask.word_mut(n) |= mask;
        *self.value.word_mut(n) |= value;
    }
}

/// Whether the span has a value that is `value` in the bits of `mask`.
fn meets(span: Span, mask: u16, value: u16) -> bool {
    least_from(span.lo, mask, value).is_some_and(|least| least <= span.hi)
}

/// Whether all values that are `value` in the bits of `mask` lie in the span.
fn is_within(span: Span, mask: u16, value: u16) -> bool {
    span.lo <= value && value | !mask <= span.hi
}

/// The least value not below `lo` that is `value` in the bits of `mask`.
fn least_from(lo: u16, mask: u16, value: u16) -> Option<u16> {
    let differ = (lo ^ value) & mask;
    let Some(top) = differ.checked_ilog2() else { return Some(lo) };
    let below = (1u16 << top) - 1;
    if value >> top & 1 == 1 {
        return Some(lo & !below | 1 << top | value & below);
    }
    // Some free bit above must go from 0 to 1 for the one at `top` to be 0.
    let free = !(mask | lo | below | 1 << top);
    let up = (free != 0).then(|| free.trailing_zeros())?;
    let below = (1u16 << up) - 1;
    Some(lo & !below | 1 << up | value & below)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn the_least_value_is_the_one_that_a_search_finds(lo: u16, mask: u16, value: u16) {
            let value = value & mask;
            let found = (lo..=u16::MAX).find(|x| x & mask == value);
            proptest::prop_assert_eq!(least_from(lo, mask, value), found);
        }
    }
}
