//! Any other architecture: the strongest fence that Rust has, whatever was asked for. Enough
//! for virtual devices; for a physical one, add the architecture first.

use std::sync::atomic::{Ordering, fence};

#[inline(always)]
pub(super) fn full() {
    // SeqCst: pairs with the peer's fence or ordered access, whichever of them it is.
    fence(Ordering::SeqCst);
}

pub(super) use full as store_store;
pub(super) use full as load_load;
pub(super) use full as store_device;
pub(super) use full as flush_write_combining;
