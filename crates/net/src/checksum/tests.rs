//! Checksums against a naive oracle and published examples.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

/// RFC 1071 by its definition: 16-bit words, carries added back one at a time.
fn naive(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0_u16, |sum, word| {
        let word = u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]);
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

/// CRC32c by its definition, a bit at a time.
fn naive_crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ (0x82f6_3b78 * (crc & 1)))
    })
}

#[test]
fn the_example_of_rfc_1071_sums_to_ddf2() {
    assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    assert_eq!(sum(&[]), 0);
    assert_eq!(sum(&[0xab]), 0xab00);
}

#[test]
fn long_runs_of_ones_lose_no_carry() {
    assert_eq!(sum(&[0xff; 65_536]), 0xffff);
    assert_eq!(sum(&[0xff; 65_537]), 0xff00);
}

#[test]
fn an_ipv4_header_checksum_ignores_what_stands_in_the_field() {
    // A header with a known checksum of 0xb861.
    let mut header =
        [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 192, 168, 0, 1, 192, 168, 0, 199];
    assert_eq!(ipv4_header_checksum(&header), 0xb861);
    header[10] = 0;
    assert_eq!(ipv4_header_checksum(&header), 0xb861);
    for len in 0..20 {
        let _ = ipv4_header_checksum(&header[..len]);
    }
}

#[test]
fn crc32c_gives_the_values_of_rfc_3720() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
}

proptest! {
    #[test]
    fn the_bulk_sum_is_the_naive_sum(bytes in prop::collection::vec(any::<u8>(), 0..900), skip in 0_usize..64) {
        let bytes = &bytes[skip.min(bytes.len())..];
        prop_assert_eq!(sum(bytes), naive(bytes));
    }

    #[test]
    fn crc32c_in_pieces_is_the_naive_crc(bytes in prop::collection::vec(any::<u8>(), 0..200), cut: prop::sample::Index) {
        let (one, other) = bytes.split_at(cut.index(bytes.len() + 1));
        prop_assert_eq!(Crc32c::new().update(one).update(other).finish(), naive_crc(&bytes));
    }

    #[test]
    fn a_checksum_mended_is_the_checksum_computed_anew(
        mut bytes in prop::collection::vec(any::<u8>(), 40..120), at: prop::sample::Index, new: [u8; 16],
    ) {
        // A packet is never all zeros: the one case where RFC 1624 gives the other zero.
        bytes[0] |= 1;
        let at = 2 + at.index(bytes.len() - 20) / 2 * 2;
        let before = checksum(&bytes);
        let old: [u8; 16] = *bytes[at..].first_chunk().unwrap();
        let mut put = |new: &[u8]| -> u16 {
            bytes[at..at + new.len()].copy_from_slice(new);
            checksum(&bytes)
        };
        let word = |bytes: &[u8; 16]| u16::from_be_bytes(*bytes.first_chunk().unwrap());
        let dword = |bytes: &[u8; 16]| u32::from_be_bytes(*bytes.first_chunk().unwrap());
        prop_assert_eq!(update_u16(before, word(&old), word(&new)), put(&new[..2]));
        prop_assert_eq!(update_u32(before, dword(&old), dword(&new)), put(&new[..4]));
        prop_assert_eq!(update_bytes(before, &old, &new), put(&new));
    }

    #[test]
    fn pseudo_headers_are_the_sum_of_their_bytes(src: [u8; 16], dst: [u8; 16], proto: u8, len: u32) {
        let (src4, dst4) = (*src.first_chunk::<4>().unwrap(), *dst.first_chunk::<4>().unwrap());
        let wire = |parts: [&[u8]; 4]| -> u16 { naive(&parts.concat::<u8>()) };
        let proto_bytes = [0, 0, 0, proto];
        let v4 = wire([&src4, &dst4, &proto_bytes, &len.to_be_bytes()]);
        prop_assert_eq!(pseudo_v4(src4.into(), dst4.into(), proto, len), v4);
        let v6: Vec<u8> = [&src[..], &dst[..], &len.to_be_bytes()[..], &proto_bytes[..]].concat();
        prop_assert_eq!(pseudo_v6(src.into(), dst.into(), proto, len), naive(&v6));
    }
}
