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
        /// All unicast frames (X540, X550).
        UPE 22,
        /// Whatever their VLAN (X540, X550).
        VPE 23,
        /// Frames without a tag.
        AUPE 24,
        /// Multicast frames whose hash is in MTA.
        ROMPE 25,
        /// Unicast frames whose hash is in PFUTA.
        ROPE 26,
        /// Broadcasts.
        BAM 27,
        /// All multicast frames.
        MPE 28,
    }
    /// Loopback between pools.
    PFDTXGSWC, pfdtxgswc = ReadWrite 0x08220 {
        LBE 0,
    }
    /// Checks of the sources of pools, eight to a register.
    PFVFSPOOF, pfvfspoof = ReadWrite 0x08200 + 4 * 8 {
        MAC 7:0,
        VLAN 15:8,
        ETHERTYPE 31:24,
    }
    /// Tag that is inserted for a pool.
    PFVMVIR, pfvmvir = ReadWrite 0x08000 + 4 * 64 {
        TAG 15:0,
        /// 0: as descriptors say; 1: TAG in every packet; 2: never.
        VLANA 31:30,
    }
    /// Which pools' spoofed packets are counted (SSVPC).
    PFVMECM, pfvmecm = ReadWrite 0x08790 + 4 * 2 {}
    /// Mailbox of a virtual function, from the physical one's side.
    PFMAILBOX, pfmailbox = SelfClearing 0x04B00 + 4 * 64 {
        /// A message is there: sets the other side's PFSTS.
        STS 0,
        /// The other side's message has been taken: sets its PFACK.
        ACK 1,
        /// The virtual function has the memory.
        VFU 2,
        /// The physical function has it.
        PFU 3,
        /// Takes it from a virtual function that is stuck.
        RVFU 4,
    }
    /// Memory of the mailboxes, 16 words each.
    PFMBMEM, pfmbmem = ReadWrite 0x13000 + 4 * 1024 {}
    /// What virtual functions want by their mailboxes, 16 to a register.
    PFMBICR, pfmbicr = WriteOneClear 0x00710 + 4 * 4 {
        VFREQ 15:0,
        VFACK 31:16,
    }
    /// Which virtual functions' mailboxes interrupt.
    PFMBIMR, pfmbimr = ReadWrite 0x00720 + 4 * 2 {}
    /// Virtual functions that were reset, 0 to 31.
    PFVFLRE, pfvflre = ReadOnly 0x00600 {}
    /// Virtual functions that were reset, 32 to 63.
    PFVFLRE1, pfvflre1 = ReadOnly 0x001C0 {}
    /// Clears PFVFLRE.
    PFVFLREC, pfvflrec = WriteOneClear 0x00700 + 4 * 2 {}
}
