//! The tables: one writer, and readers that it never makes wait.

use super::family::{Compiled, Kernels};
use super::prefix::{Address, Prefix};
use super::rib::{Rib, Route};
use super::store::Shared;
use super::table::Look;
use super::v4::Compiled4;
use super::v6::Compiled6;
use super::{LpmError, NextHop};
use crate::grace::{Guard, pin};
use crate::simd::{NotHere, Path, Simd};
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Addresses that there is a table for: [`Ipv4Addr`] and [`Ipv6Addr`].
pub trait Routable: Address {
    /// How the routes are laid out for look-ups.
    #[doc(hidden)]
    type Compiled: Compiled<Addr = Self>;
}

impl Routable for Ipv4Addr {
    type Compiled = Compiled4;
}

impl Routable for Ipv6Addr {
    type Compiled = Compiled6;
}

/// Routes of one family, and the only one who changes them.
///
/// Every change is seen by readers address by address: an address resolves to its old next hop or to
/// its new one, never to a third, whatever happens meanwhile.
pub struct Routes<A: Routable> {
    rib: Rib<A::Bits>,
    compiled: A::Compiled,
    path: Path,
}

impl<A: Routable> Routes<A> {
    /// No routes; readers take the fastest code that the processor runs.
    pub fn new() -> Self {
        Self::on(Path::best_of(A::Compiled::CODE))
    }

    /// No routes; readers take the code of one level.
    ///
    /// # Errors
    /// [`NotHere`] if the processor does not have it.
    pub fn with_simd(simd: Simd) -> Result<Self, NotHere> {
        Ok(Self::on(Path::asked(simd, A::Compiled::CODE)?))
    }

    fn on(path: Path) -> Self {
        Self { rib: Rib::new(), compiled: A::Compiled::new(), path }
    }

    /// A reader, for any thread.
    pub fn reader(&self) -> RouteReader<A> {
        RouteReader {
            shared: Arc::clone(self.compiled.shared()),
            kernels: A::Compiled::kernels(self.path.simd()),
            path: self.path,
        }
    }

    /// Adds a route, or gives it another next hop; returns the one that it had.
    ///
    /// # Errors
    /// [`LpmError::Full`] if there are too many routes.
    pub fn insert(&mut self, prefix: Prefix<A>, to: NextHop) -> Result<Option<NextHop>, LpmError> {
        let (key, len, value) = (prefix.bits(), prefix.len(), to.entry());
        let most = A::Compiled::MOST_ROUTES;
        if self.rib.len() >= most && self.rib.exact(key, len) == 0 {
            return Err(LpmError::Full { most });
        }
        let old = self.rib.insert(Route { key, len, value });
        if old != value {
            self.compiled.paint(&self.rib, (key, len));
        }
        Ok(NextHop::from_entry(old))
    }

    /// Takes a route away; returns its next hop, if there was such a route.
    pub fn remove(&mut self, prefix: Prefix<A>) -> Option<NextHop> {
        let old = NextHop::from_entry(self.rib.remove(prefix.bits(), prefix.len()))?;
        self.compiled.paint(&self.rib, (prefix.bits(), prefix.len()));
        Some(old)
    }

    /// The next hop of exactly this route.
    pub fn exact(&self, prefix: Prefix<A>) -> Option<NextHop> {
        NextHop::from_entry(self.rib.exact(prefix.bits(), prefix.len()))
    }

    /// The longest route that an address is in. Readers are faster, but know of next hops only.
    pub fn longest(&self, addr: A) -> Option<(Prefix<A>, NextHop)> {
        self.rib.best(addr.to_bits(), Prefix::host(addr).len()).and_then(public)
    }

    /// The routes that a prefix covers, itself too if it is one: by address, the shorter first.
    pub fn covered(&self, by: Prefix<A>) -> impl Iterator<Item = (Prefix<A>, NextHop)> {
        self.rib.covered(by.bits(), by.len()).filter_map(public)
    }

    /// The routes that cover a prefix, itself too if it is one: the shortest first.
    pub fn covering(&self, prefix: Prefix<A>) -> impl Iterator<Item = (Prefix<A>, NextHop)> {
        self.rib.covering(prefix.bits(), prefix.len()).filter_map(public)
    }

