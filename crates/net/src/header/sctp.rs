//! SCTP (RFC 9260): the common header.

use super::{U16, U32, header};

header! {
    /// The SCTP common header; chunks follow.
    pub struct Sctp[12] {
        /// Source port.
        pub src_port: U16,
        /// Destination port.
        pub dst_port: U16,
        /// Verification tag.
        pub tag: U32,
        /// CRC32c of the packet with this field zero, its low byte first on the wire.
        pub checksum: [u8; 4],
    }
}
