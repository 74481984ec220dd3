//! What can go wrong, other than an unsound rule (which has `RuleError`, naming the item).

/// An error of this crate. Bad packets are not errors: the parser says how far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no Ethernet address.
    #[error(
        "not an Ethernet address: write six pairs of hexadecimal digits, as in 02:00:5e:10:00:01"
    )]
    BadMacAddr,
    /// An RSS key has a length that no device uses.
    #[error("an RSS key of {0} bytes: give one of 40 or 52 bytes")]
    BadKeyLength(usize),
    /// The buffer is too small for the frame.
    #[error("the frame needs {need} bytes and the buffer has {room}: give a larger buffer")]
    NoRoom {
        /// Bytes the frame takes.
        need: usize,
        /// Bytes the buffer has.
        room: usize,
    },
    /// The layers given to a frame builder do not follow from each other.
    #[error("a frame cannot have {upper} on top of {lower}: give the layers from Ethernet upwards")]
    BadLayers {
        /// The layer that was added.
        upper: &'static str,
        /// What is below it.
        lower: &'static str,
    },
    /// The frame is longer than the length field of one of its headers can say.
    #[error("{0} bytes are too many for one IP packet: the limit is 65535 with its headers")]
    TooLong(usize),
    /// The packet has no checksum of the kind asked for, or it cannot be computed from these bytes.
    #[error("no {0} checksum to fill: the packet is cut short, a fragment, or of another protocol")]
    NoChecksum(&'static str),
}
