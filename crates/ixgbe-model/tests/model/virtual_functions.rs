//! Virtual functions: mailboxes, resets, pools, what stays inside of the card, interrupts, requesters.

use crate::bench::tcp;
use crate::functions::{Card, DEFAULT_POOL, QUEUES, RING, frame, mac, tagged};
use linecard_ixgbe_model::{Bar, Carrier, Identity, Presence};
use linecard_ixgbe_regs::VF_QUEUES;
use linecard_ixgbe_regs::descriptor::transmit;
use linecard_ixgbe_regs::registers::virtual_function::*;
use linecard_ixgbe_regs::registers::*;

const BROADCAST: [u8; 6] = [0xFF; 6];
const MULTICAST: [u8; 6] = [0x01, 0, 0x5E, 0, 0x12, 0x34];
const STRANGER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x99];

#[test]
fn a_function_is_there_from_attach_on_with_ids_of_its_own() {
    for (device_id, function) in [(0x10FB, 0x10ED), (0x1528, 0x1515), (0x1563, 0x1565)] {
        let mut card = Card::of(Identity { device_id, ..Identity::default() });
        let mut function_1 = card.bench.card.function(1);
        assert_eq!(function_1.read_config(2, 2), function);
        assert_eq!(function_1.read_config(11, 1), 2, "an Ethernet controller");
        assert_eq!(card.bench.card.read_config(2, 2), u32::from(device_id));
    }
}

#[test]
fn without_pools_functions_have_no_queues_and_everything_is_the_physical_ones() {
    let mut card = Card::bare();
    card.start_function(0);
    assert_eq!(card.get(0, &VFRXDCTL), 0);
    card.bench.set(&FCTRL, fctrl::UPE.mask());
    card.bench.start_rx(0);
    card.bench.set(&RXCTRL, 1);
    card.bench.card.receive(&frame(STRANGER, STRANGER));
    assert!(card.bench.poll().is_some());
}

#[test]
fn messages_go_both_ways_and_ring() {
    let mut card = Card::started();
    card.with_vectors(1);
    card.set(1, &VTEIMS, 0b111);
    card.set_at(1, &VFMBMEM, 3, 0x1234_5678);
    card.set(1, &VFMAILBOX, vfmailbox::REQ.mask());
    assert_eq!(card.bench.get_at(&PFMBMEM, 16 + 3), 0x1234_5678);
    assert!(eicr::MAILBOX.is_set(card.bench.get(&EICR)));
    assert_eq!(pfmbicr::VFREQ.of(card.bench.get(&PFMBICR)), 0b10);
    assert_eq!(pfmbicr::VFREQ.of(card.bench.get(&PFMBICR)), 0b10, "a read clears nothing");
    card.bench.set(&PFMBICR, 0b10);
    assert_eq!(card.bench.get(&PFMBICR), 0);

    card.bench.set_at(&PFMBMEM, 16, 0x8000_0001);
    card.bench.set_at(&PFMAILBOX, 1, pfmailbox::STS.mask() | pfmailbox::ACK.mask());
    assert_eq!(card.vectors(1), [0x52]);
    assert_eq!(card.get_at(1, &VFMBMEM, 0), 0x8000_0001);
    let word = card.get(1, &VFMAILBOX);
    assert_eq!((vfmailbox::PFSTS.of(word), vfmailbox::PFACK.of(word)), (1, 1));
    let word = card.get(1, &VFMAILBOX);
    assert_eq!((vfmailbox::PFSTS.of(word), vfmailbox::PFACK.of(word)), (0, 0), "they were read");

    card.set(1, &VFMAILBOX, vfmailbox::ACK.mask());
    assert_eq!(pfmbicr::VFACK.of(card.bench.get(&PFMBICR)), 0b10);
    assert_eq!(card.get(0, &VFMAILBOX) & !vfmailbox::RSTD.mask(), 0, "the other's is its own");
}

