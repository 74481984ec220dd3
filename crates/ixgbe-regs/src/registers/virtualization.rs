//! Pools and virtual functions (§8.2.3.27).

registers! {
    list VIRTUALIZATION_GROUP;
    section "8.2.3.27";

    /// Virtualization control.
    PFVTCTL, pfvtctl = ReadWrite 0x051B0 {
        VT_ENA 0,
        DEF_PL 12:7,
        DIS_DEF_POOL 29,
        RPL_EN 30,
    }
    /// Unicast table, 4096 bits.
    PFUTA, pfuta = ReadWrite 0x0F400 + 4 * 128 {}
    /// VLAN filters of pools.
    PFVLVF, pfvlvf = ReadWrite 0x0F100 + 4 * 64 {
        VLAN_ID 11:0,
        VI_EN 31,
    }
    /// Pools of a VLAN filter.
    PFVLVFB, pfvlvfb = ReadWrite 0x0F200 + 4 * 128 {}
    /// Receive enable of pools.
    PFVFRE, pfvfre = ReadWrite 0x051E0 + 4 * 2 {}
    /// Transmit enable of pools.
    PFVFTE, pfvfte = ReadWrite 0x08110 + 4 * 2 {}
    /// Which queues drop when they have no descriptor.
    PFQDE, pfqde = ReadWrite 0x02F04 {
        QDE 0,
        WE 16,
        RE 17,
        QUEUE_IDX 14:8,
    }
    /// Layer 2 control of pools.
    PFVML2FLT, pfvml2flt = ReadWrite 0x0F000 + 4 * 64 {
        AUPE 24,
        ROMPE 25,
        ROPE 26,
        BAM 27,
        MPE 28,
    }
    /// Loopback between pools.
    PFDTXGSWC, pfdtxgswc = ReadWrite 0x08220 {
        LBE 0,
    }
    /// Checks of the sources of pools.
    PFVFSPOOF, pfvfspoof = ReadWrite 0x08200 + 4 * 8 {}
}
