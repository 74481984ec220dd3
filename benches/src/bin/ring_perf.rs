//! Cycles per element through `linecard-ring`: the twin of `benches/dpdk/ring_perf.c`, which says
//! how the loops go.

use clap::Parser;
use linecard_benches::{Meeting, Options, cpus, cycles, pin, row};
use linecard_ring::{Consumer, Fill, Multi, Producer, Ring, Side, Single};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

const CAPACITY: usize = 4095;
const SIZES: [usize; 5] = [8, 32, 64, 128, 256];
const CHUNK: usize = 1 << 20;
const ROUND: usize = 1 << 19;
const UNIT: &str = "cycles/element";

#[derive(Clone, Copy)]
enum How {
    Single,
    Burst,
    Bulk,
}

fn main() {
    let options = Options::parse();
    let budget = options.cycles(0.1);
    let cores = cpus();
    pin(0);
    one_core_case::<Single>(&options, "spsc", How::Single, 1, budget);
    one_core_case::<Multi>(&options, "mpmc", How::Single, 1, budget);
    for how in [How::Burst, How::Bulk] {
        SIZES.iter().for_each(|&n| one_core_case::<Single>(&options, "spsc", how, n, budget));
        SIZES.iter().for_each(|&n| one_core_case::<Multi>(&options, "mpmc", how, n, budget));
    }
    if cores > 1 {
        SIZES.iter().for_each(|&n| two_core_case::<Single>(&options, "spsc", n, budget));
        SIZES.iter().for_each(|&n| two_core_case::<Multi>(&options, "mpmc", n, budget));
    }
}

fn ends<S: Side>() -> (Producer<u64, S, S>, Consumer<u64, S, S>) {
    Ring::new(CAPACITY).and_then(Ring::split).expect("a ring of 4095 elements")
}

fn one_core_case<S: Side>(options: &Options, kind: &str, how: How, n: usize, budget: u64) {
    let name = match how {
        How::Single => format!("{kind} one-core single"),
        How::Burst => format!("{kind} one-core burst {n}"),
        How::Bulk => format!("{kind} one-core bulk {n}"),
    };
    if !options.wants(&name) {
        return;
    }
    let (mut tx, mut rx) = ends::<S>();
    check(&mut tx, &mut rx);
    let mut buf = [0u64; 256];
    let n = black_box(n);
    let (mut spent, mut elements) = (0, 0);
    chunk(&mut tx, &mut rx, &mut buf, how, n);
    while spent < budget {
        let start = cycles();
        chunk(&mut tx, &mut rx, &mut buf, how, n);
        spent += cycles() - start;
        elements += CHUNK / n * n;
    }
    black_box(&buf);
    row(&name, UNIT, spent as f64 / elements as f64);
}

#[inline(never)]
fn chunk<S: Side>(
    tx: &mut Producer<u64, S, S>,
    rx: &mut Consumer<u64, S, S>,
    buf: &mut [u64; 256],
    how: How,
    n: usize,
) {
    match how {
        How::Single => {
            for _ in 0..CHUNK {
                let _ = tx.enqueue(buf[0]);
                buf[0] = rx.dequeue().unwrap_or_default();
            }
        }
        How::Burst => {
            for _ in 0..CHUNK / n {
                tx.enqueue_burst(&mut &buf[..n]);
                rx.dequeue_burst(&mut Fill::new(&mut buf[..n]), n);
            }
        }
        How::Bulk => {
            for _ in 0..CHUNK / n {
                tx.enqueue_bulk(&mut &buf[..n]);
                rx.dequeue_bulk(&mut Fill::new(&mut buf[..n]), n);
            }
        }
    }
}

/// What goes in comes out, in order: once, before anything is timed.
fn check<S: Side>(tx: &mut Producer<u64, S, S>, rx: &mut Consumer<u64, S, S>) {
    for start in (0..3 * CAPACITY as u64).step_by(100) {
        let items: Vec<u64> = (start..start + 100).collect();
        assert!(tx.enqueue_bulk(&mut &items[..]));
        let mut out = [0; 100];
        assert!(rx.dequeue_bulk(&mut Fill::new(&mut out), 100));
        assert_eq!(out[..], items[..]);
    }
}

fn two_core_case<S: Side>(options: &Options, kind: &str, n: usize, budget: u64) {
    let name = format!("{kind} two-core bulk {n}");
    if !options.wants(&name) {
        return;
    }
    let (tx, rx) = ends::<S>();
    let (meeting, stop) = (&Meeting::default(), &AtomicBool::new(false));
    let n = black_box(n);
    let (spent, rounds) = std::thread::scope(|scope| {
        let consumer = scope.spawn(move || consume(rx, n, meeting, stop));
        let (produced, rounds) = produce(tx, n, meeting, stop, budget);
        (produced + consumer.join().expect("the consumer"), rounds)
    });
    row(&name, UNIT, spent as f64 / (rounds * (ROUND / n * n) as u64) as f64);
}

fn produce<S: Side>(
    mut tx: Producer<u64, S, S>,
    n: usize,
    meeting: &Meeting,
    stop: &AtomicBool,
    budget: u64,
) -> (u64, u64) {
    let buf = [0u64; 256];
    let (mut spent, mut rounds) = (0, 0);
    for turn in 0.. {
        meeting.meet(2 * turn + 1);
        let start = cycles();
        for _ in 0..ROUND / n {
            while !tx.enqueue_bulk(&mut &buf[..n]) {
                std::hint::spin_loop();
            }
        }
        let took = cycles() - start;
        if turn > 0 {
            spent += took;
            rounds += 1;
        }
        // Relaxed: the meeting that follows orders it.
        stop.store(spent >= budget, Ordering::Relaxed);
        meeting.meet(2 * turn + 2);
        if spent >= budget {
            break;
        }
    }
    (spent, rounds)
}

fn consume<S: Side>(
    mut rx: Consumer<u64, S, S>,
    n: usize,
    meeting: &Meeting,
    stop: &AtomicBool,
) -> u64 {
    pin(1);
    let mut buf = [0u64; 256];
    let mut spent = 0;
    for turn in 0.. {
        meeting.meet(2 * turn + 1);
        let start = cycles();
        for _ in 0..ROUND / n {
            while !rx.dequeue_bulk(&mut Fill::new(&mut buf[..n]), n) {
                std::hint::spin_loop();
            }
        }
        let took = cycles() - start;
        spent += if turn > 0 { took } else { 0 };
        meeting.meet(2 * turn + 2);
        // Relaxed: the meeting just held orders it.
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    black_box(&buf);
    spent
}
