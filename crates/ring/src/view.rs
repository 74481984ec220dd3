//! The engine: a ring's control block and slots, and the moves that every handle is made of.

use crate::batch::{Sink, Source};
use crate::side::{Ask, Claim, End, How, Side};
use crate::slots::{Slot, Slots};
use alloc::alloc::Layout;
use core::marker::PhantomData;
#[cfg(loom)]
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// What both sides share. `repr(C)`: two processes may map it.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) head: Head,
    pub(crate) producers: End,
    pub(crate) consumers: End,
}

/// What never changes after creation; `attach` checks it.
#[repr(C, align(128))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) magic: u64,
    pub(crate) capacity: u32,
    pub(crate) element_size: u32,
    pub(crate) element_align: u32,
    pub(crate) sides: u32,
}

#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Control>() == 640 && align_of::<Control>() == 128);

/// A ring seen by one handle: where it lies and how large it is, without who keeps it alive.
pub(crate) struct View<T, P, C> {
    control: NonNull<Control>,
    slots: Slots<T>,
    capacity: u32,
    sides: PhantomData<(P, C)>,
}

impl<T, P, C> Clone for View<T, P, C> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, P, C> Copy for View<T, P, C> {}

impl<T, P: Side, C: Side> View<T, P, C> {
    /// # Safety
    /// `control` and the `capacity.next_power_of_two()` slots at `slots` stay valid as long as this
    /// view and its copies are used, and only rings of the same type touch them.
    pub(crate) unsafe fn new(
        control: NonNull<Control>,
        slots: NonNull<Slot<T>>,
        capacity: u32,
    ) -> Self {
        let mask = capacity.next_power_of_two() - 1;
        // SAFETY: the caller's promise about the slots.
        let slots = unsafe { Slots::new(slots, mask) };
        View { control, slots, capacity, sides: PhantomData }
    }

    #[inline(always)]
    fn control(&self) -> &Control {
        // SAFETY: valid by the contract of `new`; everything in it that changes is atomic.
        unsafe { self.control.as_ref() }
    }

    #[inline(always)]
    pub(crate) fn producers(&self) -> &End {
        &self.control().producers
    }

    #[inline(always)]
    pub(crate) fn consumers(&self) -> &End {
        &self.control().consumers
    }

    #[inline(always)]
    pub(crate) fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// Elements that are visible to consumers. Another thread may change it at once.
    pub(crate) fn len(&self) -> usize {
        let consumed = self.consumers().done();
        let n = self.producers().done().wrapping_sub(consumed);
        // Between the two loads both ends may have moved: the producers' by more than a lap.
        (n as usize).min(self.capacity())
    }

    #[inline(always)]
    pub(crate) fn claim_free(&self, local: &mut P::Local, want: usize, how: How) -> Claim {
        let ask = self.ask(self.capacity, want, how);
        P::claim(self.producers(), self.consumers(), local, ask)
    }

    #[inline(always)]
    pub(crate) fn claim_used(&self, local: &mut C::Local, want: usize, how: How) -> Claim {
        C::claim(self.consumers(), self.producers(), local, self.ask(0, want, how))
    }

    /// A burst never asks for more than the ring holds, so that whatever the other side's tail
    /// claims, no more than `capacity` slots are ever touched. A bulk beyond it is granted nothing.
    #[inline(always)]
    fn ask(&self, room: u32, want: usize, how: How) -> Ask {
        let capacity = self.capacity;
        let want = match how {
            How::Burst => want.min(capacity as usize) as u32,
            How::Bulk if want > capacity as usize => return Ask { room, want: 0, how },
            How::Bulk => want as u32,
        };
        Ask { room, want, how }
    }

    #[inline(always)]
    pub(crate) fn publish_produced(&self, local: &mut P::Local, claim: Claim, n: u32) {
        P::publish(self.producers(), local, claim, n);
    }

    #[inline(always)]
    pub(crate) fn publish_consumed(&self, local: &mut C::Local, claim: Claim, n: u32) {
        C::publish(self.consumers(), local, claim, n);
    }

    #[inline(always)]
    pub(crate) fn slots(&self) -> Slots<T> {
        self.slots
    }

