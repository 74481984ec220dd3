//! Registers with effects, interrupts, the link, and what goes wrong when it is asked to.

use crate::bench::{Bench, tcp};
use linecard_ixgbe_model::{Bar, Carrier, Garbage, Presence};
use linecard_ixgbe_regs::descriptor::receive;
use linecard_ixgbe_regs::registers::*;

fn with_vectors() -> Bench {
    let mut bench = Bench::started();
    bench.card.write_config(0x72, 0x8000, 2);
    for vector in 0..2u64 {
        bench.card.write(Bar::Msix, vector * 16, 0xFEE0_0000, 4);
        bench.card.write(Bar::Msix, vector * 16 + 8, 0x40 + vector, 4);
        bench.card.write(Bar::Msix, vector * 16 + 12, 0, 4);
    }
    bench.set(&GPIE, gpie::MULTIPLE_MSIX.mask() | gpie::EIAME.mask());
    bench.set(&IVAR, ivar::RX_EVEN_VALID.mask());
    bench.set(&IVAR_MISC, ivar_misc::OTHER_VALID.put(ivar_misc::OTHER.put(0, 1), 1));
    bench.set(&EIAC, 0xFFFF);
    bench
}

fn vectors(bench: &Bench) -> Vec<u32> {
    bench.interrupts.take_messages().iter().map(|message| message.data).collect()
}

#[test]
fn a_reset_clears_itself_and_keeps_the_address() {
    let mut bench = Bench::started();
    bench.set(&CTRL, ctrl::RST.mask() | ctrl::LRST.mask());
    assert_eq!(bench.get(&CTRL) & ctrl::RST.mask(), 0);
    assert_eq!(bench.get(&RXCTRL), 0);
    assert!(rah::AV.is_set(bench.get(&RAH)));
}

#[test]
fn what_filters_hold_outlives_a_reset() {
    let mut bench = Bench::started();
    for register in [&MTA, &VFTA, &PFUTA, &FTQF, &RETA] {
        bench.set_at(register, 3, 0x8000_0001);
    }
    bench.set(&CTRL, ctrl::RST.mask());
    for register in [&MTA, &VFTA, &PFUTA, &FTQF, &RETA] {
        assert_eq!(bench.get_at(register, 3), 0x8000_0001, "{}", register.name);
    }
    assert_eq!(bench.get(&FCTRL), 0);
}

#[test]
fn late_bits_are_late_by_as_many_reads() {
    let mut bench = Bench::started();
    bench.card.faults().late_bits = 3;
    bench.set(&RXDCTL, 0);
    let seen: Vec<bool> = (0..5).map(|_| rxdctl::ENABLE.is_set(bench.get(&RXDCTL))).collect();
    assert_eq!(seen, [true, true, true, false, false]);
}

#[test]
fn the_semaphore_is_given_to_the_first() {
    let mut bench = Bench::started();
    assert_eq!(bench.get(&SWSM) & 1, 0);
    assert_eq!(bench.get(&SWSM) & 1, 1);
    bench.set(&SWSM, 0);
    assert_eq!(bench.get(&SWSM) & 1, 0);
}

#[test]
fn the_eeprom_is_read_by_word() {
    let mut bench = Bench::bare();
    let sum = (0..0x40).fold(0u16, |sum, word| {
        bench.set(&EERD, eerd::ADDR.put(1, word));
        let value = bench.get(&EERD);
        assert!(eerd::DONE.is_set(value));
        sum.wrapping_add(eerd::DATA.of(value) as u16)
    });
    assert_eq!(sum, 0xBABA);
}

#[test]
fn a_received_frame_sends_its_vector_once_for_each_enabling() {
    let mut bench = with_vectors();
    bench.set(&EIMS, 1);
    bench.card.receive(&tcp(1, 2, &[0; 60]));
    assert_eq!(vectors(&bench), [0x40]);
    bench.card.receive(&tcp(1, 2, &[0; 60]));
    bench.card.receive(&tcp(1, 2, &[0; 60]));
    assert_eq!(vectors(&bench), [0x40, 0x40], "nothing masks it by itself");
    bench.set_at(&EIAM_EX, 0, 1);
    bench.card.receive(&tcp(1, 2, &[0; 60]));
    bench.card.receive(&tcp(1, 2, &[0; 60]));
    assert_eq!(vectors(&bench), [0x40], "masked after the first");
    bench.set(&EIMS, 1);
    assert_eq!(vectors(&bench), [0x40], "what came meanwhile");
}

#[test]
fn the_link_tells_of_its_changes() {
    let mut bench = with_vectors();
    bench.get(&EICR);
    bench.set(&EIMS, eicr::LSC.mask());
    bench.card.set_carrier(Carrier::Down);
    assert_eq!(vectors(&bench), [0x41]);
    assert!(!links::UP.is_set(bench.get(&LINKS)));
    bench.card.receive(&tcp(1, 2, &[0; 60]));
    assert!(bench.poll().is_none());
    bench.card.set_carrier(Carrier::OneGigabit);
    let word = bench.get(&LINKS);
    assert_eq!((links::UP.of(word), links::SPEED.of(word)), (1, 2));
    assert!(eicr::LSC.is_set(bench.get(&EICS)));
    assert!(eicr::LSC.is_set(bench.get(&EICR)));
    assert!(!eicr::LSC.is_set(bench.get(&EICR)), "cleared by reading");
}

