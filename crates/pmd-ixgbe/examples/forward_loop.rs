//! Forwards between two cards whose frames come back, and says what a packet takes, the least of some:
//! `forward_loop 32 plain 0000:00:05.0 0000:00:06.0`. Ticks of the TSC are instructions in a guest that
//! counts them; `cargo xtask compare ixgbe` runs it there.
#![cfg(target_arch = "x86_64")]
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use linecard_eal::pci;
use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::{
    Driver, Port, PortConfig, RxOffloads, RxQueue, Started, TxOffloads, TxQueue,
};
use linecard_pmd_ixgbe::{IxgbeOptions, IxgbePort};
use linecard_testbed::guest::ticks;
use std::error::Error;
use std::time::{Duration, Instant};

type Done<T> = Result<T, Box<dyn Error>>;
type Queues = (Box<dyn RxQueue>, Box<dyn TxQueue>);

const ROUNDS: u64 = 1000;

fn main() -> Done<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [size, offloads, one, other] = words.as_slice() else {
        return Err("how? give BURST plain|offloads and the addresses of two cards".into());
    };
    let (one, other) = (card(one)?, card(other)?);
    // Through UIO, cards want addresses that no IOMMU translates.
    let addresses = one.info().capabilities.iova.ok_or("a card without memory")?;
    let pool = MbufPool::builder("packets").size(4095).iova(addresses).build()?;
    let (size, config) = (size.parse()?, config(&pool, offloads));
    let (mut one, mut near) = start(one, config.clone())?;
    let (mut other, mut far) = start(other, config)?;
    wait_for_link(&mut one).and_then(|()| wait_for_link(&mut other))?;
    for queues in [&mut near, &mut far] {
        queues.1.send(&mut frames(&pool, size)?);
    }
    let mut burst = Burst::with_limit(size);
    let mut costs: Vec<f64> = (0..9).map(|_| cost(&mut burst, &mut near, &mut far)).collect();
    println!("{costs:.1?}");
    costs.sort_by(f64::total_cmp);
    println!("{:.3} ticks a packet", costs[0]);
    println!("{}; {}", near.0.path().reason, near.1.path().reason);
    Ok(())
}

/// The paths are as short as they get, or checksums and tags are done by the card, both ways.
fn config(pool: &MbufPool, offloads: &str) -> PortConfig {
    let config = PortConfig::new(pool).rx_descriptors(256).tx_descriptors(256);
    if offloads != "offloads" {
        return config;
    }
    let checked = RxOffloads::IP_CHECKSUM | RxOffloads::L4_CHECKSUM | RxOffloads::VLAN_STRIP;
    let filled = TxOffloads::IP_CHECKSUM | TxOffloads::UDP_CHECKSUM | TxOffloads::TCP_CHECKSUM;
    config.rx_offloads(checked).tx_offloads(filled | TxOffloads::VLAN_INSERT)
}

fn card(address: &str) -> Done<IxgbePort> {
    Ok(IxgbePort::open(pci::open(address.parse()?)?, IxgbeOptions::new())?)
}

fn start(card: IxgbePort, config: PortConfig) -> Done<(Port<Started>, Queues)> {
    let (port, mut queues) = Port::open(card).configure(config)?.start()?;
    Ok((port, (queues.rx.remove(0), queues.tx.remove(0))))
}

fn wait_for_link(port: &mut Port<Started>) -> Done<()> {
    let end = Instant::now() + Duration::from_secs(10);
    while !port.link()?.is_up() {
        if Instant::now() > end {
            return Err("no link within 10 s; are the cards wired?".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Broadcasts of 60 bytes, and nothing in them.
fn frames(pool: &MbufPool, n: usize) -> Done<Burst> {
    let mut burst = Burst::new();
    for _ in 0..n {
        let mut packet = pool.alloc().ok_or("the pool is empty")?;
        let frame = packet.append(60)?;
        frame.fill(0);
        frame[..6].fill(0xFF);
        burst.push(packet).map_err(|_| "a burst is full")?;
    }
    Ok(burst)
}

/// Ticks of a packet, over many.
fn cost(burst: &mut Burst, near: &mut Queues, far: &mut Queues) -> f64 {
    let (packets, ticks) = ticks(|| rounds(ROUNDS, burst, near, far));
    ticks as f64 / packets as f64
}

/// Says how many packets were forwarded. What does not go out is dropped.
#[inline(never)]
fn rounds(rounds: u64, burst: &mut Burst, near: &mut Queues, far: &mut Queues) -> u64 {
    let mut packets = 0;
    for _ in 0..rounds {
        for (from, to) in [(&mut near.0, &mut far.1), (&mut far.0, &mut near.1)] {
            packets += from.receive(burst) as u64;
            to.send(burst);
            burst.clear();
        }
    }
    packets
}
