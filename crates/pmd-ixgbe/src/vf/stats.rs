//! Counters of a virtual function (§8.3.5.8). Reading does not clear them, and they wrap, those of bytes after
//! 55 s of a full link: they are added up here, and have to be asked for. A reset of the card sets them to
//! 0, one of the function does not.

use crate::registers::Registers;
use linecard_ixgbe_regs::Register;
use linecard_ixgbe_regs::registers::virtual_function::*;
use std::sync::{Mutex, PoisonError};

/// Name, low register, high register of four bits if there is one.
const COUNTERS: [(&str, &Register, Option<&Register>); 5] = [
    ("rx_good_packets", &VFGPRC, None),
    ("rx_good_bytes", &VFGORC_LSB, Some(&VFGORC_MSB)),
    ("rx_multicast_packets", &VFMPRC, None),
    ("tx_good_packets", &VFGPTC, None),
    ("tx_good_bytes", &VFGOTC_LSB, Some(&VFGOTC_MSB)),
];

/// Sums since the port was started.
#[derive(Debug, Default)]
pub(super) struct Sums(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    counters: [Counter; COUNTERS.len()],
    /// The function has been reset since then, and its counters with it.
    is_reset: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    last: u64,
    sum: u64,
}

impl Counter {
    fn see(&mut self, now: u64, width: u32) {
        let moved = now.wrapping_sub(self.last) & ((1 << width) - 1);
        *self = Counter { last: now, sum: self.sum + moved };
    }
}

/// A counter now, and its bits.
fn read(registers: &Registers, low: &Register, high: Option<&Register>) -> (u64, u32) {
    let now = u64::from(registers.read(low));
    match high {
        Some(high) => (now | u64::from(registers.read(high) & 0xF) << 32, 36),
        None => (now, 32),
    }
}

/// Whose the function's registers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ours {
    /// As the last start left them, or nothing runs.
    Still,
    /// A reset of the card has come since.
    Reset,
}

impl Sums {
    /// All, by name. `ours`: whether the function is as a start has left it.
    pub(super) fn named(&self, registers: &Registers, ours: Ours) -> Vec<(String, u64)> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ours == Ours::Reset && !std::mem::replace(&mut state.is_reset, true) {
            state.counters.iter_mut().for_each(|counter| counter.last = 0);
        }
        // Nobody answers: no figures.
        let is_gone = registers.read(&VFSTATUS) == u32::MAX;
        let each = state.counters.iter_mut().zip(COUNTERS);
        let each = each.map(|(counter, (name, low, high))| {
            if !is_gone {
                let (now, width) = read(registers, low, high);
                counter.see(now, width);
            }
            (name.to_owned(), counter.sum)
        });
        each.collect()
    }

    /// From now on.
    pub(super) fn clear(&self, registers: &Registers) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_reset = false;
        for (counter, (_, low, high)) in state.counters.iter_mut().zip(COUNTERS) {
            *counter = Counter { last: read(registers, low, high).0, sum: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_wraps_goes_on() {
        let mut counter = Counter { last: u64::from(u32::MAX) - 1, sum: 10 };
        counter.see(3, 32);
        assert_eq!((counter.last, counter.sum), (3, 15));
        let mut counter = Counter { last: (1 << 36) - 1, sum: 0 };
        counter.see(0, 36);
        assert_eq!(counter.sum, 1);
    }
}
