//! Moves packets between two cards, and says what a packet takes, the least of some:
//! `forward_loop 32 io best 0000:00:05.0 0000:00:06.0`. Ticks of the TSC are instructions in a guest that
//! counts them; `cargo xtask compare ixgbe` runs it there, on cards whose frames come back, or that always
//! have some.
#![cfg(target_arch = "x86_64")]
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

mod work;

use linecard_eal::pci;
use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::{Driver, Port, PortConfig, Promiscuous, Started};
use linecard_pmd_ixgbe::{IxgbeOptions, IxgbePort, ReceivePath};
use linecard_testbed::guest::ticks;
use std::error::Error;
use std::time::{Duration, Instant};
use work::{Queues, Work};

type Done<T> = Result<T, Box<dyn Error>>;

const ROUNDS: u64 = 1000;

fn main() -> Done<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [size, work, path, one, other] = words.as_slice() else {
        return Err("how? give BURST, WORK, a receive path or `best`, and two cards".into());
    };
    let (size, work): (usize, Work) = (size.parse()?, work.parse()?);
    let named = ReceivePath::ALL.into_iter().find(|known| known.name() == path);
    let path = named.unwrap_or_else(ReceivePath::best);
    let (one, other) = (card(one, path)?, card(other, path)?);
    // Through UIO, cards want addresses that no IOMMU translates.
    let addresses = one.info().capabilities.iova.ok_or("a card without memory")?;
    let pool = MbufPool::builder("packets").size(4095).iova(addresses).build()?;
    let config = work.config(PortConfig::new(&pool).rx_descriptors(256).tx_descriptors(256));
    let (mut one, mut near) = start(one, config.clone())?;
    let (mut other, mut far) = start(other, config)?;
    wait_for_link(&mut one).and_then(|()| wait_for_link(&mut other))?;
    if work.goes_round() {
        for queues in [&mut near, &mut far] {
            queues.1.send(&mut work::frames(&pool, size)?);
        }
    }
    let mut burst = Burst::with_limit(size);
    let mut round = || work.rounds(ROUNDS, &pool, &mut burst, &mut near, &mut far);
    let mut costs: Vec<f64> = (0..9).map(|_| cost(&mut round)).collect();
    println!("{costs:.1?}");
    costs.sort_by(f64::total_cmp);
    println!("{:.3} ticks a packet", costs[0]);
    println!("{:?}; {:?}", near.0.path(), near.1.path());
    Ok(())
}

/// Ticks of a packet, over many.
fn cost(round: &mut impl FnMut() -> u64) -> f64 {
    let (packets, ticks) = ticks(round);
    ticks as f64 / packets as f64
}

fn card(address: &str, path: ReceivePath) -> Done<IxgbePort> {
    Ok(IxgbePort::open(pci::open(address.parse()?)?, IxgbeOptions::new().receive_path(path))?)
}

fn start(card: IxgbePort, config: PortConfig) -> Done<(Port<Started>, Queues)> {
    let (mut port, mut queues) = Port::open(card).configure(config)?.start()?;
    port.set_promiscuous(Promiscuous::On)?;
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
