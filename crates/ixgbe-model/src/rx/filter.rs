//! Which frames are received: addresses and VLANs (§7.1.1); pause frames (§3.7.7.3).

use linecard_ixgbe_regs::registers::*;

use crate::device::Device;
use crate::parse::{Parsed, be16};
use crate::rx::CRC_BYTES;

const PAUSE_ADDRESS: [u8; 6] = [0x01, 0x80, 0xC2, 0, 0, 1];
const MAC_CONTROL: u16 = 0x8808;

/// A frame passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    /// By a hash, so that software has to look again.
    pub(super) is_inexact: bool,
}

impl Device {
    pub(super) fn passes(&self, frame: &[u8], parsed: &Parsed) -> Option<Passed> {
        let passed = self.passes_address(frame)?;
        self.passes_vlan(parsed).then_some(passed)
    }

    fn passes_address(&self, frame: &[u8]) -> Option<Passed> {
        let control = self.file.get(&FCTRL);
        let exact = Some(Passed { is_inexact: false });
        let is_multicast = frame[0] & 1 != 0;
        if frame[..6] == [0xFF; 6] {
            return exact.filter(|_| fctrl::BAM.is_set(control));
        }
        let promiscuous = if is_multicast { fctrl::MPE } else { fctrl::UPE };
        if self.is_own_address(&frame[..6]) {
            return exact;
        }
        if self.is_hashed(&frame[..6]) {
            return Some(Passed { is_inexact: true });
        }
        promiscuous.is_set(control).then_some(Passed { is_inexact: true })
    }

    fn is_own_address(&self, address: &[u8]) -> bool {
        self.filters_of(address).next().is_some()
    }

    /// The address filters that have an address.
    pub(crate) fn filters_of(&self, address: &[u8]) -> impl Iterator<Item = u32> + use<'_> {
        let low = u32::from_le_bytes([address[0], address[1], address[2], address[3]]);
        let high = u32::from(u16::from_le_bytes([address[4], address[5]]));
        (0..RAL.count()).filter(move |&index| {
            let word = self.file.at(&RAH, index);
            rah::AV.is_set(word) && rah::ADDR.of(word) == high && self.file.at(&RAL, index) == low
        })
    }

    /// Whether the table for addresses of its kind has an address.
    pub(crate) fn is_hashed(&self, address: &[u8]) -> bool {
        let table = if address[0] & 1 != 0 { &MTA } else { &PFUTA };
        self.file.has(&MCSTCTRL, mcstctrl::MFE) && self.is_in_table(table, address)
    }

    /// Twelve bits of the address, which of them says MCSTCTRL.
    fn is_in_table(&self, table: &linecard_ixgbe_regs::Register, address: &[u8]) -> bool {
        let bits = u32::from(u16::from_le_bytes([address[4], address[5]]));
        let shift = 4 - mcstctrl::MO.of(self.file.get(&MCSTCTRL));
        let hash = (bits >> shift) & 0xFFF;
        self.file.at(table, hash >> 5) >> (hash & 31) & 1 != 0
    }

    pub(crate) fn passes_vlan(&self, parsed: &Parsed) -> bool {
        let Some(tag) = parsed.vlan.filter(|_| self.file.has(&VLNCTRL, vlnctrl::VFE)) else {
            return true;
        };
        let id = u32::from(tag & 0xFFF);
        self.file.at(&VFTA, id >> 5) >> (id & 31) & 1 != 0
    }

    /// A pause frame is not received, unless it is asked for.
    pub(super) fn is_pause(&mut self, frame: &[u8]) -> bool {
        let is_control = be16(frame, 12) == Some(MAC_CONTROL) && be16(frame, 14) == Some(1);
        if !is_control || frame[..6] != PAUSE_ADDRESS {
            return false;
        }
        let control = self.file.get(&MFLCN);
        if mflcn::RFCE.is_set(control) {
            let quanta = be16(frame, 16).unwrap_or(0);
            let counter = if quanta == 0 { &LXONRXCNT } else { &LXOFFRXCNT };
            self.file.count(counter, 0, 1);
            self.heed_pause(quanta);
        }
        !mflcn::PMCF.is_set(control)
    }

    /// XOFF when the packet buffer is over its high mark, XON when it is below the low one.
    pub(super) fn send_pause(&mut self) {
        let high = self.file.get(&FCRTH);
        let is_on = fccfg::TFCE.of(self.file.get(&FCCFG)) == 1 && fcrth::FCEN.is_set(high);
        if !is_on {
            return;
        }
        let bytes = self.receiving.bytes as u32;
        let low = self.file.get(&FCRTL);
        if !self.receiving.is_pausing && bytes > high & fcrth::RTH.mask() {
            self.receiving.is_pausing = true;
            let time = fcttv::TTV_EVEN.of(self.file.get(&FCTTV)) as u16;
            self.pause(time);
            self.file.count(&LXOFFTXC, 0, 1);
        } else if self.receiving.is_pausing && bytes < low & fcrtl::RTL.mask() {
            self.receiving.is_pausing = false;
            if fcrtl::XONE.is_set(low) {
                self.pause(0);
                self.file.count(&LXONTXC, 0, 1);
            }
        }
    }

    fn pause(&mut self, time: u16) {
        let mut frame = [0; 60];
        frame[..6].copy_from_slice(&PAUSE_ADDRESS);
        frame[6..12].copy_from_slice(&self.identity.mac);
        frame[12..14].copy_from_slice(&MAC_CONTROL.to_be_bytes());
        frame[15] = 1;
        frame[16..18].copy_from_slice(&time.to_be_bytes());
        self.host.wire.transmit(&frame);
    }

    pub(super) fn count_received(&mut self, frame: &[u8]) {
        let len = frame.len() as u32 + CRC_BYTES;
        let by_size = match len {
            ..=64 => &PRC64,
            65..=127 => &PRC127,
            128..=255 => &PRC255,
            256..=511 => &PRC511,
            512..=1023 => &PRC1023,
            _ => &PRC1522,
        };
        self.file.count(by_size, 0, 1);
        for counter in [&GPRC, &TPR] {
            self.file.count(counter, 0, 1);
        }
        self.file.count_wide(&GORCL, &GORCH, 0, len);
        self.file.count_wide(&TORL, &TORH, 0, len);
        if frame[..6] == [0xFF; 6] {
            self.file.count(&BPRC, 0, 1);
        } else if frame[0] & 1 != 0 {
            self.file.count(&MPRC, 0, 1);
        }
    }
}
