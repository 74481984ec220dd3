//! Transmit DMA and packet buffers (§8.2.3.9).

registers! {
    list TRANSMIT_GROUP;
    section "8.2.3.9";

    /// Transmit DMA control.
    DMATXCTL, dmatxctl = ReadWrite 0x04A80 {
        /// Transmit enable.
        TE 0,
        GDV 3,
        /// EtherType of tags that are inserted.
        VT 31:16,
    }
    /// TCP flags of the first and middle segments of TSO, kept by AND.
    DTXTCPFLGL, dtxtcpflgl = ReadWrite 0x04A88 {
        FIRST 11:0,
        MIDDLE 27:16,
    }
    /// TCP flags of the last segment of TSO, kept by AND.
    DTXTCPFLGH, dtxtcpflgh = ReadWrite 0x04A8C {
        LAST 11:0,
    }
    /// Most outstanding requests for transmit.
    DTXMXSZRQ, dtxmxszrq = ReadWrite 0x08100 {
        MAX_BYTES_NUM_REQ 11:0,
    }
    /// Transmit ring: base address, low.
    TDBAL, tdbal = ReadWrite 0x06000 + 0x40 * 128 {}
    /// Transmit ring: base address, high.
    TDBAH, tdbah = ReadWrite 0x06004 + 0x40 * 128 {}
    /// Transmit ring: bytes, a multiple of 128.
    TDLEN, tdlen = ReadWrite 0x06008 + 0x40 * 128 {
        /// In units of 128 bytes.
        LEN 19:7,
    }
    /// Direct cache access of a transmit queue.
    DCA_TXCTRL, dca_txctrl = ReadWrite 0x0600C + 0x40 * 128 {
        DESC_DCA_EN 5,
        DESC_READ_RO_EN 9,
        DESC_WRITE_RO_EN 11,
        DATA_READ_RO_EN 13,
    }
    /// Transmit ring: head.
    TDH, tdh = ReadWrite 0x06010 + 0x40 * 128 {
        VALUE 15:0,
    }
    /// Transmit ring: tail, the doorbell.
    TDT, tdt = ReadWrite 0x06018 + 0x40 * 128 {
        VALUE 15:0,
    }
    /// Transmit queue control.
    TXDCTL, txdctl = SelfClearing 0x06028 + 0x40 * 128 {
        PTHRESH 6:0,
        HTHRESH 14:8,
        WTHRESH 22:16,
        ENABLE 25,
        SWFLUSH 26,
    }
    /// Where the head is written to: address, low, and the enable bit.
    TDWBAL, tdwbal = ReadWrite 0x06038 + 0x40 * 128 {
        HEAD_WB_EN 0,
        ADDR 31:2,
    }
    /// Where the head is written to: address, high.
    TDWBAH, tdwbah = ReadWrite 0x0603C + 0x40 * 128 {}
    /// Transmit packet buffers: bytes, in KiB from bit 10.
    TXPBSIZE, txpbsize = ReadWrite 0x0CC00 + 4 * 8 {
        SIZE 19:10,
    }
    /// Thresholds of transmit packet buffers, in KiB.
    TXPBTHRESH, txpbthresh = ReadWrite 0x04950 + 4 * 8 {
        THRESH 9:0,
    }
    /// Traffic class of packets of the management controller.
    MNGTXMAP, mngtxmap = ReadWrite 0x0CD10 {}
    /// Multiple transmit queues command.
    MTQC, mtqc = ReadWrite 0x08120 {
        RT_ENA 0,
        VT_ENA 1,
        NUM_TC_OR_Q 3:2,
    }
}
