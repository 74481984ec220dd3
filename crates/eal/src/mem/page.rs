//! Page sizes, and how to choose one.

use std::fmt;

/// A page size of the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageSize {
    /// The base page: 4 KiB.
    ///
    /// An aarch64 kernel may be built with larger base pages; lengths are then rounded to those.
    Size4K,
    /// 2 MiB: a page-table entry saved for every 512.
    Size2M,
    /// 1 GiB.
    Size1G,
}

impl PageSize {
    /// The size in bytes.
    pub const fn bytes(self) -> usize {
        1 << self.bits()
    }

    /// The base-2 logarithm of the size.
    pub(crate) const fn bits(self) -> u32 {
        match self {
            Self::Size4K => 12,
            Self::Size2M => 21,
            Self::Size1G => 30,
        }
    }

    /// The page size of that many bytes.
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        match bytes {
            0x1000 => Some(Self::Size4K),
            0x20_0000 => Some(Self::Size2M),
            0x4000_0000 => Some(Self::Size1G),
            _ => None,
        }
    }
}

impl fmt::Display for PageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Size4K => "4 KiB",
            Self::Size2M => "2 MiB",
            Self::Size1G => "1 GiB",
        })
    }
}

/// Which page sizes to try, in which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PagePolicy {
    /// 1 GiB (only for a request that fills one), then 2 MiB, then base pages that the kernel is
    /// asked to merge (THP; from 2 MiB up), then base pages.
    #[default]
    Auto,
    /// 1 GiB or 2 MiB pages, else an error. The better fit is tried first.
    Huge,
    /// This size, else an error.
    Exactly(PageSize),
    /// Base pages, never merged.
    Small,
}

/// One thing to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// Pages of the kernel's huge page pool.
    Huge(PageSize),
    /// Base pages, to be merged into 2 MiB pages by the kernel (transparent huge pages).
    Transparent,
    /// Base pages.
    Base,
}

impl Pages {
    /// The unit that lengths are rounded up to.
    pub(crate) fn unit(self) -> usize {
        match self {
            Self::Huge(size) => size.bytes(),
            Self::Transparent => PageSize::Size2M.bytes(),
            Self::Base => base_page(),
        }
    }

    /// What the page tables hold if it works.
    pub(crate) fn page_size(self) -> PageSize {
        match self {
            Self::Huge(size) => size,
            Self::Transparent | Self::Base => PageSize::Size4K,
        }
    }
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Huge(size) => write!(f, "{size} huge pages"),
            Self::Transparent => f.write_str("transparent huge pages"),
            Self::Base => f.write_str("base pages"),
        }
    }
}

impl PagePolicy {
    /// The attempts for a request of `len` bytes, in order.
    pub(crate) fn attempts(self, len: usize) -> &'static [Pages] {
        use PageSize::{Size1G, Size2M, Size4K};
        use Pages::{Base, Huge, Transparent};
        let fills = |size: PageSize| len >= size.bytes();
        match self {
            Self::Auto if fills(Size1G) => &[Huge(Size1G), Huge(Size2M), Transparent, Base],
            Self::Auto if fills(Size2M) => &[Huge(Size2M), Transparent, Base],
            Self::Auto => &[Huge(Size2M), Base],
            Self::Huge if fills(Size1G) => &[Huge(Size1G), Huge(Size2M)],
            Self::Huge => &[Huge(Size2M), Huge(Size1G)],
            Self::Exactly(Size1G) => &[Huge(Size1G)],
            Self::Exactly(Size2M) => &[Huge(Size2M)],
            Self::Exactly(Size4K) | Self::Small => &[Base],
        }
    }
}

/// The kernel's base page in bytes.
pub(crate) fn base_page() -> usize {
    // SAFETY: sysconf takes no pointer; it only reads a value that the C library holds.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).unwrap_or(PageSize::Size4K.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gigabyte_page_is_only_tried_by_a_request_that_fills_one() {
        let gib = PageSize::Size1G.bytes();
        assert_eq!(PagePolicy::Auto.attempts(gib)[0], Pages::Huge(PageSize::Size1G));
        assert_eq!(PagePolicy::Auto.attempts(gib - 1)[0], Pages::Huge(PageSize::Size2M));
    }

    #[test]
    fn a_policy_that_asks_for_huge_pages_never_falls_back_to_small_ones() {
        for len in [1, 1 << 22, 1 << 31] {
            let attempts = PagePolicy::Huge.attempts(len);
            assert!(attempts.iter().all(|pages| matches!(pages, Pages::Huge(_))));
        }
    }

    #[test]
    fn every_size_is_named_and_found_again_by_its_bytes() {
        for size in [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G] {
            assert_eq!(PageSize::from_bytes(size.bytes() as u64), Some(size));
        }
        assert_eq!(PageSize::from_bytes(5), None);
        assert_eq!(format!("{:>6}|{}", PageSize::Size4K, PageSize::Size1G), " 4 KiB|1 GiB");
    }
}
