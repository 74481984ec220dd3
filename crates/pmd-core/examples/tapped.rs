//! A look at what passes a queue: the tap's copies go to another thread, the packets on their way.
//!
//! `cargo run -p linecard-pmd-core --example tapped`

use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::testing::Echo;
use linecard_pmd_core::{Port, PortConfig, RxQueue, Tapped, tap};

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = MbufPool::builder("packets").size(1023).build()?;
    // Copies come from a pool of their own: a slow reader costs copies, never packets.
    let copies = MbufPool::builder("copies").size(255).build()?;
    let (point, mut out, counters) = tap(&copies, 64, 128)?;

    let port = Port::open(Echo::new("echo0")).configure(PortConfig::new(&pool))?;
    let (_port, mut queues) = port.start()?;
    let mut rx = Tapped::new(queues.rx.remove(0), point);

    let reader = std::thread::spawn(move || {
        let mut seen = 0;
        while seen < 100 {
            seen += u32::from(out.dequeue().is_some());
        }
        seen
    });
    let (mut burst, mut received) = (Burst::with_limit(20), 0);
    while received < 100 {
        pool.alloc_bulk(&mut burst, 20);
        queues.tx[0].send(&mut burst);
        received += rx.receive(&mut burst);
        burst.clear();
    }
    let seen = reader.join().map_err(|_| "the reader panicked")?;
    println!("{received} packets passed, {seen} seen, {} missed", counters.dropped.read());
    Ok(())
}
