//! Interrupts (§8.2.3.5).

registers! {
    list INTERRUPT_GROUP;
    section "8.2.3.5";

    /// Causes of interrupts.
    EICR, eicr = WriteOneClear 0x00800 {
        RTXQ 15:0,
        FLOW_DIRECTOR 16,
        RX_MISS 17,
        PCI_EXCEPTION 18,
        MAILBOX 19,
        /// The link has changed.
        LSC 20,
        LINKSEC 21,
        MNG 22,
        /// X550: time sync (TSICR).
        GPI_SDP0 24,
        GPI_SDP1 25,
        GPI_SDP2 26,
        GPI_SDP3 27,
        ECC 28,
        TCP_TIMER 30,
        OTHER 31,
    }
    /// Sets causes.
    EICS, eics = WriteOnly 0x00808 {}
    /// Mask: sets bits.
    EIMS, eims = ReadWrite 0x00880 {}
    /// Mask: clears bits.
    EIMC, eimc = WriteOnly 0x00888 {}
    /// Causes that clear themselves when their vector is sent.
    EIAC, eiac = ReadWrite 0x00810 {}
    /// Bits of the mask that clear themselves when their vector is sent.
    EIAM, eiam = ReadWrite 0x00890 {}
    /// Sets causes 63:0.
    EICS_EX, eics_ex = WriteOnly 0x00A90 + 4 * 2 {}
    /// Mask of causes 63:0: sets bits.
    EIMS_EX, eims_ex = ReadWrite 0x00AA0 + 4 * 2 {}
    /// Mask of causes 63:0: clears bits.
    EIMC_EX, eimc_ex = WriteOnly 0x00AB0 + 4 * 2 {}
    /// Which of causes 63:0 clear their bit of the mask.
    EIAM_EX, eiam_ex = ReadWrite 0x00AD0 + 4 * 2 {}
    /// Moderation of each vector.
    EITR, eitr = ReadWrite 0x00820 + 4 * 24, 0x12300 + 4 * 105 {
        /// Least time between two interrupts, in units of 2 µs (at 10 G and 1 G).
        INTERVAL 11:3,
        LLI_MODERATION 15,
        LLI_CREDIT 20:16,
        COUNTER 27:21,
        /// Leaves the counters as they are.
        CNT_WDIS 31,
    }
    /// Which vectors 63:32 take moderation from EITR 0..31.
    EITRSEL, eitrsel = ReadWrite 0x00894 {}
    /// Causes of queues `2n` and `2n + 1`.
    IVAR, ivar = ReadWrite 0x00900 + 4 * 64 {
        RX_EVEN 5:0,
        RX_EVEN_VALID 7,
        TX_EVEN 13:8,
        TX_EVEN_VALID 15,
        RX_ODD 21:16,
        RX_ODD_VALID 23,
        TX_ODD 29:24,
        TX_ODD_VALID 31,
    }
    /// Vectors of the TCP timer and of all other causes.
    IVAR_MISC, ivar_misc = ReadWrite 0x00A00 {
        TCP_TIMER 5:0,
        TCP_TIMER_VALID 7,
        OTHER 13:8,
        OTHER_VALID 15,
    }
    /// General purpose interrupt enable.
    GPIE, gpie = ReadWrite 0x00898 {
        SDP0_GPIEN 0,
        SDP1_GPIEN 1,
        SDP2_GPIEN 2,
        SDP3_GPIEN 3,
        /// Each cause to its own vector.
        MULTIPLE_MSIX 4,
        OCD 5,
        EIMEN 6,
        LL_INTERVAL 10:7,
        RSC_DELAY 13:11,
        VT_MODE 15:14,
        /// Masks what EIAM says when a vector is sent.
        EIAME 30,
        PBA_SUPPORT 31,
    }
}
