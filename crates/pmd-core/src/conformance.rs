//! The suite that every port passes, real or not: what the traits of this crate promise.
//!
//! A driver's test makes a [`Bed`] and calls [`run`]; a promise that is not kept is a panic that says
//! which.
//!
//! ```
//! # use linecard_mbuf::MbufPool;
//! use linecard_pmd_core::conformance::{self, Bed, Wire};
//! use linecard_pmd_core::{Opened, Port, testing::Echo};
//!
//! struct EchoBed;
//! impl Bed for EchoBed {
//!     fn open(&mut self) -> Port<Opened> {
//!         Port::open(Echo::new("echo0"))
//!     }
//!     fn wire(&self) -> Wire {
//!         Wire::Loop
//!     }
//! }
//! conformance::run(&mut EchoBed);
//! ```

use crate::config::PortConfig;
use crate::error::Error;
use crate::port::{Configured, Opened, Port, Started};
use crate::queue::Queues;
use crate::{Controls, FlowControl, Led, Pause, RxOffloads, TimeSync, TxOffloads};
use linecard_mbuf::{BURST, Burst, Mbuf, MbufPool};
use std::time::{Duration, Instant};

/// What happens to frames that the port sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// They come back on the receive queue of the same number, in order and unchanged.
    Loop,
    /// They go nowhere; and nothing need ever be received.
    Nowhere,
    /// The port only receives, from a source that never ends.
    Source,
}

/// Where a port is tried out.
pub trait Bed {
    /// A fresh port, wired up. Called again and again, after the last one was dropped.
    fn open(&mut self) -> Port<Opened>;
    /// What happens to frames that the port sends.
    fn wire(&self) -> Wire;
    /// How long a frame may take to come back.
    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }
    /// The largest frame to try, in bytes; the port's MTU may allow more.
    fn largest_frame(&self) -> usize {
        1514
    }
    /// Queues each way that `open`'s port is to be tried with.
    fn queues(&self) -> (usize, usize) {
        match self.wire() {
            Wire::Source => (1, 0),
            _ => (1, 1),
        }
    }
}

/// Runs every check.
///
/// # Panics
/// With what was promised and not kept.
pub fn run(bed: &mut dyn Bed) {
    limits_are_refused_by_name(bed);
    queues_are_as_many_as_asked_for(bed);
    what_a_port_cannot_do_it_says(bed);
    bursts_of_any_size_pass(bed);
    frames_come_back_unchanged(bed);
    what_is_not_sent_stays_in_the_burst(bed);
    a_stopped_port_is_silent_and_starts_again(bed);
    queues_outlive_their_port(bed);
    an_empty_pool_is_no_disaster(bed);
}

fn pool(size: usize) -> MbufPool {
    MbufPool::builder("conformance").size(size).cache(0).build().expect("a pool for the suite")
}

fn config(bed: &dyn Bed, pool: &MbufPool) -> PortConfig {
    let (rx, tx) = bed.queues();
    PortConfig::new(pool).rx_queues(rx).tx_queues(tx)
}

fn start(bed: &mut dyn Bed, pool: &MbufPool) -> (Port<Started>, Queues) {
    let config = config(bed, pool);
    bed.open().configure(config).expect("a plain configuration").start().expect("it starts")
}

/// A frame whose every byte tells its number and place.
fn frame(pool: &MbufPool, number: usize, len: usize) -> Mbuf {
    let mut packet = pool.alloc().expect("the suite's pool is large enough");
    let bytes = packet.append(len).expect("frames of the suite fit");
    bytes.iter_mut().enumerate().for_each(|(i, b)| *b = content(number, i));
    packet
}

fn content(number: usize, at: usize) -> u8 {
    match at {
        // Broadcast, from a station of our own, of an experimental type: for ports on real wires.
        0..6 => 0xFF,
        6 => 0x02,
        12 => 0x88,
        13 => 0xB5,
        _ => (number * 31 + at * 7) as u8,
    }
}

fn limits_are_refused_by_name(bed: &mut dyn Bed) {
    let pool = pool(63);
    let mut port = bed.open();
    let can = port.info().capabilities.clone();
    let name = port.name().to_owned();
    let base = config(bed, &pool);
    let mut asks = vec![
        ("too many receive queues", base.clone().rx_queues(can.rx_queues + 1)),
        ("too many transmit queues", base.clone().tx_queues(can.tx_queues + 1)),
        ("no queue at all", base.clone().rx_queues(0).tx_queues(0)),
        ("an MTU beyond the port's", base.clone().mtu(can.mtu.end() + 1)),
        ("an MTU below the port's", base.clone().mtu(can.mtu.start() - 1)),
    ];
    if bed.queues().0 > 0 {
        asks.push((
            "too many descriptors",
            base.clone().rx_descriptors(can.rx_descriptors.max + 1),
        ));
        asks.push(("no descriptors", base.clone().rx_descriptors(0)));
    }
    let missing = TxOffloads::all().difference(can.tx_offloads);
    if let Some(one) = missing.iter().next() {
        asks.push(("a transmit offload that is missing", base.clone().tx_offloads(one)));
    }
    let missing = RxOffloads::all().difference(can.rx_offloads);
    if let Some(one) = missing.iter().next() {
        asks.push(("a receive offload that is missing", base.clone().rx_offloads(one)));
    }
    for (what, ask) in asks {
        let refused = port.configure(ask).err();
        let refused = refused.unwrap_or_else(|| panic!("{name} accepted {what}"));
        let text = refused.to_string();
        assert!(text.contains(&name), "the refusal of {what} does not name the port: {text}");
        port = refused.port;
    }
}

