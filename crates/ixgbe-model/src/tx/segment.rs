//! TCP segmentation (§7.2.4).

use linecard_ixgbe_regs::descriptor::{context, transmit};
use linecard_ixgbe_regs::registers::{DTXTCPFLGH, DTXTCPFLGL, dtxtcpflgh, dtxtcpflgl};

use super::{Context, offload};
use crate::device::Device;
use crate::journal::Breach;

/// Where a segment stands in its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    index: usize,
    is_last: bool,
    /// Bytes of payload before it.
    before: usize,
}

impl Device {
    /// One frame for each piece of the payload.
    pub(super) fn segments(
        &mut self,
        data: &[u8],
        context: &Context,
        words: [u64; 2],
    ) -> Vec<Vec<u8>> {
        let header = context.mac_len + context.ip_len + context.l4_len;
        let payload = data.len().checked_sub(header);
        let told = transmit::PAYLEN.of(words[1]) as usize;
        let fits = context.mss > 0 && context.l4_type == context::L4T_TCP && context.l4_len >= 20;
        if !fits || payload != Some(told) || told == 0 {
            self.journal.breach(Breach::BadContext);
            return Vec::new();
        }
        let (header, payload) = data.split_at(header);
        let count = payload.len().div_ceil(context.mss);
        let pieces = payload.chunks(context.mss).enumerate();
        let frames = pieces.map(|(index, piece)| {
            let is_last = index + 1 == count;
            let position = Position { index, is_last, before: index * context.mss };
            self.segment(header, piece, context, position)
        });
        frames.collect()
    }

    fn segment(&self, header: &[u8], piece: &[u8], context: &Context, at: Position) -> Vec<u8> {
        let mut frame = [header, piece].concat();
        let l4 = context.mac_len + context.ip_len;
        let l4_bytes = context.l4_len + piece.len();
        write_network(&mut frame, context, l4_bytes, at);
        self.write_transport(&mut frame[l4..], at);
        // The driver's sum of the pseudo header is without the length.
        let seeded = u16::from_be_bytes([frame[l4 + 16], frame[l4 + 17]]);
        let seed = crate::checksum::sum(&(l4_bytes as u16).to_be_bytes(), u32::from(seeded));
        frame[l4 + 16..l4 + 18].copy_from_slice(&(seed as u16).to_be_bytes());
        offload::insert(&mut frame, l4, l4 + 16);
        frame
    }

    /// Sequence number and flags.
    fn write_transport(&self, tcp: &mut [u8], at: Position) {
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        let sequence = sequence.wrapping_add(at.before as u32);
        tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
        let low = self.file.get(&DTXTCPFLGL);
        let mask = match at {
            Position { is_last: true, .. } => dtxtcpflgh::LAST.of(self.file.get(&DTXTCPFLGH)),
            Position { index: 0, .. } => dtxtcpflgl::FIRST.of(low),
            _ => dtxtcpflgl::MIDDLE.of(low),
        };
        tcp[13] &= mask as u8;
    }
}

/// Lengths and identification; the checksum of IPv4.
fn write_network(frame: &mut [u8], context: &Context, l4_bytes: usize, at: Position) {
    let ip = &mut frame[context.mac_len..];
    if context.is_ipv4 {
        let total = (context.ip_len + l4_bytes) as u16;
        ip[2..4].copy_from_slice(&total.to_be_bytes());
        let id = u16::from_be_bytes([ip[4], ip[5]]).wrapping_add(at.index as u16);
        ip[4..6].copy_from_slice(&id.to_be_bytes());
        offload::insert_ipv4(frame, context.mac_len, context.ip_len);
    } else {
        let len = (context.ip_len.saturating_sub(40) + l4_bytes) as u16;
        ip[4..6].copy_from_slice(&len.to_be_bytes());
    }
}
