//! Where objects lie in memory.

use linecard_eal::mem::Segment;

/// The line that objects start on.
pub(crate) const LINE: usize = 64;
/// The largest object.
pub(crate) const MAX_OBJECT: usize = 1 << 30;
/// Bytes behind an object that watch its end, where checks are compiled in.
pub(crate) const TRAILER: usize = if crate::checks::ON { 8 } else { 0 };

/// Where an object lies: how large it is and how far the next one is.
///
/// Objects start on a cache line (or a stricter alignment asked for). The distance from one to the
/// next is an odd number of lines, which has no factor in common with the number of memory channels
/// and ranks, always a power of two: so the first lines of objects, which are the busiest, spread
/// over all channels and over all sets of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of an object.
    pub object: usize,
    /// Bytes from one object to the next.
    pub stride: usize,
}

impl Layout {
    pub(crate) fn new(object: usize, align: usize) -> Self {
        let align = align.max(LINE);
        let lines = (object + TRAILER).next_multiple_of(align) / LINE;
        // A stricter alignment than a line comes first; then the stride cannot be odd.
        let lines = if align == LINE { lines | 1 } else { lines };
        Layout { object, stride: lines * LINE }
    }

    /// Objects that fit into `len` bytes of pages of `page` bytes. Where pages are larger than
    /// objects and huge, no object crosses from one to the next, so that each is contiguous for a
    /// device.
    pub(crate) fn fit(&self, len: usize, page: usize) -> usize {
        match self.a_page(page) {
            Some(each) => len / page * each + (len % page) / self.stride,
            None => len / self.stride,
        }
    }

    /// Bytes that `count` objects take.
    pub(crate) fn bytes(&self, count: usize, page: usize) -> usize {
        match self.a_page(page) {
            Some(each) => count.div_ceil(each) * page,
            None => count * self.stride,
        }
    }

    /// The offset of object `index`.
    pub(crate) fn offset(&self, index: usize, page: usize) -> usize {
        match self.a_page(page) {
            Some(each) => index / each * page + index % each * self.stride,
            None => index * self.stride,
        }
    }

    /// Objects in a huge page, if they do not cross it.
    fn a_page(&self, page: usize) -> Option<usize> {
        (page > 4096 && self.stride <= page).then(|| page / self.stride)
    }
}

/// Objects laid out in one or more segments.
#[derive(Debug)]
pub(crate) struct Places {
    layout: Layout,
    /// Base address, page size and number of objects of each segment.
    runs: Vec<(usize, usize, usize)>,
}

impl Places {
    /// Lays `size` objects out; says how many fit if that is fewer.
    pub(crate) fn new(layout: Layout, segments: &[Segment], size: usize) -> Result<Self, usize> {
        let mut left = size;
        let mut runs = Vec::new();
        for segment in segments {
            let page = segment.page_size().bytes();
            let count = layout.fit(segment.len(), page).min(left);
            runs.push((segment.base().as_ptr() as usize, page, count));
            left -= count;
        }
        if left == 0 { Ok(Places { layout, runs }) } else { Err(size - left) }
    }

    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Addresses of all objects, in order.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = usize> + '_ {
        self.runs.iter().flat_map(move |&(base, page, count)| {
            (0..count).map(move |i| base + self.layout.offset(i, page))
        })
    }

    /// Which object starts at this address.
    pub(crate) fn index_of(&self, address: usize) -> Option<usize> {
        let mut before = 0;
        for &(base, page, count) in &self.runs {
            if let Some(offset) = address.checked_sub(base) {
                let index = self.index_at(offset, page);
                if index < count && self.layout.offset(index, page) == offset {
                    return Some(before + index);
                }
            }
            before += count;
        }
        None
    }

    fn index_at(&self, offset: usize, page: usize) -> usize {
        match self.layout.a_page(page) {
            Some(each) => offset / page * each + offset % page / self.layout.stride,
            None => offset / self.layout.stride,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strides_are_odd_in_lines_and_hold_the_object() {
        for object in 1..5000 {
            let layout = Layout::new(object, 1);
            assert!(layout.stride >= object + TRAILER);
            assert_eq!(layout.stride / LINE % 2, 1);
        }
    }

    proptest! {
        #[test]
        fn objects_do_not_overlap_nor_cross_huge_pages(object in 1usize..9000, count in 1usize..900) {
            let layout = Layout::new(object, 1);
            for page in [4096, 2 << 20] {
                let bytes = layout.bytes(count, page);
                prop_assert!(layout.fit(bytes, page) >= count);
                let mut end = 0;
                for i in 0..count {
                    let at = layout.offset(i, page);
                    prop_assert!(at >= end && at + layout.stride <= bytes);
                    prop_assert!(page == 4096 || at / page == (at + layout.stride - 1) / page);
                    end = at + layout.stride;
                }
            }
        }
    }
}
