//! Descriptors: 16 bytes, two little-endian quadwords (§7.1.6, §7.2.3).

use crate::WideField;

/// Bytes of a descriptor of any kind.
pub const BYTES: usize = 16;

/// Declares fields of a descriptor: `FIELD word msb:lsb`.
macro_rules! fields {
    ($( $(#[$doc:meta])* $field:ident $word:literal $msb:literal $(: $lsb:literal)? ),* $(,)?) => {
        $(
            $(#[$doc])*
            #[doc = concat!("Quadword ", stringify!($word), ", bit ", stringify!($msb $(:$lsb)?), ".")]
            pub const $field: crate::WideField = fields!(@field $field $word $msb $(, $lsb)?);
        )*
        /// All fields, in order.
        pub const ALL: &[crate::WideField] = &[ $($field),* ];
    };
    (@field $field:ident $word:literal $msb:literal) => { fields!(@field $field $word $msb, $msb) };
    (@field $field:ident $word:literal $msb:literal, $lsb:literal) => {
        crate::WideField { name: stringify!($field), word: $word, msb: $msb, lsb: $lsb }
    };
}

/// Advanced receive descriptor as the driver posts it (§7.1.6.1).
pub mod receive_read {
    fields! {
        /// Address of the buffer for packets.
        PACKET_ADDRESS 0 63:0,
        /// Address of the buffer for headers; bit 0 must be 0, as DD lies there afterwards.
        HEADER_ADDRESS 1 63:0,
    }
}

/// Advanced receive descriptor as the device writes it back (§7.1.6.2).
pub mod receive {
    fields! {
        /// What the hash is of: 0: none; 1: TCP/IPv4; 2: IPv4; 3: TCP/IPv6; 5: IPv6;
        /// 7: UDP/IPv4; 8: UDP/IPv6; 0xF: a flow director's filter matched.
        RSS_TYPE 0 3:0,
        /// See [`packet_type`](super::packet_type).
        PACKET_TYPE 0 16:4,
        /// Descriptors that RSC has put together before this one.
        RSC_COUNT 0 20:17,
        /// Bytes of the header.
        HDR_LEN 0 30:21,
        /// The header has been split off.
        SPH 0 31,
        /// RSS hash, or of a flow director's filter its hash and index, or IP identification and
        /// fragment checksum.
        HASH 0 63:32,
        FRAGMENT_CHECKSUM 0 63:48,
        IP_ID 0 47:32,
        FDIR_INDEX 0 63:48,
        FDIR_HASH 0 46:32,
        /// Descriptor done.
        DD 1 0,
        /// End of packet.
        EOP 1 1,
        FLM 1 2,
        /// A VLAN tag was there (and is in `VLAN`, if it was stripped).
        VP 1 3,
        UDPCS 1 4,
        /// The TCP, UDP or SCTP checksum was checked.
        L4CS 1 5,
        /// The IPv4 checksum was checked.
        IPCS 1 6,
        /// Passed by an inexact filter.
        PIF 1 7,
        VEXT 1 9,
        UDPV 1 10,
        LLINT 1 11,
        SECP 1 17,
        LB 1 18,
        /// X550: the time stamp stands behind the data.
        TSIP 1 15,
        TS 1 16,
        /// With RSC: which descriptor is the next of this packet (as long as EOP is not set).
        NEXTP 1 19:4,
        FDIR_ERROR 1 22:20,
        HBO 1 23,
        RXE 1 29,
        /// The TCP, UDP or SCTP checksum is wrong.
        L4E 1 30,
        /// The IPv4 checksum is wrong.
        IPE 1 31,
        /// Bytes in this buffer.
        PKT_LEN 1 47:32,
        VLAN 1 63:48,
    }
}

/// Bits of `receive::PACKET_TYPE` (§7.1.6.2, table 7-17).
pub mod packet_type {
    /// IPv4 without options.
    pub const IPV4: u64 = 1 << 0;
    /// IPv4 with options.
    pub const IPV4_EXTENSIONS: u64 = 1 << 1;
    /// IPv6.
    pub const IPV6: u64 = 1 << 2;
    /// IPv6 with extension headers.
    pub const IPV6_EXTENSIONS: u64 = 1 << 3;
    /// TCP.
    pub const TCP: u64 = 1 << 4;
    /// UDP.
    pub const UDP: u64 = 1 << 5;
    /// SCTP.
    pub const SCTP: u64 = 1 << 6;
    /// NFS.
    pub const NFS: u64 = 1 << 7;
    /// An EtherType filter matched; bits 2:0 say which.
    pub const ETHERTYPE: u64 = 1 << 11;
    /// With a VLAN tag.
    pub const VLAN: u64 = 1 << 12;
}

/// Legacy receive descriptor as the device writes it back (§7.1.5).
pub mod receive_legacy {
    fields! {
        LENGTH 1 15:0,
        FRAGMENT_CHECKSUM 1 31:16,
        DD 1 32,
        EOP 1 33,
        VP 1 35,
        UDPCS 1 36,
        L4CS 1 37,
        IPCS 1 38,
        PIF 1 39,
        RXE 1 40,
        L4E 1 46,
        IPE 1 47,
        VLAN 1 63:48,
    }
}

/// Advanced transmit data descriptor (§7.2.3.2.4).
pub mod transmit {
    fields! {
        /// Address of the buffer.
        ADDRESS 0 63:0,
        /// Bytes of the buffer.
        DTALEN 1 15:0,
        /// The packet is to be time-stamped.
        MAC_TSTAMP 1 19,
        /// 3.
        DTYP 1 23:20,
        /// End of packet.
        EOP 1 24,
        /// Insert the frame check sequence.
        IFCS 1 25,
        /// Report status.
        RS 1 27,
        /// Advanced descriptor.
        DEXT 1 29,
        /// Insert the VLAN tag of the context.
        VLE 1 30,
        /// TCP segmentation.
        TSE 1 31,
        /// Descriptor done: set by the device, in a write-back.
        DD 1 32,
        /// Use the context.
        CC 1 39,
        /// Which context.
        IDX 1 38:36,
        /// Insert the IPv4 checksum.
        IXSM 1 40,
        /// Insert the TCP, UDP or SCTP checksum.
        TXSM 1 41,
        IPSEC 1 42,
        /// Bytes after the headers, of the whole packet: with TSE of the TCP payload.
        PAYLEN 1 63:46,
    }
    /// `DTYP` of a data descriptor.
    pub const DTYP_DATA: u64 = 3;
}

/// Advanced transmit context descriptor (§7.2.3.2.3).
pub mod context {
    fields! {
        /// Bytes of the network header.
        IPLEN 0 8:0,
        /// Bytes of the link header, tags not counted that are inserted.
        MACLEN 0 15:9,
        VLAN 0 31:16,
        IPSEC_SA_IDX 0 41:32,
        FCOEF 0 47:42,
        /// IPv4.
        IPV4 1 10,
        /// 0: UDP; 1: TCP; 2: SCTP; 3: none.
        L4T 1 12:11,
        /// 2.
        DTYP 1 23:20,
        DEXT 1 29,
        /// Which context.
        IDX 1 38:36,
        /// Bytes of the TCP header.
        L4LEN 1 47:40,
        /// Most bytes of payload in a segment.
        MSS 1 63:48,
    }
    /// `DTYP` of a context descriptor.
    pub const DTYP_CONTEXT: u64 = 2;
    /// `L4T` of UDP.
    pub const L4T_UDP: u64 = 0;
    /// `L4T` of TCP.
    pub const L4T_TCP: u64 = 1;
    /// `L4T` of SCTP.
    pub const L4T_SCTP: u64 = 2;
}

/// Legacy transmit descriptor (§7.2.3.2.2).
pub mod transmit_legacy {
    fields! {
        ADDRESS 0 63:0,
        LENGTH 1 15:0,
        /// Checksum offset.
        CSO 1 23:16,
        EOP 1 24,
        IFCS 1 25,
        /// Insert the checksum.
        IC 1 26,
        RS 1 27,
        DEXT 1 29,
        VLE 1 30,
        DD 1 32,
        /// Checksum start.
        CSS 1 47:40,
        VLAN 1 63:48,
    }
}

/// Every layout by name, for those who check or print them.
pub const LAYOUTS: &[(&str, &[WideField])] = &[
    ("receive_read", receive_read::ALL),
    ("receive", receive::ALL),
    ("receive_legacy", receive_legacy::ALL),
    ("transmit", transmit::ALL),
    ("context", context::ALL),
    ("transmit_legacy", transmit_legacy::ALL),
];
