//! Whether two rules may match the same packet.

use super::project::{Projection, meet};
use linecard_net::rule::{Field, Match, Rule};

/// Whether some packet may match both rules; their groups and priorities do not matter.
///
/// What flow keys say is compared, and nothing else: of two rules that differ only in other fields, such
/// as VLAN tags, this says yes.
pub fn may_overlap(one: &Rule, other: &Rule) -> bool {
    projections_meet(&Projection::of(one), &Projection::of(other))
}

pub(super) fn projections_meet(one: &Projection, other: &Projection) -> bool {
    one.without_ip && other.without_ip
        || one.v4.zip(other.v4).is_some_and(|(one, other)| meet(&one, &other))
        || one.v6.zip(other.v6).is_some_and(|(one, other)| meet(&one, &other))
}

/// Whether some value may match both.
pub(super) fn meets<T: Field>(one: &Match<T>, other: &Match<T>) -> bool {
    match (one.to_mask(), other.to_mask()) {
        (Some((value, mask)), Some((other, others))) => (value ^ other) & mask & others == 0,
        (Some(mask), None) => meets_range(mask, other),
        (None, Some(mask)) => meets_range(mask, one),
        (None, None) => range(one)
            .zip(range(other))
            .is_none_or(|((lo, hi), (other_lo, other_hi))| lo <= other_hi && other_lo <= hi),
    }
}

/// The least and greatest value under the mask against the range: exact for prefixes.
fn meets_range<T: Field>((value, mask): (u128, u128), other: &Match<T>) -> bool {
    let all = u128::MAX >> (128 - T::BITS);
    range(other).is_none_or(|(lo, hi)| value <= hi && lo <= value | all & !mask)
}

fn range<T: Field>(matching: &Match<T>) -> Option<(u128, u128)> {
    let Match::Range { lo, hi } = matching else { return None };
    Some((lo.to_number(), hi.to_number()))
}
