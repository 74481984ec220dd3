//! Traffic classes and rate limits (§8.2.3.10).

registers! {
    list DCB_GROUP;
    section "8.2.3.10";

    /// Transmit descriptor plane.
    RTTDCS, rttdcs = ReadWrite 0x04900 {
        TDPAC 0,
        VMPAC 1,
        TDRM 4,
        /// Arbiter disabled: needed while MTQC is changed.
        ARBDIS 6,
        /// Bypass of the data pipe, and of what is free in packet buffers: set, without traffic classes.
        BDPM 22,
        BPBFSM 23,
        SPEED_CHG 31,
    }
    /// Selects a queue for the registers of rate limits.
    RTTDQSEL, rttdqsel = ReadWrite 0x04904 {
        TXDQ_IDX 6:0,
    }
    /// Credits of a queue or pool.
    RTTDT1C, rttdt1c = ReadWrite 0x04908 {}
    /// Credits of a traffic class, descriptor plane.
    RTTDT2C, rttdt2c = ReadWrite 0x04910 + 4 * 8 {
        /// What is added each time, in units of 64 bytes.
        CRQ 8:0,
        /// Group of classes that share.
        BWG 11:9,
        /// The most that is saved up.
        MCL 23:12,
        GSP 30,
        LSP 31,
    }
    /// Credits of a traffic class, packet plane, transmit.
    RTTPT2C, rttpt2c = ReadWrite 0x0CD20 + 4 * 8 {
        /// What is added each time, in units of 64 bytes.
        CRQ 8:0,
        /// Group of classes that share.
        BWG 11:9,
        /// The most that is saved up.
        MCL 23:12,
        GSP 30,
        LSP 31,
    }
    /// Transmit packet plane.
    RTTPCS, rttpcs = ReadWrite 0x0CD00 {
        TPPAC 5,
        ARBDIS 6,
        TPRM 8,
        ARBD 31:22,
    }
    /// Receive packet plane.
    RTRPCS, rtrpcs = ReadWrite 0x02430 {
        RRM 1,
        RAC 2,
        ARBDIS 6,
    }
    /// Credits of a traffic class, packet plane, receive.
    RTRPT4C, rtrpt4c = ReadWrite 0x02140 + 4 * 8 {
        /// What is added each time, in units of 64 bytes.
        CRQ 8:0,
        /// Group of classes that share.
        BWG 11:9,
        /// The most that is saved up.
        MCL 23:12,
        GSP 30,
        LSP 31,
    }
    /// Priority to traffic class, receive.
    RTRUP2TC, rtrup2tc = ReadWrite 0x03020 {}
    /// Priority to traffic class, transmit.
    RTTUP2TC, rttup2tc = ReadWrite 0x0C800 {}
    /// Rate limit of the queue in RTTDQSEL.
    RTTBCNRC, rttbcnrc = ReadWrite 0x04984 {
        RF_DEC 13:0,
        RF_INT 23:14,
        RS_ENA 31,
    }
    /// Most memory of the rate limiter.
    RTTBCNRM, rttbcnrm = ReadWrite 0x04980 {}
}
