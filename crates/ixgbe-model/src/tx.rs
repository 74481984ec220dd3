//! Transmit: rings, contexts, and the way of a packet to the wire (§7.2).

mod classes;
mod offload;
mod pace;
mod segment;

use linecard_ixgbe_regs::descriptor::{context, transmit, transmit_legacy};
use linecard_ixgbe_regs::registers::*;
use linecard_ixgbe_regs::{QUEUES, descriptor};

use crate::device::Device;
use crate::interrupt::QueueKind;
use crate::journal::Breach;
use crate::rx::CRC_BYTES;
use crate::virtualization::Way;
use pace::Pace;

/// Most descriptors of one packet, the context not counted (§7.2.1.1).
const MOST_DESCRIPTORS: usize = 40;

/// A context descriptor, taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Context {
    mac_len: usize,
    ip_len: usize,
    l4_len: usize,
    mss: usize,
    vlan: u16,
    is_ipv4: bool,
    l4_type: u64,
}

impl Context {
    fn of(words: [u64; 2]) -> Self {
        Self {
            mac_len: context::MACLEN.of(words[0]) as usize,
            ip_len: context::IPLEN.of(words[0]) as usize,
            l4_len: context::L4LEN.of(words[1]) as usize,
            mss: context::MSS.of(words[1]) as usize,
            vlan: context::VLAN.of(words[0]) as u16,
            is_ipv4: context::IPV4.is_set(words[1]),
            l4_type: context::L4T.of(words[1]),
        }
    }
}

/// A packet of which not all descriptors have come.
#[derive(Clone, Debug, Default)]
struct Partial {
    data: Vec<u8>,
    /// The first descriptor, which says what is to be done.
    first: Option<[u64; 2]>,
    descriptors: usize,
}

#[derive(Clone, Debug, Default)]
struct Queue {
    contexts: [Option<Context>; 2],
    partial: Partial,
}

#[derive(Debug)]
pub(crate) struct Transmitting {
    queues: Vec<Queue>,
    pace: Pace,
    /// A queue is being worked on. What it sends may come back and call for this again.
    is_at_work: bool,
}

impl Transmitting {
    pub(crate) fn new() -> Self {
        let queues = QUEUES as usize;
        let (queues, pace) = (vec![Queue::default(); queues], Pace::new(queues));
        Self { queues, pace, is_at_work: false }
    }

    /// A queue is as it was: no context, and no packet begun.
    pub(crate) fn forget(&mut self, queue: u32) {
        self.queues[queue as usize] = Queue::default();
    }

    /// Rate limits stay, in memory behind a register that selects a queue: no driver relies on a reset for them.
    pub(crate) fn reset(&mut self) {
        let pace = self.pace.after_reset();
        *self = Self { pace, ..Self::new() };
    }
}

impl Device {
    pub(crate) fn write_txdctl(&mut self, queue: u32, before: u32, value: u32) {
        let value = value & !txdctl::SWFLUSH.mask();
        self.file.set(&TXDCTL, queue, value);
        if (before ^ value) & txdctl::ENABLE.mask() != 0 {
            self.late(&TXDCTL, queue, txdctl::ENABLE.mask(), before);
            self.transmitting.forget(queue);
        }
        if self.faults.stuck_queues && !txdctl::ENABLE.is_set(value) {
            self.file.set(&TXDCTL, queue, value | (before & txdctl::ENABLE.mask()));
        }
        self.run_queue(queue);
    }

    pub(crate) fn write_tdt(&mut self, queue: u32, before: u32) {
        let tail = self.file.at(&TDT, queue);
        let size = self.file.at(&TDLEN, queue) / descriptor::BYTES as u32;
        if !txdctl::ENABLE.is_set(self.file.at(&TXDCTL, queue)) {
            if tail != 0 {
                self.journal.breach(Breach::TailOfDisabledQueue);
            }
            self.file.set(&TDT, queue, before.min(tail));
        } else if tail >= size {
            self.journal.breach(Breach::TailBeyondRing);
        } else {
            self.run_queue(queue);
        }
    }

