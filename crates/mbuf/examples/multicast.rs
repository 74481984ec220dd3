//! One packet to many receivers without copying its payload: each gets a header of its own, chained
//! in front of an alias.
//!
//! `cargo run -p linecard-mbuf --example multicast`
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use linecard_mbuf::{Burst, Mbuf, MbufPool, SharedMbuf};
use linecard_ring::{Ring, Single};

const RECEIVERS: u8 = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = MbufPool::builder("multicast").size(256).build()?;
    let mut payload = pool.alloc().ok_or("the pool is empty")?;
    payload.extend(&pool, &[0xAB; 5000]).ok_or("the pool is empty")?;
    println!("{} bytes in {} segments", payload.len(), payload.segment_count());

    let mut burst = address_all(&pool, &payload.share()).ok_or("the pool is empty")?;
    println!("{} packets, {} bytes, {} buffers", burst.len(), burst.bytes(), pool.in_use());

    let (mut give, mut take) = Ring::<Mbuf, Single, Single>::new(64)?.split()?;
    let receiver = std::thread::spawn(move || {
        let mut got = Burst::new();
        while got.len() < usize::from(RECEIVERS) {
            take.dequeue_burst(&mut got, 32);
        }
        for packet in got.drain(32) {
            println!("to {}: {} bytes", packet.data()[5], packet.len());
        }
    });
    assert_eq!(give.enqueue_burst(&mut burst), usize::from(RECEIVERS));
    receiver.join().map_err(|_| "the receiver panicked")?;
    println!("{} of {} buffers are home", pool.available(), pool.size());
    Ok(())
}

/// A packet for each receiver; `None` if the pool is too small.
fn address_all(pool: &MbufPool, payload: &SharedMbuf) -> Option<Burst> {
    let mut burst = Burst::new();
    for receiver in 1..=RECEIVERS {
        let mut packet = pool.alloc()?;
        let header = packet.append(14).ok()?;
        header.copy_from_slice(&[2, 0, 0, 0, 0, receiver, 2, 0, 0, 0, 0, 0, 0x88, 0xB5]);
        packet.chain(payload.alias(pool)?).ok()?;
        burst.push(packet).ok()?;
    }
    Some(burst)
}
