//! MPLS label stacks (RFC 3032).

use super::{U32, header};

/// Labels walked at most; a deeper stack counts as malformed.
pub const MAX_LABELS: usize = 8;

header! {
    /// One entry of a label stack.
    pub struct MplsLabel[4] {
        /// Label (20 bits), traffic class (3), bottom of stack (1), time to live (8).
        pub word: U32,
    }
}

impl MplsLabel {
    /// The label, 20 bits.
    pub fn label(&self) -> u32 {
        self.word.get() >> 12
    }

    /// The traffic class, 0 to 7.
    pub fn traffic_class(&self) -> u8 {
        (self.word.get() >> 9 & 7) as u8
    }

    /// Whether no more labels follow.
    pub fn is_bottom(&self) -> bool {
        self.word.get() & 0x100 != 0
    }

    /// Time to live.
    pub fn ttl(&self) -> u8 {
        self.word.get() as u8
    }
}

/// Walks a label stack down to its bottom, at most [`MAX_LABELS`] entries.
#[derive(Debug, Clone)]
pub struct MplsStack<'a> {
    rest: &'a [u8],
    left: usize,
    bottom: bool,
}

impl<'a> MplsStack<'a> {
    /// A walk from the top label.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, left: MAX_LABELS, bottom: false }
    }

    /// Whether the walk has come past the bottom label.
    pub fn is_complete(&self) -> bool {
        self.bottom
    }

    /// The bytes not walked over yet; the payload once the walk is complete.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for MplsStack<'a> {
    type Item = &'a MplsLabel;

    fn next(&mut self) -> Option<&'a MplsLabel> {
        if self.bottom || self.left == 0 {
            return None;
        }
        let (label, rest) = MplsLabel::ref_from_prefix(self.rest)?;
        (self.rest, self.left, self.bottom) = (rest, self.left - 1, label.is_bottom());
        Some(label)
    }
}
