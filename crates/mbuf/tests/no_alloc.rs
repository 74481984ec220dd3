//! After a thread's first use of a pool, nothing on a packet's way allocates.

use linecard_eal::mem::PagePolicy;
use linecard_mbuf::{BURST, Burst, Mbuf, MbufPool};
use linecard_ring::{Multi, Ring};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts what each thread asks of it.
struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    CALLS.set(CALLS.get() + 1);
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls that `work` makes on this thread.
fn calls(work: impl FnOnce()) -> usize {
    let before = CALLS.get();
    work();
    CALLS.get() - before
}

fn pool(cache: usize) -> MbufPool {
    let pool = MbufPool::builder("quiet").size(512).cache(cache).pages(PagePolicy::Small);
    let pool = pool.build().unwrap();
    drop(pool.alloc());
    pool
}

#[test]
fn the_counter_counts() {
    assert_eq!(calls(|| drop(Box::new(1))), 2);
    let fresh = MbufPool::builder("fresh").size(8).pages(PagePolicy::Small).build().unwrap();
    assert!(calls(|| drop(fresh.alloc())) > 0, "a thread's first use makes its cache");
}

#[test]
fn packets_come_and_go_without_allocating() {
    for cache in [0, 32] {
        let pool = pool(cache);
        let work = || {
            for _ in 0..1000 {
                let mut packet = pool.alloc().unwrap();
                packet.append(60).unwrap().fill(1);
                packet.prepend(14).unwrap().fill(2);
                packet.trim(4).unwrap();
            }
        };
        assert_eq!(calls(work), 0);
    }
}

#[test]
fn bursts_of_every_size_come_and_go_without_allocating() {
    let (left, right) = (pool(32), pool(0));
    let ring = Ring::<Mbuf, Multi, Multi>::new(64).unwrap();
    let work = || {
        for n in 1..=BURST {
            let mut burst = Burst::with_limit(BURST);
            assert!(left.alloc_bulk(&mut burst, n / 2));
            assert!(right.alloc_bulk(&mut burst, n - n / 2));
            burst.retain(|packet| packet.append(10).is_ok());
            assert!(ring.enqueue_bulk(&mut burst));
            let mut out = Burst::with_limit(BURST);
            assert_eq!(ring.dequeue_burst(&mut out, BURST), n);
            out.drain(n / 3).for_each(drop);
        }
    };
    assert_eq!(calls(work), 0);
    assert_eq!((left.available(), right.available()), (512, 512));
}

#[test]
fn chains_shares_and_aliases_do_not_allocate() {
    let pool = pool(32);
    let work = || {
        for _ in 0..100 {
            let mut all = pool.alloc().unwrap();
            all.extend(&pool, &[7; 6000]).unwrap();
            let copy = all.copy(&pool).unwrap();
            drop(all.split_first());
            let shared = all.share();
            let mut alias = shared.alias(&pool).unwrap();
            alias.for_each_segment_mut(|part| part.fill(1));
            alias.chain(copy).unwrap();
            drop(shared.clone());
            alias.trim(5000).unwrap();
        }
    };
    assert_eq!(calls(work), 0);
    assert_eq!(pool.available(), 512);
}
