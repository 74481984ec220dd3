//! IEEE 1588: the clock, and stamps of packets (§7.9).

use linecard_ixgbe_regs::Register;
use linecard_ixgbe_regs::registers::*;

use crate::device::Device;
use crate::parse::{Parsed, Transport, be16};

/// Types of messages: event messages lie below, and those for the delay to a neighbour are two of them.
const GENERAL: u8 = 8;
const PEER_DELAY: std::ops::RangeInclusive<u8> = 2..=3;

/// Tenths of a nanosecond in which the clock ticks at 10 Gb/s, and at 1 Gb/s (§7.9.3.1).
const TICK: u64 = 64;
const TICK_AT_ONE_GIGABIT: u64 = 640;

/// SYSTIM: what it said at some time, and goes on from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    count: u64,
    /// Tenths of nanoseconds.
    since: u64,
    /// The high half, as it was when the low one was read.
    held: u32,
}

impl Clock {
    pub(crate) fn reset(&mut self, now: u64) {
        *self = Self { since: now * 10, ..Self::default() };
    }
}

impl Device {
    /// How often the clock is added to, in tenths of nanoseconds, and what.
    fn clock_rate(&self) -> (u64, u64) {
        let word = self.file.get(&TIMINCA);
        let tick = if self.link.megabits() == 1_000 { TICK_AT_ONE_GIGABIT } else { TICK };
        let period = u64::from(timinca::PERIOD.of(word).max(1)) * tick;
        (period, timinca::INCREMENT.of(word).into())
    }

    /// The clock at a time, which may lie before that of the last change.
    fn clock_at(&self, time: u64) -> u64 {
        let (period, increment) = self.clock_rate();
        let elapsed = (time * 10).wrapping_sub(self.clock.since) as i64;
        let steps = elapsed.div_euclid(period as i64);
        self.clock.count.wrapping_add(increment.wrapping_mul(steps as u64))
    }

    /// Counts what has passed as it passed, before the rate changes. Ticks go on in step.
    pub(crate) fn hold_clock(&mut self) {
        let (period, _) = self.clock_rate();
        let passed = (self.now * 10).saturating_sub(self.clock.since);
        self.clock.count = self.clock_at(self.now);
        self.clock.since += passed - passed % period;
    }

    /// TIMINCA was written, and had another value before.
    pub(crate) fn change_rate(&mut self, home: u32, before: u32) {
        let after = self.file.word(home);
        self.file.set_word(home, before);
        self.hold_clock();
        self.file.set_word(home, after);
    }

    /// Reading the low half holds the high one.
    pub(crate) fn system_time(&mut self, home: u32) -> u32 {
        if home != SYSTIML.offset() {
            return self.clock.held;
        }
        let now = self.clock_at(self.now);
        self.clock.held = (now >> 32) as u32;
        now as u32
    }

    /// One half is set; the other goes on.
    pub(crate) fn write_system_time(&mut self, home: u32, value: u32) {
        let now = self.clock_at(self.now);
        let value = u64::from(value);
        self.clock.count = match home == SYSTIML.offset() {
            true => now >> 32 << 32 | value,
            false => now & u64::from(u32::MAX) | value << 32,
        };
        self.clock.since = self.now * 10;
    }

    /// Reading the high half of a stamp frees its place.
    pub(crate) fn take_stamp(&mut self, control: &Register, stored: u32) -> u32 {
        let word = self.file.get(control);
        self.file.set(control, 0, word & !tsyncrxctl::RXTT.mask());
        stored
    }

    /// A frame comes at `time`: whether it is stamped, and says so.
    pub(crate) fn stamp_received(&mut self, parsed: &Parsed, frame: &[u8], time: u64) -> bool {
        let control = self.file.get(&TSYNCRXCTL);
        if !tsyncrxctl::EN.is_set(control) || !self.is_wanted(parsed, frame) {
            return false;
        }
        let keeps = tsyncrxctl::TYPE.of(control) != ALL;
        if keeps && tsyncrxctl::RXTT.is_set(control) {
            return false;
        }
        self.stamp(&RXSTMPL, &RXSTMPH, time);
        if keeps {
            self.file.set(&TSYNCRXCTL, 0, control | tsyncrxctl::RXTT.mask());
        }
        keeps
    }

    /// Whether TSYNCRXCTL.TYPE and RXMTRL ask for a stamp (§7.9.5).
    fn is_wanted(&self, parsed: &Parsed, frame: &[u8]) -> bool {
        let kind = tsyncrxctl::TYPE.of(self.file.get(&TSYNCRXCTL));
        if kind == ALL {
            return true;
        }
        let asked = self.file.get(&RXMTRL);
        let over_udp = parsed.transport == Transport::Udp
            && u32::from(parsed.ports(frame).1) == rxmtrl::UDPT.of(asked);
        let message = match over_udp {
            true => frame.get(parsed.l4 + 8..),
            false if self.is_ptp_ether_type(parsed.ether_type) => frame.get(parsed.l3..),
            false => None,
        };
        let Some(message) = message.filter(|message| message.len() >= 33) else { return false };
        let of_type = message[0] & 0xF;
        let is_asked =
            || u32::from(of_type) == rxmtrl::MSGT.of(asked) || PEER_DELAY.contains(&of_type);
        match (kind, message[1] & 0xF) {
            (VERSION_2_ETHERNET, 2) => !over_udp && is_asked(),
            (VERSION_2, 2) => is_asked(),
            (EVENTS, 2) => of_type < GENERAL,
            (VERSION_1, _) => {
                let is_first = over_udp && be16(message, 0) == Some(1);
                is_first && u32::from(message[32]) == rxmtrl::CTRLT.of(asked)
            }
            _ => false,
        }
    }

    /// PTP over Ethernet is what a filter says it is.
    fn is_ptp_ether_type(&self, ether_type: u16) -> bool {
        (0..ETQF.count()).map(|index| self.file.at(&ETQF, index)).any(|word| {
            etqf::EN.is_set(word)
                && etqf::IEEE1588.is_set(word)
                && etqf::ETYPE.of(word) == u32::from(ether_type)
        })
    }

    pub(crate) fn stamp_sent(&mut self) {
        let control = self.file.get(&TSYNCTXCTL);
        if tsynctxctl::EN.is_set(control) && !tsynctxctl::TXTT.is_set(control) {
            self.stamp(&TXSTMPL, &TXSTMPH, self.now);
            self.file.set(&TSYNCTXCTL, 0, control | tsynctxctl::TXTT.mask());
        }
    }

    fn stamp(&mut self, low: &Register, high: &Register, time: u64) {
        let time = self.clock_at(time);
        self.file.set(low, 0, time as u32);
        self.file.set(high, 0, (time >> 32) as u32);
    }
}

/// TSYNCRXCTL.TYPE. Of all packets, none is told of, and no stamp is kept.
const VERSION_2_ETHERNET: u32 = 0;
const VERSION_1: u32 = 1;
const VERSION_2: u32 = 2;
const ALL: u32 = 4;
const EVENTS: u32 = 5;
