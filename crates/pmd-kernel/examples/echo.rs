//! Sends back what a port receives, for some seconds, and says how many frames a second that was.
//!
//! ```text
//! echo tap:lc0 10 64          # sends 64 frames first, then for 10 seconds what comes
//! echo af-packet:veth0 10 64
//! echo af-packet-v3:veth0 10 64
//! ```

#![expect(clippy::print_stdout, reason = "a program's result")]

use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::{Opened, Port, PortConfig, Queues};
use linecard_pmd_kernel::{AfPacketOptions, AfPacketPort, RxRing, TapOptions, TapPort};
use std::error::Error;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, seconds, first] = words.as_slice() else {
        return Err("echo PORT SECONDS FIRST".into());
    };
    let duration = Duration::from_secs(seconds.parse()?);
    let pool = MbufPool::builder("echo").size(16383).build()?;
    let (port, mut queues) = open(port)?.configure(PortConfig::new(&pool))?.start()?;
    println!("{} is up: {queues:?}", port.name());
    begin(&pool, &mut queues, first.parse()?)?;
    let start = Instant::now();
    let mut burst = Burst::new();
    while start.elapsed() < duration {
        for _ in 0..64 {
            queues.rx[0].receive(&mut burst);
            queues.tx[0].send(&mut burst);
        }
    }
    let stats = port.stats();
    let rate = stats.rx_packets as f64 / start.elapsed().as_secs_f64();
    println!("{rate:.0} frames a second received; {stats:?}");
    Ok(())
}

fn open(port: &str) -> Result<Port<Opened>, Box<dyn Error>> {
    let (kind, name) = port.split_once(':').ok_or("a port is KIND:NAME")?;
    let packet = |ring| AfPacketPort::open(AfPacketOptions::new(name).rx_ring(ring));
    Ok(match kind {
        "tap" => Port::open(TapPort::open(TapOptions::new(name))?),
        "af-packet" => Port::open(packet(RxRing::Frames)?),
        "af-packet-v3" => Port::open(packet(RxRing::Blocks)?),
        _ => return Err("a port is tap, af-packet or af-packet-v3".into()),
    })
}

/// Sends the first frames: broadcasts of an experimental type, once the other side is ready.
fn begin(pool: &MbufPool, queues: &mut Queues, frames: usize) -> Result<(), Box<dyn Error>> {
    std::thread::sleep(Duration::from_secs(2));
    for _ in 0..frames {
        let mut packet = pool.alloc().ok_or("the pool is empty")?;
        let bytes = packet.append(64)?;
        bytes.fill(0);
        bytes[..14].copy_from_slice(b"\xFF\xFF\xFF\xFF\xFF\xFF\x02lc\0\0\x01\x88\xB5");
        let mut burst = Burst::new();
        burst.push(packet).map_err(|_| "no room")?;
        queues.tx[0].send(&mut burst);
    }
    Ok(())
}
