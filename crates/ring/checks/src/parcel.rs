//! Elements that tell who sent them and when, and what must be true of them on arrival.

/// An element: the `number`-th of `sender`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parcel {
    /// Who sent it.
    pub sender: u32,
    /// How many the sender had sent before.
    pub number: u32,
}

/// The first `n` of a sender.
pub fn parcels(sender: u32, n: u32) -> Vec<Parcel> {
    (0..n).map(|number| Parcel { sender, number }).collect()
}

/// Nothing is lost, nothing arrives twice, nothing arrives that was never sent.
///
/// # Panics
/// If that is not so.
pub fn assert_exactly_once(sent: &[Parcel], got: &[Parcel]) {
    let sorted = |parcels: &[Parcel]| {
        let mut parcels = parcels.to_vec();
        parcels.sort_unstable();
        parcels
    };
    assert_eq!(sorted(sent), sorted(got), "sent (left) is not what arrived (right)");
}

/// What one consumer got of each sender is in the order in which it was sent.
///
/// # Panics
/// If that is not so.
pub fn assert_in_order(got: &[Parcel]) {
    for (i, later) in got.iter().enumerate() {
        let overtaken = got[..i].iter().find(|p| p.sender == later.sender && p > &later);
        assert_eq!(overtaken, None, "overtook {later:?} in {got:?}");
    }
}
