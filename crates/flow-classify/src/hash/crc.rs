//! CRC32c by the processor's instruction, or by tables.

use crate::simd::{NotHere, Path, Simd};

const CODE: &[Simd] = &[
    Simd::Plain,
    #[cfg(target_arch = "x86_64")]
    Simd::Sse42,
];

/// The CRC32c (Castagnoli) of `bytes`, by the best path.
#[inline]
pub fn crc32c(bytes: &[u8]) -> u32 {
    Crc32c::default().hash(bytes)
}

/// CRC32c by a path of one's choice.
#[derive(Clone, Copy, Debug)]
pub struct Crc32c(Path);

impl Default for Crc32c {
    #[inline]
    fn default() -> Self {
        Self(Path::best_of(CODE))
    }
}

impl Crc32c {
    /// By the instructions that are asked for.
    ///
    /// # Errors
    /// [`NotHere`] if the processor lacks them.
    pub fn with(simd: Simd) -> Result<Self, NotHere> {
        Path::asked(simd, CODE).map(Self)
    }

    /// The instructions that are used, and why.
    pub fn path(self) -> Path {
        self.0
    }

    /// The CRC32c of `bytes`.
    #[inline]
    pub fn hash(self, bytes: &[u8]) -> u32 {
        match self.0.simd() {
            #[cfg(target_arch = "x86_64")]
            Simd::Sse42 | Simd::Avx2 | Simd::Avx512 => {
                // SAFETY: `Path` only has what the processor has.
                !unsafe { sse42(!0, bytes) }
            }
            _ => linecard_net::checksum::crc32c(bytes),
        }
    }
}

/// Goes on from `crc`, which is neither complemented before nor after.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
fn sse42(crc: u32, bytes: &[u8]) -> u32 {
    use core::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u64};
    let (steps, rest) = bytes.as_chunks::<8>();
    let whole = steps
        .iter()
        .fold(u64::from(crc), |crc, step| _mm_crc32_u64(crc, u64::from_le_bytes(*step)));
    rest.iter().fold(whole as u32, |crc, byte| _mm_crc32_u8(crc, *byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bit by bit, from the definition.
    fn naive(bytes: &[u8]) -> u32 {
        let step = |crc: u32, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
    }

    #[test]
    fn the_check_value_is_that_of_the_catalogue() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    proptest! {
        #[test]
        fn every_path_agrees_with_the_definition(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            for simd in Simd::supported() {
                prop_assert_eq!(Crc32c::with(simd).unwrap().hash(&bytes), naive(&bytes), "{}", simd);
            }
        }
    }
}
