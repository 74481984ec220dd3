//! CRC32c (Castagnoli), which SCTP uses (RFC 9260 appendix A), eight bytes a step from tables.

/// The polynomial 0x1edc6f41, bit-reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// `TABLES[n][byte]` is what a byte adds to the CRC when `n` more bytes follow it in its step.
static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        tables[0][byte] = one_byte(byte as u32);
        let mut n = 1;
        while n < 8 {
            let shorter = tables[n - 1][byte];
            tables[n][byte] = shorter >> 8 ^ one_byte(shorter & 0xff);
            n += 1;
        }
        byte += 1;
    }
    tables
}

const fn one_byte(byte: u32) -> u32 {
    let mut crc = byte;
    let mut bit = 0;
    while bit < 8 {
        crc = crc >> 1 ^ (POLYNOMIAL * (crc & 1));
        bit += 1;
    }
    crc
}

/// A CRC32c in the making, for data in pieces.
#[derive(Clone, Copy, Debug)]
pub struct Crc32c(u32);

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

impl Crc32c {
    /// Of no bytes yet.
    pub const fn new() -> Self {
        Self(!0)
    }

    /// With `bytes` added.
    #[must_use]
    pub fn update(self, bytes: &[u8]) -> Self {
        let (steps, tail) = bytes.as_chunks::<8>();
        let crc = steps.iter().fold(self.0, eight_bytes);
        Self(tail.iter().fold(crc, |crc, byte| crc >> 8 ^ TABLES[0][usize::from(crc as u8 ^ byte)]))
    }

    /// The CRC of all bytes added.
    pub const fn finish(self) -> u32 {
        !self.0
    }
}

/// The CRC32c of `bytes`. SCTP puts its low byte first on the wire.
pub fn crc32c(bytes: &[u8]) -> u32 {
    Crc32c::new().update(bytes).finish()
}

#[inline]
fn eight_bytes(crc: u32, step: &[u8; 8]) -> u32 {
    let mixed = u64::from_le_bytes(*step) ^ u64::from(crc);
    let bytes = mixed.to_le_bytes();
    bytes
        .iter()
        .zip(TABLES.iter().rev())
        .fold(0, |sum, (&byte, table)| sum ^ table[usize::from(byte)])
}
