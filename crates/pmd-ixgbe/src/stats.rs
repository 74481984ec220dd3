//! The card's own counters (§8.2.3.23). They are cleared by reading and stop at all ones, so they
//! are added up here, and have to be asked for every few minutes.

use crate::registers::Registers;
use linecard_ixgbe_regs::registers::*;
use linecard_ixgbe_regs::{Field, Register};
use std::sync::Mutex;

/// Counters of 32 bits, by DPDK's names.
const COUNTERS: &[(&str, &Register)] = &[
    ("rx_crc_errors", &CRCERRS),
    ("rx_illegal_byte_errors", &ILLERRC),
    ("rx_error_bytes", &ERRBC),
    ("mac_local_errors", &MLFC),
    ("mac_remote_errors", &MRFC),
    ("rx_length_errors", &RLEC),
    ("tx_xon_packets", &LXONTXC),
    ("rx_xon_packets", &LXONRXCNT),
    ("tx_xoff_packets", &LXOFFTXC),
    ("rx_xoff_packets", &LXOFFRXCNT),
    ("rx_size_64_packets", &PRC64),
    ("rx_size_65_to_127_packets", &PRC127),
    ("rx_size_128_to_255_packets", &PRC255),
    ("rx_size_256_to_511_packets", &PRC511),
    ("rx_size_512_to_1023_packets", &PRC1023),
    ("rx_size_1024_to_max_packets", &PRC1522),
    ("rx_mac_good_packets", &GPRC),
    ("rx_broadcast_packets", &BPRC),
    ("rx_multicast_packets", &MPRC),
    ("rx_undersize_errors", &RUC),
    ("rx_fragment_errors", &RFC),
    ("rx_oversize_errors", &ROC),
    ("rx_jabber_errors", &RJC),
    ("rx_total_packets", &TPR),
    ("tx_mac_good_packets", &GPTC),
    ("tx_total_packets", &TPT),
    ("tx_size_64_packets", &PTC64),
    ("tx_size_65_to_127_packets", &PTC127),
    ("tx_size_128_to_255_packets", &PTC255),
    ("tx_size_256_to_511_packets", &PTC511),
    ("tx_size_512_to_1023_packets", &PTC1023),
    ("tx_size_1024_to_max_packets", &PTC1522),
    ("tx_multicast_packets", &MPTC),
    ("tx_broadcast_packets", &BPTC),
    ("rx_l3_l4_xsum_error", &XEC),
    ("rx_mac_short_packet_dropped", &MSPDC),
    ("rx_management_packets", &MNGPRC),
    ("rx_management_dropped", &MNGPDC),
    ("tx_management_packets", &MNGPTC),
    ("flow_director_matched_filters", &FDIRMATCH),
    ("flow_director_missed_filters", &FDIRMISS),
];

/// Counters of half a register.
const HALVES: &[(&str, Field)] = &[
    ("flow_director_added_filters", fdirustat::ADD),
    ("flow_director_removed_filters", fdirustat::REMOVE),
];

/// Counters of 36 bits: the low register first (§8.2.3.23.1 ff.).
const WIDE: &[(&str, &Register, &Register)] = &[
    ("rx_good_mac_bytes", &GORCL, &GORCH),
    ("tx_good_mac_bytes", &GOTCL, &GOTCH),
    ("rx_total_bytes", &TORL, &TORH),
];

/// §8.2.3.23: 16 sets of counters for 128 queues.
const SETS: u32 = 16;

/// Sums since the port was started.
#[derive(Debug, Default)]
pub(crate) struct Sums(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    counters: Vec<u64>,
    halves: Vec<u64>,
    wide: Vec<u64>,
    missed: u64,
    /// By queue, dropped for want of a descriptor.
    dropped: Vec<u64>,
}

impl Sums {
    /// Adds what the registers hold, and clears them.
    fn update(&self, registers: &Registers) -> std::sync::MutexGuard<'_, State> {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let at = |register, index| match registers.read_at(register, index) {
            // A counter that has stopped is told as it is, and one of nobody is none.
            u32::MAX if registers.is_silent() => 0,
            n => u64::from(n),
        };
        let read = |register| at(register, 0);
        state.counters.resize(COUNTERS.len(), 0);
        state.counters.iter_mut().zip(COUNTERS).for_each(|(sum, (_, at))| *sum += read(at));
        state.halves.resize(HALVES.len(), 0);
        let word = read(&FDIRUSTAT) as u32;
        state
            .halves
            .iter_mut()
            .zip(HALVES)
            .for_each(|(sum, (_, half))| *sum += u64::from(half.of(word)));
        state.wide.resize(WIDE.len(), 0);
        let wide = |(low, high)| read(low) | (read(high) & 0xF) << 32;
        let both = |(_, low, high): &(_, _, _)| wide((*low, *high));
        state.wide.iter_mut().zip(WIDE).for_each(|(sum, at)| *sum += both(at));
        state.missed += (0..MPC.count()).map(|i| at(&MPC, i)).sum::<u64>();
        state.dropped.resize(SETS as usize, 0);
        (0..SETS).for_each(|i| state.dropped[i as usize] += at(&QPRDC, i));
        state
    }

    /// Since the last call: packets that found no room in the packet buffer, and by set those that
    /// found no descriptor.
    pub(crate) fn missed(&self, registers: &Registers) -> (u64, Vec<u64>) {
        let mut state = self.update(registers);
        (std::mem::take(&mut state.missed), std::mem::take(&mut state.dropped))
    }

    /// All, by name.
    pub(crate) fn named(&self, registers: &Registers) -> Vec<(String, u64)> {
        let state = self.update(registers);
        let counters = COUNTERS.iter().map(|(name, _)| name).zip(&state.counters);
        let halves = HALVES.iter().map(|(name, _)| name).zip(&state.halves);
        let wide = WIDE.iter().map(|(name, ..)| name).zip(&state.wide);
        counters.chain(halves).chain(wide).map(|(name, sum)| ((*name).to_owned(), *sum)).collect()
    }

    /// Forgets what was counted while nobody looked (§4.6.5).
    pub(crate) fn clear(&self, registers: &Registers) {
        drop(self.update(registers));
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = State::default();
    }
}

/// §7.15.1.2: queue `i` counts in set `i` modulo 16.
pub(crate) fn map_queues(registers: &Registers) {
    let word = |register: u32| {
        (0..4).fold(0, |word, byte| word | ((register * 4 + byte) % SETS) << (8 * byte))
    };
    for index in 0..RQSMR.count() {
        registers.write_at(&RQSMR, index, word(index));
        registers.write_at(&TQSM, index, word(index));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linecard_eal::device::{Bar, Registers as Answers, Width};
    use std::sync::Arc;

    /// All ones: in one register, or in all of them.
    struct Ones(Option<&'static Register>);

    impl Answers for Ones {
        fn read(&self, offset: usize, _: Width) -> u64 {
            match self.0 {
                Some(one) if one.offset() as usize != offset => 0,
                _ => u32::MAX.into(),
            }
        }

        fn write(&self, _: usize, _: Width, _: u64) {}
    }

    fn packets(ones: Ones) -> u64 {
        let registers = Registers::new(Bar::called(1 << 19, Arc::new(ones))).expect("long enough");
        let all = Sums::default().named(&registers);
        all.iter().find(|(name, _)| name == "rx_mac_good_packets").expect("it is there").1
    }

    #[test]
    fn a_counter_that_has_stopped_is_told_as_far_as_it_went() {
        assert_eq!(packets(Ones(Some(&GPRC))), u32::MAX.into());
        assert_eq!(packets(Ones(None)), 0, "nobody answers");
    }
}
