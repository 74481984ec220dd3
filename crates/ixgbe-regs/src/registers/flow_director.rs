//! Flow director (§8.2.3.17, §7.1.2.7).

registers! {
    list FLOW_DIRECTOR_GROUP;
    section "8.2.3.17";

    /// Control.
    FDIRCTRL, fdirctrl = ReadWrite 0x0EE00 {
        /// Memory of filters: 1: 64 KiB; 2: 128 KiB; 3: 256 KiB. 0: off.
        PBALLOC 1:0,
        INIT_DONE 3,
        /// Perfect instead of signature filters.
        PERFECT_MATCH 4,
        REPORT_STATUS 5,
        REPORT_STATUS_ALWAYS 7,
        DROP_QUEUE 14:8,
        /// Offset of the flexible word, in words.
        FLEX_OFFSET 20:16,
        FILTERMODE 23:21,
        MAX_LENGTH 27:24,
        FULL_THRESH 31:28,
    }
    /// Hash key of buckets.
    FDIRHKEY, fdirhkey = ReadWrite 0x0EE68 {}
    /// Hash key of signatures.
    FDIRSKEY, fdirskey = ReadWrite 0x0EE6C {}
    /// Mask of IPv4 destinations: ones are ignored.
    FDIRDIP4M, fdirdip4m = ReadWrite 0x0EE3C {}
    /// Mask of IPv4 sources.
    FDIRSIP4M, fdirsip4m = ReadWrite 0x0EE40 {}
    /// Mask of TCP ports, bits in reverse.
    FDIRTCPM, fdirtcpm = ReadWrite 0x0EE44 {}
    /// Mask of UDP ports.
    FDIRUDPM, fdirudpm = ReadWrite 0x0EE48 {}
    /// Mask of SCTP ports.
    FDIRSCTPM, fdirsctpm = ReadWrite 0x0EE78 {}
    /// Mask of IPv6 addresses, by byte.
    FDIRIP6M, fdirip6m = ReadWrite 0x0EE74 {
        SIPM 15:0,
        DIPM 31:16,
    }
    /// Mask of the rest: ones are ignored.
    FDIRM, fdirm = ReadWrite 0x0EE70 {
        VLANID 0,
        VLANP 1,
        POOL 2,
        L4P 3,
        FLEX 4,
        DIPV6 5,
    }
    /// Free filters.
    FDIRFREE, fdirfree = ReadOnly 0x0EE38 {
        FREE 15:0,
        COLL 30:16,
    }
    /// Longest bucket.
    FDIRLEN, fdirlen = ReadClear 0x0EE4C {
        MAXLEN 5:0,
        MAXHASH 30:16,
    }
    /// Filters added and removed.
    FDIRUSTAT, fdirustat = ReadClear 0x0EE50 {
        ADD 15:0,
        REMOVE 31:16,
    }
    /// Filters that could not be added or removed.
    FDIRFSTAT, fdirfstat = ReadClear 0x0EE54 {
        FADD 7:0,
        FREMOVE 15:8,
    }
    /// Packets that matched.
    FDIRMATCH, fdirmatch = ReadClear 0x0EE58 {}
    /// Packets that did not.
    FDIRMISS, fdirmiss = ReadClear 0x0EE5C {}
    /// A filter's IPv6 source, three low words.
    FDIRSIPV6, fdirsipv6 = ReadWrite 0x0EE0C + 4 * 3 {}
    /// A filter's source address.
    FDIRIPSA, fdiripsa = ReadWrite 0x0EE18 {}
    /// A filter's destination address.
    FDIRIPDA, fdiripda = ReadWrite 0x0EE1C {}
    /// A filter's ports.
    FDIRPORT, fdirport = ReadWrite 0x0EE20 {
        SOURCE 15:0,
        DESTINATION 31:16,
    }
    /// A filter's VLAN tag and flexible word.
    FDIRVLAN, fdirvlan = ReadWrite 0x0EE24 {
        VLAN 15:0,
        FLEX 31:16,
    }
    /// A filter's hash, and its signature or index.
    FDIRHASH, fdirhash = ReadWrite 0x0EE28 {
        HASH 14:0,
        BUCKET_VALID 15,
        SIGNATURE_OR_INDEX 30:16,
    }
    /// What to do with the filter.
    FDIRCMD, fdircmd = SelfClearing 0x0EE2C {
        /// 0: done; 1: add; 2: remove; 3: query.
        CMD 1:0,
        FILTER_VALID 2,
        /// 1: may replace a filter of the same tuple.
        FILTER_UPDATE 3,
        IPV6DMATCH 4,
        /// 1: UDP; 2: TCP; 3: SCTP.
        L4TYPE 6:5,
        IPV6 7,
        /// Empties the table, before FDIRCTRL is written again.
        CLEARHT 8,
        DROP 9,
        /// An interrupt when it matches.
        INT 10,
        LAST 11,
        COLLISION 12,
        QUEUE_EN 15,
        RX_QUEUE 22:16,
        POOL 29:24,
    }
}
