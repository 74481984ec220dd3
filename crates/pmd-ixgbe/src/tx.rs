//! Transmit (§7.2): packets become descriptors; what the device has sent goes home in bulk.

mod context;
mod offload;
mod reports;

use crate::engine::Keeps;
use crate::known::Known;
use crate::queue::{Descriptors, QueueControl};
use context::Contexts;
use linecard_eal::device::BarRegister;
use linecard_ixgbe_regs::descriptor::transmit;
use linecard_mbuf::driver::{
    address, asks, free_plain, from_address, give_up, into_address, plain,
};
use linecard_mbuf::{Burst, Mbuf};
use linecard_mempool::Home;
use linecard_pmd_core::{Gate, Path, TxCounters, TxOffloads, TxQueue};
use reports::{Packets, Report, Reports};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// So many descriptors are made free at once, if that many are done: what is done goes home in bulk.
const BULK: usize = 32;

/// §7.2.3.2.4: every descriptor of data, and the first of a packet that is whole.
const DATA: u64 =
    transmit::DTYP.put(0, transmit::DTYP_DATA) | transmit::DEXT.mask() | transmit::IFCS.mask();
const WHOLE: u64 = DATA | transmit::EOP.mask();

/// Bytes of an Ethernet header: the least that is sent (§7.2.1.1).
const LEAST: u64 = 14;

/// What a transmit queue is made of; [`Transmit`] is the queue.
pub(crate) struct Parts {
    pub(crate) ring: Descriptors,
    pub(crate) tail: BarRegister<u32>,
    pub(crate) control: Arc<QueueControl>,
    pub(crate) offloads: TxOffloads,
    /// The longest packet, its check sequence not counted; the port changes it while the queue runs.
    pub(crate) longest: Arc<AtomicU32>,
    /// Pools that the device was told of.
    pub(crate) known: Known,
    pub(crate) gate: Gate,
    pub(crate) counters: Arc<TxCounters>,
    pub(crate) keeps: Keeps,
}

impl Parts {
    /// The longest packet now.
    #[inline(always)]
    fn longest(&self) -> u64 {
        // Relaxed: a number by itself, of which any that was set lately will do.
        self.longest.load(Ordering::Relaxed).into()
    }
}

/// A transmit queue.
pub(crate) struct Transmit {
    parts: Parts,
    /// The pool that most packets come from.
    home: Home,
    /// By slot: the packet whose last descriptor is there. Nothing between a packet's descriptors.
    shadow: Box<[Option<NonNull<u8>>]>,
    /// Between `done` and `tail`, positions that count up, the device may be at work.
    done: u32,
    tail: u32,
    /// Descriptors that a report was asked of.
    reports: Reports,
    /// The position behind the last of them.
    reported: u32,
    /// What the device was told of headers.
    contexts: Contexts,
    /// What there is since the last report.
    unreported: Packets,
}

// SAFETY: addresses in the shadow are packets, which are `Send`, and the queue owns them alone.
unsafe impl Send for Transmit {}

impl Transmit {
    /// A queue that has been enabled.
    pub(crate) fn new(parts: Parts) -> Self {
        let size = parts.ring.cells().len() as usize;
        let home = parts.known.first();
        let reports = Reports::new(size);
        Transmit {
            parts,
            home,
            shadow: vec![None; size].into_boxed_slice(),
            done: 0,
            tail: 0,
            reports,
            reported: 0,
            contexts: Contexts::default(),
            unreported: Packets::Plain,
        }
    }

    /// Free descriptors. One always stays empty: head and tail that are equal mean none (§7.2.3.3).
    #[inline(always)]
    fn free(&self) -> usize {
        (self.parts.ring.cells().len() - 1 - self.tail.wrapping_sub(self.done)) as usize
    }

