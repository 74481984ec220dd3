//! What a guest, or whoever speaks for it, may write into a ring and we do not take.

/// Why a queue is out of use. It stays so until its ring is set up anew, or, if the ring itself was not in
/// the memory that was shared, until there is other memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The available index is not within a ring's length of ours.
    #[error("the available index is further ahead than the ring is long")]
    AvailableIndex,
    /// An available entry, or a descriptor's successor, names no descriptor.
    #[error("a descriptor index beyond the table")]
    DescriptorIndex,
    /// More descriptors in a chain than the ring has, which makes a loop, or than 1024.
    #[error("a chain of more descriptors than there are, or than 1024")]
    Loop,
    /// Buffers of a chain that lie in more than 1024 pieces, for their addresses are translated so.
    #[error("a chain in more than 1024 pieces")]
    Pieces,
    /// An address that is not in the memory that was shared.
    #[error("an address outside of the memory that was shared")]
    Address,
    /// A buffer for the device to read on a queue that it writes to, or the other way round.
    #[error("a buffer to be written where one to be read belongs, or the other way round")]
    Direction,
    /// A table of descriptors that is empty, not whole, within another, too long, or not agreed on.
    #[error("an indirect table that is empty, not whole, nested, too long or not negotiated")]
    Indirect,
}

impl Fault {
    /// The fault in words, for an event.
    pub const fn text(self) -> &'static str {
        match self {
            Fault::AvailableIndex => "the available index is further ahead than the ring is long",
            Fault::DescriptorIndex => "a descriptor index beyond the table",
            Fault::Loop => "a chain of more descriptors than there are, or than 1024",
            Fault::Pieces => "a chain in more than 1024 pieces",
            Fault::Address => "an address outside of the memory that was shared",
            Fault::Direction => "a buffer of the wrong direction",
            Fault::Indirect => "an indirect table that is not sound",
        }
    }
}

/// Why a descriptor cannot be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Never.
    Fault(Fault),
    /// Its address has no translation yet: ask for one, with these rights.
    Miss(u64, u8),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Trouble::Fault(fault)
    }
}
