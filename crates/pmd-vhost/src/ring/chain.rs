//! Chains of descriptors, copied and checked before anything is done with them.

use crate::fault::{Fault, Trouble};
use crate::memory::{Access, Span, View};
use linecard_virtqueue::DescFlags;

/// As many bytes of a chain as are looked at: more than any frame has. The rest of a longer chain is
/// walked, and left alone.
const MOST_BYTES: u64 = 1 << 17;
/// The most descriptors of a chain or of an indirect table, whatever the ring's size, and the most
/// pieces that a chain may lie in: as many descriptors as QEMU takes. Drivers make a few dozen at most.
pub(crate) const MOST_PIECES: usize = 1024;
/// A burst ends with the chain that brings it to so much: chains, and descriptors and pieces of those
/// that are walked. 64 frames of 64 KiB in a guest's buffers of 1.5 KB are 2,800.
const MOST_LOOKS: usize = 4096;

/// A descriptor of either kind, as it was when it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptor {
    pub(crate) address: u64,
    pub(crate) len: u32,
    pub(crate) flags: u16,
    /// Split: the next; packed: nothing.
    pub(crate) next: u16,
}

impl Descriptor {
    /// A split descriptor's two words.
    #[inline(always)]
    pub(crate) fn split([address, rest]: [u64; 2]) -> Self {
        let (flags, next) = ((rest >> 32) as u16, (rest >> 48) as u16);
        Descriptor { address, len: rest as u32, flags, next }
    }

    #[inline(always)]
    pub(crate) fn has(&self, flag: DescFlags) -> bool {
        self.flags & flag.bits() != 0
    }
}

/// A chain: what one buffer of the driver's is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parcel {
    /// What the driver knows it by.
    pub(crate) id: u16,
    /// Ring slots that it takes: split 1, packed as many as descriptors.
    pub(crate) slots: u16,
    /// Pieces that it lies in; they are behind `start`, unless there is one.
    count: u16,
    start: u32,
    /// Bytes of it, as far as they are looked at.
    pub(crate) len: u32,
    /// Bytes that we wrote.
    pub(crate) written: u32,
    first: Span,
}

impl Parcel {
    /// A chain of one descriptor that lies together, and is not empty.
    #[inline(always)]
    fn single(id: u16, slots: u16, first: Span) -> Self {
        Parcel { id, slots, count: 1, start: 0, len: first.len, written: 0, first }
    }

    /// Where it is, if it lies together.
    #[inline(always)]
    pub(crate) fn only(&self) -> Option<Span> {
        (self.count == 1).then_some(self.first)
    }
}

/// The chains of a burst. Room is made once, and grows only for unusual chains.
#[derive(Debug)]
pub(crate) struct Parcels {
    list: Vec<Parcel>,
    spans: Vec<Span>,
    /// Descriptors and pieces of chains that were walked.
    walked: usize,
}

// SAFETY: the addresses in it belong to no thread, and are used by whoever has the view they are from.
unsafe impl Send for Parcels {}

