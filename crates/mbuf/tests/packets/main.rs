//! What packet buffers promise, a file a subject.

mod bursts;
mod chains;
mod edits;
mod external;
mod limits;
mod meta;
mod raw;
mod shared;
mod threads;

use linecard_eal::mem::PagePolicy;
use linecard_mbuf::{Burst, Mbuf, MbufPool, MbufPoolBuilder, SharedMbuf};
use static_assertions::{assert_impl_all, assert_not_impl_any, const_assert_eq};

const_assert_eq!(size_of::<Mbuf>(), size_of::<usize>());
const_assert_eq!(size_of::<Option<Mbuf>>(), size_of::<usize>());
const_assert_eq!(size_of::<SharedMbuf>(), size_of::<usize>());
assert_impl_all!(Mbuf: Send, Sync);
assert_impl_all!(SharedMbuf: Send, Sync, Clone);
assert_impl_all!(Burst: Send, Sync);
assert_impl_all!(MbufPool: Send, Sync, Clone);
assert_impl_all!(linecard_mbuf::ExternalBuffer: Send);
assert_not_impl_any!(Mbuf: Clone, Copy);
assert_not_impl_any!(Burst: Clone, Copy);

/// A pool in small pages.
fn described(size: usize) -> MbufPoolBuilder {
    MbufPool::builder("tests").size(size).cache(size / 4).pages(PagePolicy::Small)
}

fn pool(size: usize) -> MbufPool {
    described(size).build().unwrap()
}

/// A packet of one segment.
fn packet(pool: &MbufPool, bytes: &[u8]) -> Mbuf {
    let mut packet = pool.alloc().unwrap();
    packet.append(bytes.len()).unwrap().copy_from_slice(bytes);
    packet
}

/// A packet of a segment for each of `parts`.
fn chain(pool: &MbufPool, parts: &[&[u8]]) -> Mbuf {
    let mut all = packet(pool, parts[0]);
    parts[1..].iter().for_each(|part| all.chain(packet(pool, part)).unwrap());
    all
}

/// All its bytes.
fn bytes(packet: &Mbuf) -> Vec<u8> {
    packet.segments().flatten().copied().collect()
}
