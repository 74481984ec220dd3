//! Receive: from the wire through the filters into the packet buffer, and from there into rings.

mod coalesce;
mod filter;
mod ring;
mod rss;
mod status;
mod steer;

use std::collections::VecDeque;

use linecard_ixgbe_regs::Register;
use linecard_ixgbe_regs::registers::*;

use crate::device::Device;
use crate::journal::Breach;
use crate::parse::Parsed;
use crate::time::Stamp;
use crate::virtualization::Pools;
use steer::Destination;

/// Length of the frame check sequence, which counters count.
pub(crate) const CRC_BYTES: u32 = 4;

/// What waits in the packet buffer, and what queues hold.
#[derive(Debug, Default)]
pub(crate) struct Receiving {
    held: VecDeque<Held>,
    bytes: usize,
    /// XOFF was sent, and no XON since.
    is_pausing: bool,
    /// Segments that are being put together.
    contexts: Vec<coalesce::Context>,
}

#[derive(Clone, Debug)]
struct Held {
    frame: Vec<u8>,
    parsed: Parsed,
    destination: Destination,
    is_inexact: bool,
    stamp: Stamp,
}

/// A frame that has passed the filters of the card.
#[derive(Clone, Copy, Debug)]
struct Arrival<'a> {
    frame: &'a [u8],
    parsed: &'a Parsed,
    is_inexact: bool,
    /// When its first bit came.
    time: u64,
}

impl Device {
    /// A frame (without its check sequence) comes from the wire. In loopback nobody listens there.
    pub fn receive(&mut self, frame: &[u8]) {
        self.receive_at(frame, self.now);
    }

    /// The same, of a frame whose first bit came at `time`, nanoseconds of the clock of
    /// [`tick`](Self::tick).
    pub fn receive_at(&mut self, frame: &[u8], time: u64) {
        let loops = self.file.has(&HLREG0, hlreg0::LPBK);
        if loops || self.faults.is_removed() || !self.link.is_up() {
            return;
        }
        self.accept(frame, time);
    }

    /// From the wire, or from the loopback.
    pub(crate) fn accept(&mut self, frame: &[u8], time: u64) {
        if !self.file.has(&RXCTRL, rxctrl::RXEN) || !self.has_good_length(frame) {
            return;
        }
        self.count_received(frame);
        if self.is_pause(frame) {
            return;
        }
        let parsed = self.parse(frame);
        let Some(passed) = self.passes(frame, &parsed) else { return };
        self.file.count(&RXNFGPC, 0, 1);
        let pools = self.pools_of_received(frame, &parsed);
        let arrival = Arrival { frame, parsed: &parsed, is_inexact: passed.is_inexact, time };
        match pools {
            None => self.hold_for(None, arrival),
            Some(pools) => self.hold_for_pools(pools, arrival),
        }
        self.run_receive();
    }

    /// A frame that a pool sends to others: it passes neither the MAC nor the address filters.
    pub(crate) fn accept_from_pool(&mut self, pools: Pools, frame: &[u8], parsed: &Parsed) {
        if self.file.has(&RXCTRL, rxctrl::RXEN) {
            let time = self.now;
            self.hold_for_pools(pools, Arrival { frame, parsed, is_inexact: false, time });
            self.run_receive();
        }
    }

    /// A copy for each pool.
    fn hold_for_pools(&mut self, pools: Pools, arrival: Arrival<'_>) {
        pools.iter().for_each(|pool| self.hold_for(Some(pool), arrival));
    }

    fn hold_for(&mut self, pool: Option<u32>, arrival: Arrival<'_>) {
        let Arrival { frame, parsed, is_inexact, time } = arrival;
        let destination = self.steer(frame, parsed, pool);
        if destination.is_dropped {
            return;
        }
        let stamp = self.stamp_received(parsed, frame, time);
        let (frame, parsed) = (frame.to_vec(), *parsed);
        self.hold(Held { frame, parsed, destination, is_inexact, stamp });
    }

