//! IEEE 1588: the clock, and stamps of packets (§7.9).
//!
//! An 82599 and an X540 count in units that the driver chooses, at each tick of the MAC; an X550 in seconds, nanoseconds
//! and 2^-32 of those, every 12.5 ns.

use linecard_ixgbe_regs::Register;
use linecard_ixgbe_regs::registers::*;

use crate::device::Device;
use crate::family::Family;
use crate::parse::{Parsed, Transport, be16};

/// Types of messages: event messages lie below, and those for the delay to a neighbour are two of them.
const GENERAL: u8 = 8;
const PEER_DELAY: std::ops::RangeInclusive<u8> = 2..=3;

/// Tenths of a nanosecond in which the clock ticks at 10 Gb/s, and at 1 Gb/s (§7.9.3.1); and of an X550 always.
const TICK: u64 = 64;
const TICK_AT_ONE_GIGABIT: u64 = 640;
const TICK_OF_X550: u64 = 125;

/// 12.5 ns in 2^-32 ns.
const STEP_OF_X550: i128 = 0xC_8000_0000;

const NANOSECONDS: i128 = 1_000_000_000;

/// The clock: what it said at some time, and goes on from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// Units of the increment, or 2^-32 ns.
    count: i128,
    /// Tenths of nanoseconds.
    since: u64,
    /// SYSTIML and SYSTIMH as they were when what is below them was read.
    held: [u32; 2],
    holds_low: bool,
}

/// What a received frame has of its stamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stamp {
    #[default]
    None,
    /// It is in registers, and the frame's descriptor says so.
    Kept,
    /// It follows the frame.
    Behind([u8; 8]),
}

/// SYSTIMR, SYSTIML and SYSTIMH of a count.
fn parts(family: Family, count: i128) -> [u32; 3] {
    match family {
        Family::X550 => {
            let nanoseconds = (count >> 32).max(0);
            [count as u32, (nanoseconds % NANOSECONDS) as u32, (nanoseconds / NANOSECONDS) as u32]
        }
        _ => [0, count as u32, (count >> 32) as u32],
    }
}

fn count(family: Family, parts: [u32; 3]) -> i128 {
    let [below, low, high] = parts.map(i128::from);
    match family {
        Family::X550 => (high * NANOSECONDS + low) << 32 | below,
        _ => high << 32 | low,
    }
}

impl Device {
    /// What a reset does to the clock: an X550's stands.
    pub(crate) fn reset_clock(&mut self) {
        self.clock = Clock { since: self.now * 10, ..Clock::default() };
        let stands = u32::from(self.family == Family::X550);
        self.file.set(&TSAUXC, 0, tsauxc::DISABLE_SYSTIME.put(0, stands));
    }

    /// How often the clock is added to, in tenths of nanoseconds, and what.
    fn clock_rate(&self) -> (u64, i128) {
        let word = self.file.get(&TIMINCA);
        let tick = if self.link.megabits() == 1_000 { TICK_AT_ONE_GIGABIT } else { TICK };
        let wide = i128::from(timinca::WIDE_INCREMENT.of(word));
        match self.family {
            Family::I82599 => {
                let period = u64::from(timinca::PERIOD.of(word).max(1));
                (period * tick, timinca::INCREMENT.of(word).into())
            }
            Family::X540 => (tick, wide),
            Family::X550 if self.file.has(&TSAUXC, tsauxc::DISABLE_SYSTIME) => (TICK_OF_X550, 0),
            Family::X550 if timinca::LESS.is_set(word) => (TICK_OF_X550, STEP_OF_X550 - wide),
            Family::X550 => (TICK_OF_X550, STEP_OF_X550 + wide),
        }
    }

    /// The clock at a time, which may lie before that of the last change.
    fn clock_at(&self, time: u64) -> i128 {
        let (period, step) = self.clock_rate();
        let elapsed = i128::from(time) * 10 - i128::from(self.clock.since);
        let steps = elapsed.div_euclid(period.into());
        self.clock.count.wrapping_add(step.wrapping_mul(steps))
    }

    /// Counts what has passed as it passed, before the rate changes. Ticks go on in step.
    pub(crate) fn hold_clock(&mut self) {
        let (period, _) = self.clock_rate();
        let passed = (self.now * 10).saturating_sub(self.clock.since);
        self.clock.count = self.clock_at(self.now);
        self.clock.since += passed - passed % period;
    }

    /// TIMINCA or TSAUXC was written, and had another value before.
    pub(crate) fn change_rate(&mut self, home: u32, before: u32) {
        let after = self.file.word(home);
        self.file.set_word(home, before);
        self.hold_clock();
        self.file.set_word(home, after);
    }