    /// Sends packets of one plain buffer of `home` from the front of the burst, until there is another
    /// kind, or no room. They ask for nothing; if `ASKING`, they may also ask for what others did lately. Says how many, and their bytes.
    #[inline(always)]
    fn send_plain<const ASKING: bool>(&mut self, burst: &mut Burst) -> (usize, u64) {
        let (home, longest) = (self.home, self.parts.longest());
        let (cells, slot) = (self.parts.ring.cells().run(self.tail), self.slot(self.tail));
        // What stands together in the ring is moved at once.
        let run = (self.shadow.len() - slot).min(self.free()).min(burst.len());
        let shadow = self.shadow[slot..].as_mut_ptr();
        let (mut n, mut bytes) = (0, 0);
        let mut latest = if ASKING { self.contexts.latest() } else { None };
        for packet in &burst[..run] {
            let Some((iova, len)) = plain(packet, home) else { break };
            let len = u64::from(len);
            // Neither too long nor without an Ethernet header, which would hang the device.
            if len.wrapping_sub(LEAST) > longest - LEAST {
                break;
            }
            let mut data = WHOLE;
            if asks(packet) {
                if !ASKING {
                    break;
                }
                if !latest.is_some_and(|one| one.asked.is_same(packet)) {
                    latest = self.contexts.before(packet);
                }
                let Some(one) = latest else { break };
                data = one.data;
            }
            // SAFETY: `n` is below `run`, which ends where ring and shadow do.
            unsafe {
                cells.write(n, [iova, data | len | len << transmit::PAYLEN.lsb]);
                shadow.add(n).write(Some(address(packet)));
            }
            n += 1;
            bytes += len;
        }
        // SAFETY: `n` is at most the burst's length; the shadow has them now.
        unsafe { give_up(burst, n) };
        self.tail = self.tail.wrapping_add(n as u32);
        (n, bytes)
    }

    fn slot(&self, position: u32) -> usize {
        self.parts.ring.cells().slot(position)
    }

    /// Asks for a report of the last descriptor, if there is one since the last report.
    #[inline(always)]
    fn report(&mut self) {
        if self.reported == self.tail {
            return;
        }
        let (cells, last) = (self.parts.ring.cells(), self.tail.wrapping_sub(1));
        cells.write_status(last, cells.status(last) | transmit::RS.mask());
        self.reports.push(Report { end: self.tail, packets: self.unreported });
        self.reported = self.tail;
        self.unreported = Packets::Plain;
    }

    /// Sends the packet at the front, of whatever kind. `None` if it has to wait for room.
    #[inline(never)]
    fn send_any(&mut self, burst: &mut Burst) -> Option<(usize, u64)> {
        let packet = burst.first()?;
        let Some(plan) = offload::plan(packet, &self.parts, &self.contexts) else {
            self.parts.counters.errors.add(1);
            drop(burst.drain(1));
            return Some((1, 0));
        };
        if plan.descriptors > self.free() {
            return None;
        }
        // Plain packets before this one are reported apart: they go home faster.
        if self.unreported == Packets::Plain {
            self.report();
        }
        self.unreported = Packets::Mixed;
        if let Some((words, found)) = plan.context
            && let Some(descriptor) = self.contexts.take(words, found)
        {
            self.place(descriptor, None);
        }
        let (len, mut left) = (packet.len() as u64, packet.segment_count());
        for (place, bytes) in packet.device_segments() {
            left -= 1;
            let end = if left == 0 { transmit::EOP.mask() } else { 0 };
            self.place([place.iova, plan.data | bytes as u64 | end], None);
        }
        if let (Some(data), Some((_, found))) = (plan.repeats, plan.context) {
            self.contexts.remember(packet, data, found.index());
        }
        let last = self.slot(self.tail.wrapping_sub(1));
        self.shadow[last] = burst.drain(1).next().map(into_address);
        // One report for all that go this way, up to the next that does not.
        if burst.first().is_none_or(|next| self.goes_plain(next)) {
            self.report();
        }
        Some((1, len))
    }

    /// Whether `send_plain` will take a packet, unless its length is wrong.
    fn goes_plain(&self, packet: &Mbuf) -> bool {
        plain(packet, self.home).is_some() && (!asks(packet) || self.contexts.has(packet))
    }

    /// Writes the next descriptor, with the packet that ends there.
    fn place(&mut self, words: [u64; 2], packet: Option<NonNull<u8>>) {
        self.parts.ring.cells().write(self.tail, words);
        self.shadow[self.parts.ring.cells().slot(self.tail)] = packet;
        self.tail = self.tail.wrapping_add(1);
    }

    /// Sends home what the device reports as done, until `wanted` descriptors are free.
    #[inline(never)]
    fn reclaim_until(&mut self, wanted: usize) -> usize {
        let mut packets = 0;
        while self.free() < wanted
            && let Some(report) = self.take_reports()
        {
            packets += self.free_until(report);
        }
        packets
    }