    /// Behind the outer tag, in extended VLAN mode.
    pub(crate) fn parse(&self, frame: &[u8]) -> Parsed {
        let tag_type = vlnctrl::VET.of(self.file.get(&VLNCTRL)) as u16;
        match self.outer_tag() {
            Some(outer) => Parsed::with_outer(frame, outer, tag_type),
            None => Parsed::of(frame, tag_type),
        }
    }

    /// The EtherType of outer tags, in extended VLAN mode.
    pub(crate) fn outer_tag(&self) -> Option<u16> {
        let is_on = self.file.has(&CTRL_EXT, ctrl_ext::EXTENDED_VLAN);
        is_on.then(|| exvet::VET_EXT.of(self.file.get(&EXVET)) as u16)
    }

    /// Too short or too long: counted, and gone.
    fn has_good_length(&mut self, frame: &[u8]) -> bool {
        let len = frame.len() as u32 + CRC_BYTES;
        let longest = match self.file.has(&HLREG0, hlreg0::JUMBOEN) {
            true => maxfrs::MFS.of(self.file.get(&MAXFRS)),
            false => 1518,
        };
        let parsed = self.parse(frame);
        let outer = parsed.tag as u32 - 12;
        let tag = outer + if parsed.vlan.is_some() { 4 } else { 0 };
        let counter: &Register = match () {
            () if frame.len() < 60 => &RUC,
            () if len > longest + tag => &ROC,
            () => return true,
        };
        self.file.count(counter, 0, 1);
        false
    }

    fn hold(&mut self, held: Held) {
        let room = self.file.get(&RXPBSIZE) as usize & 0xF_FC00;
        if self.receiving.bytes + held.frame.len() > room {
            self.file.count(&MPC, 0, 1);
            self.raise(eicr::RX_MISS);
            return;
        }
        self.receiving.bytes += held.frame.len();
        self.receiving.held.push_back(held);
        self.send_pause();
    }

    /// Moves what it can from the packet buffer into rings. The first that cannot go on holds up
    /// all others, unless its queue drops.
    pub(crate) fn run_receive(&mut self) {
        while let Some(held) = self.receiving.held.pop_front() {
            let bytes = held.frame.len();
            match self.place(&held) {
                ring::Placed::Done => {}
                ring::Placed::NoDescriptor => {
                    self.receiving.held.push_front(held);
                    break;
                }
            }
            self.receiving.bytes -= bytes;
        }
        self.send_pause();
    }

    /// Frames in the packet buffer: no queue has had room for them yet.
    pub fn held_frames(&self) -> usize {
        self.receiving.held.len()
    }

    pub(crate) fn write_rxdctl(&mut self, queue: u32, before: u32, value: u32) {
        let value = value & !rxdctl::SWFLUSH.mask();
        if !rxdctl::ENABLE.is_set(value) {
            self.close_queue(queue);
        }
        self.file.set(&RXDCTL, queue, value);
        if (before ^ value) & rxdctl::ENABLE.mask() != 0 {
            self.late(&RXDCTL, queue, rxdctl::ENABLE.mask(), before);
        }
        if self.faults.stuck_queues && !rxdctl::ENABLE.is_set(value) {
            self.file.set(&RXDCTL, queue, value | (before & rxdctl::ENABLE.mask()));
        }
    }

    pub(crate) fn write_rdt(&mut self, queue: u32, before: u32) {
        let tail = self.file.at(&RDT, queue);
        if !rxdctl::ENABLE.is_set(self.file.at(&RXDCTL, queue)) {
            if tail != 0 {
                self.journal.breach(Breach::TailOfDisabledQueue);
            }
            self.file.set(&RDT, queue, before.min(tail));
        } else if !self.receiving.held.is_empty() {
            self.run_receive();
        }
    }
}
