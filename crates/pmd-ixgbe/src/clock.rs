//! The card's clock, and time stamps of PTP frames (§7.9).
//!
//! The clock of an 82599 and of an X540 counts in fractions of a nanosecond, at each tick of the MAC's, whose length hangs
//! on the link's speed. It wraps after more than two hours: time is added up here whenever somebody asks. That of an X550
//! counts seconds and nanoseconds by an oscillator of its own, and does not wrap in a lifetime.

use crate::hardware::Hardware;
use crate::ids::Family;
use linecard_ixgbe_regs::Register;
use linecard_ixgbe_regs::registers::*;
use linecard_pmd_core::{Adjust, TimeSync};
use std::time::{Duration, Instant};

/// EtherType of PTP, and the filter that finds it: rules have those before it.
const PTP: u32 = 0x88F7;
pub(crate) const PTP_FILTER: u32 = 7;

/// TSYNCRXCTL.TYPE: event messages of version 2, over Ethernet and UDP.
const EVENTS: u32 = 5;

/// The port of UDP that events go to (IEEE 1588-2008, Annex D).
const EVENT_PORT: u32 = 319;

const NANOSECONDS: u64 = 1_000_000_000;

/// By the link's speed in Mb/s: what is added each tick, and the bits below a nanosecond of it. Ticks
/// are of 6.4 ns at 10 Gb/s, and longer as the link is slower. An X540 has room for seven bits more, with
/// which it would wrap every minute; so it has as many as an 82599.
const TICKS: &[(u32, u32, u32)] =
    &[(10_000, 13_421_773, 21), (1_000, 64 << 17, 17), (100, 640 << 14, 14)];

/// What is known of the time.
#[derive(Debug)]
pub(crate) struct Clock {
    pub(crate) sync: TimeSync,
    /// When the card's counter was `counter`, the time was this many nanoseconds.
    nanoseconds: u64,
    counter: u64,
    /// And this machine's clock was this.
    then: Instant,
    /// Mb/s that the ticks are set for, and their bits below a nanosecond.
    speed: u32,
    shift: u32,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let (speed, _, shift) = TICKS[0];
        let then = Instant::now();
        Clock { sync: TimeSync::Off, nanoseconds: 0, counter: 0, then, speed, shift }
    }

    /// Switches stamps on, or off (§7.9.3). The clock goes on from where it was.
    pub(crate) fn set(&mut self, hardware: &Hardware, sync: TimeSync, speed: Option<u32>) {
        if self.sync == TimeSync::On && sync == TimeSync::On {
            return;
        }
        self.sync = sync;
        self.apply(hardware, speed);
    }

    /// Says it again after a reset, which takes the card's counter back to 0.
    pub(crate) fn apply(&mut self, hardware: &Hardware, speed: Option<u32>) {
        let registers = &hardware.registers;
        let on = self.sync == TimeSync::On;
        let word = etqf::ETYPE.put(etqf::EN.mask() | etqf::IEEE1588.mask(), PTP);
        registers.write_at(&ETQF, PTP_FILTER, if on { word } else { 0 });
        registers.write_at(&ETQS, PTP_FILTER, 0);
        let word = tsyncrxctl::TYPE.put(tsyncrxctl::EN.mask(), EVENTS);
        registers.write(&TSYNCRXCTL, if on { word } else { 0 });
        registers.write(&TSYNCTXCTL, if on { tsynctxctl::EN.mask() } else { 0 });
        if on {
            registers.write(&RXMTRL, rxmtrl::UDPT.put(0, EVENT_PORT));
            // That has an X550's go, too.
            registers.write(&TSAUXC, 0);
            self.set_ticks(hardware, speed.unwrap_or(self.speed));
            // What was stamped before is nobody's.
            let _ = (registers.read(&RXSTMPH), registers.read(&TXSTMPH));
        }
    }

    /// Counts from now on, at a link's speed.
    fn set_ticks(&mut self, hardware: &Hardware, speed: u32) {
        let (speed, increment, shift) =
            TICKS.iter().copied().find(|(of, ..)| *of == speed).unwrap_or(TICKS[0]);
        let now = Instant::now();
        self.nanoseconds = self.nanoseconds.saturating_add(nanoseconds(now - self.then));
        (self.then, self.speed) = (now, speed);
        let (word, shift) = match hardware.family {
            Family::I82599 => (timinca::INCREMENT.put(timinca::PERIOD.put(0, 1), increment), shift),
            Family::X540 => (timinca::WIDE_INCREMENT.put(0, increment), shift),
            // Nothing beside what its oscillator gives.
            Family::X550 => (0, 0),
        };
        self.shift = shift;
        let registers = &hardware.registers;
        registers.write(&TIMINCA, word);
        if hardware.family == Family::X550 {
            registers.write(&SYSTIMR, 0);
        }
        registers.write(&SYSTIML, 0);
        registers.write(&SYSTIMH, 0);
        self.counter = 0;
    }

    /// The link has a speed: ticks are of another length then.
    pub(crate) fn follow(&mut self, hardware: &Hardware, speed: Option<u32>) {
        let follows = self.sync == TimeSync::On && hardware.family != Family::X550;
        if follows && speed.is_some_and(|speed| speed != self.speed) {
            self.set_ticks(hardware, speed.unwrap_or(self.speed));
        }
    }

    /// The time now.
    pub(crate) fn now(&mut self, hardware: &Hardware) -> Duration {
        let counter = system_time(hardware);
        self.then = Instant::now();
        self.advance(counter);
        Duration::from_nanos(self.nanoseconds)
    }

    /// Goes on to where the counter is, by whole nanoseconds: what is less is for the next time.
    fn advance(&mut self, counter: u64) {
        let passed = counter.wrapping_sub(self.counter) >> self.shift;
        self.nanoseconds = self.nanoseconds.saturating_add(passed);
        self.counter = self.counter.wrapping_add(passed << self.shift);
    }

    /// The time that a stamp says: up to an hour before the counter was last read, or behind.
    fn at(&self, counter: u64) -> u64 {
        let since = counter.wrapping_sub(self.counter) as i64;
        self.nanoseconds.saturating_add_signed(since >> self.shift)
    }

    pub(crate) fn put(&mut self, hardware: &Hardware, time: Duration) {
        self.now(hardware);
        self.nanoseconds = nanoseconds(time);
    }

    pub(crate) fn adjust(&mut self, by: Adjust) {
        self.nanoseconds = match by {
            Adjust::Forward(by) => self.nanoseconds.saturating_add(nanoseconds(by)),
            Adjust::Back(by) => self.nanoseconds.saturating_sub(nanoseconds(by)),
        };
    }

    /// A stamp, if one is held. Reading its high half lets the card take another.
    pub(crate) fn stamp(&self, hardware: &Hardware, which: Stamp) -> Option<Duration> {
        let registers = &hardware.registers;
        let (control, low, high): (_, &Register, &Register) = match which {
            Stamp::Received => (registers.field(&TSYNCRXCTL, tsyncrxctl::RXTT), &RXSTMPL, &RXSTMPH),
            Stamp::Sent => (registers.field(&TSYNCTXCTL, tsynctxctl::TXTT), &TXSTMPL, &TXSTMPH),
        };
        let halves = || (registers.read(low), registers.read(high));
        (control == 1).then(|| Duration::from_nanos(self.at(count(hardware.family, halves()))))
    }
}

