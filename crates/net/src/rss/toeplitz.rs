//! The Toeplitz hash, one table look-up and one XOR a byte.

use core::fmt;

use crate::Error;

/// The key of an RSS hash as a NIC takes it: 40 or 52 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RssKey {
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl RssKey {
    /// The length of the keys of most NICs.
    pub const LEN: usize = 40;
    /// The length of the longest keys.
    pub const MAX_LEN: usize = 52;

    /// The key of Microsoft's RSS specification, which most drivers begin with.
    pub const MICROSOFT: Self = Self::from_40(&[
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
        0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
        0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ]);

    /// A key that repeats every 16 bits, so that both directions of a flow hash alike
    /// (Woo and Park, "Scalable TCP session monitoring with symmetric RSS").
    pub const SYMMETRIC: Self = Self::from_40(&{
        let mut bytes = [0x6d; Self::LEN];
        let mut at = 1;
        while at < Self::LEN {
            bytes[at] = 0x5a;
            at += 2;
        }
        bytes
    });

    /// A key of 40 bytes.
    pub const fn from_40(key: &[u8; 40]) -> Self {
        Self::padded(key)
    }

    /// A key of 52 bytes.
    pub const fn from_52(key: &[u8; 52]) -> Self {
        Self::padded(key)
    }

    /// A key of a length known at run time.
    ///
    /// # Errors
    /// [`Error::BadKeyLength`] unless there are 40 or 52 bytes.
    pub fn new(key: &[u8]) -> Result<Self, Error> {
        match key.len() {
            40 | 52 => Ok(Self::padded(key)),
            other => Err(Error::BadKeyLength(other)),
        }
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// `key` is of 40 or 52 bytes, as the callers see to.
    const fn padded(key: &[u8]) -> Self {
        let mut bytes = [0; Self::MAX_LEN];
        let mut at = 0;
        while at < key.len() {
            bytes[at] = key[at];
            at += 1;
        }
        Self { bytes, len: key.len() as u8 }
    }
}

impl fmt::Debug for RssKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A key made ready for hashing: 36 KiB of tables, one of 256 words for each byte of input.
///
/// Make it once and keep it: in a `static` ([`ToeplitzKey::new`] is `const`) or on the heap.
#[derive(Clone)]
pub struct ToeplitzKey {
    tables: [[u32; 256]; Self::MAX_INPUT],
}

impl ToeplitzKey {
    /// Bytes that are hashed at most: two IPv6 addresses and two ports.
    pub const MAX_INPUT: usize = 36;

    /// The tables of `key`.
    pub const fn new(key: &RssKey) -> Self {
        let mut tables = [[0; 256]; Self::MAX_INPUT];
        let mut at = 0;
        while at < Self::MAX_INPUT {
            tables[at] = table(&key.bytes, at);
            at += 1;
        }
        Self { tables }
    }

    /// The hash of `input`. Bytes past [`ToeplitzKey::MAX_INPUT`] do not count.
    #[inline]
    pub fn hash(&self, input: &[u8]) -> u32 {
        let pairs = self.tables.iter().zip(input);
        pairs.fold(0, |hash, (table, &byte)| hash ^ table[usize::from(byte)])
    }

    /// The hash of a few groups of bytes in a row.
    #[inline]
    pub(super) fn hash_words<const N: usize, const WORDS: usize>(
        &self,
        words: [[u8; N]; WORDS],
    ) -> u32 {
        self.hash(words.as_flattened())
    }
}

impl fmt::Debug for ToeplitzKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToeplitzKey").finish_non_exhaustive()
    }
}

/// What each value of the input byte at `at` adds to the hash: the XOR of the 32-bit windows of
/// the key that begin where the value has bits set.
const fn table(key: &[u8; RssKey::MAX_LEN], at: usize) -> [u32; 256] {
    let mut table = [0; 256];
    let mut value = 1_usize;
    while value < 256 {
        let lowest = value.trailing_zeros() as usize;
        table[value] = table[value & (value - 1)] ^ window(key, at * 8 + 7 - lowest);
        value += 1;
    }
    table
}

/// The 32 bits of the key that begin at bit `bit`, the first bit being the highest of byte 0.
const fn window(key: &[u8; RssKey::MAX_LEN], bit: usize) -> u32 {
    let (at, shift) = (bit / 8, bit % 8);
    let high = u32::from_be_bytes([key[at], key[at + 1], key[at + 2], key[at + 3]]);
    high << shift | (key[at + 4] as u32) >> (8 - shift)
}