#[test]
fn what_no_driver_has_given_a_vector_goes_by_the_first() {
    let mut bench = with_vectors();
    bench.get(&EICR);
    bench.set(&IVAR_MISC, 0);
    bench.set(&EIMS, eicr::LSC.mask());
    bench.card.set_carrier(Carrier::Down);
    assert_eq!(vectors(&bench), [0x40]);
}

#[test]
fn moderation_keeps_interrupts_apart() {
    let mut bench = with_vectors();
    bench.set(&EITR, eitr::INTERVAL.put(0, 50));
    bench.set(&EIMS, 1);
    bench.card.tick(1_000_000);
    for _ in 0..5 {
        bench.card.receive(&tcp(1, 2, &[0; 60]));
    }
    assert_eq!(vectors(&bench).len(), 1);
    assert_eq!(bench.card.deadline(), Some(1_100_000));
    bench.card.tick(1_100_000);
    assert_eq!(vectors(&bench).len(), 1);
}

#[test]
fn a_masked_vector_waits_in_the_pending_bits() {
    let mut bench = with_vectors();
    bench.set(&EIMS, 1);
    bench.card.write(Bar::Msix, 12, 1, 4);
    bench.card.receive(&tcp(1, 2, &[0; 60]));
    assert!(vectors(&bench).is_empty());
    assert_eq!(bench.card.read(Bar::Msix, 0x2000, 4), 1);
    bench.card.write(Bar::Msix, 12, 0, 4);
    assert_eq!(vectors(&bench), [0x40]);
}

#[test]
fn the_pin_stays_up_until_the_causes_are_read() {
    let mut bench = Bench::started();
    bench.get(&EICR);
    bench.set(&IVAR, ivar::RX_EVEN_VALID.mask());
    bench.set(&EIMS, 1);
    bench.card.receive(&tcp(1, 2, &[0; 60]));
    bench.get(&EICR);
    assert_eq!(bench.interrupts.take_levels().len(), 2);
}

#[test]
fn delayed_write_backs_come_later_and_in_another_order() {
    let mut bench = Bench::started();
    bench.card.faults().write_back_delay = 3;
    bench.card.faults().reorder_write_backs = true;
    bench.card.receive(&tcp(1, 2, &[0; 60]));
    bench.card.receive(&tcp(1, 2, &[0; 60]));
    assert!(!receive::DD.is_set(bench.first(0)[1]));
    for now in 0..3 {
        bench.card.tick(now);
    }
    assert!(receive::DD.is_set(bench.first(0)[1]));
}

#[test]
fn garbage_is_written_when_it_is_asked_for() {
    let mut bench = Bench::started();
    bench.card.faults().garbage = Some(Garbage::HugeLength);
    bench.card.receive(&tcp(1, 2, &[0; 60]));
    assert_eq!(receive::PKT_LEN.of(bench.first(0)[1]), 2049);
}

#[test]
fn a_removed_card_reads_all_ones_and_touches_nothing() {
    let mut bench = Bench::started();
    bench.card.faults().presence = Presence::Removed;
    assert_eq!(bench.get(&STATUS), u32::MAX);
    assert_eq!(bench.card.read_config(0, 2), 0xFFFF);
    bench.card.receive(&tcp(1, 2, &[0; 60]));
    assert!(!receive::DD.is_set(bench.first(0)[1]));
}

#[test]
fn memory_that_is_not_there_is_a_fault_in_the_journal() {
    let mut bench = Bench::started();
    bench.memory.put_word(0x1_0000, 1 << 40);
    bench.card.receive(&tcp(1, 2, &[0; 60]));
    assert_eq!(bench.card.journal().dma_faults[0].address, 1 << 40);
}

#[test]
fn without_bus_mastering_no_memory_is_touched() {
    let mut bench = Bench::started();
    bench.card.write_config(4, 0x2, 2);
    bench.card.receive(&tcp(1, 2, &[0; 60]));
    assert!(!receive::DD.is_set(bench.first(0)[1]));
    assert!(bench.card.journal().dma_faults.is_empty());
}

proptest::proptest! {
    #[test]
    fn no_sequence_of_accesses_makes_it_panic(
        accesses in proptest::collection::vec((0u64..0x2_0000, proptest::prelude::any::<u32>()), 1..200)
    ) {
        let mut bench = Bench::started();
        for (word, value) in accesses {
            // Rings without an end take long, and are tested elsewhere.
            if value & 1 == 0 {
                bench.card.read(Bar::Registers, word * 4, 4);
            } else {
                bench.card.write(Bar::Registers, word * 4, value.into(), 4);
            }
            bench.card.receive(&tcp(1, 2, &[0; 60]));
        }
    }

    #[test]
    fn nor_does_any_use_of_configuration_space_or_the_table(
        writes in proptest::collection::vec((0u8..=255, proptest::prelude::any::<u32>(), 0u8..3), 1..100)
    ) {
        let mut bench = with_vectors();
        for (offset, value, size) in writes {
            bench.card.write_config(offset, value, 1 << size);
            bench.card.read_config(offset, 1 << size);
            bench.card.write(Bar::Msix, u64::from(offset) * 64, value.into(), 4);
            bench.card.read(Bar::Msix, u64::from(offset) * 64, 4);
            bench.card.write(Bar::Io, u64::from(offset), value.into(), 4);
            bench.card.receive(&tcp(1, 2, &[0; 60]));
        }
    }
}

#[test]
fn an_access_at_the_end_of_all_offsets_is_one_of_the_window() {
    let mut bench = Bench::bare();
    bench.card.read(Bar::Registers, u64::MAX - 3, 8);
    bench.card.write(Bar::Registers, u64::MAX - 3, 0, 8);
}
