//! UDP (RFC 768).

use super::{U16, header};

header! {
    /// A UDP header.
    pub struct Udp[8] {
        /// Source port.
        pub src_port: U16,
        /// Destination port.
        pub dst_port: U16,
        /// Length of header and payload.
        pub len: U16,
        /// Checksum over pseudo-header, header and payload; 0 means none was made (IPv4 only).
        pub checksum: U16,
    }
}
