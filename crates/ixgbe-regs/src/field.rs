//! Fields: bits `msb:lsb` of a word.

/// Bits `msb:lsb` of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// As in the datasheet.
    pub name: &'static str,
    /// Highest bit, included.
    pub msb: u8,
    /// Lowest bit.
    pub lsb: u8,
}

impl Field {
    /// How many bits.
    pub const fn width(self) -> u32 {
        (self.msb - self.lsb + 1) as u32
    }

    /// Its bits in the word.
    pub const fn mask(self) -> u32 {
        (u32::MAX >> (32 - self.width())) << self.lsb
    }

    /// Its value in `word`.
    pub const fn of(self, word: u32) -> u32 {
        (word & self.mask()) >> self.lsb
    }

    /// `word` with this field set to `value`, cut to the field's width.
    pub const fn put(self, word: u32, value: u32) -> u32 {
        (word & !self.mask()) | ((value << self.lsb) & self.mask())
    }

    /// Whether any of its bits is set in `word`.
    pub const fn is_set(self, word: u32) -> bool {
        word & self.mask() != 0
    }
}

/// Bits `msb:lsb` of a quadword of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WideField {
    /// As in the datasheet.
    pub name: &'static str,
    /// Which quadword of the descriptor: 0 or 1.
    pub word: u8,
    /// Highest bit, included.
    pub msb: u8,
    /// Lowest bit.
    pub lsb: u8,
}

impl WideField {
    /// How many bits.
    pub const fn width(self) -> u32 {
        (self.msb - self.lsb + 1) as u32
    }

    /// Its bits in its quadword.
    pub const fn mask(self) -> u64 {
        (u64::MAX >> (64 - self.width())) << self.lsb
    }

    /// Its value in its quadword.
    pub const fn of(self, word: u64) -> u64 {
        (word & self.mask()) >> self.lsb
    }

    /// Its value in a whole descriptor.
    pub const fn in_descriptor(self, words: [u64; 2]) -> u64 {
        self.of(words[self.word as usize])
    }

    /// `word` with this field set to `value`, cut to the field's width.
    pub const fn put(self, word: u64, value: u64) -> u64 {
        (word & !self.mask()) | ((value << self.lsb) & self.mask())
    }

    /// Whether any of its bits is set in its quadword.
    pub const fn is_set(self, word: u64) -> bool {
        word & self.mask() != 0
    }
}