#[test]
fn a_mailbox_that_is_masked_does_not_interrupt() {
    let mut card = Card::started();
    card.bench.get(&EICR);
    card.bench.set(&PFMBIMR, 0b10);
    card.set(0, &VFMAILBOX, vfmailbox::REQ.mask());
    assert!(!eicr::MAILBOX.is_set(card.bench.get(&EICR)));
    assert_eq!(card.bench.get(&PFMBICR), 1);
    card.set(1, &VFMAILBOX, vfmailbox::REQ.mask());
    assert!(eicr::MAILBOX.is_set(card.bench.get(&EICR)));
}

#[test]
fn a_mailbox_is_whose_who_asked_first_until_it_is_given_back() {
    let mut card = Card::started();
    let (vfu, pfu) = (vfmailbox::VFU.mask(), pfmailbox::PFU.mask());
    card.set(0, &VFMAILBOX, vfu);
    card.bench.set(&PFMAILBOX, pfu);
    assert_eq!(card.bench.get(&PFMAILBOX), pfmailbox::VFU.mask());
    assert_eq!(card.get(0, &VFMAILBOX) & (vfu | vfmailbox::PFU.mask()), vfu);
    card.set(0, &VFMAILBOX, vfmailbox::REQ.mask());
    card.bench.set(&PFMAILBOX, pfu);
    card.set(0, &VFMAILBOX, vfu);
    assert_eq!(card.bench.get(&PFMAILBOX), pfu, "the function gave it back with its request");
    card.bench.set(&PFMAILBOX, 0);
    card.set(0, &VFMAILBOX, vfu);
    card.bench.set(&PFMAILBOX, pfmailbox::RVFU.mask() | pfu);
    assert_eq!(card.bench.get(&PFMAILBOX), pfu, "it was taken away");
    assert_eq!(card.bench.get_at(&PFMAILBOX, 1), 0);
}

#[test]
fn a_reset_of_the_physical_function_shows_until_its_driver_is_ready() {
    let mut card = Card::bare();
    let resets = |card: &mut Card| {
        let word = card.get(0, &VFMAILBOX);
        (vfmailbox::RSTI.of(word), vfmailbox::RSTD.of(word))
    };
    assert_eq!((resets(&mut card), resets(&mut card)), ((1, 0), (1, 0)), "after power-on");
    let mut card = card.start();
    assert_eq!((resets(&mut card), resets(&mut card)), ((0, 1), (0, 0)), "ready, and read");
    card.with_vectors(0);
    card.set(0, &VTEIMS, 0b111);
    card.bench.card.receive(&frame(mac(0), STRANGER));
    assert_eq!(card.vectors(0), [0x50]);

    card.bench.set(&CTRL, ctrl::RST.mask());
    assert_eq!(card.vectors(0), [0x52]);
    assert_eq!((resets(&mut card), resets(&mut card)), ((1, 0), (1, 0)));
    assert_eq!(card.get(0, &VTEICR) & 0b100, 0b100, "why it was interrupted");
    assert_eq!((card.get(0, &VTEIMS), card.get(0, &VTIVAR), card.get(0, &VFGPRC)), (0, 0, 0));
    assert_eq!(card.bench.get_at(&RXDCTL, 0), 0);
    card.bench.set(&CTRL_EXT, ctrl_ext::PFRSTD.mask());
    assert_eq!(resets(&mut card), (0, 1));
}

