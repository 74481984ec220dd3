//! General control (§8.2.3.1), and the security blocks' status that every driver polls.

registers! {
    list GENERAL_GROUP;
    section "8.2.3.1, 8.2.3.12";

    /// Device control.
    CTRL, ctrl = SelfClearing 0x00000 also 0x00004 + 4 * 1 {
        /// Stops new requests of the device as a bus master.
        GIO_DISABLE 2,
        /// Resets the link as well.
        LRST 3,
        /// Resets the device.
        RST 26,
    }
    /// Device status.
    STATUS, status = ReadOnly 0x00008 {
        /// Which port of the card.
        LAN_ID 3:2,
        /// The link is up.
        LINK_UP 7,
        NUM_VFS 17:10,
        IOV_ACTIVE 18,
        /// Requests as a bus master may be under way.
        GIO_ENABLE 19,
    }
    /// Extended device control.
    CTRL_EXT, ctrl_ext = ReadWrite 0x00018 {
        /// The datasheet wants it set after a reset (PF reset done).
        PFRSTD 14,
        /// No snoop disable.
        NS_DIS 16,
        /// Relaxed ordering disable.
        RO_DIS 17,
        EXTENDED_VLAN 26,
        /// A driver has the device.
        DRV_LOAD 28,
    }
    /// Software definable pins.
    ESDP, esdp = ReadWrite 0x00020 {
        DATA 7:0,
        DIRECTION 15:8,
        FUNCTION 23:16,
    }
    /// I2C to the SFP+ module: bits that the driver bangs.
    I2CCTL, i2cctl = ReadWrite 0x00028 {
        CLK_IN 0,
        CLK_OUT 1,
        DATA_IN 2,
        DATA_OUT 3,
    }
    /// LEDs.
    LEDCTL, ledctl = ReadWrite 0x00200 {
        LED0_MODE 3:0,
        LED0_INVERT 6,
        LED0_BLINK 7,
        LED1_MODE 11:8,
        LED1_INVERT 14,
        LED1_BLINK 15,
        LED2_MODE 19:16,
        LED2_INVERT 22,
        LED2_BLINK 23,
        LED3_MODE 27:24,
        LED3_INVERT 30,
        LED3_BLINK 31,
    }
    /// EtherType of outer tags, in extended VLAN mode.
    EXVET, exvet = ReadWrite 0x05078 {
        VET_EXT 31:16,
    }
    /// DCA control.
    DCA_CTRL, dca_ctrl = ReadWrite 0x11074 {
        DISABLE 0,
        MODE 4:1,
    }
    /// PCIe control.
    GCR, gcr = ReadWrite 0x11000 {}
    /// Extended PCIe control.
    GCR_EXT, gcr_ext = ReadWrite 0x11050 {
        VT_MODE 1:0,
        BUFFERS_CLEAR 30,
    }
    /// Receive security control.
    SECRXCTRL, secrxctrl = ReadWrite 0x08D00 {
        SECRX_DIS 0,
        RX_DIS 1,
    }
    /// Receive security status.
    SECRXSTAT, secrxstat = ReadOnly 0x08D04 {
        /// The path is empty, and may be changed.
        RDY 0,
        /// Fused off.
        OFF 1,
    }
    /// Transmit security control.
    SECTXCTRL, sectxctrl = ReadWrite 0x08800 {
        SECTX_DIS 0,
        TX_DIS 1,
        STORE_FORWARD 2,
    }
    /// Transmit security status.
    SECTXSTAT, sectxstat = ReadOnly 0x08804 {
        RDY 0,
        OFF 1,
    }
    /// Almost full threshold of the transmit security buffer.
    SECTXBUFFAF, sectxbuffaf = ReadWrite 0x08808 {
        FULLTHRESH 9:0,
    }
    /// Least gap between frames of the transmit security block.
    SECTXMINIFG, sectxminifg = ReadWrite 0x08810 {
        MINSECIFG 3:0,
        SECTXDCB 12:8,
    }
}
