//! What the kernel counts at a packet socket.

use crate::sys::PacketSocket;
use linecard_pmd_core::RxCounters;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `struct tpacket_stats_v3`; `TPACKET_V2` has the first two.
#[repr(C)]
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
struct Statistics {
    packets: u32,
    drops: u32,
    freezes: u32,
}

/// Adds to `counters` what found no room since the last time: the kernel counts from zero again
/// whenever it is asked.
pub(super) fn collect(socket: &PacketSocket, counters: &RxCounters) {
    let statistics = socket.option::<Statistics>(libc::SOL_PACKET, libc::PACKET_STATISTICS);
    if let Ok(Statistics { drops, .. }) = statistics
        && drops > 0
    {
        counters.missed.add(u64::from(drops));
    }
}