#[test]
fn a_reset_of_a_function_turns_its_queues_off_and_tells_the_physical_one() {
    for reset in [(|card| card.set(1, &VFCTRL, vfctrl::RST.mask())) as fn(&mut Card), |card| {
        card.bench.card.function(1).write_config(0xA8, 0xA810, 2)
    }] {
        let mut card = Card::started();
        card.with_vectors(1);
        card.set(1, &VTEIMS, 0b111);
        card.set(1, &VFPSRTYPE, psrtype::TCP.mask());
        card.set(1, &VFMAILBOX, vfmailbox::VFU.mask());
        card.bench.get(&EICR);
        reset(&mut card);
        assert!(eicr::MAILBOX.is_set(card.bench.get(&EICR)));
        assert_eq!(card.bench.get(&PFVFLRE), 0b10);
        assert_eq!(card.bench.get(&PFVFLREC), 0b10, "an X540's driver reads it here");
        card.bench.set(&PFVFLREC, 0b10);
        assert_eq!(card.bench.get(&PFVFLRE), 0);
        assert_eq!([card.bench.get(&PFVFRE), card.bench.get(&PFVFTE)], [0b101, 0b101]);
        let queue = QUEUES;
        for register in [&RXDCTL, &RDBAL, &RDLEN, &RDT, &SRRCTL, &TXDCTL, &TDBAL, &TDLEN] {
            assert_eq!(card.bench.get_at(register, queue), 0, "{}", register.name);
        }
        assert_eq!(card.get(1, &VFDCA_RXCTRL), 0xB200);
        assert_eq!([card.get(1, &VTEIMS), card.get(1, &VTIVAR), card.get(1, &VFPSRTYPE)], [0; 3]);
        assert_eq!(card.get(1, &VFMAILBOX) & vfmailbox::VFU.mask(), 0);
        card.bench.card.receive(&frame(mac(0), STRANGER));
        assert_eq!(card.received(), [1, 0, 0], "the other goes on");
    }
}

#[test]
fn a_function_level_reset_clears_configuration_space_and_vectors_too() {
    let mut card = Card::started();
    card.with_vectors(0);
    card.bench.card.function(0).write_config(0xA8, 0x8000, 2);
    let mut function = card.bench.card.function(0);
    assert_eq!([function.read_config(4, 2), function.read_config(0x72, 2)], [0, 2]);
    assert_eq!([function.read(Bar::Msix, 8, 4), function.read(Bar::Msix, 12, 4)], [0, 1]);
}

#[test]
fn nothing_is_written_for_a_function_after_its_reset() {
    let mut card = Card::started();
    card.bench.card.faults().write_back_delay = 50;
    card.bench.card.receive(&frame(mac(0), STRANGER));
    card.bench.card.receive(&frame(mac(1), STRANGER));
    card.set(0, &VFCTRL, vfctrl::RST.mask());
    (1..100).for_each(|now| card.bench.card.tick(now));
    assert_eq!(card.received(), [0, 1, 0]);
}

#[test]
fn registers_of_queues_are_windows_and_end_with_the_pool() {
    let mut card = Card::started();
    card.set_at(1, &VFTDBAL, 3, 0xABCD_EF80);
    assert_eq!(card.bench.get_at(&TDBAL, QUEUES + 3), 0xABCD_EF80);
    card.bench.set_at(&RDBAH, QUEUES + 1, 7);
    assert_eq!(card.get_at(1, &VFRDBAH, 1), 7);
    for index in QUEUES..VF_QUEUES {
        card.set_at(1, &VFTDBAL, index, 0x80);
        assert_eq!(card.get_at(1, &VFTDBAL, index), 0);
    }
    assert_eq!(card.bench.get_at(&TDBAL, QUEUES + QUEUES), 0, "the physical function's");
    card.set(1, &VFPSRTYPE, psrtype::UDP.mask());
    assert_eq!(card.bench.get_at(&PSRTYPE, 1), psrtype::UDP.mask());
    card.bench.card.set_carrier(Carrier::OneGigabit);
    assert_eq!(card.get(1, &VFLINKS), card.bench.get(&LINKS));
    card.bench.card.tick(2_003_004_000);
    assert_eq!(card.get(1, &VFFRTIMER), 2 << 20 | 3 << 10 | 4);
}