    /// Works on all queues.
    pub(crate) fn run_transmit(&mut self) {
        self.transmitting.pace.look_again();
        for queue in 0..QUEUES {
            if txdctl::ENABLE.is_set(self.file.at(&TXDCTL, queue)) {
                self.run_queue(queue);
            }
        }
    }

    fn run_queue(&mut self, queue: u32) {
        let size = self.file.at(&TDLEN, queue) / descriptor::BYTES as u32;
        let is_on = self.file.has(&DMATXCTL, dmatxctl::TE)
            && txdctl::ENABLE.is_set(self.file.at(&TXDCTL, queue))
            && self.pool_may_send(queue);
        if !is_on || size == 0 || self.faults.is_removed() {
            return;
        }
        if self.transmitting.is_at_work {
            return self.transmitting.pace.look_soon(self.now);
        }
        let mut head = self.file.at(&TDH, queue) % size;
        let tail = self.file.at(&TDT, queue) % size;
        let base =
            u64::from(self.file.at(&TDBAL, queue)) | u64::from(self.file.at(&TDBAH, queue)) << 32;
        let mut reports = false;
        if head != tail && !self.class_may_send(queue) {
            return;
        }
        self.transmitting.is_at_work = true;
        while head != tail && self.may_send(queue) {
            let address = base + u64::from(head) * descriptor::BYTES as u64;
            let Some(words) = self.read_descriptor(queue, address) else { break };
            head = (head + 1) % size;
            reports |= self.run_descriptor(queue, address, words, head);
        }
        self.file.set(&TDH, queue, head);
        self.transmitting.is_at_work = false;
        if reports {
            self.raise_queue(queue, QueueKind::Transmit);
        }
    }

    /// Whether its status was reported.
    fn run_descriptor(&mut self, queue: u32, address: u64, words: [u64; 2], next: u32) -> bool {
        let is_advanced = transmit::DEXT.is_set(words[1]);
        match (is_advanced, transmit::DTYP.of(words[1])) {
            (true, context::DTYP_CONTEXT) => {
                let index = context::IDX.of(words[1]) as usize & 1;
                self.transmitting.queues[queue as usize].contexts[index] = Some(Context::of(words));
                return false;
            }
            (true, transmit::DTYP_DATA) | (false, _) => self.gather(queue, words),
            (true, _) => self.journal.breach(Breach::BadDescriptor),
        }
        if transmit::EOP.is_set(words[1]) {
            self.finish_packet(queue);
        }
        let reports = transmit::RS.is_set(words[1]);
        if reports {
            self.report(queue, address, words, next);
        }
        reports
    }

    fn gather(&mut self, queue: u32, words: [u64; 2]) {
        let partial = &mut self.transmitting.queues[queue as usize].partial;
        partial.first.get_or_insert(words);
        partial.descriptors += 1;
        if partial.descriptors > MOST_DESCRIPTORS {
            // What is beyond is lost: a packet without an end takes no more memory than others.
            if partial.descriptors == MOST_DESCRIPTORS + 1 {
                self.journal.breach(Breach::TooManyDescriptors);
            }
            return;
        }
        let mut data = vec![0; transmit::DTALEN.of(words[1]) as usize];
        self.dma_read(queue, words[0], &mut data);
        self.transmitting.queues[queue as usize].partial.data.extend(data);
    }

    /// DD in the descriptor, or the head to where it is wanted.
    fn report(&mut self, queue: u32, address: u64, words: [u64; 2], next: u32) {
        let low = self.file.at(&TDWBAL, queue);
        if tdwbal::HEAD_WB_EN.is_set(low) {
            let to = u64::from(low & tdwbal::ADDR.mask())
                | u64::from(self.file.at(&TDWBAH, queue)) << 32;
            self.dma_write(queue, to, &next.to_le_bytes());
        } else {
            self.write_back(queue, address, [words[0], transmit::DD.mask()]);
        }
    }

