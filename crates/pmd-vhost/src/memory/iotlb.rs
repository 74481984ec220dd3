//! Translations for a guest with an IOMMU: what its addresses mean, as the front-end has told.

use super::view::Access;
use linecard_virtqueue::vhost_user::message::Iotlb;
use std::collections::BTreeMap;

/// As many translations as are kept; the front-end tells again what was forgotten.
const MOST: usize = 8192;

#[derive(Clone, Copy, Debug)]
struct Entry {
    size: u64,
    user: u64,
    access: u8,
}

/// What is known, by the guest's address. No two entries overlap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Translations {
    entries: BTreeMap<u64, Entry>,
}

impl Translations {
    /// Learns one; what it overlaps is forgotten. Says whether it is sound.
    pub(crate) fn update(&mut self, said: &Iotlb) -> bool {
        let sound = said.size > 0
            && said.iova.checked_add(said.size - 1).is_some()
            && said.user_addr.checked_add(said.size - 1).is_some();
        if !sound {
            return false;
        }
        self.invalidate(said.iova, said.size);
        if self.entries.len() >= MOST {
            self.entries.clear();
        }
        let entry = Entry { size: said.size, user: said.user_addr, access: said.permission };
        self.entries.insert(said.iova, entry);
        true
    }

    /// Forgets all that lies in this range, even in part.
    pub(crate) fn invalidate(&mut self, iova: u64, size: u64) {
        let last = iova.saturating_add(size.saturating_sub(1));
        let below = self.entries.range(..iova).next_back();
        let below = below.filter(|(at, entry)| iova - **at < entry.size).map(|(at, _)| *at);
        let within: Vec<_> = self.entries.range(iova..=last).map(|(at, _)| *at).collect();
        for at in within.into_iter().chain(below) {
            self.entries.remove(&at);
        }
    }

    /// Where the front-end has an address, and how many bytes follow it; `None` if that is not known,
    /// or not with this right.
    pub(crate) fn find(&self, iova: u64, access: Access) -> Option<(u64, u64)> {
        let (at, entry) = self.entries.range(..=iova).next_back()?;
        let into = iova - at;
        (into < entry.size && access.within(entry.access))
            .then(|| (entry.user + into, entry.size - into))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linecard_virtqueue::vhost_user::message::IOTLB_UPDATE;

    fn said(iova: u64, size: u64, access: u8) -> Iotlb {
        let (user_addr, kind) = (iova + (1 << 40), IOTLB_UPDATE);
        Iotlb { iova, size, user_addr, permission: access, kind, padding: [0; 6] }
    }

    #[test]
    fn a_translation_holds_for_its_range_and_its_right() {
        let mut known = Translations::default();
        assert!(known.update(&said(4096, 4096, 1)));
        assert_eq!(known.find(4100, Access::Read), Some(((1 << 40) + 4100, 4092)));
        assert_eq!(known.find(4100, Access::Write), None);
        assert_eq!((known.find(4095, Access::Read), known.find(8192, Access::Read)), (None, None));
    }

    #[test]
    fn what_is_taken_back_in_part_is_forgotten_whole() {
        let mut known = Translations::default();
        for at in [0, 4096, 8192] {
            assert!(known.update(&said(at, 4096, 3)));
        }
        known.invalidate(4000, 200);
        assert_eq!((known.find(0, Access::Read), known.find(4096, Access::Read)), (None, None));
        assert!(known.find(8192, Access::Write).is_some());
        known.invalidate(0, u64::MAX);
        assert!(known.find(8192, Access::Write).is_none());
    }

    #[test]
    fn nonsense_is_not_learnt_and_too_much_is_forgotten() {
        let mut known = Translations::default();
        assert!(
            !known.update(&said(0, 0, 3)) && !known.update(&said(u64::MAX - (1 << 41), 1 << 42, 3))
        );
        for i in 0..3 * MOST as u64 {
            assert!(known.update(&said(i * 4096, 4096, 3)));
        }
        assert!(known.entries.len() <= MOST);
    }
}