fn queues_are_as_many_as_asked_for(bed: &mut dyn Bed) {
    let pool = pool(4095);
    let (port, queues) = start(bed, &pool);
    assert_eq!((queues.rx.len(), queues.tx.len()), bed.queues(), "queues given and asked for");
    for path in queues.rx.iter().map(|q| q.path()).chain(queues.tx.iter().map(|q| q.path())) {
        assert!(!path.name.is_empty() && !path.reason.is_empty(), "a path has a name and a reason");
    }
    drop((port, queues));
    assert_eq!(pool.in_use(), 0, "buffers left behind by a port that did nothing");
}

fn what_a_port_cannot_do_it_says(bed: &mut dyn Bed) {
    let mut port = bed.open();
    let can = port.info().capabilities.clone();
    let beyond = can.mtu.end() + 1;
    assert!(matches!(port.set_mtu(beyond), Err(Error::Range { .. })), "an MTU beyond the limit");
    let group = linecard_net::MacAddr([1, 0, 0x5E, 0, 0, 1]);
    assert!(port.set_mac(group).is_err(), "a group address as a port's own");
    if can.extra_macs == 0 {
        assert!(port.add_mac(port.mac()).is_err(), "no further addresses, and one was accepted");
    }
    port.link().expect("the link can be asked for");
    missing_controls_are_refused_by_name(&mut port, can.controls);
}

fn missing_controls_are_refused_by_name(port: &mut Port<Opened>, there: Controls) {
    let asks = [
        (Controls::FLOW_CONTROL, port.flow_control().err()),
        (Controls::FLOW_CONTROL, port.set_flow_control(&FlowControl::new(Pause::Both)).err()),
        (Controls::EEPROM, port.read_eeprom(0..2).err()),
        (Controls::EEPROM_WRITE, port.write_eeprom(0, &[]).err()),
        (Controls::MODULE, port.module().err()),
        (Controls::REGISTERS, port.registers().err()),
        (Controls::FIRMWARE, port.firmware().err()),
        (Controls::LED, port.set_led(Led::Normal).err()),
        (Controls::TIME_SYNC, port.set_time_sync(TimeSync::Off).err()),
        (Controls::TIME_SYNC, port.clock().err()),
    ];
    for (control, error) in asks {
        let is_refused = matches!(error, Some(Error::Unsupported { .. }));
        assert!(there.contains(control) || is_refused, "{control:?} is missing, and: {error:?}");
    }
}

/// Sends `frames` and gives back what returns, in order.
fn exchange(bed: &dyn Bed, queues: &mut Queues, queue: usize, mut out: Burst) -> Vec<Mbuf> {
    let expected = if bed.wire() == Wire::Loop { out.len() } else { 0 };
    let mut back = Vec::new();
    let start = Instant::now();
    while (back.len() < expected || !out.is_empty()) && start.elapsed() < bed.patience() {
        queues.tx[queue].send(&mut out);
        if let Some(rx) = queues.rx.get_mut(queue) {
            let mut burst = Burst::new();
            rx.receive(&mut burst);
            back.extend(burst.drain(BURST));
        }
        queues.tx[queue].reclaim();
    }
    assert!(out.is_empty(), "{} frames could not be sent in time", out.len());
    back
}

fn bursts_of_any_size_pass(bed: &mut dyn Bed) {
    let pool = pool(4095);
    let (port, mut queues) = start(bed, &pool);
    let mut total = 0;
    for size in [1, 2, 3, 5, 31, 32, 33, 64] {
        if bed.wire() == Wire::Source {
            let mut burst = Burst::with_limit(size);
            let n = wait_for(bed, &mut queues, &mut burst);
            assert!(n >= 1 && n <= size, "a burst of {size} received {n}");
            continue;
        }
        let mut out = Burst::with_limit(BURST);
        (0..size).for_each(|i| out.push(frame(&pool, i, 60)).expect("64 fit"));
        let back = exchange(bed, &mut queues, 0, out);
        total += size as u64;
        if bed.wire() == Wire::Loop {
            assert_eq!(back.len(), size, "of a burst of {size}");
        }
    }
    assert_eq!(port.stats().tx_packets, total, "frames sent, as the port counts them");
    drop((port, queues));
    assert_eq!(pool.in_use(), 0, "buffers left behind");
}

fn wait_for(bed: &dyn Bed, queues: &mut Queues, burst: &mut Burst) -> usize {
    let start = Instant::now();
    while start.elapsed() < bed.patience() {
        let n = queues.rx[0].receive(burst);
        if n > 0 {
            return n;
        }
    }
    0
}

