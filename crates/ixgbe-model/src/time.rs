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
        // Ticks of 6.4 ns at 10 Gb/s, and of 64 ns at 1 Gb/s (§7.9.3.1).
        let tenths = if self.link.megabits() == 1_000 { 640 } else { 64 };
        let period = u64::from(timinca::PERIOD.of(word).max(1)) * tenths;
        let steps = self.now.saturating_sub(self.transmitting.clock_set_at) * 10 / period;
        stored.wrapping_add(steps.wrapping_mul(u64::from(timinca::INCREMENT.of(word))))
    }

    /// Reading the low half holds the high one.
    pub(crate) fn system_time(&mut self, home: u32) -> u32 {
        if home != SYSTIML.offset() {
            return self.transmitting.clock_held;
        }
        let now = self.clock();
        self.transmitting.clock_held = (now >> 32) as u32;
        now as u32
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

    /// Whether a frame was stamped.
    pub(crate) fn stamp_received(&mut self, parsed: &Parsed, frame: &[u8]) -> bool {
        let control = self.file.get(&TSYNCRXCTL);
        let is_event = parsed.ether_type == PTP_ETHER_TYPE
            || parsed.transport == Transport::Udp && parsed.ports(frame).1 == PTP_EVENT_PORT;
        let is_stamped =
            is_event && tsyncrxctl::EN.is_set(control) && !tsyncrxctl::RXTT.is_set(control);
        if is_stamped {
            self.stamp(&RXSTMPL, &RXSTMPH);
            self.file.set(&TSYNCRXCTL, 0, control | tsyncrxctl::RXTT.mask());
        }
        is_stamped
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
