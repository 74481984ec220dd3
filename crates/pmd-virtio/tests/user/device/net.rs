//! Frames through rings, the device's side.

use super::memory::GuestMemory;
use super::ring::{Chain, Virtqueue};
use linecard_virtqueue::{DescFlags, Features};

/// What the driver has sent next, its header before it.
pub(crate) fn sent(memory: &GuestMemory, ring: &mut dyn Virtqueue) -> Option<Vec<u8>> {
    let chain = ring.next()?;
    let mut bytes = Vec::new();
    for part in memory.whole(&chain) {
        assert_eq!(part.flags & DescFlags::WRITE.bits(), 0, "to be read");
        bytes.extend(memory.read(part.addr, part.len as usize));
    }
    ring.used(&chain, 0);
    Some(bytes)
}

/// Gives a frame behind a header to the driver, over as many buffers as it takes; all or nothing. Of
/// one that takes several, `is_cut` may have only the first be given.
pub(crate) fn deliver(
    memory: &GuestMemory,
    ring: &mut dyn Virtqueue,
    features: Features,
    (mut bytes, frame): (Vec<u8>, &[u8]),
    is_cut: impl FnOnce() -> bool,
) -> bool {
    let merges = features.contains(Features::MRG_RXBUF);
    let header = bytes.len();
    bytes.extend_from_slice(frame);
    let (mut chains, mut room) = (Vec::<Chain>::new(), 0);
    while room < bytes.len() {
        assert!(merges || chains.is_empty(), "a frame of {} fits a buffer", frame.len());
        let Some(chain) = ring.next() else {
            ring.undo(chains.len());
            return false;
        };
        room += chain.parts.iter().map(|part| part.len as usize).sum::<usize>();
        chains.push(chain);
    }
    if header >= 12 {
        bytes[10..12].copy_from_slice(&(chains.len() as u16).to_le_bytes());
    }
    if chains.len() > 1 && is_cut() {
        ring.undo(chains.len() - 1);
        chains.truncate(1);
    }
    let mut rest = bytes.as_slice();
    for chain in &chains {
        let mut written = 0;
        for part in &chain.parts {
            assert_ne!(part.flags & DescFlags::WRITE.bits(), 0, "to be written");
            let n = rest.len().min(part.len as usize);
            memory.write(part.addr, &rest[..n]);
            (rest, written) = (&rest[n..], written + n);
        }
        ring.used(chain, written as u32);
    }
    true
}
