//! Threads borrow flow records from one pool and hand some on; at the end the counts add up.
//!
//! `cargo run -p linecard-mempool --example loans`
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use linecard_mempool::{Backend, Mempool, Needs, Pool, Pooled};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// What a thread keeps of a flow.
struct Flow {
    id: u64,
    packets: u64,
}

const BATCH: usize = 16;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // What may be held at once: refused, with this sum, if the pool were smaller.
    let needs = Needs::new().bursts(2 * BATCH).threads(3).rings(64);
    let builder = Mempool::builder("flows").size(400).cache(64).backend(Backend::Fifo).needs(needs);
    let pool = Pool::new(builder, || Flow { id: 0, packets: 0 })?;
    println!("{}", pool.raw().memory()[0]);

    let (give, got) = sync_channel(64);
    let counted = std::thread::scope(|scope| {
        for worker in 0..2 {
            let (pool, give) = (pool.clone(), give.clone());
            scope.spawn(move || open_flows(&pool, worker, &give));
        }
        drop(give);
        scope.spawn(move || close_flows(&got)).join().expect("it does not panic")
    });
    println!("{counted} packets counted; {} of {} free again", pool.available(), pool.size());
    assert_eq!(pool.available(), pool.size());
    Ok(())
}

/// Takes records sixteen at a time, all or none, and sends them on.
fn open_flows(pool: &Pool<Flow>, worker: u64, give: &SyncSender<Pooled<Flow>>) {
    let (mut id, mut waits) = (worker << 32, 0);
    while id & 0xFFFF_FFFF < 10_000 {
        let Some(batch) = pool.take_bulk::<BATCH>() else {
            waits += 1;
            std::thread::yield_now();
            continue;
        };
        for mut flow in batch {
            (flow.id, flow.packets) = (id, 1 + id % 3);
            id += 1;
            give.send(flow).expect("the other end is there");
        }
    }
    println!("worker {worker} found the pool exhausted {waits} times");
}

/// Counts; every record goes back to the pool as it is dropped here, on another thread.
fn close_flows(got: &Receiver<Pooled<Flow>>) -> u64 {
    got.iter().filter(|flow| flow.id % 2 == 0).map(|flow| flow.packets).sum()
}