impl Parcels {
    pub(crate) fn new() -> Self {
        Parcels { list: Vec::with_capacity(256), spans: Vec::with_capacity(1024), walked: 0 }
    }

    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.spans.clear();
        self.walked = 0;
    }

    /// Whether a burst has had its share of work: what one guest makes available must not keep a
    /// thread from all others.
    #[inline(always)]
    pub(crate) fn are_enough(&self) -> bool {
        self.left() == 0
    }

    /// How many chains of one descriptor a burst may have yet.
    #[inline(always)]
    pub(crate) fn left(&self) -> usize {
        MOST_LOOKS.saturating_sub(self.list.len() + self.walked)
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    #[inline(always)]
    pub(crate) fn list(&self) -> &[Parcel] {
        &self.list
    }

    #[inline(always)]
    pub(crate) fn list_mut(&mut self) -> &mut [Parcel] {
        &mut self.list
    }

    /// Where the bytes of a chain are.
    #[inline(always)]
    pub(crate) fn spans<'a>(&'a self, parcel: &'a Parcel) -> &'a [Span] {
        match parcel.count {
            0 => &[],
            1 => std::slice::from_ref(&parcel.first),
            _ => &self.spans[parcel.start as usize..][..parcel.count as usize],
        }
    }

    /// Adds a chain of one descriptor that lies together, and is not empty.
    #[inline(always)]
    pub(crate) fn push_single(&mut self, id: u16, slots: u16, first: Span) {
        self.list.push(Parcel::single(id, slots, first));
    }

    /// Adds up to `most` chains of one descriptor each, as long as there are any; says how many.
    #[inline(always)]
    pub(crate) fn push_run(
        &mut self,
        most: usize,
        mut next: impl FnMut() -> Option<(u16, Span)>,
    ) -> usize {
        // Room first: what is pushed then never moves the others.
        self.list.reserve(most);
        let mut n = 0;
        for place in self.list.spare_capacity_mut().iter_mut().take(most) {
            let Some((id, span)) = next() else { break };
            place.write(Parcel::single(id, 1, span));
            n += 1;
        }
        let len = self.list.len() + n;
        // SAFETY: `n` more have been written behind those that there were.
        unsafe { self.list.set_len(len) };
        n
    }
}

/// A chain while it is walked.
pub(crate) struct Walk<'a> {
    pub(crate) view: &'a mut View,
    pub(crate) parcels: &'a mut Parcels,
    access: Access,
    /// The most descriptors that it may have.
    most: u32,
    indirect: bool,
    seen: u32,
    bytes: u64,
    start: usize,
}

impl<'a> Walk<'a> {
    /// Of a ring of `size`, whose buffers are for `access`.
    pub(crate) fn new(
        view: &'a mut View,
        parcels: &'a mut Parcels,
        access: Access,
        size: u16,
        indirect: bool,
    ) -> Self {
        let start = parcels.spans.len();
        let most = u32::from(size).min(MOST_PIECES as u32);
        Walk { view, parcels, access, most, indirect, seen: 0, bytes: 0, start }
    }

    /// Adds a descriptor's buffer. Says whether another descriptor follows.
    pub(crate) fn add(&mut self, descriptor: &Descriptor) -> Result<bool, Trouble> {
        self.seen += 1;
        if self.seen > self.most {
            return Err(Fault::Loop.into());
        }
        if descriptor.has(DescFlags::INDIRECT) {
            self.table(descriptor)?;
            return Ok(false);
        }
        self.buffer(descriptor)?;
        Ok(descriptor.has(DescFlags::NEXT))
    }

    fn buffer(&mut self, descriptor: &Descriptor) -> Result<(), Trouble> {
        if descriptor.has(DescFlags::WRITE) != (self.access == Access::Write) {
            return Err(Fault::Direction.into());
        }
        let mut address = descriptor.address;
        let mut left = u64::from(descriptor.len).min(MOST_BYTES - self.bytes) as u32;
        self.parcels.walked += 1;
        while left > 0 {
            let span = self.view.span(address, left, self.access)?;
            if self.parcels.spans.len() - self.start == MOST_PIECES {
                return Err(Fault::Pieces.into());
            }
            self.parcels.spans.push(span);
            self.parcels.walked += 1;
            left -= span.len;
            self.bytes += u64::from(span.len);
            address = address.checked_add(span.len.into()).ok_or(Fault::Address)?;
        }
        Ok(())
    }

    /// The descriptors of an indirect table, each read once. Packed tables have no `next`: they are
    /// walked in order by [`packed_table`](Walk::packed_table).
    fn table(&mut self, outer: &Descriptor) -> Result<(), Trouble> {
        let count = self.table_len(outer)?;
        let (mut at, mut seen) = (0u32, 0);
        loop {
            let descriptor = self.entry(outer, at).map(Descriptor::split)?;
            seen += 1;
            if descriptor.has(DescFlags::INDIRECT) {
                return Err(Fault::Indirect.into());
            }
            self.buffer(&descriptor)?;
            if !descriptor.has(DescFlags::NEXT) {
                return Ok(());
            }
            at = descriptor.next.into();
            if at >= count {
                return Err(Fault::DescriptorIndex.into());
            }
            if seen == count {
                return Err(Fault::Loop.into());
            }
        }
    }

