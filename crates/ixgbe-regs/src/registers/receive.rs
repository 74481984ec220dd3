//! Receive DMA and packet buffers (§8.2.3.8), and flow control (§8.2.3.3).

registers! {
    list RECEIVE_GROUP;
    section "8.2.3.8, 8.2.3.3";

    /// Receive ring: base address, low.
    RDBAL, rdbal = ReadWrite 0x01000 + 0x40 * 64, 0x0D000 + 0x40 * 64 {}
    /// Receive ring: base address, high.
    RDBAH, rdbah = ReadWrite 0x01004 + 0x40 * 64, 0x0D004 + 0x40 * 64 {}
    /// Receive ring: bytes, a multiple of 128.
    RDLEN, rdlen = ReadWrite 0x01008 + 0x40 * 64, 0x0D008 + 0x40 * 64 {
        /// In units of 128 bytes.
        LEN 19:7,
    }
    /// Direct cache access of a receive queue.
    DCA_RXCTRL, dca_rxctrl = ReadWrite 0x0100C + 0x40 * 64, 0x0D00C + 0x40 * 64 also 0x02200 + 4 * 16 {
        DESC_DCA_EN 5,
        HEAD_DCA_EN 6,
        DATA_DCA_EN 7,
        DESC_READ_RO_EN 9,
        DESC_WRITE_RO_EN 11,
        DATA_WRITE_RO_EN 13,
        HEAD_WRITE_RO_EN 15,
    }
    /// Receive ring: head.
    RDH, rdh = ReadWrite 0x01010 + 0x40 * 64, 0x0D010 + 0x40 * 64 {
        VALUE 15:0,
    }
    /// Split and replication.
    SRRCTL, srrctl = ReadWrite 0x01014 + 0x40 * 64, 0x0D014 + 0x40 * 64 also 0x02100 + 4 * 16 {
        /// Buffer for packets, in KiB.
        BSIZEPACKET 4:0,
        /// Buffer for headers, in units of 64 bytes.
        BSIZEHEADER 13:8,
        /// Low threshold of descriptors, in units of 64.
        RDMTS 24:22,
        /// 0: legacy; 1: advanced, one buffer; 2: header split; 5: header split always.
        DESCTYPE 27:25,
        /// Drops a packet if there is no descriptor, instead of holding up all queues.
        DROP_EN 28,
    }
    /// Receive ring: tail, the doorbell.
    RDT, rdt = ReadWrite 0x01018 + 0x40 * 64, 0x0D018 + 0x40 * 64 {
        VALUE 15:0,
    }
    /// Receive queue control.
    RXDCTL, rxdctl = SelfClearing 0x01028 + 0x40 * 64, 0x0D028 + 0x40 * 64 {
        RLPML 13:0,
        RLPML_EN 15,
        SWFLUSH 26,
        ENABLE 25,
        /// VLAN tag strip.
        VME 30,
    }
    /// Receive side coalescing of a queue.
    RSCCTL, rscctl = ReadWrite 0x0102C + 0x40 * 64, 0x0D02C + 0x40 * 64 {
        RSCEN 0,
        /// Descriptors of one coalesced packet: 1, 4, 8, 16.
        MAXDESC 3:2,
    }
    /// Receive DMA control.
    RDRXCTL, rdrxctl = ReadWrite 0x02F00 {
        CRCSTRIP 1,
        DMAIDONE 3,
        AGGDIS 16,
        RSCFRSTSIZE 21:17,
        RSCACKC 25,
        FCOE_WRFIX 26,
    }
    /// Receive packet buffers: bytes, in KiB from bit 10.
    RXPBSIZE, rxpbsize = ReadWrite 0x03C00 + 4 * 8 {
        SIZE 19:10,
    }
    /// RSC data buffers.
    RSCDBU, rscdbu = ReadWrite 0x03028 {
        RSCACKDIS 7,
    }
    /// Transmitted pause time of traffic classes `2n` and `2n + 1`.
    FCTTV, fcttv = ReadWrite 0x03200 + 4 * 4 {
        TTV_EVEN 15:0,
        TTV_ODD 31:16,
    }
    /// Low threshold: XON is sent.
    FCRTL, fcrtl = ReadWrite 0x03220 + 4 * 8 {
        /// In units of 32 bytes.
        RTL 18:5,
        XONE 31,
    }
    /// High threshold: XOFF is sent.
    FCRTH, fcrth = ReadWrite 0x03260 + 4 * 8 {
        RTH 18:5,
        FCEN 31,
    }
    /// When pause is sent again.
    FCRTV, fcrtv = ReadWrite 0x032A0 {
        REFRESH 15:0,
    }
    /// Flow control configuration.
    FCCFG, fccfg = ReadWrite 0x03D00 {
        /// 0: none; 1: link flow control; 2: by priority.
        TFCE 4:3,
    }
    /// Traffic classes that are paused by the link partner.
    TFCS, tfcs = ReadOnly 0x0CE00 {
        TC_XON 7:0,
    }
}
