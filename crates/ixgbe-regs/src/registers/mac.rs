//! MAC, PHY and link (§8.2.3.22).

registers! {
    list MAC_GROUP;
    section "8.2.3.22";

    /// MAC control.
    HLREG0, hlreg0 = ReadWrite 0x04240 {
        TXCRCEN 0,
        RXCRCSTRP 1,
        JUMBOEN 2,
        TXPADEN 10,
        /// Transmit is looped to receive.
        LPBK 15,
        MDCSPD 16,
        CONTMDC 17,
        PREPEND 23:20,
        RXLNGTHERREN 27,
        RXPADSTRIPEN 28,
    }
    /// MAC status.
    HLREG1, hlreg1 = ReadOnly 0x04244 {
        REVID 3:0,
        RXERRSYM 4,
        RXILLSYM 5,
        RXIDLERR 6,
        RXLCLFLT 7,
        RXRMTFLT 8,
    }
    /// Pause and pace.
    PAP, pap = ReadWrite 0x04248 {}
    /// MDIO command.
    MSCA, msca = SelfClearing 0x0425C {
        MDIADD 15:0,
        DEVADD 20:16,
        PHYADD 25:21,
        /// 0: address cycle; 1: write; 2: read and go on; 3: read.
        OPCODE 27:26,
        STCODE 29:28,
        MDICMD 30,
        MDIINPROGEN 31,
    }
    /// MDIO data.
    MSRWD, msrwd = ReadWrite 0x04260 {
        MDIWRDATA 15:0,
        MDIRDDATA 31:16,
    }
    /// Longest frame.
    MAXFRS, maxfrs = ReadWrite 0x04268 {
        MFS 31:16,
    }
    /// Flow control of the MAC.
    MFLCN, mflcn = ReadWrite 0x04294 {
        /// Pass MAC control frames on.
        PMCF 0,
        DPF 1,
        /// Receive priority flow control enable.
        RPFCE 2,
        /// Receive flow control enable.
        RFCE 3,
        RPFCM 11:4,
    }
    /// 1 G link control.
    PCS1GLCTL, pcs1glctl = ReadWrite 0x04208 {}
    /// 1 G link status.
    PCS1GLSTA, pcs1glsta = ReadOnly 0x0420C {
        LINK_OK 0,
        SYNK_OK 4,
        AN_COMPLETE 16,
        AN_TIMED_OUT 18,
    }
    /// 1 G advertisement.
    PCS1GANA, pcs1gana = ReadWrite 0x04218 {
        SYM_PAUSE 7,
        ASM_PAUSE 8,
    }
    /// 1 G advertisement of the link partner.
    PCS1GANLP, pcs1ganlp = ReadOnly 0x0421C {
        SYM_PAUSE 7,
        ASM_PAUSE 8,
    }
    /// Auto negotiation control.
    AUTOC, autoc = SelfClearing 0x042A0 {
        FLU 0,
        ANACK2 1,
        ANSF 6:2,
        TEN_G_PMA_PMD_PARALLEL 8:7,
        ONE_G_PMA_PMD 9,
        D10GMP 10,
        RATD 11,
        RESTART_AN 12,
        /// Link mode select. 3: 10 G serial; 0: 1 G; 4: KX4, KX and KR.
        LMS 15:13,
        KR_SUPPORT 16,
        PB 29:28,
        KX_SUPPORT 31:30,
    }
    /// Auto negotiation control 2.
    AUTOC2, autoc2 = ReadWrite 0x042A8 {
        TEN_G_PMA_PMD_SERIAL 17:16,
        DDPT 18,
        FASM 28,
        PDD 30,
    }
    /// Link status.
    LINKS, links = ReadOnly 0x042A4 {
        KX4_SIG_DET 3:0,
        FEC_SIGNAL_DETECT 4,
        FEC_BLOCK_LOCK 5,
        KR_HI_BER 6,
        KR_PCS_BLOCK_LOCK 7,
        KX_AN_RECEIVED 10:8,
        LINK_STATUS 11,
        SIGNAL_DETECTED 16:12,
        ONE_G_SYNC 17,
        ALIGNMENT 21:18,
        TEN_G_ALIGN 22,
        TEN_G_SYNC 26:23,
        /// Which mode the link has; of an X550, that its speed is none of those that SPEED names.
        MODE 27,
        /// 1: 100 M; 2: 1 G; 3: 10 G.
        SPEED 29:28,
        /// The link is up.
        UP 30,
        KX_AN_COMPLETED 31,
    }
    /// Link status 2.
    LINKS2, links2 = ReadOnly 0x04324 {
        AN_SUPPORTED 6,
    }
    /// Auto negotiation, what is advertised.
    ANLP1, anlp1 = ReadOnly 0x042B0 {
        LINK_PARTNER 15:0,
        SYM_PAUSE 10,
        ASM_PAUSE 11,
        STATE 19:16,
    }
    /// Auto negotiation, what the link partner advertises.
    ANLP2, anlp2 = ReadOnly 0x042B4 {}
    /// MAC control 2.
    MACC, macc = ReadWrite 0x04330 {
        FLU 0,
        FSV_10G 17,
        FS 18,
    }
    /// Management control.
    MMNGC, mmngc = ReadWrite 0x042D0 {
        MNG_VETO 0,
    }
}
