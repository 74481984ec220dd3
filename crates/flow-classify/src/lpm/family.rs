//! What the two families of addresses have in common, for the table that is generic over them.

use super::NextHop;
use super::prefix::Address;
use super::rib::Rib;
use super::store::{Shared, Store};
use super::table::Look;
use crate::simd::Simd;
use std::sync::Arc;

/// The part of a table that readers read, and how the writer keeps it up.
pub trait Compiled: std::fmt::Debug + Send {
    /// What it looks up.
    type Addr: Address;

    /// More routes could need more cells than there are numbers for.
    const MOST_ROUTES: usize;

    /// The levels that there is code for.
    const CODE: &'static [Simd];

    fn new() -> Self;

    fn store(&self) -> &Store;

    fn store_mut(&mut self) -> &mut Store;

    /// What readers share with it.
    fn shared(&self) -> &Arc<Shared> {
        self.store().shared()
    }

    /// Makes every address of a prefix say what the routes of `rib` say, in which this prefix was the
    /// last to change.
    fn paint(
        &mut self,
        rib: &Rib<<Self::Addr as Address>::Bits>,
        prefix: (<Self::Addr as Address>::Bits, u8),
    );

    /// Makes the table anew if that frees much of its memory.
    fn condense(&mut self, rib: &Rib<<Self::Addr as Address>::Bits>);

    /// The code of a level; it must only be called where the processor has that level.
    fn kernels(simd: Simd) -> Kernels<Self::Addr>;
}

/// Looks one address up.
///
/// # Safety
/// The processor has the level of the kernel, and the caller is pinned since before it got the table.
pub(super) type Single<A> = unsafe fn(Look<'_>, A) -> Option<NextHop>;

/// Looks many addresses up, as many as there are, into as many places.
///
/// # Safety
/// As for [`Single`]; and both slices are of one length.
pub(super) type Bulk<A> = unsafe fn(Look<'_>, &[A], &mut [Option<NextHop>]);

/// The code of one level.
#[derive(Debug)]
pub struct Kernels<A> {
    pub(super) single: Single<A>,
    pub(super) bulk: Bulk<A>,
}

impl<A> Clone for Kernels<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Kernels<A> {}
