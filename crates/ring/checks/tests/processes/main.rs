//! Two processes over shared memory: a test starts itself again as the peer.
#![cfg(all(target_os = "linux", not(any(loom, shuttle))))]

mod attach;
mod shared;

use linecard_ring::{Concurrent, Fill, Multi, Ring, Rts, Side, Single};
use shared::{Peer, Shared};
use std::hint::spin_loop;
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

/// Two threads of the peer send; two threads here and one there receive.
fn many_to_many<P: Concurrent, C: Concurrent>(test: &str) {
    if let Some(memory) = Shared::given() {
        return many_in_the_peer(&attach::<P, C>(memory));
    }
    let (memory, ring) = create::<P, C>();
    let keep_open = ring.producer().unwrap();
    let peer = Peer::start(test, &memory);
    let here = thread::scope(|scope| {
        let receivers = [(); 2].map(|()| scope.spawn(|| sum_up(&ring)));
        send(&ring, 0, ELEMENTS / 2);
        peer.join();
        drop(keep_open);
        receivers.map(|thread| thread.join().unwrap()).into_iter().fold((0, 0), add)
    });
    let (sum, count) = add(here, (memory.word(0), memory.word(1)));
    assert_eq!(count, ELEMENTS);
    assert_eq!(sum, ELEMENTS * (ELEMENTS - 1) / 2);
}

/// Sends the other half, and receives what it can get meanwhile; leaves sum and number behind.
fn many_in_the_peer<P: Concurrent, C: Concurrent>(ring: &Shm<P, C>) {
    let (sum, count) = thread::scope(|scope| {
        let senders = [2, 3]
            .map(|quarter| scope.spawn(move || send(ring, quarter * ELEMENTS / 4, ELEMENTS / 4)));
        receive_while(ring, || senders.iter().any(|sender| !sender.is_finished()))
    });
    let memory = Shared::given().unwrap();
    memory.set_word(0, sum);
    memory.set_word(1, count);
}

fn receive_while<P: Side, C: Concurrent>(
    ring: &Shm<P, C>,
    wanted: impl Fn() -> bool,
) -> (u64, u64) {
    let mut total = (0, 0);
    while wanted() {
        match ring.dequeue() {
            Some(number) => total = add(total, (number, 1)),
            None => wait(),
        }
    }
    total
}

fn sum_up<P: Side, C: Side>(ring: &Shm<P, C>) -> (u64, u64) {
    let mut total = (0, 0);
    receive(ring, |number| total = add(total, (number, 1)));
    total
}

fn add(a: (u64, u64), b: (u64, u64)) -> (u64, u64) {
    (a.0 + b.0, a.1 + b.1)
}

#[test]
fn many_threads_of_two_processes_share_a_ring() {
    many_to_many::<Multi, Multi>("many_threads_of_two_processes_share_a_ring");
}

#[test]
fn many_threads_of_two_processes_share_a_relaxed_ring() {
    many_to_many::<Rts, Rts>("many_threads_of_two_processes_share_a_relaxed_ring");
}
