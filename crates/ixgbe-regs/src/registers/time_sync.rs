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
        /// X550: the stamp stands behind the data of packets without a tag, and of those of which priorities.
        TSIP_UT_EN 23,
        TSIP_UP_EN 31:24,
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
    /// System time, low. An X550 has nanoseconds here, and seconds in the high half.
    SYSTIML, systiml = ReadWrite 0x08C0C {}
    /// System time, high.
    SYSTIMH, systimh = ReadWrite 0x08C10 {}
    /// What is below a nanosecond of an X550's system time, in 2^-32 of one.
    SYSTIMR, systimr = ReadWrite 0x08C58 {}
    /// What is added to the time, and how often.
    TIMINCA, timinca = ReadWrite 0x08C14 {
        INCREMENT 23:0,
        PERIOD 31:24,
        /// X540: what is added at each tick. X550: what is added beside 12.5 ns, in 2^-32 ns.
        WIDE_INCREMENT 30:0,
        /// X550: it is taken away.
        LESS 31,
    }
    /// Adjustment, low.
    TIMADJL, timadjl = ReadWrite 0x08C18 {}
    /// Adjustment, high.
    TIMADJH, timadjh = ReadWrite 0x08C1C {}
    /// Auxiliary control.
    TSAUXC, tsauxc = ReadWrite 0x08C20 {
        /// X550: the system time stands still.
        DISABLE_SYSTIME 31,
    }
    /// Causes of an X550's time sync interrupt.
    TSICR, tsicr = WriteOneClear 0x08C60 {
        /// What was to be stamped was sent.
        TXTS 1,
    }
    /// Which of them interrupt.
    TSIM, tsim = ReadWrite 0x08C68 {
        TXTS 1,
    }
}
