//! Checksums and tags of packets that are sent (§7.2.5).

use linecard_ixgbe_regs::descriptor::{context, transmit};

use super::Context;
use crate::checksum::{crc32c, finish, sum};
use crate::device::Device;
use crate::journal::Breach;

/// Sums all from `start` on, which has the sum of the pseudo header at `at`, and puts the result
/// there.
pub(super) fn insert(frame: &mut [u8], start: usize, at: usize) {
    let Some(bytes) = frame.get(start..) else { return };
    let checksum = finish(sum(bytes, 0));
    if let Some(place) = frame.get_mut(at..at + 2) {
        place.copy_from_slice(&checksum.to_be_bytes());
    }
}

fn insert_sctp(frame: &mut [u8], start: usize) {
    let Some(segment) = frame.get_mut(start..).filter(|segment| segment.len() >= 12) else {
        return;
    };
    segment[8..12].fill(0);
    let checksum = crc32c(&[segment]);
    segment[8..12].copy_from_slice(&checksum.to_le_bytes());
}

impl Device {
    /// The frames of a packet with advanced descriptors.
    pub(super) fn advanced_frames(
        &mut self,
        queue: u32,
        data: Vec<u8>,
        words: [u64; 2],
    ) -> Vec<Vec<u8>> {
        let tse = transmit::TSE.is_set(words[1]);
        let needs_context = tse
            || transmit::VLE.is_set(words[1])
            || transmit::IXSM.is_set(words[1])
            || transmit::TXSM.is_set(words[1]);
        let context = match needs_context {
            true => self.context_of(queue, words),
            false => Some(Context::default()),
        };
        let Some(context) = context else { return Vec::new() };
        let mut frames = match tse {
            true => self.segments(&data, &context, words),
            false => vec![with_checksums(data, &context, words)],
        };
        let asked = transmit::VLE.is_set(words[1]).then_some(context.vlan);
        if let Some(tag) = self.tag_of(queue, asked) {
            frames.iter_mut().for_each(|frame| self.insert_tag(frame, tag));
        }
        frames
    }

    fn context_of(&mut self, queue: u32, words: [u64; 2]) -> Option<Context> {
        let index = transmit::IDX.of(words[1]) as usize & 1;
        let found = self.transmitting.queues[queue as usize].contexts[index];
        if found.is_none() {
            self.journal.breach(Breach::BadContext);
        }
        found
    }
}

fn with_checksums(mut frame: Vec<u8>, context: &Context, words: [u64; 2]) -> Vec<u8> {
    let l4 = context.mac_len + context.ip_len;
    if transmit::TXSM.is_set(words[1]) {
        match context.l4_type {
            context::L4T_UDP => insert_udp(&mut frame, l4),
            context::L4T_TCP => insert(&mut frame, l4, l4 + 16),
            context::L4T_SCTP => insert_sctp(&mut frame, l4),
            _ => {}
        }
    }
    if transmit::IXSM.is_set(words[1]) {
        insert_ipv4(&mut frame, context.mac_len, context.ip_len);
    }
    frame
}

/// A checksum of 0 would say that there is none.
fn insert_udp(frame: &mut [u8], l4: usize) {
    insert(frame, l4, l4 + 6);
    if let Some(place) = frame.get_mut(l4 + 6..l4 + 8).filter(|place| **place == [0, 0]) {
        place.fill(0xFF);
    }
}

pub(super) fn insert_ipv4(frame: &mut [u8], at: usize, len: usize) {
    let Some(header) = frame.get_mut(at..at + len).filter(|header| header.len() >= 20) else {
        return;
    };
    header[10..12].fill(0);
    let checksum = finish(sum(header, 0));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}