fn frames_come_back_unchanged(bed: &mut dyn Bed) {
    if bed.wire() != Wire::Loop {
        return;
    }
    let pool = pool(4095);
    let (port, mut queues) = start(bed, &pool);
    let (mut bytes, mut count) = (0, 0);
    for queue in 0..queues.tx.len() {
        let sizes = [60, 61, 64, 65, 127, 128, 590, 1000, bed.largest_frame()];
        let mut out = Burst::new();
        for (i, len) in sizes.iter().enumerate() {
            out.push(frame(&pool, i, *len)).expect("a burst has room for the sizes");
            (bytes, count) = (bytes + *len as u64, count + 1);
        }
        let back = exchange(bed, &mut queues, queue, out);
        assert_eq!(back.len(), sizes.len(), "frames through queue {queue}");
        for (i, (packet, len)) in back.iter().zip(sizes).enumerate() {
            assert_eq!(packet.len(), len, "length of frame {i} through queue {queue}");
            let mut got = vec![0; len];
            packet.copy_to(0, &mut got);
            let wrong = got.iter().enumerate().find(|(at, b)| **b != content(i, *at));
            assert_eq!(wrong, None, "a byte of frame {i} of {len} bytes changed");
        }
    }
    let stats = port.stats();
    assert_eq!((stats.rx_packets, stats.rx_bytes), (count, bytes), "received, as counted");
    assert_eq!((stats.tx_packets, stats.tx_bytes), (count, bytes), "sent, as counted");
    let named = port.extended_stats();
    let good = named.iter().find(|(name, _)| name == "rx_good_packets");
    assert_eq!(good.map(|(_, n)| *n), Some(count), "the same by name");
}

fn what_is_not_sent_stays_in_the_burst(bed: &mut dyn Bed) {
    if bed.queues().1 == 0 {
        return;
    }
    let pool = pool(8191);
    let (port, mut queues) = start(bed, &pool);
    let mut offered = 0;
    // Far more than any queue of the suite holds, if nobody takes them out again.
    for round in 0..100 {
        let mut out = Burst::with_limit(BURST);
        (0..BURST).for_each(|i| out.push(frame(&pool, round + i, 60)).expect("64 fit"));
        let taken = queues.tx[0].send(&mut out);
        offered += taken;
        assert_eq!(taken + out.len(), BURST, "frames taken and left do not add up");
        if let Some(first) = out.first() {
            assert_eq!(first.data()[14], content(round + taken, 14), "what is left, in order");
            break;
        }
    }
    assert_eq!(port.stats().tx_packets, offered as u64, "taken, as counted");
    drop((queues, port));
    assert_eq!(pool.in_use(), 0, "buffers left behind");
}

fn a_stopped_port_is_silent_and_starts_again(bed: &mut dyn Bed) {
    let pool = pool(4095);
    let (port, mut old) = start(bed, &pool);
    let port: Port<Configured> = port.stop().expect("it stops");
    let mut burst = Burst::new();
    if let Some(rx) = old.rx.first_mut() {
        assert_eq!(rx.receive(&mut burst), 0, "a stopped port received");
    }
    if let Some(tx) = old.tx.first_mut() {
        burst.push(frame(&pool, 0, 60)).expect("room");
        assert_eq!(tx.send(&mut burst), 0, "a stopped port took a frame");
        assert_eq!(burst.len(), 1, "and the frame is gone");
    }
    drop((old, burst));
    let (port, mut queues) = port.start().expect("it starts again");
    if bed.wire() == Wire::Loop {
        let mut out = Burst::new();
        out.push(frame(&pool, 1, 60)).expect("room");
        assert_eq!(exchange(bed, &mut queues, 0, out).len(), 1, "after a restart");
    }
    drop((queues, port));
    assert_eq!(pool.in_use(), 0, "buffers left behind");
}

fn queues_outlive_their_port(bed: &mut dyn Bed) {
    let pool = pool(4095);
    let (port, mut queues) = start(bed, &pool);
    drop(port);
    let mut burst = Burst::new();
    queues
        .rx
        .iter_mut()
        .for_each(|rx| assert_eq!(rx.receive(&mut burst), 0, "a port that is gone"));
    drop((burst, queues));
    assert_eq!(pool.in_use(), 0, "buffers left behind");
}

fn an_empty_pool_is_no_disaster(bed: &mut dyn Bed) {
    if bed.wire() != Wire::Source {
        return;
    }
    let pool = pool(127);
    let (port, mut queues) = start(bed, &pool);
    let mut kept = Vec::new();
    let mut burst = Burst::new();
    for _ in 0..1000 {
        queues.rx[0].receive(&mut burst);
        kept.extend(burst.drain(BURST));
    }
    assert!(kept.len() <= 127, "more packets than buffers");
    assert!(port.stats().rx_no_buffer > 0, "an empty pool is counted");
    drop(kept);
    assert!(wait_for(bed, &mut queues, &mut burst) > 0, "it goes on when there are buffers again");
}
