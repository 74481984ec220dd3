//! Names of registers: where they are, how wide, and what may be done with them, as types.
//!
//! ```
//! use linecard_eal::device::{Bar, ReadClear, ReadOnly, ReadWrite, Reg, RegArray};
//!
//! const STATUS: Reg<u32, ReadOnly> = Reg::at(0x8);
//! const MISSED: Reg<u32, ReadClear> = Reg::at(0x10);
//! const TAIL: RegArray<u32, ReadWrite, 4> = RegArray::new(0x100, 0x40);
//!
//! fn start(bar: &Bar) {
//!     if bar.read(STATUS) & 1 == 0 {
//!         bar.write(TAIL.nth(2), 0);
//!     }
//!     let _lost = bar.take(MISSED); // `bar.read(MISSED)` does not compile
//! }
//! ```

use std::fmt;
use std::marker::PhantomData;

use crate::mmio::Word;

/// What may be done with a register.
pub trait Access: sealed::Sealed + 'static {}
/// Reading, without an effect.
pub trait Readable: Access {}
/// Writing.
pub trait Writable: Access {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! access {
    ($($(#[$doc:meta])* $name:ident: $($can:ident)*;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl Access for $name {}
        $(impl $can for $name {})*
    )*};
}

access! {
    /// Read only: a write does nothing, or harm.
    ReadOnly: Readable;
    /// Write only: a read gives nothing of use.
    WriteOnly: Writable;
    /// Reads give what was written, or what the device made of it.
    ReadWrite: Readable Writable;
    /// Reading clears it. What is read is to be kept: [`Bar::take`](super::Bar::take).
    ReadClear: Writable;
}

/// A register of a BAR: `W` wide, used as `A` allows.
pub struct Reg<W, A> {
    offset: u32,
    kind: PhantomData<fn() -> (W, A)>,
}

impl<W: Word, A: Access> Reg<W, A> {
    /// The one at `offset`.
    ///
    /// # Panics
    ///
    /// If it is not a multiple of its size; in a constant, when compiling.
    pub const fn at(offset: u32) -> Self {
        assert!((offset as usize).is_multiple_of(size_of::<W>()), "a misaligned register");
        Self { offset, kind: PhantomData }
    }

    /// Where in its BAR it is.
    pub const fn offset(self) -> usize {
        self.offset as usize
    }
}

impl<W, A> Clone for Reg<W, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W, A> Copy for Reg<W, A> {}

impl<W, A> fmt::Debug for Reg<W, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reg({:#x})", self.offset)
    }
}

/// `N` registers, `stride` bytes apart.
#[derive(Clone, Copy, Debug)]
pub struct RegArray<W, A, const N: usize> {
    first: Reg<W, A>,
    stride: u32,
}

impl<W: Word, A: Access, const N: usize> RegArray<W, A, N> {
    /// From `first` on.
    ///
    /// # Panics
    ///
    /// If one of them is not a multiple of its size; in a constant, when compiling.
    pub const fn new(first: u32, stride: u32) -> Self {
        assert!((stride as usize).is_multiple_of(size_of::<W>()), "a misaligned register");
        Self { first: Reg::at(first), stride }
    }

    /// The one with a number.
    ///
    /// # Panics
    ///
    /// If there are not so many, like an index of a slice.
    #[track_caller]
    pub const fn nth(self, index: usize) -> Reg<W, A> {
        assert!(index < N, "beyond the array of registers");
        Reg { offset: self.first.offset + self.stride * index as u32, kind: PhantomData }
    }
}
