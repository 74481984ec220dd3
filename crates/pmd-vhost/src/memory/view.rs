//! How a ring's addresses become ours.

use super::{DirtyLog, MemoryTable, Translations};
use crate::fault::{Fault, Trouble};
use core::mem::MaybeUninit;
use std::sync::Arc;
use zerocopy::FromBytes;

/// What may be done at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Access {
    Read = 1,
    Write = 2,
}

impl Access {
    /// Whether rights of `bits` are enough.
    #[inline]
    pub(crate) fn within(self, bits: u8) -> bool {
        bits & self as u8 != 0
    }
}

/// Bytes of guest memory, here. They may be read and written as long as the view that gave them is not
/// changed: by copying, since the guest writes them at any time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) at: *mut u8,
    pub(crate) len: u32,
}

impl Span {
    pub(crate) const NONE: Span = Span { at: core::ptr::null_mut(), len: 0 };

    /// Without its first `n` bytes; `n` is at most its length.
    #[inline(always)]
    pub(crate) fn skip(self, n: u32) -> Span {
        Span { at: self.at.wrapping_add(n as usize), len: self.len - n }
    }
}

/// What a queue knows of the guest's memory.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) table: Arc<MemoryTable>,
    /// Present if the guest has an IOMMU.
    pub(crate) translations: Option<Translations>,
    /// Present while the guest moves.
    pub(crate) log: Option<Arc<DirtyLog>>,
    hint: usize,
    /// The region in which an address was found last.
    window: Window,
}

/// A region of the table that the view has: where it begins in the guest, and here. Empty, if no address has
/// been found since the view was changed, or the guest has an IOMMU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    guest: u64,
    size: u64,
    here: *mut u8,
}

impl Window {
    /// All of the bytes at `address`, if they lie in here, and there are any.
    #[inline(always)]
    pub(crate) fn span(self, address: u64, len: u32) -> Option<Span> {
        let (offset, bytes) = (address.wrapping_sub(self.guest), u64::from(len));
        let within = bytes > 0 && offset < self.size && bytes <= self.size - offset;
        within.then(|| Span { at: self.here.wrapping_add(offset as usize), len })
    }
}

impl Default for Window {
    fn default() -> Self {
        Window { guest: 0, size: 0, here: core::ptr::null_mut() }
    }
}

// SAFETY: nothing in it belongs to a thread; spans are not kept in it.
unsafe impl Send for View {}

impl View {
    /// The bytes at `address`, `len` of them or as many as lie together.
    #[inline(always)]
    pub(crate) fn span(&mut self, address: u64, len: u32, access: Access) -> Result<Span, Trouble> {
        let offset = address.wrapping_sub(self.window.guest);
        let (at, left) = if offset < self.window.size {
            (self.window.here.wrapping_add(offset as usize), self.window.size - offset)
        } else {
            self.look_up(address, access)?
        };
        Ok(Span { at, len: left.min(u64::from(len)) as u32 })
    }

    /// Where the last address was found.
    #[inline(always)]
    pub(crate) fn window(&self) -> Window {
        self.window
    }

    /// An address that is not where the last one was.
    #[cold]
    #[inline(never)]
    fn look_up(&mut self, address: u64, access: Access) -> Result<(*mut u8, u64), Trouble> {
        if self.translations.is_some() {
            return self.translated(address, access);
        }
        let (at, left) = self.table.guest(address, &mut self.hint).ok_or(Fault::Address)?;
        let (guest, size, here) = self.table.place_of(self.hint);
        self.window = Window { guest, size, here };
        Ok((at, left))
    }

    /// The table, or the translations, are others now.
    pub(crate) fn forget(&mut self) {
        self.window = Window::default();
    }

    #[cold]
    fn translated(&self, iova: u64, access: Access) -> Result<(*mut u8, u64), Trouble> {
        let known = self.translations.as_ref().and_then(|known| known.find(iova, access));
        let (user, left) = known.ok_or(Trouble::Miss(iova, access as u8))?;
        let (at, here) = self.table.user(user).ok_or(Fault::Address)?;
        Ok((at, left.min(here)))
    }