    /// Moves `want` elements (bulk), or up to that many (burst), from `source` into the ring.
    #[inline(always)]
    pub(crate) fn push(
        &self,
        local: &mut P::Local,
        source: &mut impl Source<T>,
        want: usize,
        how: How,
    ) -> usize {
        let want = want.min(source.items().len());
        let claim = self.claim_free(local, want, how);
        if claim.n == 0 {
            return 0;
        }
        // SAFETY: the claim makes the slots ours alone until it is published; `source` holds at
        // least `claim.n` elements, and is told that they are gone before anything else can happen.
        unsafe {
            self.slots.write(claim.pos, source.items().as_ptr(), claim.n);
            source.took(claim.n as usize);
        }
        self.publish_produced(local, claim, claim.n);
        claim.n as usize
    }

    /// Moves `want` elements (bulk), or up to that many (burst), from the ring into `sink`.
    #[inline(always)]
    pub(crate) fn pull(
        &self,
        local: &mut C::Local,
        sink: &mut impl Sink<T>,
        want: usize,
        how: How,
    ) -> usize {
        let (base, room) = sink.room();
        if how == How::Bulk && want > room {
            return 0;
        }
        let claim = self.claim_used(local, want.min(room), how);
        if claim.n == 0 {
            return 0;
        }
        // SAFETY: the claim makes the slots ours alone, and A1 made their contents visible; the
        // room has at least `claim.n` elements and does not move until `gave`.
        unsafe {
            self.slots.read(claim.pos, base, claim.n);
            sink.gave(claim.n as usize);
        }
        self.publish_consumed(local, claim, claim.n);
        claim.n as usize
    }

    #[inline(always)]
    pub(crate) fn push_one(&self, local: &mut P::Local, item: T) -> Result<(), T> {
        let claim = self.claim_free(local, 1, How::Bulk);
        if claim.n == 0 {
            return Err(item);
        }
        // SAFETY: one slot is ours.
        unsafe { self.slots.write_one(claim.pos, item) };
        self.publish_produced(local, claim, 1);
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn pull_one(&self, local: &mut C::Local) -> Option<T> {
        let claim = self.claim_used(local, 1, How::Bulk);
        if claim.n == 0 {
            return None;
        }
        // SAFETY: one slot is ours, and A1 made its contents visible.
        let item = unsafe { self.slots.read_one(claim.pos) };
        self.publish_consumed(local, claim, 1);
        Some(item)
    }

    /// Drops what is left in the ring.
    ///
    /// # Safety
    /// Nobody else uses the ring any more.
    pub(crate) unsafe fn drain(&self) {
        let (mut pos, end) = (self.consumers().done(), self.producers().done());
        while pos != end {
            // SAFETY: slots from the consumers' to the producers' tail are initialised, and the
            // caller has them alone.
            drop(unsafe { self.slots.read_one(pos) });
            pos = pos.wrapping_add(1);
        }
    }
}

/// A ring's memory on the heap: one block, the slots behind the control block on a line of their
/// own, so that a burst that fills a cache line touches one line and not two.
pub(crate) struct Heap<T> {
    pub(crate) control: NonNull<Control>,
    pub(crate) slots: NonNull<Slot<T>>,
    layout: Layout,
    #[cfg(loom)]
    count: usize,
}

impl<T> Heap<T> {
    pub(crate) fn new(head: Head) -> Option<Self> {
        let count = head.capacity.next_power_of_two() as usize;
        let slots = Layout::array::<Slot<T>>(count).ok()?;
        let (layout, offset) = Layout::new::<Control>().extend(slots.align_to(128).ok()?).ok()?;
        // SAFETY: the layout has a control block in it, so its size is not zero.
        let base = NonNull::new(unsafe { alloc::alloc::alloc(layout) })?;
        let fresh = Control { head, producers: End::new(), consumers: End::new() };
        // SAFETY: the block begins with room and alignment for a `Control`, and `offset` lies in it.
        let slots = unsafe {
            base.cast().write(fresh);
            base.add(offset).cast::<Slot<T>>()
        };
        #[cfg(loom)]
        for i in 0..count {
            // SAFETY: `count` slots follow from `offset`; loom's cells need making.
            unsafe { slots.add(i).write(Slot::new(MaybeUninit::uninit())) };
        }
        Some(Heap {
            control: base.cast(),
            slots,
            layout,
            #[cfg(loom)]
            count,
        })
    }
}

impl<T> Drop for Heap<T> {
    fn drop(&mut self) {
        // SAFETY: made by `new` with this layout and given back once, here; what the slots held has
        // been drained, so that slots need no drop of their own (but loom's cells, which are boxes).
        unsafe {
            #[cfg(loom)]
            for i in 0..self.count {
                self.slots.add(i).drop_in_place();
            }
            self.control.drop_in_place();
            alloc::alloc::dealloc(self.control.as_ptr().cast(), self.layout);
        }
    }
}