/// As the clock has them: the last of them are in the year 2554.
fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// Whose stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamp {
    Received,
    Sent,
}

/// Both halves of the counter, of one moment: reading the low one holds the high one (§8.2.3.26.12), and reading what an
/// X550 has below a nanosecond holds both.
fn system_time(hardware: &Hardware) -> u64 {
    let registers = &hardware.registers;
    if hardware.family == Family::X550 {
        let _ = registers.read(&SYSTIMR);
    }
    let low = registers.read(&SYSTIML);
    count(hardware.family, (low, registers.read(&SYSTIMH)))
}

/// What the halves of a time say: an X550's are nanoseconds and seconds.
fn count(family: Family, (low, high): (u32, u32)) -> u64 {
    let (low, high) = (u64::from(low), u64::from(high));
    if family == Family::X550 { high * NANOSECONDS + low } else { high << 32 | low }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_as_long_as_the_mac_makes_it() {
        for (speed, increment, shift) in TICKS {
            let nanoseconds = f64::from(*increment) / f64::from(1u32 << shift);
            let expected = 64_000.0 / f64::from(*speed);
            assert!((nanoseconds / expected - 1.0).abs() < 1e-7, "{speed}: {nanoseconds}");
            assert!(timinca::INCREMENT.of(*increment) == *increment, "{speed}: 24 bits");
        }
    }

    #[test]
    fn stamps_lie_around_the_time_that_was_last_asked_for() {
        let mut clock = Clock::new();
        (clock.nanoseconds, clock.counter) = (1_000_000, 5 << 21);
        assert_eq!(clock.at(105 << 21), 1_000_100);
        assert_eq!(clock.at(0), 999_995);
        clock.counter = u64::MAX;
        assert_eq!(clock.at((1 << 21) - 1), 1_000_001, "it has wrapped");
        clock.adjust(Adjust::Back(Duration::from_secs(1)));
        assert_eq!(clock.nanoseconds, 0);
    }

    #[test]
    fn asking_often_loses_nothing() {
        let mut clock = Clock::new();
        (1..=1000).for_each(|tick| clock.advance(tick * 13_421_773));
        assert_eq!(clock.nanoseconds, 6_400);
    }
}
