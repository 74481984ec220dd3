//! Longest prefix match: which route, of all that an address is in, is the longest.
//!
//! [`Routes`] has the routes and changes them; [`RouteReader`]s, as many as there are threads, look
//! addresses up meanwhile.
//!
//! * A look-up never waits, takes no lock, and neither allocates nor frees anything of the table's. What it may
//!   still see is kept by `crossbeam-epoch` until it is done (see [`RouteReader::pin`]).
//! * An address resolves to its old or its new next hop, never to a third.
//! * A change repaints only what its prefix covers: a short prefix costs more than a long one.
//!
//! ```
//! use linecard_flow_classify::lpm::{NextHop, Prefix, Routes};
//! use std::net::Ipv4Addr;
//!
//! let mut routes = Routes::new();
//! let reader = routes.reader();
//! routes.insert(Prefix::all(), NextHop::new(1).unwrap())?;
//! routes.insert("192.0.2.0/24".parse()?, NextHop::new(2).unwrap())?;
//! let addrs = [Ipv4Addr::new(192, 0, 2, 9), Ipv4Addr::new(198, 51, 100, 9)];
//! let mut found = [None; 2];
//! reader.lookup_bulk(&addrs, &mut found);
//! assert_eq!(found, [NextHop::new(2), NextHop::new(1)]);
//! assert!("192.0.2.1/24".parse::<Prefix<Ipv4Addr>>().is_err(), "bits are set behind the length");
//! # Ok::<(), linecard_flow_classify::lpm::LpmError>(())
//! ```

mod family;
#[cfg(all(test, loom))]
mod models;
mod prefix;
mod rib;
mod routes;
mod shared_cells;
mod store;
mod table;
mod v4;
mod v6;

pub use prefix::{Address, Bits, Prefix};
pub use routes::{Pinned, Routable, RouteMemory, RouteReader, Routes};

use core::fmt;
use core::num::NonZeroU32;

/// What a route leads to: a number of the caller's, up to [`NextHop::MOST`], of nearly 31 bits.
///
/// `Option<NextHop>` is as small as a `u32`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct NextHop(NonZeroU32);

impl NextHop {
    /// The largest number.
    pub const MOST: u32 = (1 << 31) - 2;

    /// The next hop of a number, unless it is more than [`Self::MOST`].
    pub const fn new(number: u32) -> Option<Self> {
        if number > Self::MOST {
            return None;
        }
        match NonZeroU32::new(number + 1) {
            Some(entry) => Some(Self(entry)),
            None => None,
        }
    }

    /// Its number.
    #[inline]
    pub const fn number(self) -> u32 {
        self.0.get() - 1
    }

    /// What cells hold: 0 is no route, and with the highest bit an entry leads on to others.
    #[inline(always)]
    fn from_entry(entry: u32) -> Option<Self> {
        NonZeroU32::new(entry).map(Self)
    }

    fn entry(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Debug for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NextHop").field(&self.number()).finish()
    }
}

/// Why a prefix or a route was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LpmError {
    /// A prefix is longer than an address.
    #[error("a prefix of {len} bits: addresses have {most}")]
    Length {
        /// What was asked for.
        len: u8,
        /// The longest.
        most: u8,
    },
    /// A prefix has bits set behind its length.
    #[error(
        "the address has bits set behind the first {len}: clear them, or use `Prefix::containing`"
    )]
    HostBits {
        /// The length of the prefix.
        len: u8,
    },
    /// Text that is no prefix.
    #[error("not a prefix: it is written address/length, such as 192.0.2.0/24 or 2001:db8::/32")]
    Text,
    /// There are too many routes.
    #[error("a table takes at most {most} routes: remove some, or split them over two tables")]
    Full {
        /// How many it takes.
        most: usize,
    },
}
