//! The Internet checksum, and the frame check sequence.

/// The sum of `bytes` in one's complement, added to `sum` and not yet complemented.
pub(crate) fn sum(bytes: &[u8], sum: u32) -> u32 {
    let pairs = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let mut total = u64::from(sum) + pairs.map(u64::from).sum::<u64>();
    while total >> 16 != 0 {
        total = (total & 0xFFFF) + (total >> 16);
    }
    total as u32
}

/// What goes into a header.
pub(crate) fn finish(sum: u32) -> u16 {
    !(sum as u16)
}

/// CRC-32 as at the end of a frame.
pub(crate) fn frame_check(frame: &[u8]) -> u32 {
    !frame.iter().fold(u32::MAX, |crc, byte| crc_step(crc, *byte, 0xEDB8_8320))
}

/// CRC-32C as in SCTP.
pub(crate) fn crc32c(parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    !bytes.fold(u32::MAX, |crc, byte| crc_step(crc, *byte, 0x82F6_3B78))
}

fn crc_step(crc: u32, byte: u8, polynomial: u32) -> u32 {
    (0..8)
        .fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (polynomial & (crc & 1).wrapping_neg()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sums_come_out() {
        assert_eq!(frame_check(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32c(&[b"1234", b"56789"]), 0xE306_9283);
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 0), 0xDDF2);
    }
}
