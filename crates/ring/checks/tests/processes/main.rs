//! Two processes over shared memory: a test starts itself again as the peer.
#![cfg(all(target_os = "linux", not(any(loom, shuttle))))]

mod attach;
mod shared;

use linecard_ring::{Concurrent, Fill, Hts, Multi, Ring, Rts, Side, Single};
use shared::{Peer, Shared};
use std::hint::spin_loop;
use std::sync::atomic::Ordering;
use std::thread;

const ELEMENTS: u64 = 1_000_000;
const CAPACITY: usize = 1000;

type Shm<P, C> = Ring<u64, P, C>;

fn attach<P: Side, C: Side>(memory: Shared) -> Shm<P, C> {
    Ring::attach(memory).unwrap()
}

fn create<P: Side, C: Side>() -> (Shared, Shm<P, C>) {
    let memory = Shared::new(Shm::<P, C>::bytes_for(CAPACITY).unwrap());
    let ring = Ring::create_in(memory.again(), CAPACITY).unwrap();
    (memory, ring)
}

/// Sends the numbers from `first` on, in bursts.
fn send<P: Side, C: Side>(ring: &Shm<P, C>, first: u64, n: u64) {
    let mut tx = ring.producer().unwrap();
    let numbers: Vec<_> = (first..first + n).collect();
    let mut left = numbers.as_slice();
    while !left.is_empty() {
        let burst = &mut &left[..left.len().min(32)];
        let sent = tx.enqueue_burst(burst);
        left = &left[sent..];
        if sent == 0 {
            wait();
        }
    }
}

/// Passes all that comes to `each`, until the other side is closed and the ring empty.
fn receive<P: Side, C: Side>(ring: &Shm<P, C>, mut each: impl FnMut(u64)) {
    let mut rx = ring.consumer().unwrap();
    let mut burst = [0; 32];
    loop {
        let closed = rx.is_closed();
        let mut fill = Fill::new(&mut burst);
        let n = rx.dequeue_burst(&mut fill, 32);
        fill.filled().iter().for_each(|number| each(*number));
        match n {
            0 if closed => return,
            0 => wait(),
            _ => {}
        }
    }
}

/// Spins a little and lets others run.
fn wait() {
    (0..50).for_each(|_| spin_loop());
    thread::yield_now();
}

#[test]
fn one_process_sends_and_the_other_receives_in_order() {
    if let Some(memory) = Shared::given() {
        return send(&attach::<Single, Single>(memory), 0, ELEMENTS);
    }
    let (memory, ring) = create::<Single, Single>();
    let rx = ring.consumer().unwrap();
    let peer = Peer::start("one_process_sends_and_the_other_receives_in_order", &memory);
    while rx.is_closed() && rx.is_empty() {
        thread::yield_now();
    }
    drop(rx);
    let mut expected = 0..ELEMENTS;
    receive(&ring, |number| assert_eq!(Some(number), expected.next()));
    assert_eq!(expected.next(), None);
    peer.join();
}

/// What all workers together have received: in words behind the ring.
const SUM: usize = 0;
const COUNT: usize = 1;

/// In either process so many threads send and receive by turns, until all has arrived.
fn many_to_many<P: Concurrent, C: Concurrent>(test: &str, threads: u64) {
    let share = ELEMENTS / (2 * threads);
    let work_all = |memory: &Shared, ring: &Shm<P, C>, process: u64| {
        thread::scope(|scope| {
            for thread in 0..threads {
                let first = (process * threads + thread) * share;
                scope
                    .spawn(move || work(memory, ring, &(first..first + share).collect::<Vec<_>>()));
            }
        });
    };
    if let Some(memory) = Shared::given() {
        return work_all(&memory, &attach(memory.again()), 1);
    }
    let (memory, ring) = create::<P, C>();
    let peer = Peer::start(test, &memory);
    work_all(&memory, &ring, 0);
    peer.join();
    assert_eq!(memory.word(COUNT).load(Ordering::Relaxed), ELEMENTS);
    assert_eq!(memory.word(SUM).load(Ordering::Relaxed), ELEMENTS * (ELEMENTS - 1) / 2);
    assert!(ring.is_empty());
}

fn work<P: Concurrent, C: Concurrent>(memory: &Shared, ring: &Shm<P, C>, mut left: &[u64]) {
    let mut burst = [0; 32];
    // Relaxed, as all that is done to the words: they are counters, and order nothing.
    while memory.word(COUNT).load(Ordering::Relaxed) < ELEMENTS {
        let sent = ring.enqueue_burst(&mut &left[..left.len().min(32)]);
        left = &left[sent..];
        let mut fill = Fill::new(&mut burst);
        let n = ring.dequeue_burst(&mut fill, 32) as u64;
        memory.word(SUM).fetch_add(fill.filled().iter().sum(), Ordering::Relaxed);
        memory.word(COUNT).fetch_add(n, Ordering::Relaxed);
        if n == 0 {
            wait();
        }
    }
}

/// One thread a process only: where threads outnumber cores this kind of ring crawls.
#[test]
fn two_processes_share_a_ring() {
    many_to_many::<Multi, Multi>("two_processes_share_a_ring", 1);
}

#[test]
fn many_threads_of_two_processes_share_a_relaxed_ring() {
    many_to_many::<Rts, Rts>("many_threads_of_two_processes_share_a_relaxed_ring", 4);
}

#[test]
fn many_threads_of_two_processes_share_a_serialised_ring() {
    many_to_many::<Hts, Hts>("many_threads_of_two_processes_share_a_serialised_ring", 4);
}
