//! What a register is, and the way from an offset to it.

use crate::Field;
use crate::registers::GROUPS;
use crate::registers::virtual_function::VIRTUAL_FUNCTION_GROUP;

/// What reads and writes do, in the datasheet's words (§8.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// RW: reads give what was written.
    ReadWrite,
    /// RO: writes change nothing.
    ReadOnly,
    /// WO: reads tell nothing.
    WriteOnly,
    /// RC: a read clears it.
    ReadClear,
    /// RW1C, and a read clears it as well: ones written clear bits.
    WriteOneClear,
    /// RW, with bits that clear or set themselves.
    SelfClearing,
}

/// Where elements of an array of registers lie: `first + stride * (0..count)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first element in BAR 0.
    pub first: u32,
    /// Bytes from one element to the next.
    pub stride: u32,
    /// How many elements.
    pub count: u32,
}

impl Span {
    /// Offset of element `index`.
    pub const fn at(self, index: u32) -> Option<u32> {
        if index < self.count { Some(self.first + self.stride * index) } else { None }
    }

    /// Which element lies at `offset`.
    pub const fn index_of(self, offset: u32) -> Option<u32> {
        if offset < self.first || !(offset - self.first).is_multiple_of(self.stride) {
            return None;
        }
        let index = (offset - self.first) / self.stride;
        if index < self.count { Some(index) } else { None }
    }
}

/// A register of 32 bits, or an array of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// As in the datasheet.
    pub name: &'static str,
    /// Where its elements lie, one span after the other.
    pub spans: &'static [Span],
    /// Other addresses of its first elements, kept for drivers of the 82598.
    pub alias: Option<Span>,
    /// What reads and writes do.
    pub access: Access,
    /// Named bits. Empty: the whole word is one value.
    pub fields: &'static [Field],
    /// Section of the datasheet.
    pub section: &'static str,
}

impl Register {
    /// Offset of the first element; of a register that is no array, its offset.
    pub const fn offset(&self) -> u32 {
        self.spans[0].first
    }

    /// How many elements.
    pub const fn count(&self) -> u32 {
        let mut sum = 0;
        let mut span = 0;
        while span < self.spans.len() {
            sum += self.spans[span].count;
            span += 1;
        }
        sum
    }

    /// Offset of element `index`, or `None` beyond the array.
    pub const fn at(&self, index: u32) -> Option<u32> {
        let mut rest = index;
        let mut span = 0;
        while span < self.spans.len() {
            if rest < self.spans[span].count {
                return self.spans[span].at(rest);
            }
            rest -= self.spans[span].count;
            span += 1;
        }
        None
    }

    /// Which element lies at `offset`, aliases included.
    pub const fn index_of(&self, offset: u32) -> Option<u32> {
        let mut before = 0;
        let mut span = 0;
        while span < self.spans.len() {
            if let Some(index) = self.spans[span].index_of(offset) {
                return Some(before + index);
            }
            before += self.spans[span].count;
            span += 1;
        }
        match self.alias {
            Some(alias) => alias.index_of(offset),
            None => None,
        }
    }

    /// Offsets of all elements, without aliases.
    pub fn offsets(&self) -> impl Iterator<Item = u32> + use<> {
        let spans = self.spans;
        spans.iter().flat_map(|span| (0..span.count).map(|index| span.first + span.stride * index))
    }
}

/// What lies at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The register.
    pub register: &'static Register,
    /// Which of its elements.
    pub index: u32,
}

/// All registers of the physical function, in the order of the datasheet.
pub fn all() -> impl Iterator<Item = &'static Register> {
    GROUPS.iter().flat_map(|group| group.iter().copied())
}

/// The register at `offset`, by its own address or an alias. It searches the whole table: whoever
/// asks often builds an index first.
pub fn find(offset: u32) -> Option<Place> {
    all().find_map(|register| register.index_of(offset).map(|index| Place { register, index }))
}

/// All registers of a virtual function, which has a BAR 0 of its own.
pub fn all_of_virtual_function() -> impl Iterator<Item = &'static Register> {
    VIRTUAL_FUNCTION_GROUP.iter().copied()
}