    /// A value at a guest address: copied here once, whatever becomes of the original.
    pub(crate) fn read<T: FromBytes>(&mut self, address: u64) -> Result<T, Trouble> {
        let mut value = MaybeUninit::<T>::uninit();
        let (mut done, len) = (0, size_of::<T>());
        while done < len {
            let from = address.checked_add(done as u64).ok_or(Fault::Address)?;
            let span = self.span(from, (len - done) as u32, Access::Read)?;
            // SAFETY: the span is `span.len` mapped bytes, and that many of the value are left.
            unsafe {
                let to = value.as_mut_ptr().cast::<u8>().add(done);
                to.copy_from_nonoverlapping(span.at, span.len as usize);
            }
            done += span.len as usize;
        }
        // SAFETY: all its bytes were written, and any bytes make a `T`.
        Ok(unsafe { value.assume_init() })
    }

    /// Where `len` bytes at an address of a ring's part lie here, all together and aligned: addresses
    /// of the front-end's, or of the guest's IOMMU.
    pub(crate) fn part(
        &self,
        address: u64,
        len: usize,
        align: usize,
        access: Access,
    ) -> Result<*mut u8, Trouble> {
        let (at, left) = match &self.translations {
            None => self.table.user(address).ok_or(Fault::Address)?,
            Some(_) => self.translated(address, access)?,
        };
        if !at.addr().is_multiple_of(align) {
            return Err(Fault::Address.into());
        }
        match &self.translations {
            _ if left >= len as u64 => Ok(at),
            None => Err(Fault::Address.into()),
            Some(_) => self.pieced(address, len, access, (at, left)),
        }
    }

    /// The same of several translations that lie one behind the other; the start is aligned.
    fn pieced(
        &self,
        address: u64,
        len: usize,
        access: Access,
        (start, mut have): (*mut u8, u64),
    ) -> Result<*mut u8, Trouble> {
        while have < len as u64 {
            let next = address.checked_add(have).ok_or(Fault::Address)?;
            let (at, left) = self.translated(next, access)?;
            if at != start.wrapping_add(have as usize) {
                return Err(Fault::Address.into());
            }
            have += left;
        }
        Ok(start)
    }

    /// Notes that bytes have been written, if anybody wants to know.
    #[inline(always)]
    pub(crate) fn wrote(&self, span: Span) {
        if let Some(log) = &self.log {
            self.note(log, span);
        }
    }

    /// The same of a ring's part, `len` bytes long, which may lie in several regions.
    #[inline(always)]
    pub(crate) fn wrote_part(&self, at: *mut u8, len: usize) {
        if let Some(log) = &self.log {
            self.note_part(log, at, len);
        }
    }

    #[cold]
    fn note_part(&self, log: &DirtyLog, at: *mut u8, len: usize) {
        for from in (0..len).step_by(4096) {
            let span = Span { at: at.wrapping_add(from), len: (len - from).min(4096) as u32 };
            self.note(log, span);
        }
    }

