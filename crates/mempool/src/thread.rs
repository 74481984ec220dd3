//! Finding a thread's cache of a pool, without registration and in a few instructions.

use crate::cache::Cache;
use crate::core::{CacheRef, Core};
use core::cell::{Cell, RefCell};
use core::ptr;
use std::rc::Rc;
use std::sync::Arc;

/// Pools whose caches a thread finds at once; more are found by a search.
const FAST: usize = 4;

/// A pool, and this thread's cache of it.
#[derive(Clone, Copy)]
struct Entry {
    core: *const Core,
    cache: *const Cache,
}

impl Entry {
    const NONE: Entry = Entry { core: ptr::null(), cache: ptr::null() };
}

thread_local! {
    /// The caches used last. No destructor, so that reading it is a plain load.
    static RECENT: [Cell<Entry>; FAST] = const { [const { Cell::new(Entry::NONE) }; FAST] };
    /// All caches of this thread; flushed when it ends.
    static OWNED: RefCell<Owned> = const { RefCell::new(Owned(Vec::new())) };
}

/// A thread's caches. Each keeps its pool's shared part in being, so that no other pool can come to
/// lie at the same address and be taken for it. Caches are looked at by address while the list is
/// changed, which an `Rc` allows and a `Box` does not.
struct Owned(Vec<(Arc<Core>, Rc<Cache>)>);

impl Drop for Owned {
    fn drop(&mut self) {
        // From now on this thread has no caches: what is still returned goes to the stores.
        forget_recent();
        self.0.drain(..).for_each(|(core, cache)| core.deregister(&cache));
    }
}

fn forget_recent() {
    RECENT.with(|recent| recent.iter().for_each(|entry| entry.set(Entry::NONE)));
}

/// This thread's cache of `core`, made if there is none yet. `None` for a pool without caches, and
/// while the thread is ending.
///
/// # Safety
/// The caller lets go of the cache before it, or anything that it calls, asks for that of another
/// pool or ends the thread.
#[inline(always)]
pub(crate) unsafe fn cache_of(core: &Core) -> Option<&Cache> {
    RECENT.with(|recent| {
        let first = recent[0].get();
        let cache = match ptr::eq(first.core, core) {
            true => first.cache,
            false if core.cache_size == 0 => return None,
            false => search(recent, core)?,
        };
        // SAFETY: owned by `OWNED`, which is only taken out of there after `RECENT` forgot it;
        // it is this thread's, and the caller lets go of it before that can happen.
        Some(unsafe { &*cache })
    })
}

/// The cache of a pool that was not the last one used.
#[inline(never)]
fn search(recent: &[Cell<Entry>; FAST], core: &Core) -> Option<*const Cache> {
    if let Some(at) = recent.iter().position(|entry| ptr::eq(entry.get().core, core)) {
        recent[0].swap(&recent[at]);
        return Some(recent[0].get().cache);
    }
    // An error means that the thread is ending and `OWNED` is gone.
    let cache = OWNED.try_with(|owned| own(owned, core)).ok()??;
    recent.rotate_in(Entry { core, cache });
    Some(cache)
}

/// The most recent entry comes first, the least recent is forgotten.
trait RotateIn {
    fn rotate_in(&self, entry: Entry);
}

impl RotateIn for [Cell<Entry>; FAST] {
    fn rotate_in(&self, entry: Entry) {
        let mut moved = entry;
        for cell in self {
            moved = cell.replace(moved);
        }
    }
}

/// Finds or makes the cache of `core`; none is made for a closed pool, and none while the list is
/// being changed further up the stack.
fn own(owned: &RefCell<Owned>, core: &Core) -> Option<*const Cache> {
    let mut owned = owned.try_borrow_mut().ok()?;
    if let Some((_, cache)) = owned.0.iter().find(|(c, _)| ptr::eq(&**c, core)) {
        return Some(Rc::as_ptr(cache));
    }
    if core.is_closed() {
        return None;
    }
    sweep(&mut owned);
    let cache = Rc::new(Cache::new(core.cache_size, core.filler));
    let at = Rc::as_ptr(&cache);
    core.register(CacheRef(at));
    // SAFETY: the handle or object through which `core` was reached holds a share during this call.
    let share = unsafe { core.share() };
    owned.0.push((share, cache));
    Some(at)
}

/// Lets go of the caches of pools that have been closed since.
fn sweep(owned: &mut Owned) {
    if owned.0.iter().any(|(core, _)| core.is_closed()) {
        forget_recent();
        let closed = owned.0.extract_if(.., |(core, _)| core.is_closed());
        closed.for_each(|(core, cache)| core.deregister(&cache));
    }
}