    /// The descriptors of a packed ring's indirect table. DPDK's driver (22.11) leaves the flag for
    /// writing set in those of its headers, on a queue that is read only: there it is not looked at.
    pub(crate) fn packed_table(&mut self, outer: &Descriptor) -> Result<(), Trouble> {
        for at in 0..self.table_len(outer)? {
            let [address, rest] = self.entry(outer, at)?;
            // Length, id, flags: of the flags only the direction counts here.
            let flags = match self.access {
                Access::Read => 0,
                Access::Write => (rest >> 48) as u16 & DescFlags::WRITE.bits(),
            };
            self.buffer(&Descriptor { address, len: rest as u32, flags, next: 0 })?;
        }
        Ok(())
    }

    fn entry(&mut self, outer: &Descriptor, at: u32) -> Result<[u64; 2], Trouble> {
        let address = outer.address.checked_add(16 * u64::from(at)).ok_or(Fault::Address)?;
        self.view.read(address)
    }

    /// How many descriptors a table has, if it is sound.
    fn table_len(&self, outer: &Descriptor) -> Result<u32, Trouble> {
        let (count, rest) = (outer.len / 16, outer.len % 16);
        let sound = rest == 0 && (1..=MOST_PIECES as u32).contains(&count);
        if !sound || !self.indirect || outer.has(DescFlags::NEXT) {
            return Err(Fault::Indirect.into());
        }
        Ok(count)
    }

    /// The whole chain.
    pub(crate) fn done(self, id: u16, slots: u16) {
        let spans = &self.parcels.spans[self.start..];
        let first = spans.first().copied().unwrap_or(Span::NONE);
        // `buffer` lets no more than `MOST_PIECES` be.
        let (start, count) = (self.start as u32, spans.len() as u16);
        let len = self.bytes as u32;
        self.parcels.list.push(Parcel { id, slots, count, start, len, written: 0, first });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MemoryTable, Region, Shrinking, Translations, memfd};
    use linecard_virtqueue::vhost_user::message::{IOTLB_UPDATE, Iotlb, Region as Place};
    use std::os::fd::AsFd;
    use std::sync::Arc;

    /// Memory that an IOMMU has in pieces of a byte each.
    fn crumbs() -> View {
        let fd = memfd(c"crumbs", 4096).expect("memory");
        let place = Place { guest_addr: 0, size: 4096, user_addr: 0, mmap_offset: 0 };
        let region = Region::map(place, fd.as_fd(), Shrinking::Refuse).expect("it is mapped");
        let mut translations = Translations::default();
        for at in 0..1025 {
            let (size, permission, kind, padding) = (1, 1, IOTLB_UPDATE, [0; 6]);
            let said = Iotlb { iova: at, size, user_addr: at, permission, kind, padding };
            assert!(translations.update(&said));
        }
        let table = Arc::new(MemoryTable::new(vec![region]).expect("one"));
        let mut view = View::default();
        (view.table, view.translations) = (table, Some(translations));
        view
    }

    #[test]
    fn a_chain_lies_in_1024_pieces_at_most() {
        let (mut view, mut parcels) = (crumbs(), Parcels::new());
        let mut add = |len| {
            let mut walk = Walk::new(&mut view, &mut parcels, Access::Read, 1, false);
            walk.add(&Descriptor { address: 0, len, flags: 0, next: 0 })?;
            walk.done(0, 1);
            Ok(())
        };
        assert_eq!(add(1024), Ok(()));
        assert_eq!(add(1025), Err(Trouble::Fault(Fault::Pieces)));
        assert_eq!(parcels.spans(&parcels.list()[0]).len(), 1024);
    }
}