    fn finish_packet(&mut self, queue: u32) {
        let state = &mut self.transmitting.queues[queue as usize];
        let Partial { data, first, .. } = std::mem::take(&mut state.partial);
        let Some(words) = first else { return };
        let frames = match transmit::DEXT.is_set(words[1]) {
            true => self.advanced_frames(queue, data, words),
            false => vec![self.legacy_frame(queue, data, words)],
        };
        for frame in frames {
            if !self.refuses_as_spoofed(queue, &frame) {
                self.send(queue, frame);
            }
        }
        if transmit::DEXT.is_set(words[1]) && transmit::MAC_TSTAMP.is_set(words[1]) {
            self.stamp_sent();
        }
    }

    fn legacy_frame(&self, queue: u32, mut data: Vec<u8>, words: [u64; 2]) -> Vec<u8> {
        use transmit_legacy as old;
        if old::IC.is_set(words[1]) {
            let (start, at) = (old::CSS.of(words[1]) as usize, old::CSO.of(words[1]) as usize);
            offload::insert(&mut data, start, at);
        }
        let asked = old::VLE.is_set(words[1]).then(|| old::VLAN.of(words[1]) as u16);
        if let Some(tag) = self.tag_of(queue, asked) {
            self.insert_tag(&mut data, tag);
        }
        data
    }

    fn insert_tag(&self, frame: &mut Vec<u8>, tag: u16) {
        // Behind the outer tag, which the driver has put there (§7.2.1.1).
        let outer = self.outer_tag().filter(|_| self.file.has(&DMATXCTL, dmatxctl::GDV));
        let has_outer = outer.is_some() && crate::parse::be16(frame, 12) == outer;
        let at = if has_outer { 16 } else { 12 };
        if frame.len() >= at {
            let kind = dmatxctl::VT.of(self.file.get(&DMATXCTL)) as u16;
            let [a, b] = kind.to_be_bytes();
            let [c, d] = tag.to_be_bytes();
            frame.splice(at..at, [a, b, c, d]);
        }
    }

    fn send(&mut self, queue: u32, mut frame: Vec<u8>) {
        if self.file.has(&HLREG0, hlreg0::TXPADEN) && frame.len() < 60 {
            frame.resize(60, 0);
        }
        self.check_room(queue, frame.len() as u32);
        self.count_sent(queue, &frame);
        self.pace(queue, frame.len() as u32);
        if self.file.has(&HLREG0, hlreg0::LPBK) {
            self.accept(&frame, self.now);
        } else if self.switch(queue, &frame) == Way::Out && self.link.is_up() {
            self.host.wire.transmit_at(&frame, self.now);
        }
    }

    fn count_sent(&mut self, queue: u32, frame: &[u8]) {
        let len = frame.len() as u32 + CRC_BYTES;
        let by_size = match len {
            ..=64 => &PTC64,
            65..=127 => &PTC127,
            128..=255 => &PTC255,
            256..=511 => &PTC511,
            512..=1023 => &PTC1023,
            _ => &PTC1522,
        };
        let counter = self.counter_of(&TQSM, queue);
        for register in [by_size, &GPTC, &TPT, &TXDGPC] {
            self.file.count(register, 0, 1);
        }
        self.file.count(&QPTC, counter, 1);
        self.file.count_wide(&QBTC_L, &QBTC_H, counter, len);
        self.file.count_wide(&GOTCL, &GOTCH, 0, len);
        self.file.count_wide(&TXDGBCL, &TXDGBCH, 0, len);
        self.count_sent_of_function(queue, len);
        if frame.len() >= 6 && frame[..6] == [0xFF; 6] {
            self.file.count(&BPTC, 0, 1);
        } else if frame.first().is_some_and(|byte| byte & 1 != 0) {
            self.file.count(&MPTC, 0, 1);
        }
    }
}