    /// All routes: by address, the shorter first.
    pub fn iter(&self) -> impl Iterator<Item = (Prefix<A>, NextHop)> {
        self.covered(Prefix::all())
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        self.rib.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it takes of memory.
    pub fn memory(&self) -> RouteMemory {
        let store = self.compiled.store();
        let (table, used) = store.memory();
        RouteMemory { table, used, waiting: store.waiting(), control: self.rib.memory() }
    }

    /// Frees at once what no reader can see any more, which changes otherwise do as they go.
    pub fn reclaim(&mut self) {
        self.compiled.store_mut().reclaim_all();
        self.compiled.condense(&self.rib);
    }

    /// Which code readers take, and why.
    pub fn path(&self) -> Path {
        self.path
    }
}

fn public<A: Address>(route: Route<A::Bits>) -> Option<(Prefix<A>, NextHop)> {
    Some((Prefix::from_bits(route.key, route.len), NextHop::from_entry(route.value)?))
}

impl<A: Routable> Default for Routes<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Routable> fmt::Debug for Routes<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").field("len", &self.len()).field("path", &self.path).finish()
    }
}

/// Bytes that routes take on the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteMemory {
    /// What look-ups read, with room to grow.
    pub table: usize,
    /// What of that is in use, or waits to be used again.
    pub used: usize,
    /// What cannot be used again, or freed, before readers that may still see it have unpinned. The
    /// cells of the table among it are counted in `used` too.
    pub waiting: usize,
    /// The control copy.
    pub control: usize,
}

/// Looks addresses up, on any thread, while routes change. It never waits for the writer, takes no lock, and
/// neither allocates nor frees anything of the table's.
pub struct RouteReader<A: Routable> {
    shared: Arc<Shared>,
    kernels: Kernels<A>,
    path: Path,
}

impl<A: Routable> RouteReader<A> {
    /// Pins the routes for some look-ups. What was replaced meanwhile is not freed before this is
    /// dropped: hold it for a burst, not for longer.
    #[inline]
    pub fn pin(&self) -> Pinned<'_, A> {
        Pinned { guard: pin(), reader: self }
    }

    /// The next hop of the longest route that an address is in.
    #[inline]
    pub fn lookup(&self, addr: A) -> Option<NextHop> {
        self.pin().lookup(addr)
    }

    /// The next hops of many addresses, each in its place.
    ///
    /// # Panics
    /// If there is not as much room as there are addresses.
    #[inline]
    pub fn lookup_bulk(&self, addrs: &[A], found: &mut [Option<NextHop>]) {
        self.pin().lookup_bulk(addrs, found);
    }

    /// Which code it takes, and why.
    pub fn path(&self) -> Path {
        self.path
    }
}

impl<A: Routable> Clone for RouteReader<A> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), ..*self }
    }
}

impl<A: Routable> fmt::Debug for RouteReader<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteReader").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Routes that stay readable. Look-ups see changes that are made meanwhile, or not.
pub struct Pinned<'a, A: Routable> {
    guard: Guard,
    reader: &'a RouteReader<A>,
}

impl<A: Routable> Pinned<'_, A> {
    #[inline]
    fn table(&self) -> Look<'_> {
        self.reader.shared.table(&self.guard).look()
    }

    /// The next hop of the longest route that an address is in.
    #[inline]
    pub fn lookup(&self, addr: A) -> Option<NextHop> {
        // SAFETY: `Path` only names levels that the processor has; `guard` pins.
        unsafe { (self.reader.kernels.single)(self.table(), addr) }
    }

    /// The next hops of many addresses, each in its place.
    ///
    /// # Panics
    /// If there is not as much room as there are addresses.
    #[inline]
    pub fn lookup_bulk(&self, addrs: &[A], found: &mut [Option<NextHop>]) {
        assert_eq!(addrs.len(), found.len(), "one place for every address");
        // SAFETY: as for `lookup`, and the lengths are the same.
        unsafe { (self.reader.kernels.bulk)(self.table(), addrs, found) }
    }
}

impl<A: Routable> fmt::Debug for Pinned<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").field("reader", self.reader).finish_non_exhaustive()
    }
}