    #[cold]
    fn note(&self, log: &DirtyLog, span: Span) {
        if let Some(guest) = self.table.guest_of(span.at) {
            log.mark(guest, u64::from(span.len));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Region;
    use crate::memory::{Shrinking, memfd};
    use linecard_virtqueue::vhost_user::message::{IOTLB_UPDATE, Iotlb, Region as Place};
    use std::os::fd::AsFd;

    const USER: u64 = 1 << 40;

    /// Two regions next to each other in the guest, and apart for the front-end.
    fn view() -> View {
        let regions = [0u64, 1].map(|i| {
            let fd = memfd(c"view", 4096).expect("memory");
            let place = Place {
                guest_addr: i * 4096,
                size: 4096,
                user_addr: USER * (i + 1),
                mmap_offset: 0,
            };
            Region::map(place, fd.as_fd(), Shrinking::Refuse).expect("it is mapped")
        });
        let table = Arc::new(MemoryTable::new(regions.into()).expect("apart"));
        View { table, ..View::default() }
    }

    #[test]
    fn a_value_over_two_regions_is_read_in_two_pieces() {
        let mut view = view();
        for (i, byte) in [1u8, 2, 3, 4].into_iter().enumerate() {
            let span = view.span(4094 + i as u64, 1, Access::Write).expect("mapped");
            // SAFETY: one mapped byte that nobody else uses.
            unsafe { span.at.write_volatile(byte) };
        }
        assert_eq!(view.read::<[u8; 4]>(4094), Ok([1, 2, 3, 4]));
        assert_eq!(view.span(4094, 4, Access::Read).map(|span| span.len), Ok(2));
        assert_eq!(view.read::<[u8; 4]>(8190), Err(Fault::Address.into()));
        assert_eq!(view.read::<[u8; 4]>(u64::MAX - 1), Err(Fault::Address.into()));
    }

    #[test]
    fn an_address_is_found_anew_when_the_memory_has_changed() {
        let (mut view, other) = (view(), view());
        let at = |view: &mut View| view.span(4095, 8, Access::Read).map(|s| (s.at, s.len));
        let before = at(&mut view).expect("mapped");
        assert_eq!((at(&mut view), before.1), (Ok(before), 1));
        view.table = Arc::clone(&other.table);
        view.forget();
        assert_ne!(at(&mut view).expect("mapped"), before);
        view.translations = Some(Translations::default());
        view.forget();
        assert_eq!(at(&mut view).err(), Some(Trouble::Miss(4095, 1)));
    }

    #[test]
    fn a_part_of_a_ring_is_whole_and_aligned() {
        let view = view();
        assert!(view.part(USER, 4096, 16, Access::Read).is_ok());
        assert_eq!(view.part(USER + 1, 16, 16, Access::Read).err(), Some(Fault::Address.into()));
        assert_eq!(view.part(USER + 16, 4096, 16, Access::Read).err(), Some(Fault::Address.into()));
    }

    #[test]
    fn a_part_of_a_ring_in_several_translations_is_aligned_too() {
        let mut view = view();
        view.translations = Some(Translations::default());
        for (odd, iova) in [(0, USER * 7), (1, USER * 8), (2, USER * 9), (8, USER * 10)] {
            for i in 0..2 {
                let (iova, user_addr) = (iova + 1024 * i, USER + 1024 * i + odd);
                let (size, permission, kind, padding) = (1024, 3, IOTLB_UPDATE, [0; 6]);
                let said = Iotlb { iova, size, user_addr, permission, kind, padding };
                assert!(view.translations.as_mut().expect("just set").update(&said));
            }
            for access in [Access::Read, Access::Write] {
                let whole = view.part(iova, 2048, 16, access);
                assert_eq!(whole.is_ok(), odd == 0, "{odd} bytes beside: {whole:?}");
            }
        }
    }

    #[test]
    fn behind_an_iommu_nothing_is_reached_without_a_translation() {
        let mut view = view();
        view.translations = Some(Translations::default());
        assert_eq!(view.span(0, 8, Access::Read).err(), Some(Trouble::Miss(0, 1)));
        for i in 0..2 {
            let (iova, user_addr) = (USER * 7 + 2048 * i, USER + 2048 * i);
            let (permission, kind, padding) = (1, IOTLB_UPDATE, [0; 6]);
            let said = Iotlb { iova, size: 2048, user_addr, permission, kind, padding };
            assert!(view.translations.as_mut().expect("just set").update(&said));
        }
        assert!(view.part(USER * 7, 4096, 16, Access::Read).is_ok(), "two pieces in a row");
        assert_eq!(view.span(USER * 7, 4096, Access::Read).map(|s| s.len), Ok(2048));
        assert!(matches!(view.span(USER * 7, 8, Access::Write), Err(Trouble::Miss(_, 2))));
    }
}