#[test]
fn frames_go_to_the_pool_of_their_address_by_its_own_requester() {
    let mut card = Card::started();
    let for_first = frame(mac(0), STRANGER);
    card.bench.card.receive(&for_first);
    assert_eq!(card.received(), [1, 0, 0]);
    assert_eq!(card.received_by(0, 0), [for_first]);
    card.bench.card.receive(&frame(mac(1), STRANGER));
    card.bench.card.receive(&frame(mac(DEFAULT_POOL), STRANGER));
    assert_eq!(card.received(), [1, 1, 1]);
    card.bench.card.receive(&frame(STRANGER, STRANGER));
    assert_eq!(card.received(), [1, 1, 1], "nobody's");
    card.bench.set(&FCTRL, fctrl::UPE.mask());
    card.bench.card.receive(&frame(STRANGER, STRANGER));
    assert_eq!(card.received(), [1, 1, 2], "the default pool's");
}

#[test]
fn a_function_without_bus_mastering_reaches_nothing() {
    let mut card = Card::started();
    card.bench.card.function(0).write_config(4, 0x2, 2);
    card.bench.card.receive(&frame(mac(0), STRANGER));
    card.send(0, &frame(STRANGER, mac(0)));
    assert_eq!(card.received(), [0, 0, 0]);
    assert!(card.bench.wire.is_empty() && !card.last_is_done(0));
    card.bench.card.receive(&frame(mac(1), STRANGER));
    assert_eq!(card.received(), [0, 1, 0]);
    assert!(card.bench.card.journal().dma_faults.is_empty());
}

#[test]
fn what_a_function_has_not_mapped_is_in_the_journal() {
    let mut card = Card::started();
    card.push(0, [1 << 40, transmit::DTALEN.put(transmit::EOP.mask(), 64)]);
    let faults = &card.bench.card.journal().dma_faults;
    assert_eq!(faults.iter().map(|fault| fault.address).collect::<Vec<_>>(), [1 << 40]);
}

#[test]
fn broadcasts_are_copied_to_every_pool_that_wants_them() {
    let mut card = Card::started();
    card.bench.card.receive(&frame(BROADCAST, STRANGER));
    assert_eq!(card.received(), [1, 1, 1]);
    card.bench.set_at(&PFVML2FLT, 1, pfvml2flt::AUPE.mask());
    card.bench.card.receive(&frame(BROADCAST, STRANGER));
    assert_eq!(card.received(), [2, 1, 2]);
    let control = card.bench.get(&PFVTCTL) & !pfvtctl::RPL_EN.mask();
    card.bench.set(&PFVTCTL, control);
    card.bench.card.receive(&frame(BROADCAST, STRANGER));
    assert_eq!(card.received(), [2, 1, 3], "without replication it is the default pool's");
}

#[test]
fn multicast_goes_by_the_table_or_to_those_who_want_all() {
    let mut card = Card::started();
    card.bench.set(&MCSTCTRL, mcstctrl::MFE.mask());
    card.bench.set_at(&MTA, 0x341 >> 5, 1 << (0x341 & 31));
    card.bench.set(&PFVML2FLT, pfvml2flt::ROMPE.mask());
    card.bench.card.receive(&frame(MULTICAST, STRANGER));
    assert_eq!(card.received(), [1, 0, 0]);
    card.bench.set_at(&PFVML2FLT, 1, pfvml2flt::MPE.mask());
    card.bench.card.receive(&frame(MULTICAST, STRANGER));
    assert_eq!(card.received(), [2, 1, 0]);
    assert_eq!([card.get(0, &VFMPRC), card.get(1, &VFMPRC)], [2, 1]);
}