    /// Takes reports off that are done and of one kind, until they are a bulk: one for all of them.
    #[inline(always)]
    fn take_reports(&mut self) -> Option<Report> {
        let mut all: Option<Report> = None;
        while let Some(report) = self.reports.first() {
            let is_enough = |all: Report| {
                all.packets != report.packets || all.end.wrapping_sub(self.done) as usize >= BULK
            };
            let is_done = || {
                let status = self.parts.ring.cells().status(report.end.wrapping_sub(1));
                transmit::DD.is_set(status)
            };
            if all.is_some_and(is_enough) || !is_done() {
                break;
            }
            self.reports.pop();
            all = Some(report);
        }
        // Pairs with the device's order: what it read and sent, then DD.
        linecard_eal::barrier::dma_observe();
        all
    }

    /// Frees the packets up to a report; says how many.
    fn free_until(&mut self, report: Report) -> usize {
        let (from, n) =
            (self.parts.ring.cells().slot(self.done), report.end.wrapping_sub(self.done) as usize);
        self.done = report.end;
        let first = n.min(self.shadow.len() - from);
        let mut freed = 0;
        for run in [from..from + first, 0..n - first] {
            freed += match report.packets {
                _ if run.is_empty() => 0,
                // SAFETY: `send_plain` moved plain packets of `home` here, and `done` is past them.
                Packets::Plain => unsafe {
                    free_plain(self.home, &self.shadow[run.clone()]);
                    run.len()
                },
                Packets::Mixed => free_mixed(&mut self.shadow[run]),
            };
        }
        freed
    }

    /// All that the device has, given back as it is: for when it is stopped or gone.
    fn strip(&mut self) -> Vec<Mbuf> {
        let mut all = Vec::new();
        while self.done != self.tail {
            let slot = self.parts.ring.cells().slot(self.done);
            // SAFETY: in the shadow between `done` and `tail`, and taken out.
            all.extend(self.shadow[slot].take().map(|address| unsafe { from_address(address) }));
            self.done = self.done.wrapping_add(1);
        }
        self.reports.clear();
        all
    }
}

/// Frees packets of all kinds; says how many.
fn free_mixed(slots: &mut [Option<NonNull<u8>>]) -> usize {
    let mut packets = Burst::with_limit(linecard_mbuf::BURST);
    let mut n = 0;
    for address in slots.iter_mut().filter_map(Option::take) {
        // SAFETY: slots hold packets that were given up, and it has been taken out.
        let packet = unsafe { from_address(address) };
        n += 1;
        if packets.is_full() {
            packets.clear();
        }
        packets.push(packet).expect("there is room: it was just emptied");
    }
    n
}

impl Transmit {
    /// Sends what it can from the front of the burst. A function for each kind of queue: what one has in
    /// registers, the other has no use for.
    #[inline(never)]
    fn send_all<const ASKING: bool>(&mut self, burst: &mut Burst) -> usize {
        let (before, mut packets, mut bytes) = (self.tail, 0, 0);
        let wanted = burst.len().max(BULK);
        if self.free() < wanted {
            self.reclaim_until(wanted);
        }
        loop {
            let (mut n, mut some) = self.send_plain::<ASKING>(burst);
            // What is in front is of another kind then, if there is room.
            if n == 0 {
                let Some(sent) = self.send_any(burst) else { break };
                (n, some) = sent;
            }
            (packets, bytes) = (packets + n, bytes + some);
            if burst.is_empty() {
                break;
            }
        }
        self.report();
        if self.tail != before {
            self.parts.tail.write(self.parts.ring.cells().slot(self.tail) as u32);
        }
        self.parts.counters.sent(packets, bytes, burst.len());
        packets
    }
}

impl TxQueue for Transmit {
    fn send(&mut self, burst: &mut Burst) -> usize {
        if !self.parts.gate.is_open() || burst.is_empty() {
            return 0;
        }
        match self.parts.offloads.is_empty() {
            true => self.send_all::<false>(burst),
            false => self.send_all::<true>(burst),
        }
    }

    fn reclaim(&mut self) -> usize {
        self.reclaim_until(self.shadow.len())
    }

    fn path(&self) -> Path {
        let reason = match self.parts.offloads.is_empty() {
            true => "no offload was asked for; other packets than plain ones take the full path",
            false => {
                "packets that ask for an offload take the full path, unless they ask for what one of the last two kinds did"
            }
        };
        Path { name: "simple", reason: reason.into() }
    }

    fn room(&self, limit: usize) -> Option<usize> {
        Some(self.free().min(limit))
    }
}

impl Drop for Transmit {
    /// The device stops first; then packets and ring go, or are kept if it did not.
    fn drop(&mut self) {
        let packets = self.strip();
        self.parts.control.retire((packets, self.parts.keeps.memory()));
    }
}
