//! GENEVE (RFC 8926).

use super::{U16, U32, header};

header! {
    /// A GENEVE header, without its options.
    pub struct Geneve[8] {
        /// Version (2 bits) and length of the options in 32-bit words (6 bits).
        pub version_len: u8,
        /// Control (0x80) and critical-options (0x40) flags.
        pub flags: u8,
        /// EtherType of the payload; 0x6558 is an Ethernet frame.
        pub protocol: U16,
        /// Network identifier (24 bits), reserved (8 bits).
        pub vni_reserved: U32,
    }
}

impl Geneve {
    /// The network identifier, 24 bits.
    pub fn vni(&self) -> u32 {
        self.vni_reserved.get() >> 8
    }

    /// The version field, 0.
    pub fn version(&self) -> u8 {
        self.version_len >> 6
    }

    /// Length of the options in bytes, 0 to 252.
    pub fn options_len(&self) -> usize {
        usize::from(self.version_len & 0x3f) * 4
    }

    /// Header, options and payload; `None` unless the version is 0 and all is there.
    pub fn split(bytes: &[u8]) -> Option<(&Self, &[u8], &[u8])> {
        let (geneve, rest) = Self::ref_from_prefix(bytes).filter(|(g, _)| g.version() == 0)?;
        let (options, payload) = rest.split_at_checked(geneve.options_len())?;
        Some((geneve, options, payload))
    }

    /// Walks what `split` gave as options.
    pub fn options(options: &[u8]) -> GeneveOptions<'_> {
        GeneveOptions { rest: options }
    }
}

/// One GENEVE option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneveOption<'a> {
    /// Who defined the option.
    pub class: u16,
    /// Type within the class; bit 7 marks a critical option.
    pub kind: u8,
    /// Its value, a multiple of 4 bytes.
    pub value: &'a [u8],
}

/// Walks GENEVE options; ends at the first that does not fit.
#[derive(Debug, Clone)]
pub struct GeneveOptions<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for GeneveOptions<'a> {
    type Item = GeneveOption<'a>;

    fn next(&mut self) -> Option<GeneveOption<'a>> {
        let (&[class_high, class_low, kind, len], after) =
            core::mem::take(&mut self.rest).split_first_chunk()?;
        let (value, rest) = after.split_at_checked(usize::from(len & 0x1f) * 4)?;
        self.rest = rest;
        Some(GeneveOption { class: u16::from_be_bytes([class_high, class_low]), kind, value })
    }
}
