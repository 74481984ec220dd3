//! The registers of a virtual function: another BAR 0, of 16 KiB (§8.3).

registers! {
    list VIRTUAL_FUNCTION_GROUP;
    section "8.3";

    /// Control.
    VFCTRL, vfctrl = WriteOnly 0x00000 {
        /// Resets the function.
        RST 26,
    }
    /// Status.
    VFSTATUS, vfstatus = ReadOnly 0x00008 {
        LAN_ID 3:2,
    }
    /// The link, as in LINKS.
    VFLINKS, vflinks = ReadOnly 0x00010 {
        SPEED 29:28,
        UP 30,
    }
    /// A free running timer.
    VFFRTIMER, vffrtimer = ReadOnly 0x00048 {}
    /// Causes, by vector; a read clears them.
    VTEICR, vteicr = WriteOneClear 0x00100 {
        VECTORS 2:0,
    }
    /// Sets causes.
    VTEICS, vteics = WriteOnly 0x00104 {
        VECTORS 2:0,
    }
    /// Enables causes.
    VTEIMS, vteims = ReadWrite 0x00108 {
        VECTORS 2:0,
    }
    /// Disables causes.
    VTEIMC, vteimc = WriteOnly 0x0010C {
        VECTORS 2:0,
    }
    /// Causes that clear themselves with their message.
    VTEIAC, vteiac = ReadWrite 0x00110 {
        VECTORS 2:0,
    }
    /// Causes that disable themselves with their message.
    VTEIAM, vteiam = ReadWrite 0x00114 {
        VECTORS 2:0,
    }
    /// Vectors of queues `2n` and `2n + 1`, as in IVAR.
    VTIVAR, vtivar = ReadWrite 0x00120 + 4 * 4 {
        RX_EVEN 1:0,
        RX_EVEN_VALID 7,
        TX_EVEN 9:8,
        TX_EVEN_VALID 15,
        RX_ODD 17:16,
        RX_ODD_VALID 23,
        TX_ODD 25:24,
        TX_ODD_VALID 31,
    }
    /// The mailbox's vector.
    VTIVAR_MISC, vtivar_misc = ReadWrite 0x00140 {
        MAILBOX 1:0,
        MAILBOX_VALID 7,
    }
    /// Delay of merged segments.
    VTRSCINT, vtrscint = ReadWrite 0x00180 + 4 * 2 {}
    /// Moderation of a vector, as in EITR.
    VTEITR, vteitr = ReadWrite 0x00820 + 4 * 3 {
        /// In units of 2 µs.
        INTERVAL 11:3,
        CNT_WDIS 31,
    }
    /// Memory of the mailbox.
    VFMBMEM, vfmbmem = ReadWrite 0x00200 + 4 * 16 {}
    /// Mailbox.
    VFMAILBOX, vfmailbox = SelfClearing 0x002FC {
        /// A message is there for the physical function.
        REQ 0,
        /// Its message has been taken.
        ACK 1,
        /// The virtual function has the memory.
        VFU 2,
        /// The physical function has it.
        PFU 3,
        /// The physical function has written a message; a read clears it.
        PFSTS 4,
        /// It has taken ours; a read clears it.
        PFACK 5,
        /// It is being reset.
        RSTI 6,
        /// It has been reset; a read clears it.
        RSTD 7,
    }
    /// Kinds of packets, as in PSRTYPE.
    VFPSRTYPE, vfpsrtype = ReadWrite 0x00300 {
        TCP 4,
        UDP 5,
        IPV4 8,
        IPV6 9,
        L2 12,
        /// Queues of the pool that RSS uses, as a power of two.
        RQPL 31:29,
    }
    /// Receive ring: base address, low.
    VFRDBAL, vfrdbal = ReadWrite 0x01000 + 0x40 * 8 {}
    /// Receive ring: base address, high.
    VFRDBAH, vfrdbah = ReadWrite 0x01004 + 0x40 * 8 {}
    /// Receive ring: bytes.
    VFRDLEN, vfrdlen = ReadWrite 0x01008 + 0x40 * 8 {}
    /// As DCA_RXCTRL.
    VFDCA_RXCTRL, vfdca_rxctrl = ReadWrite 0x0100C + 0x40 * 8 {}
    /// Receive ring: head.
    VFRDH, vfrdh = ReadWrite 0x01010 + 0x40 * 8 {}
    /// As SRRCTL.
    VFSRRCTL, vfsrrctl = ReadWrite 0x01014 + 0x40 * 8 {}
    /// Receive ring: tail, the doorbell.
    VFRDT, vfrdt = ReadWrite 0x01018 + 0x40 * 8 {}
    /// As RXDCTL.
    VFRXDCTL, vfrxdctl = SelfClearing 0x01028 + 0x40 * 8 {}
    /// As RSCCTL.
    VFRSCCTL, vfrscctl = ReadWrite 0x0102C + 0x40 * 8 {}
    /// Transmit ring: base address, low.
    VFTDBAL, vftdbal = ReadWrite 0x02000 + 0x40 * 8 {}
    /// Transmit ring: base address, high.
    VFTDBAH, vftdbah = ReadWrite 0x02004 + 0x40 * 8 {}
    /// Transmit ring: bytes.
    VFTDLEN, vftdlen = ReadWrite 0x02008 + 0x40 * 8 {}
    /// As DCA_TXCTRL.
    VFDCA_TXCTRL, vfdca_txctrl = ReadWrite 0x0200C + 0x40 * 8 {}
    /// Transmit ring: head.
    VFTDH, vftdh = ReadWrite 0x02010 + 0x40 * 8 {}
    /// Transmit ring: tail, the doorbell.
    VFTDT, vftdt = ReadWrite 0x02018 + 0x40 * 8 {}
    /// As TXDCTL.
    VFTXDCTL, vftxdctl = SelfClearing 0x02028 + 0x40 * 8 {}
    /// As TDWBAL.
    VFTDWBAL, vftdwbal = ReadWrite 0x02038 + 0x40 * 8 {}
    /// As TDWBAH.
    VFTDWBAH, vftdwbah = ReadWrite 0x0203C + 0x40 * 8 {}
    /// Good packets received. Wraps; a read does not clear it, nor do the others.
    VFGPRC, vfgprc = ReadOnly 0x0101C {}
    /// Good packets sent.
    VFGPTC, vfgptc = ReadOnly 0x0201C {}
    /// Bytes of good packets received, low.
    VFGORC_LSB, vfgorc_lsb = ReadOnly 0x01020 {}
    /// Bytes of good packets received, high: four bits.
    VFGORC_MSB, vfgorc_msb = ReadOnly 0x01024 {}
    /// Bytes of good packets sent, low.
    VFGOTC_LSB, vfgotc_lsb = ReadOnly 0x02020 {}
    /// Bytes of good packets sent, high: four bits.
    VFGOTC_MSB, vfgotc_msb = ReadOnly 0x02024 {}
    /// Multicast packets received.
    VFMPRC, vfmprc = ReadOnly 0x01034 {}
}