#[test]
fn unicast_by_hash_or_all_of_it_where_the_card_can() {
    for (device_id, expected) in [(0x10FB, [1, 0, 0]), (0x1528, [1, 1, 0])] {
        let mut card = Card::of(Identity { device_id, ..Identity::default() }).start();
        card.bench.set(&MCSTCTRL, mcstctrl::MFE.mask());
        let hash = u32::from(u16::from_le_bytes([STRANGER[4], STRANGER[5]])) >> 4;
        card.bench.set_at(&PFUTA, hash >> 5, 1 << (hash & 31));
        card.bench.set(&PFVML2FLT, pfvml2flt::ROPE.mask());
        card.bench.set_at(&PFVML2FLT, 1, pfvml2flt::UPE.mask());
        card.bench.card.receive(&frame(STRANGER, mac(9)));
        assert_eq!(card.received(), expected, "{device_id:x}");
    }
}

#[test]
fn tagged_frames_are_for_members_and_untagged_ones_for_who_takes_them() {
    let mut card = Card::started();
    card.bench.set(&VLNCTRL, vlnctrl::VFE.put(0x8100, 1));
    card.bench.set(&VFTA, 1 << 5 | 1 << 6);
    card.bench.set_at(&PFVLVF, 3, pfvlvf::VI_EN.put(5, 1));
    card.bench.set_at(&PFVLVFB, 6, 0b01);
    card.bench.card.receive(&tagged(mac(0), STRANGER, 0x6005));
    assert_eq!(card.received(), [1, 0, 0]);
    card.bench.card.receive(&tagged(mac(1), STRANGER, 5));
    assert_eq!(card.received(), [1, 0, 1], "no member: the default pool's");
    card.bench.card.receive(&tagged(BROADCAST, STRANGER, 5));
    assert_eq!(card.received(), [2, 0, 1]);
    card.bench.card.receive(&tagged(mac(0), STRANGER, 7));
    assert_eq!(card.received(), [2, 0, 1], "the card does not take VLAN 7");
    card.bench.set(&PFVML2FLT, pfvml2flt::BAM.mask());
    card.bench.card.receive(&frame(BROADCAST, STRANGER));
    assert_eq!(card.received(), [2, 1, 2], "the first takes no untagged frames");
    let control = card.bench.get(&PFVTCTL);
    card.bench.set(&PFVTCTL, control | pfvtctl::DIS_DEF_POOL.mask());
    card.bench.card.receive(&frame(mac(0), STRANGER));
    assert_eq!(card.received(), [2, 1, 2], "and there is no default pool");
}

#[test]
fn tags_are_stripped_as_the_functions_queue_says() {
    let mut card = Card::started();
    let control = card.get(0, &VFRXDCTL);
    card.set(0, &VFRXDCTL, control | rxdctl::VME.mask());
    for number in 0..2 {
        card.bench.card.receive(&tagged(mac(number), STRANGER, 5));
    }
    assert_eq!(card.received_by(0, 0), [frame(mac(0), STRANGER)]);
    assert_eq!(card.received_by(1, 0), [tagged(mac(1), STRANGER, 5)]);
}

#[test]
fn a_pool_that_may_not_receive_gets_nothing() {
    let mut card = Card::started();
    card.bench.set(&PFVFRE, 0b101);
    card.bench.card.receive(&frame(mac(1), STRANGER));
    card.bench.card.receive(&frame(BROADCAST, STRANGER));
    assert_eq!(card.received(), [1, 0, 1]);
}

#[test]
fn rss_spreads_over_the_queues_of_the_pool() {
    let mut card = Card::started();
    for queue in 1..QUEUES {
        card.start_rx(0, queue);
    }
    let modes = mrqc::MRQE.put(mrqc::TCP_IPV4.mask(), 0b1010);
    card.bench.set(&MRQC, modes);
    card.bench.set(&RSSRK, 0x0102_0304);
    (0..32).for_each(|entry| card.bench.set_at(&RETA, entry, 0x0707_0707));
    let mut flow = tcp(80, 1024, &[7; 100]);
    flow[..6].copy_from_slice(&mac(0));
    for (rqpl, queue) in [(0, 0), (1, 1), (2, 3)] {
        card.set(0, &VFPSRTYPE, psrtype::RQPL.put(0, rqpl));
        let before = card.received_by(0, queue).len();
        card.bench.card.receive(&flow);
        assert_eq!(card.received_by(0, queue).len(), before + 1, "queue {queue}");
    }
    card.bench.set(&MRQC, mrqc::MRQE.put(modes, 0b1011));
    card.bench.card.receive(&flow);
    assert_eq!(card.received_by(0, 1).len(), 2, "two queues at most in this mode");
}

