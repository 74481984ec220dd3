//! Statistics (§8.2.3.23). All are cleared by reading, and stop at all ones.

registers! {
    list STATISTICS_GROUP;
    section "8.2.3.23";

    /// Frames with a wrong CRC.
    CRCERRS, crcerrs = ReadClear 0x04000 {}
    /// Frames with an illegal symbol.
    ILLERRC, illerrc = ReadClear 0x04004 {}
    /// Frames with a bad byte.
    ERRBC, errbc = ReadClear 0x04008 {}
    /// Short frames discarded by the MAC.
    MSPDC, mspdc = ReadClear 0x04010 {}
    /// Frames missed for want of room in the packet buffer.
    MPC, mpc = ReadClear 0x03FA0 + 4 * 8 {}
    /// Faults of the local MAC.
    MLFC, mlfc = ReadClear 0x04034 {}
    /// Faults of the remote MAC.
    MRFC, mrfc = ReadClear 0x04038 {}
    /// Frames whose length is not what they say.
    RLEC, rlec = ReadClear 0x04040 {}
    /// XON sent.
    LXONTXC, lxontxc = ReadClear 0x03F60 {}
    /// XON received.
    LXONRXCNT, lxonrxcnt = ReadClear 0x041A4 {}
    /// XOFF sent.
    LXOFFTXC, lxofftxc = ReadClear 0x03F68 {}
    /// XOFF received.
    LXOFFRXCNT, lxoffrxcnt = ReadClear 0x041A8 {}
    /// XON sent, by priority.
    PXONTXC, pxontxc = ReadClear 0x03F00 + 4 * 8 {}
    /// XON received, by priority.
    PXONRXCNT, pxonrxcnt = ReadClear 0x04140 + 4 * 8 {}
    /// XOFF sent, by priority.
    PXOFFTXCNT, pxofftxcnt = ReadClear 0x03F20 + 4 * 8 {}
    /// XOFF received, by priority.
    PXOFFRXCNT, pxoffrxcnt = ReadClear 0x04160 + 4 * 8 {}
    /// From XON to XOFF, by priority.
    PXON2OFFCNT, pxon2offcnt = ReadClear 0x03240 + 4 * 8 {}
    /// Received frames of 64 bytes.
    PRC64, prc64 = ReadClear 0x0405C {}
    /// Received frames of 65 to 127 bytes.
    PRC127, prc127 = ReadClear 0x04060 {}
    /// Received frames of 128 to 255 bytes.
    PRC255, prc255 = ReadClear 0x04064 {}
    /// Received frames of 256 to 511 bytes.
    PRC511, prc511 = ReadClear 0x04068 {}
    /// Received frames of 512 to 1023 bytes.
    PRC1023, prc1023 = ReadClear 0x0406C {}
    /// Received frames of 1024 bytes and more.
    PRC1522, prc1522 = ReadClear 0x04070 {}
    /// Good frames received.
    GPRC, gprc = ReadClear 0x04074 {}
    /// Broadcast frames received.
    BPRC, bprc = ReadClear 0x04078 {}
    /// Multicast frames received.
    MPRC, mprc = ReadClear 0x0407C {}
    /// Good frames sent.
    GPTC, gptc = ReadClear 0x04080 {}
    /// Good bytes received, low.
    GORCL, gorcl = ReadClear 0x04088 {}
    /// Good bytes received, high 4 bits.
    GORCH, gorch = ReadClear 0x0408C {}
    /// Good bytes sent, low.
    GOTCL, gotcl = ReadClear 0x04090 {}
    /// Good bytes sent, high 4 bits.
    GOTCH, gotch = ReadClear 0x04094 {}
    /// Frames too short.
    RUC, ruc = ReadClear 0x040A4 {}
    /// Frames too short, with a bad CRC.
    RFC, rfc = ReadClear 0x040A8 {}
    /// Frames too long.
    ROC, roc = ReadClear 0x040AC {}
    /// Frames too long, with a bad CRC.
    RJC, rjc = ReadClear 0x040B0 {}
    /// Frames of management received.
    MNGPRC, mngprc = ReadClear 0x040B4 {}
    /// Frames of management dropped.
    MNGPDC, mngpdc = ReadClear 0x040B8 {}
    /// Frames of management sent.
    MNGPTC, mngptc = ReadClear 0x0CF90 {}
    /// All bytes received, low.
    TORL, torl = ReadClear 0x040C0 {}
    /// All bytes received, high 4 bits.
    TORH, torh = ReadClear 0x040C4 {}
    /// All frames received.
    TPR, tpr = ReadClear 0x040D0 {}
    /// All frames sent.
    TPT, tpt = ReadClear 0x040D4 {}
    /// Sent frames of 64 bytes.
    PTC64, ptc64 = ReadClear 0x040D8 {}
    /// Sent frames of 65 to 127 bytes.
    PTC127, ptc127 = ReadClear 0x040DC {}
    /// Sent frames of 128 to 255 bytes.
    PTC255, ptc255 = ReadClear 0x040E0 {}
    /// Sent frames of 256 to 511 bytes.
    PTC511, ptc511 = ReadClear 0x040E4 {}
    /// Sent frames of 512 to 1023 bytes.
    PTC1023, ptc1023 = ReadClear 0x040E8 {}
    /// Sent frames of 1024 bytes and more.
    PTC1522, ptc1522 = ReadClear 0x040EC {}
    /// Multicast frames sent.
    MPTC, mptc = ReadClear 0x040F0 {}
    /// Broadcast frames sent.
    BPTC, bptc = ReadClear 0x040F4 {}
    /// Wrong checksums of TCP, UDP and SCTP.
    XEC, xec = ReadClear 0x04120 {}
    /// Frames that passed the filters.
    RXNFGPC, rxnfgpc = ReadClear 0x041B0 {}
    /// Frames handed to the host.
    RXDGPC, rxdgpc = ReadClear 0x02F50 {}
    /// Bytes handed to the host, low.
    RXDGBCL, rxdgbcl = ReadClear 0x02F54 {}
    /// Bytes handed to the host, high.
    RXDGBCH, rxdgbch = ReadClear 0x02F58 {}
    /// Frames duplicated to several pools.
    RXDDPC, rxddpc = ReadClear 0x02F5C {}
    /// Frames taken from the host.
    TXDGPC, txdgpc = ReadClear 0x087A0 {}
    /// Bytes taken from the host, low.
    TXDGBCL, txdgbcl = ReadClear 0x087A4 {}
    /// Bytes taken from the host, high.
    TXDGBCH, txdgbch = ReadClear 0x087A8 {}
    /// Which counter counts receive queues `4n` to `4n + 3`.
    RQSMR, rqsmr = ReadWrite 0x02300 + 4 * 32 {
        MAP0 3:0,
        MAP1 11:8,
        MAP2 19:16,
        MAP3 27:24,
    }
    /// Which counter counts transmit queues `4n` to `4n + 3`.
    TQSM, tqsm = ReadWrite 0x08600 + 4 * 32 {
        MAP0 3:0,
        MAP1 11:8,
        MAP2 19:16,
        MAP3 27:24,
    }
    /// Frames received by queues.
    QPRC, qprc = ReadClear 0x01030 + 0x40 * 16 {}
    /// Bytes received by queues, low.
    QBRC_L, qbrc_l = ReadClear 0x01034 + 0x40 * 16 {}
    /// Bytes received by queues, high 4 bits.
    QBRC_H, qbrc_h = ReadClear 0x01038 + 0x40 * 16 {}
    /// Frames that queues dropped.
    QPRDC, qprdc = ReadClear 0x01430 + 0x40 * 16 {}
    /// Frames sent by queues.
    QPTC, qptc = ReadClear 0x08680 + 4 * 16 also 0x06030 + 0x40 * 16 {}
    /// Bytes sent by queues, low.
    QBTC_L, qbtc_l = ReadClear 0x08700 + 8 * 16 {}
    /// Bytes sent by queues, high 4 bits.
    QBTC_H, qbtc_h = ReadClear 0x08704 + 8 * 16 {}
    /// Packets dropped for spoofed addresses.
    SSVPC, ssvpc = ReadClear 0x08780 {}
    /// FCoE: frames with a wrong CRC.
    FCCRC, fccrc = ReadClear 0x05118 {}
    /// FCoE: frames dropped.
    FCOERPDC, fcoerpdc = ReadClear 0x0241C {}
    /// FCoE: frames received.
    FCOEPRC, fcoeprc = ReadClear 0x02428 {}
    /// FCoE: bytes received, in doublewords.
    FCOEDWRC, fcoedwrc = ReadClear 0x0242C {}
    /// FCoE: frames sent.
    FCOEPTC, fcoeptc = ReadClear 0x08784 {}
    /// FCoE: bytes sent, in doublewords.
    FCOEDWTC, fcoedwtc = ReadClear 0x08788 {}
}
