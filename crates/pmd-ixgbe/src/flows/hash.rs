//! The flow director's hash (§7.1.2.7.3).

/// The key of buckets, and that of signatures: those that the datasheet proposes.
pub(super) const BUCKET_KEY: u32 = 0x3DAD_14E2;
pub(super) const SIGNATURE_KEY: u32 = 0x174D_3614;

/// What a filter compares, as words of a stream in network order: flow type and VLAN tag; destination
/// and source address, an IPv4 address in the first of four words; ports; the flexible word.
pub(super) type Stream = [u32; 11];

/// For each bit of the key that is set, the stream shifted to it, all exclusive-ored. The stream is
/// longer than the key, which repeats: so that it can be folded to 48 bits first.
pub(super) fn hash(key: u32, stream: &Stream) -> u16 {
    let halves = |word: u32| (u64::from(word >> 16), u64::from(word & 0xFFFF));
    let (kind, tag) = halves(stream[0]);
    let (high, low) = halves(stream[1..].iter().fold(0, |sum, word| sum ^ word));
    let folded = (high ^ kind) << 32 | (low ^ kind ^ tag) << 16 | (high ^ tag);
    let shifted = (0..32).filter(|bit| key >> bit & 1 == 1).map(|bit| folded >> bit);
    // At bit 0 the stream has its end, and the tag is not in it yet.
    let end = if key & 1 == 1 { tag } else { 0 };
    (shifted.fold(0, |sum, one| sum ^ one) ^ end) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_one_bit_gives_the_stream_at_that_bit() {
        let stream = [0x0001_0005, 0x1234_5678, 0, 0, 0, 0, 0, 0, 0, 0x0000_0000, 0];
        assert_eq!(hash(0, &stream), 0);
        assert_eq!(hash(1, &stream), 0x1234);
        assert_eq!(hash(1 << 16, &stream), 0x5678 ^ 1 ^ 5);
        assert_eq!(hash(1 << 31, &stream), (((0x1234 ^ 1) << 16 | (0x5678 ^ 1 ^ 5)) >> 15) as u16);
    }

    #[test]
    fn the_hash_is_linear() {
        let one = [0x0002_0007, 1, 2, 3, 4, 5, 6, 7, 8, 0x0050_1234, 0];
        let other = [0x0001_0000, 9, 0, 7, 0, 5, 0, 3, 0, 0xFFFF_0001, 0x8000_0000];
        let both: Stream = std::array::from_fn(|i| one[i] ^ other[i]);
        for key in [BUCKET_KEY, SIGNATURE_KEY] {
            assert_eq!(hash(key, &both), hash(key, &one) ^ hash(key, &other));
            assert_ne!(hash(key, &one), hash(key, &other));
        }
    }
}
