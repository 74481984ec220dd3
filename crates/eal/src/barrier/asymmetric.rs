//! A fence with a cheap and a dear half, between threads of this process.
//!
//! Where one side works all the time and the other acts once in a while, and each must see the
//! other's store or be seen by it, a full fence on both sides makes the busy one pay. With
//! `membarrier(2)` the rare side pays for both, and the busy one has a compiler fence only.

use std::sync::atomic::{Ordering, compiler_fence, fence};

/// Whether this process may call `membarrier(2)`; then [`light`](Asymmetric::light) is nearly free.
#[derive(Clone, Copy, Debug)]
pub struct Asymmetric {
    asymmetric: bool,
}

impl Default for Asymmetric {
    fn default() -> Self {
        Self::new()
    }
}

impl Asymmetric {
    /// Asks the kernel. Registering twice is harmless.
    pub fn new() -> Self {
        let asymmetric = membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
        Asymmetric { asymmetric }
    }

    /// Between a store and a load of the frequent side.
    #[inline(always)]
    pub fn light(self) {
        if self.asymmetric {
            // SeqCst for the compiler; the CPU is fenced by `heavy`, wherever it then is.
            compiler_fence(Ordering::SeqCst);
        } else {
            // SeqCst pairs with the fence in `heavy`.
            fence(Ordering::SeqCst);
        }
    }

    /// Between a store and a load of the rare side.
    pub fn heavy(self) {
        // SeqCst pairs with the fence in `light`, where the kernel has no membarrier.
        fence(Ordering::SeqCst);
        if self.asymmetric {
            let done = membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED);
            debug_assert!(done, "registered, and refused all the same");
        }
    }
}

/// Whether the kernel did it.
fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: membarrier takes no pointers; a command that the kernel does not know is refused.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}
