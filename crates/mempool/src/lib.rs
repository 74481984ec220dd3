//! Fixed-size objects preallocated in huge pages, with a cache per thread.
//!
//! * **After creation nothing is allocated** and no system call is made, but for the cache that a
//!   thread gets when it first uses a pool: objects are carved out of huge pages (or what the machine
//!   has, see [`Mempool::memory`]) once, and go round.
//! * **Any thread may take and return objects.** Each gets a cache by itself, without registration;
//!   what it holds goes back when the thread ends.
//! * **Exhaustion is a value**: a bulk of objects is had as a whole or not at all.
//! * **Counts add up**: [`available`](Mempool::available) + [`in_use`](Mempool::in_use) = size.
//! * **Nothing is left behind**: the memory goes when the last handle *and* the last object have come
//!   back, in whatever order.
//! * In debug builds (or with feature `checks`) canaries, poison and state bits catch overflow, use
//!   after free and double free where they happen.
//!
//! [`Pool`] is the safe front: objects of any type that drop back into it. [`Mempool`] is the raw
//! one that packet buffers are made from.
//!
//! ```
//! use linecard_mempool::{Mempool, Pool};
//!
//! let pool: Pool<[u64; 8]> = Pool::new(Mempool::builder("flows").size(2).cache(0), || [0; 8])?;
//! let mut first = pool.take().expect("two are free");
//! first[0] = 7;
//! let second = pool.take().expect("one is free");
//! assert!(pool.take().is_none());                 // none is left: a value, not an error
//! drop(first);                                    // back into the pool
//! assert_eq!((pool.available(), pool.in_use()), (1, 1));
//! # drop(second);
//! # Ok::<(), linecard_mempool::Error>(())
//! ```
//!
//! # Modules
//!
//! `builder` and `layout` decide where objects lie; `core` is what all handles share and says how it
//! ends; `cache` is a thread's stock and `thread` finds it; `backend` is what all threads share;
//! `pool` is the typed front and [`LocalPool`] the one for a single thread; [`Needs`] adds up how
//! many objects a system can hold back.

mod backend;
mod builder;
mod cache;
mod checks;
mod core;
mod error;
mod layout;
mod local;
mod mempool;
mod object;
mod pool;
mod sizing;
mod thread;

pub use backend::Backend;
pub use builder::{Builder, MAX_CACHE, MAX_SIZE};
pub use error::{Error, Fault};
pub use layout::Layout;
pub use local::{LocalPool, LocalPooled};
pub use mempool::{Home, Mempool};
pub use object::Object;
pub use pool::{Pool, Pooled};
pub use sizing::Needs;

/// The README's example, to be tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