    /// Reading a part of the time holds what is above it: SYSTIML, unless SYSTIMR was read for it before.
    pub(crate) fn system_time(&mut self, home: u32) -> u32 {
        if home == SYSTIMH.offset() {
            return self.clock.held[1];
        }
        if home == SYSTIML.offset() && std::mem::take(&mut self.clock.holds_low) {
            return self.clock.held[0];
        }
        let [below, low, high] = parts(self.family, self.clock_at(self.now));
        self.clock.held = [low, high];
        self.clock.holds_low = home == SYSTIMR.offset();
        if self.clock.holds_low { below } else { low }
    }

    /// One part is set; the others go on.
    pub(crate) fn write_system_time(&mut self, home: u32, value: u32) {
        let mut now = parts(self.family, self.clock_at(self.now));
        let part = [&SYSTIMR, &SYSTIML, &SYSTIMH].iter().position(|part| part.offset() == home);
        part.into_iter().for_each(|part| now[part] = value);
        self.clock.count = count(self.family, now);
        self.clock.since = self.now * 10;
    }

    /// Reading the high half of a stamp frees its place.
    pub(crate) fn take_stamp(&mut self, control: &Register, stored: u32) -> u32 {
        let word = self.file.get(control);
        self.file.set(control, 0, word & !tsyncrxctl::RXTT.mask());
        stored
    }

    /// A frame comes at `time`.
    pub(crate) fn stamp_received(&mut self, parsed: &Parsed, frame: &[u8], time: u64) -> Stamp {
        let control = self.file.get(&TSYNCRXCTL);
        if !tsyncrxctl::EN.is_set(control) || !self.is_wanted(parsed, frame) {
            return Stamp::None;
        }
        if self.goes_behind(parsed) {
            let [_, low, high] = parts(self.family, self.clock_at(time));
            let word = u64::from(low) | u64::from(high) << 32;
            return Stamp::Behind(word.to_le_bytes());
        }
        let keeps = tsyncrxctl::TYPE.of(control) != ALL;
        if keeps && tsyncrxctl::RXTT.is_set(control) {
            return Stamp::None;
        }
        self.stamp(&RXSTMPL, &RXSTMPH, time);
        if keeps {
            self.file.set(&TSYNCRXCTL, 0, control | tsyncrxctl::RXTT.mask());
        }
        if keeps { Stamp::Kept } else { Stamp::None }
    }

    /// Whether an X550 writes a frame's stamp behind it: by its tag's priority, or that it has none.
    fn goes_behind(&self, parsed: &Parsed) -> bool {
        let control = self.file.get(&TSYNCRXCTL);
        let is_asked = match parsed.vlan {
            Some(tag) => tsyncrxctl::TSIP_UP_EN.of(control) >> (tag >> 13) & 1 == 1,
            None => tsyncrxctl::TSIP_UT_EN.is_set(control),
        };
        self.family == Family::X550 && tsyncrxctl::TYPE.of(control) == ALL && is_asked
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
        if !tsynctxctl::EN.is_set(control) || tsynctxctl::TXTT.is_set(control) {
            return;
        }
        self.stamp(&TXSTMPL, &TXSTMPH, self.now);
        self.file.set(&TSYNCTXCTL, 0, control | tsynctxctl::TXTT.mask());
        if self.family == Family::X550 {
            self.file.set(&TSICR, 0, self.file.get(&TSICR) | tsicr::TXTS.mask());
            self.tell_of_time();
        }
    }

    /// An X550 interrupts for causes that TSIM names.
    fn tell_of_time(&mut self) {
        if self.file.get(&TSICR) & self.file.get(&TSIM) != 0 {
            self.raise(eicr::GPI_SDP0);
        }
    }

    /// Ones that are written clear causes.
    pub(crate) fn write_tsicr(&mut self, before: u32, value: u32) {
        self.file.set(&TSICR, 0, before & !value);
    }

    fn stamp(&mut self, low: &Register, high: &Register, time: u64) {
        let [_, low_word, high_word] = parts(self.family, self.clock_at(time));
        self.file.set(low, 0, low_word);
        self.file.set(high, 0, high_word);
    }
}

/// TSYNCRXCTL.TYPE. Of all packets, none is told of, and no stamp is kept.
const VERSION_2_ETHERNET: u32 = 0;
const VERSION_1: u32 = 1;
const VERSION_2: u32 = 2;
const ALL: u32 = 4;
const EVENTS: u32 = 5;
