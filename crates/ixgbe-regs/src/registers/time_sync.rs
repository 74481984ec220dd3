//! IEEE 1588 time stamps (§8.2.3.26).

registers! {
    list TIME_SYNC_GROUP;
    section "8.2.3.26";

    /// Receive time stamps.
    TSYNCRXCTL, tsyncrxctl = ReadWrite 0x05188 {
        /// A stamp is held; reading its high half frees it.
        RXTT 0,
        TYPE 3:1,
        EN 4,
    }
    /// Receive time stamp, low.
    RXSTMPL, rxstmpl = ReadOnly 0x051E8 {}
    /// Receive time stamp, high.
    RXSTMPH, rxstmph = ReadOnly 0x051A4 {}
    /// Source of the stamped packet, low.
    RXSATRL, rxsatrl = ReadOnly 0x051A0 {}
    /// Source of the stamped packet, high, and its sequence number.
    RXSATRH, rxsatrh = ReadOnly 0x051A8 {}
    /// Which messages are stamped.
    RXMTRL, rxmtrl = ReadWrite 0x05120 {
        /// Control field of messages of version 1.
        CTRLT 7:0,
        /// Type of messages of version 2.
        MSGT 15:8,
        /// Port of UDP that is PTP's.
        UDPT 31:16,
    }
    /// Transmit time stamps.
    TSYNCTXCTL, tsynctxctl = ReadWrite 0x08C00 {
        TXTT 0,
        EN 4,
    }
    /// Transmit time stamp, low.
    TXSTMPL, txstmpl = ReadOnly 0x08C04 {}
    /// Transmit time stamp, high.
    TXSTMPH, txstmph = ReadOnly 0x08C08 {}
    /// System time, low.
    SYSTIML, systiml = ReadWrite 0x08C0C {}
    /// System time, high.
    SYSTIMH, systimh = ReadWrite 0x08C10 {}
    /// What is added to the time, and how often.
    TIMINCA, timinca = ReadWrite 0x08C14 {
        INCREMENT 23:0,
        PERIOD 31:24,
    }
    /// Adjustment, low.
    TIMADJL, timadjl = ReadWrite 0x08C18 {}
    /// Adjustment, high.
    TIMADJH, timadjh = ReadWrite 0x08C1C {}
    /// Auxiliary control.
    TSAUXC, tsauxc = ReadWrite 0x08C20 {}
}
