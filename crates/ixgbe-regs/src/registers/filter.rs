//! What is received, and where to: addresses, VLANs, RSS, L2 to L4 filters (§8.2.3.7).

registers! {
    list FILTER_GROUP;
    section "8.2.3.7";

    /// Filter control.
    FCTRL, fctrl = ReadWrite 0x05080 {
        /// Store bad packets.
        SBP 1,
        /// Multicast promiscuous.
        MPE 8,
        /// Unicast promiscuous.
        UPE 9,
        /// Broadcast accept.
        BAM 10,
    }
    /// VLAN control.
    VLNCTRL, vlnctrl = ReadWrite 0x05088 {
        /// EtherType that says VLAN.
        VET 15:0,
        CFI 28,
        CFIEN 29,
        /// VLAN filter enable.
        VFE 30,
    }
    /// Which bits of an address the multicast table takes.
    MCSTCTRL, mcstctrl = ReadWrite 0x05090 {
        /// 0: bits 47:36 of the address; 1: 46:35; 2: 45:34; 3: 43:32.
        MO 1:0,
        /// Multicast filter enable.
        MFE 2,
    }
    /// Header split and packet types of each pool.
    PSRTYPE, psrtype = ReadWrite 0x0EA00 + 4 * 64 also 0x05480 + 4 * 16 {
        TCP 4,
        UDP 5,
        IPV4 8,
        IPV6 9,
        L2 12,
        /// Queues of the pool that RSS uses, as a power of two.
        RQPL 31:29,
    }
    /// Receive checksum control.
    RXCSUM, rxcsum = ReadWrite 0x05000 {
        IPPCSE 12,
        /// Gives the RSS hash, instead of the fragment checksum.
        PCSD 13,
    }
    /// Receive filter control.
    RFCTL, rfctl = ReadWrite 0x05008 {
        RSC_DIS 5,
        NFSW_DIS 6,
        NFSR_DIS 7,
        NFS_VER 9:8,
        IPV6_DIS 10,
        IPFRSP_DIS 14,
    }
    /// Multicast table, 4096 bits.
    MTA, mta = ReadWrite 0x05200 + 4 * 128 {}
    /// Address filters, low 32 bits.
    RAL, ral = ReadWrite 0x0A200 + 8 * 128 also 0x05400 + 8 * 16 {}
    /// Address filters, high 16 bits.
    RAH, rah = ReadWrite 0x0A204 + 8 * 128 also 0x05404 + 8 * 16 {
        ADDR 15:0,
        /// Address valid.
        AV 31,
    }
    /// Pools of each address filter: 31:0 even, 63:32 odd.
    MPSAR, mpsar = ReadWrite 0x0A600 + 4 * 256 {}
    /// VLAN filter table, 4096 bits.
    VFTA, vfta = ReadWrite 0x0A000 + 4 * 128 {}
    /// Multiple receive queues command.
    MRQC, mrqc = ReadWrite 0x0EC80 also 0x05818 + 4 * 1 {
        /// 0: none; 1: RSS; others: DCB and virtualization.
        MRQE 3:0,
        /// Which packets have a hash.
        TCP_IPV4 16,
        IPV4 17,
        IPV6 20,
        TCP_IPV6 21,
        UDP_IPV4 22,
        UDP_IPV6 23,
    }
    /// Queues of each traffic class.
    RQTC, rqtc = ReadWrite 0x0EC70 {}
    /// Redirection table: four entries a register.
    RETA, reta = ReadWrite 0x0EB00 + 4 * 32 also 0x05C00 + 4 * 32 {
        ENTRY0 3:0,
        ENTRY1 11:8,
        ENTRY2 19:16,
        ENTRY3 27:24,
    }
    /// The rest of an X550's redirection table: entries 128 to 511.
    ERETA, ereta = ReadWrite 0x0EE80 + 4 * 96 {}
    /// RSS key, 40 bytes.
    RSSRK, rssrk = ReadWrite 0x0EB80 + 4 * 10 also 0x05C80 + 4 * 10 {}
    /// EtherType filters.
    ETQF, etqf = ReadWrite 0x05128 + 4 * 8 {
        ETYPE 15:0,
        UP 18:16,
        UP_EN 19,
        POOL 25:20,
        POOL_EN 26,
        FCOE 27,
        IEEE1588 30,
        EN 31,
    }
    /// Queues of EtherType filters.
    ETQS, etqs = ReadWrite 0x0EC00 + 4 * 8 {
        RX_QUEUE 22:16,
        LLI 29,
        QUEUE_EN 31,
    }
    /// Queue of TCP SYN packets.
    SYNQF, synqf = ReadWrite 0x0EC30 {
        QUEUE_EN 0,
        RX_QUEUE 7:1,
        /// Before 5-tuple filters.
        SYNQFP 31,
    }
    /// 5-tuple filters: source address, as it is in the packet.
    SAQF, saqf = ReadWrite 0x0E000 + 4 * 128 {}
    /// 5-tuple filters: destination address.
    DAQF, daqf = ReadWrite 0x0E200 + 4 * 128 {}
    /// 5-tuple filters: ports.
    SDPQF, sdpqf = ReadWrite 0x0E400 + 4 * 128 {
        SOURCE 15:0,
        DESTINATION 31:16,
    }
    /// 5-tuple filters: the rest.
    FTQF, ftqf = ReadWrite 0x0E600 + 4 * 128 {
        /// 0: TCP; 1: UDP; 2: SCTP; 3: any other.
        PROTOCOL 1:0,
        PRIORITY 4:2,
        POOL 13:8,
        MASK_SOURCE 25,
        MASK_DESTINATION 26,
        MASK_SOURCE_PORT 27,
        MASK_DESTINATION_PORT 28,
        MASK_PROTOCOL 29,
        POOL_MASK 30,
        QUEUE_ENABLE 31,
    }
    /// 5-tuple filters: where to.
    L34TIMIR, l34timir = ReadWrite 0x0E800 + 4 * 128 {
        SIZE_BP 12,
        LLI 20,
        RX_QUEUE 27:21,
    }
    /// Receive control.
    RXCTRL, rxctrl = ReadWrite 0x03000 {
        RXEN 0,
    }
    /// Low latency interrupts by VLAN priority.
    IMIRVP, imirvp = ReadWrite 0x0EC60 {}
}
