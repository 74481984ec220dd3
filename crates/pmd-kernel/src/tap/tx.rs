//! Transmit: a `write` a frame, straight out of the packet's buffer.

use crate::gather;
use crate::sys::TunFile;
use linecard_mbuf::{Burst, Mbuf};
use linecard_pmd_core::{Gate, Path, TxCounters, TxQueue};
use linecard_virtqueue::net::VNET;
use linecard_virtqueue::offload::{Head, Unsound, is_simple};
use std::io::{self, Write};
use std::sync::Arc;

/// The header of a frame that asks for nothing.
const NOTHING: [u8; VNET] = [0; VNET];

/// A transmit queue.
pub(super) struct TapTx {
    file: Arc<TunFile>,
    counters: Arc<TxCounters>,
    gate: Gate,
}

/// What became of a frame.
enum Sent {
    /// The kernel has it.
    Yes,
    /// It cannot be sent as it is, now or later.
    Never,
    /// Not now.
    NotNow,
}

impl TapTx {
    pub(super) fn new(file: Arc<TunFile>, counters: Arc<TxCounters>, gate: Gate) -> Self {
        TapTx { file, counters, gate }
    }

    #[inline]
    fn put(&self, packet: &mut Mbuf) -> Sent {
        let file = self.file.file();
        if !is_simple(packet) {
            return match Head::of(packet) {
                Ok(head) => judge(gather::write(file, packet, head.bytes(), head.replaces())),
                Err(Unsound) => Sent::Never,
            };
        }
        if packet.segment_count() > 1 || packet.headroom() < VNET {
            return judge(gather::write(file, packet, &NOTHING, 0));
        }
        let sent = judge(self.whole(packet));
        if let Sent::NotNow = sent {
            // The header that `whole` put before the frame.
            let _ = packet.adjust(VNET);
        }
        sent
    }

    /// Writes a packet of one segment, with the header in its headroom.
    fn whole(&self, packet: &mut Mbuf) -> io::Result<usize> {
        let Ok(header) = packet.prepend(VNET) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        header.copy_from_slice(&NOTHING);
        self.file.file().write(packet.data())
    }
}

/// What an answer of the kernel's means for the frame.
fn judge(answer: io::Result<usize>) -> Sent {
    match answer {
        Ok(_) => Sent::Yes,
        Err(error) => match error.raw_os_error() {
            // Down (EIO), gone (EBADFD), or out of memory.
            Some(
                libc::EAGAIN
                | libc::EIO
                | libc::EBADFD
                | libc::ENOBUFS
                | libc::ENOMEM
                | libc::EINTR,
            ) => Sent::NotNow,
            _ => Sent::Never,
        },
    }
}

impl TxQueue for TapTx {
    fn send(&mut self, burst: &mut Burst) -> usize {
        if !self.gate.is_open() {
            return 0;
        }
        let (mut taken, mut bytes, mut errors) = (0, 0, 0);
        for packet in burst.iter_mut() {
            let len = packet.len();
            match self.put(packet) {
                Sent::Yes => {}
                Sent::Never => errors += 1,
                Sent::NotNow => break,
            }
            taken += 1;
            bytes += len as u64;
        }
        if taken == burst.len() {
            burst.clear();
        } else {
            drop(burst.drain(taken));
        }
        self.counters.sent(taken, bytes, burst.len());
        if errors > 0 {
            self.counters.errors.add(errors);
        }
        taken
    }

    fn path(&self) -> Path {
        Path { name: "write", reason: "one call a frame: a TAP has no ring to share".into() }
    }

    fn room(&self, limit: usize) -> Option<usize> {
        Some(limit)
    }
}
