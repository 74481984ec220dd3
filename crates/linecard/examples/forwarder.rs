//! A forwarder: packets of one port out of the other. Here the ports are ends of cables; with
//! `TapPort`, `AfPacketPort` or `PcapPort` the loop is the same.
//!
//! `cargo run --release -p linecard --example forwarder`

use linecard::mbuf::{Burst, MbufPool};
use linecard::pmd::{Port, PortConfig, Queues, Started};
use linecard::soft::RingPort;
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

const ROUNDS: u32 = 100_000;

fn start(port: RingPort, pool: &MbufPool) -> Result<(Port<Started>, Queues), Failure> {
    Ok(Port::open(port).configure(PortConfig::new(pool))?.start()?)
}

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn main() -> Result<(), Failure> {
    let pool = MbufPool::builder("packets").size(4095).build()?;
    let (west, far_west) = RingPort::pair("west", "far west");
    let (east, far_east) = RingPort::pair("east", "far east");
    let ((port, mut west), (_east, mut east)) = (start(west, &pool)?, start(east, &pool)?);
    let (mut source, mut sink) = (start(far_west, &pool)?, start(far_east, &pool)?);

    let (mut burst, mut frames) = (Burst::new(), Burst::with_limit(32));
    pool.alloc_bulk(&mut frames, 32);
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        source.1.tx[0].send(&mut frames);
        // The forwarder: what is not sent stays in the burst, for the next round.
        west.rx[0].receive(&mut burst);
        east.tx[0].send(&mut burst);
        sink.1.rx[0].receive(&mut frames);
    }
    let (count, seconds) = (port.stats().rx_packets, begun.elapsed().as_secs_f64());
    assert_eq!(count, u64::from(ROUNDS) * 32);
    println!("{count} packets in {seconds:.3} s: {:.1} Mpps", count as f64 / seconds / 1e6);
    Ok(())
}
