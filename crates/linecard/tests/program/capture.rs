//! Captures by hand: pcap with nanoseconds, written and read.

use std::path::Path;

/// A packet of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Nanoseconds since 1970.
    pub(crate) time: u64,
    pub(crate) data: Vec<u8>,
}

const NANO: u32 = 0xA1B2_3C4D;
const SECOND: u64 = 1_000_000_000;

/// Packets of these bytes, a bit over a millisecond apart.
pub(crate) fn packets(frames: impl IntoIterator<Item = Vec<u8>>) -> Vec<Packet> {
    let at = |i: usize| 1_700_000_000 * SECOND + i as u64 * 1_234_567;
    frames.into_iter().enumerate().map(|(i, data)| Packet { time: at(i), data }).collect()
}

pub(crate) fn write(path: &Path, packets: &[Packet]) {
    let mut bytes = words(&[NANO, 4 << 16 | 2, 0, 0, 262_144, 1]);
    for Packet { time, data } in packets {
        let len = data.len() as u32;
        bytes.extend(words(&[(time / SECOND) as u32, (time % SECOND) as u32, len, len]));
        bytes.extend(data);
    }
    std::fs::write(path, bytes).expect("a file");
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Reads what the program wrote: pcap of this machine's byte order, with nanoseconds.
pub(crate) fn read(path: &Path) -> Vec<Packet> {
    let bytes = std::fs::read(path).expect("a file");
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((word(0), word(20)), (NANO, 1), "nanoseconds and Ethernet");
    let (mut packets, mut at) = (Vec::new(), 24);
    while at < bytes.len() {
        let time = u64::from(word(at)) * SECOND + u64::from(word(at + 4));
        let len = word(at + 8) as usize;
        assert_eq!(word(at + 12) as usize, len, "the original length");
        packets.push(Packet { time, data: bytes[at + 16..][..len].to_vec() });
        at += 16 + len;
    }
    packets
}
