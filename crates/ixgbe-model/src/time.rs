//! IEEE 1588: the clock, and stamps of packets (§7.9).

use linecard_ixgbe_regs::Register;
use linecard_ixgbe_regs::registers::*;

use crate::device::Device;
use crate::parse::{Parsed, Transport};

const PTP_ETHER_TYPE: u16 = 0x88F7;
const PTP_EVENT_PORT: u16 = 319;

impl Device {
    /// The clock: what was written, and the increments since.
    pub(crate) fn clock(&self) -> u64 {
        let stored = u64::from(self.file.get(&SYSTIML)) | u64::from(self.file.get(&SYSTIMH)) << 32;
        let word = self.file.get(&TIMINCA);
        let period = u64::from(timinca::PERIOD.of(word).max(1)) * 6;
        let steps = self.now.saturating_sub(self.transmitting.clock_set_at) / period;
        stored.wrapping_add(steps.wrapping_mul(u64::from(timinca::INCREMENT.of(word))))
    }

    pub(crate) fn system_time(&self, home: u32) -> u32 {
        match home == SYSTIML.offset() {
            true => self.clock() as u32,
            false => (self.clock() >> 32) as u32,
        }
    }

    pub(crate) fn write_system_time(&mut self) {
        self.transmitting.clock_set_at = self.now;
    }

    /// Reading the high half of a stamp frees its place.
    pub(crate) fn take_stamp(&mut self, control: &Register, stored: u32) -> u32 {
        let word = self.file.get(control);
        self.file.set(control, 0, word & !tsyncrxctl::RXTT.mask());
        stored
    }

    pub(crate) fn stamp_received(
        &mut self,
        parsed: &Parsed,
        frame: &[u8],
        _to: &impl std::fmt::Debug,
    ) {
        let control = self.file.get(&TSYNCRXCTL);
        let is_event = parsed.ether_type == PTP_ETHER_TYPE
            || parsed.transport == Transport::Udp && parsed.ports(frame).1 == PTP_EVENT_PORT;
        if is_event && tsyncrxctl::EN.is_set(control) && !tsyncrxctl::RXTT.is_set(control) {
            self.stamp(&RXSTMPL, &RXSTMPH);
            self.file.set(&TSYNCRXCTL, 0, control | tsyncrxctl::RXTT.mask());
        }
    }

    pub(crate) fn stamp_sent(&mut self) {
        let control = self.file.get(&TSYNCTXCTL);
        if tsynctxctl::EN.is_set(control) && !tsynctxctl::TXTT.is_set(control) {
            self.stamp(&TXSTMPL, &TXSTMPH);
            self.file.set(&TSYNCTXCTL, 0, control | tsynctxctl::TXTT.mask());
        }
    }

    fn stamp(&mut self, low: &Register, high: &Register) {
        let now = self.clock();
        self.file.set(low, 0, now as u32);
        self.file.set(high, 0, (now >> 32) as u32);
    }
}