#[test]
fn the_filters_of_layers_3_and_4_are_for_the_default_pool() {
    let mut card = Card::started();
    card.bench.start_rx(9);
    card.bench.set(&SYNQF, synqf::RX_QUEUE.put(1, 9));
    let mut syn = tcp(81, 9, &[7; 100]);
    syn[47] = 0x02;
    for pool in 0..3 {
        syn[..6].copy_from_slice(&mac(pool));
        card.bench.card.receive(&syn);
    }
    assert_eq!(card.received(), [1, 1, 0]);
    assert!(linecard_ixgbe_regs::descriptor::receive::DD.is_set(card.bench.first(9)[1]));
}

#[test]
fn a_queue_marked_so_drops_instead_of_holding_up_the_card() {
    let mut card = Card::started();
    for _ in 0..RING {
        card.bench.card.receive(&frame(mac(0), STRANGER));
    }
    card.bench.card.receive(&frame(mac(1), STRANGER));
    assert_eq!((card.received(), card.bench.card.held_frames()), ([15, 0, 0], 2));
    card.bench.set(&PFQDE, pfqde::WE.mask() | pfqde::QDE.mask());
    card.bench.card.receive(&frame(mac(1), STRANGER));
    assert_eq!((card.received(), card.bench.card.held_frames()), ([15, 2, 0], 0));
    for (queue, expected) in [(0, 1), (4, 0)] {
        card.bench.set(&PFQDE, pfqde::QUEUE_IDX.put(pfqde::RE.mask(), queue));
        assert_eq!(pfqde::QDE.of(card.bench.get(&PFQDE)), expected);
    }
}

#[test]
fn a_function_sends_once_its_pool_may_and_both_are_counted() {
    let mut card = Card::started();
    card.bench.set(&PFVFTE, 0b101);
    let sent = frame(STRANGER, mac(1));
    card.send(1, &sent);
    assert!(card.bench.wire.is_empty() && !card.last_is_done(1));
    card.bench.set(&PFVFTE, 0b111);
    assert_eq!(card.bench.wire.take(), Some(sent));
    assert!(card.last_is_done(1));
    card.bench.card.receive(&frame(mac(1), STRANGER));
    for _ in 0..2 {
        assert_eq!([card.get(1, &VFGPTC), card.get(1, &VFGOTC_LSB)], [1, 68]);
        assert_eq!([card.get(1, &VFGPRC), card.get(1, &VFGORC_LSB)], [1, 68], "a read clears not");
    }
    card.set(1, &VFCTRL, vfctrl::RST.mask());
    assert_eq!([card.get(1, &VFGPTC), card.get(0, &VFGPTC)], [1, 0]);
}

#[test]
fn sources_that_are_not_the_pools_are_refused_and_counted() {
    let mut card = Card::started();
    card.bench.set(&PFVFSPOOF, pfvfspoof::MAC.put(0, 0b01));
    card.bench.set(&PFVMECM, 0b01);
    for number in 0..2 {
        card.send(number, &frame(STRANGER, mac(1)));
    }
    assert_eq!(card.bench.wire.len(), 1, "the second's own, which is not checked either");
    assert!(card.last_is_done(0));
    card.send(0, &frame(STRANGER, mac(0)));
    assert_eq!((card.bench.wire.len(), card.bench.get(&SSVPC)), (2, 1));

    card.bench.set(&VLNCTRL, vlnctrl::VFE.put(0x8100, 1));
    card.bench.set(&PFVFSPOOF, pfvfspoof::VLAN.put(0, 0b01));
    card.bench.set(&PFVLVF, pfvlvf::VI_EN.put(5, 1));
    card.bench.set(&PFVLVFB, 0b01);
    for tag in [5, 6] {
        card.send(0, &tagged(STRANGER, mac(0), tag));
    }
    assert_eq!((card.bench.wire.len(), card.bench.get(&SSVPC)), (3, 1));
}

