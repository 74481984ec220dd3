//! Elements of several sizes, made from a number, and one that counts its drops.

use linecard_ring::Plain;
use std::cell::Cell;
use std::fmt::Debug;

/// An element of which the `n`-th can be made, and told from others where there is room to.
pub(crate) trait Element: Clone + Debug + PartialEq + Send + 'static {
    fn nth(n: u32) -> Self;
}

impl Element for u8 {
    fn nth(n: u32) -> Self {
        n as u8
    }
}

impl Element for u32 {
    fn nth(n: u32) -> Self {
        n
    }
}

impl Element for [u8; 0] {
    fn nth(_: u32) -> Self {
        []
    }
}

impl Element for [u8; 3] {
    fn nth(n: u32) -> Self {
        [n as u8, (n >> 8) as u8, !n as u8]
    }
}

impl Element for [u64; 2] {
    fn nth(n: u32) -> Self {
        [n.into(), !u64::from(n)]
    }
}

/// Forty bytes, as a small descriptor has.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bytes40 {
    address: u64,
    words: [u32; 7],
    tail: [u8; 4],
}

// SAFETY: integers without padding: 8 + 28 + 4 bytes.
unsafe impl Plain for Bytes40 {}

impl Element for Bytes40 {
    fn nth(n: u32) -> Self {
        Bytes40 { address: n.into(), words: [n; 7], tail: n.to_be_bytes() }
    }
}

thread_local! {
    static LIVES: Cell<isize> = const { Cell::new(0) };
}

/// A string; this thread counts how many there are.
#[derive(Debug, PartialEq)]
pub(crate) struct Counted(String);

impl Counted {
    fn new(text: String) -> Self {
        LIVES.set(LIVES.get() + 1);
        Counted(text)
    }

    /// How many there are.
    pub(crate) fn lives() -> isize {
        LIVES.get()
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Counted::new(self.0.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        LIVES.set(LIVES.get() - 1);
    }
}

impl Element for Counted {
    fn nth(n: u32) -> Self {
        Counted::new(n.to_string())
    }
}
