//! EEPROM, semaphores with the firmware, and its mailbox (§8.2.3.2, §8.2.3.25, §10.5.4).

registers! {
    list NONVOLATILE_GROUP;
    section "8.2.3.2, 8.2.3.4.11, 8.2.3.25, 10.5.4";

    /// EEPROM control, with the bits of its SPI bus.
    EEC, eec = ReadWrite 0x10010 {
        SK 0,
        CS 1,
        DI 2,
        DO 3,
        FWE 5:4,
        REQ 6,
        GNT 7,
        PRES 8,
        /// The words that the device needs have been read.
        AUTO_RD 9,
        ADDR_SIZE 10,
        /// 2^(6 + n) words.
        SIZE 14:11,
        /// X540: has what was written of the shadow RAM copied to the flash.
        FLUPD 23,
        /// X540: that is done.
        FLUDONE 26,
    }
    /// EEPROM read.
    EERD, eerd = SelfClearing 0x10014 {
        START 0,
        DONE 1,
        /// Address of the word.
        ADDR 15:2,
        DATA 31:16,
    }
    /// X540: EEPROM write, into its shadow RAM.
    EEWR, eewr = SelfClearing 0x10018 {
        START 0,
        DONE 1,
        /// Address of the word.
        ADDR 15:2,
        DATA 31:16,
    }
    /// Flash access.
    FLA, fla = ReadWrite 0x1001C {}
    /// EEPROM for the management firmware; tells that configuration after a reset is done.
    EEMNGCTL, eemngctl = ReadWrite 0x10110 {
        CFG_DONE0 18,
        CFG_DONE1 19,
    }
    /// Software semaphore.
    SWSM, swsm = SelfClearing 0x10140 {
        /// Reads 0 to the first who reads, and 1 to all after.
        SMBI 0,
        /// Stays set if the firmware does not hold the semaphore.
        SWESMBI 1,
    }
    /// Firmware semaphore.
    FWSM, fwsm = ReadOnly 0x10148 {
        MODE 3:1,
        EEP_RELOAD 6,
        FW_VALID 15,
        EXT_ERR_IND 24:19,
    }
    /// Which resource software or firmware holds.
    SW_FW_SYNC, sw_fw_sync = ReadWrite 0x10160 {
        SW_EEPROM 0,
        SW_PHY0 1,
        SW_PHY1 2,
        SW_MAC_CSR 3,
        SW_FLASH 4,
        FW_EEPROM 5,
        FW_PHY0 6,
        FW_PHY1 7,
        FW_MAC_CSR 8,
        FW_FLASH 9,
        /// X540, X550: the mailbox to the firmware, which software alone takes.
        SW_MNG 10,
        /// X540: reads 0 to the first who reads, as SWSM.SMBI does.
        REGSMP 31,
    }
    /// Functions and their power.
    FACTPS, factps = ReadOnly 0x10150 {
        LAN0_VALID 2,
        LAN1_VALID 8,
        MNGCG 29,
        LAN_FUNCTION_SEL 30,
    }
    /// Host interface control, to the firmware.
    HICR, hicr = ReadWrite 0x15F00 {
        ENABLE 0,
        COMMAND 1,
        STATUS_VALID 2,
    }
    /// Firmware status.
    FWSTS, fwsts = ReadWrite 0x15F0C {
        /// The firmware was reset; writing it says that that is known.
        FWRI 9,
    }
    /// Memory of the host interface.
    FLEX_MNG, flex_mng = ReadWrite 0x15800 + 4 * 448 {}
    /// Analog core configuration.
    CORECTL, corectl = WriteOnly 0x14F00 {}
}