#[test]
fn the_physical_function_says_which_tags_a_function_sends() {
    let mut card = Card::started();
    card.bench.set(&PFVMVIR, pfvmvir::VLANA.put(0x6009, 1));
    card.send(0, &frame(STRANGER, mac(0)));
    assert_eq!(card.bench.wire.take(), Some(tagged(STRANGER, mac(0), 0x6009)));
    card.bench.set(&PFVMVIR, pfvmvir::VLANA.put(0, 2));
    let context = transmit::DTYP.put(transmit::DEXT.mask(), 2);
    card.push(0, [5 << 16, context]);
    card.send_with(0, &frame(STRANGER, mac(0)), transmit::VLE.mask());
    assert_eq!(card.bench.wire.take(), Some(frame(STRANGER, mac(0))), "never");
    card.bench.set(&PFVMVIR, 0);
    card.send_with(0, &frame(STRANGER, mac(0)), transmit::VLE.mask());
    assert_eq!(card.bench.wire.take(), Some(tagged(STRANGER, mac(0), 5)), "as it asks");
}

#[test]
fn what_is_for_another_pool_stays_inside_and_never_comes_back_to_its_sender() {
    let mut card = Card::started();
    card.send(0, &frame(mac(1), mac(0)));
    assert_eq!((card.received(), card.bench.wire.len()), ([0, 0, 0], 1), "not switched on");
    card.bench.set(&PFDTXGSWC, pfdtxgswc::LBE.mask());
    card.send(0, &frame(mac(1), mac(0)));
    assert_eq!((card.received(), card.bench.wire.len()), ([0, 1, 0], 1));
    card.send(0, &frame(mac(DEFAULT_POOL), mac(0)));
    assert_eq!((card.received(), card.bench.wire.len()), ([0, 1, 1], 1));
    card.send(0, &frame(BROADCAST, mac(0)));
    assert_eq!((card.received(), card.bench.wire.len()), ([0, 2, 2], 2));
    card.send(1, &frame(STRANGER, mac(1)));
    assert_eq!((card.received(), card.bench.wire.len()), ([0, 2, 2], 3), "not the default pool's");
    card.send(0, &frame(mac(0), mac(0)));
    assert_eq!((card.received(), card.bench.wire.len()), ([0, 2, 2], 3));
}

#[test]
fn queues_interrupt_their_function_and_nobody_else() {
    let mut card = Card::started();
    card.with_vectors(0);
    card.bench.set(&IVAR, ivar::RX_EVEN_VALID.mask());
    card.bench.set(&EIMS, 1);
    card.bench.card.receive(&frame(mac(0), STRANGER));
    assert_eq!(card.vectors(0), [0; 0], "not enabled");
    card.set(0, &VTEIMS, 0b111);
    assert_eq!(card.vectors(0), [0x50], "what came before");
    card.send(0, &frame(STRANGER, mac(0)));
    assert_eq!(card.vectors(0), [0x51]);
    assert_eq!(card.get(0, &VTEICR), 0b11);
    assert_eq!(card.get(0, &VTEICR), 0, "a read clears");
    assert_eq!((card.vectors(1), card.bench.get(&EICR) & 1), (vec![], 0));
}

