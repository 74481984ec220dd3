//! One `writev` a frame, from wherever its bytes lie.

use linecard_mbuf::{MAX_SEGMENTS, Mbuf};
use std::fs::File;
use std::io::{self, IoSlice, Write};

/// Writes a packet from where it lies, behind `head`, which stands for its first `replaces` bytes.
pub(crate) fn write(file: &File, packet: &Mbuf, head: &[u8], replaces: usize) -> io::Result<usize> {
    if packet.segment_count() < 8 {
        vectored::<8>(file, packet, head, replaces)
    } else {
        vectored::<{ MAX_SEGMENTS + 1 }>(file, packet, head, replaces)
    }
}

fn vectored<const N: usize>(
    mut file: &File,
    packet: &Mbuf,
    head: &[u8],
    replaces: usize,
) -> io::Result<usize> {
    let mut slices = [IoSlice::new(head); N];
    let (mut skip, mut n) = (replaces, 1);
    for (slice, segment) in slices[1..].iter_mut().zip(packet.segments()) {
        let from = skip.min(segment.len());
        *slice = IoSlice::new(&segment[from..]);
        (skip, n) = (skip - from, n + 1);
    }
    file.write_vectored(&slices[..n])
}
