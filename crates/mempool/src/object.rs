//! The address of an object.

use core::ptr::NonNull;

/// The address of an object of a pool, as plain data: who holds it is a matter of the caller.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object(NonNull<u8>);

// SAFETY: an address; what may be done with the memory behind it is the business of unsafe code.
unsafe impl Send for Object {}
// SAFETY: as above.
unsafe impl Sync for Object {}

impl Object {
    /// The object at this address.
    #[inline(always)]
    pub const fn new(at: NonNull<u8>) -> Self {
        Object(at)
    }

    /// Its first byte.
    #[inline(always)]
    pub const fn as_ptr(self) -> *mut u8 {
        self.0.as_ptr()
    }

    /// Its first byte, as whatever lies there.
    #[inline(always)]
    pub const fn cast<T>(self) -> NonNull<T> {
        self.0.cast()
    }
}