#[test]
fn causes_clear_and_disable_themselves_as_asked() {
    let mut card = Card::started();
    card.with_vectors(0);
    card.set(0, &VTEIAC, 0b111);
    card.set(0, &VTEIAM, 0b001);
    card.set(0, &VTEIMS, 0b011);
    for _ in 0..2 {
        card.bench.card.receive(&frame(mac(0), STRANGER));
    }
    assert_eq!(card.vectors(0), [0x50]);
    assert_eq!([card.get(0, &VTEIMS), card.get(0, &VTEICS)], [0b010, 0b001]);
    card.set(0, &VTEIMS, 0b001);
    assert_eq!(card.vectors(0), [0x50]);
    card.set(0, &VTEIMC, 0b111);
    card.set(0, &VTEICS, 0b111);
    assert_eq!((card.vectors(0), card.get(0, &VTEICR)), (vec![], 0b111));
}

#[test]
fn masked_vectors_wait_and_moderation_keeps_them_apart() {
    let mut card = Card::started();
    card.with_vectors(0);
    card.set(0, &VTEIMS, 0b111);
    card.bench.card.function(0).write(Bar::Msix, 12, 1, 4);
    card.bench.card.receive(&frame(mac(0), STRANGER));
    assert_eq!(card.vectors(0), [0; 0]);
    assert_eq!(card.bench.card.function(0).read(Bar::Msix, 0x2000, 8), 1);
    card.bench.card.function(0).write(Bar::Msix, 12, 0, 4);
    assert_eq!(card.vectors(0), [0x50]);

    card.set(0, &VTEITR, vteitr::INTERVAL.put(0, 50));
    card.bench.card.tick(1_000_000);
    for _ in 0..3 {
        card.bench.card.receive(&frame(mac(0), STRANGER));
    }
    assert_eq!(card.vectors(0), [0x50]);
    assert_eq!(card.bench.card.deadline(), Some(1_100_000));
    card.bench.card.tick(1_100_000);
    assert_eq!(card.vectors(0), [0x50]);
}

#[test]
fn a_removed_card_takes_its_functions_with_it() {
    let mut card = Card::started();
    card.bench.card.faults().presence = Presence::Removed;
    assert_eq!(card.get(0, &VFLINKS), u32::MAX);
    assert_eq!(card.bench.card.function(0).read_config(0, 4), u32::MAX);
    card.set(0, &VFCTRL, vfctrl::RST.mask());
    card.bench.card.faults().presence = Presence::Present;
    assert_eq!(card.bench.get(&PFVFLRE), 0);
}

proptest::proptest! {
    #[test]
    fn no_use_of_pools_and_of_a_functions_windows_makes_it_panic(
        control in proptest::prelude::any::<[u32; 3]>(),
        accesses in proptest::collection::vec((0u64..0x1000, proptest::prelude::any::<u32>()), 1..100)
    ) {
        let mut card = Card::started();
        card.bench.set(&GCR_EXT, control[0]);
        card.bench.set(&PFVTCTL, control[1] | pfvtctl::VT_ENA.mask());
        card.bench.set(&MRQC, control[2]);
        for register in [&PFVFRE, &PFVFTE] {
            (0..2).for_each(|index| card.bench.set_at(register, index, u32::MAX));
        }
        for (word, value) in accesses {
            let mut function = card.bench.card.function(value >> 1 & 1);
            match value & 1 {
                0 => drop(function.read(Bar::Registers, word * 4, 4)),
                _ => function.write(Bar::Registers, word * 4, value.into(), 4),
            }
            function.write_config(word as u8, value, 4);
            function.write(Bar::Msix, word * 4, value.into(), 4);
            let pool = value >> 2 & 3;
            card.bench.card.receive(&tagged(mac(pool), STRANGER, value as u16));
            card.bench.card.receive(&frame(BROADCAST, STRANGER));
            card.send(value >> 3 & 1, &frame(mac(pool), mac(0)));
        }
    }
}
