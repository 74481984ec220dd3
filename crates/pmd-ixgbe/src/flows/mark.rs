//! Marks of rules, from the index that the card reports to the number that the user gave.

use linecard_mbuf::{Flags, Mbuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Says that there is a mark, above its 32 bits.
const THERE: u64 = 1 << 32;

/// By the index of a filter of the flow director: the mark, if it has one.
#[derive(Debug)]
pub(crate) struct Marks(Box<[AtomicU64]>);

impl Marks {
    /// No marks, for so many filters.
    pub(super) fn new(filters: usize) -> Self {
        Marks((0..filters).map(|_| AtomicU64::new(0)).collect())
    }

    /// What packets carry that filter `index` matches.
    pub(super) fn set(&self, index: u16, mark: Option<u32>) {
        if let Some(place) = self.0.get(usize::from(index)) {
            // Release: pairs with `put`. Between the two is the register by which the filter comes.
            place.store(mark.map_or(0, |mark| THERE | u64::from(mark)), Ordering::Release);
        }
    }

    /// Marks a packet whose descriptor said that a filter has matched. What stands in the place of
    /// the RSS hash is the filter's index, above a hash of its own (§7.1.2.7.12): not one of RSS.
    pub(crate) fn put(&self, packet: &mut Mbuf) {
        if !packet.flags().contains(Flags::MARK) {
            return;
        }
        let index = packet.rss_hash().unwrap_or(0) >> 16;
        packet.change_flags(Flags::empty(), Flags::MARK | Flags::RSS_HASH);
        // Acquire: pairs with `set`. An index that is none is a lie of the card's, and no mark.
        let word = self.0.get(index as usize).map_or(0, |place| place.load(Ordering::Acquire));
        if word & THERE != 0 {
            packet.set_mark(word as u32);
        }
    }
}
