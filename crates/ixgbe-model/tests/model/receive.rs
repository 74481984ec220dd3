//! What is received, where to, and what the descriptor says of it.

use crate::bench::{Bench, RING, tcp};
use linecard_ixgbe_regs::descriptor::{packet_type, receive};
use linecard_ixgbe_regs::registers::*;

#[test]
fn a_frame_lands_in_the_buffer_with_its_type_and_good_checksums() {
    let mut bench = Bench::started();
    let frame = tcp(80, 1024, &[7; 100]);
    bench.card.receive(&frame);
    let got = bench.poll().unwrap();
    assert_eq!(got.bytes, frame);
    assert_eq!(got.field(receive::PACKET_TYPE), packet_type::IPV4 | packet_type::TCP);
    assert_eq!((got.field(receive::IPCS), got.field(receive::IPE)), (1, 0));
    assert_eq!((got.field(receive::L4CS), got.field(receive::L4E)), (1, 0));
    assert!(bench.poll().is_none());
}

#[test]
fn wrong_checksums_are_told_of_and_counted() {
    let mut bench = Bench::started();
    let mut frame = tcp(80, 1024, &[7; 100]);
    frame[60] ^= 1;
    frame[22] ^= 1;
    bench.card.receive(&frame);
    let got = bench.poll().unwrap();
    assert_eq!((got.field(receive::IPE), got.field(receive::L4E)), (1, 1));
    assert_eq!(bench.get(&XEC), 1);
    assert_eq!(bench.get(&XEC), 0, "cleared by reading");
}

#[test]
fn a_long_frame_is_scattered_over_descriptors() {
    let mut bench = Bench::started();
    bench.set(&MAXFRS, 9018 << 16);
    bench.set(&HLREG0, hlreg0::JUMBOEN.mask() | hlreg0::RXCRCSTRP.mask());
    let frame = tcp(1, 2, &(0..5000).map(|at| at as u8).collect::<Vec<_>>());
    bench.card.receive(&frame);
    assert!(!receive::EOP.is_set(bench.first(0)[1]));
    assert_eq!(bench.poll().unwrap().bytes, frame);
}

#[test]
fn too_short_and_too_long_frames_are_counted_and_gone() {
    let mut bench = Bench::started();
    bench.card.receive(&[0xFF; 59]);
    bench.card.receive(&[0xFF; 1515]);
    assert!(bench.poll().is_none());
    assert_eq!((bench.get(&RUC), bench.get(&ROC)), (1, 1));
}

#[test]
fn only_addresses_that_were_asked_for_pass() {
    let mut bench = Bench::started();
    bench.set(&FCTRL, 0);
    let mut frame = tcp(1, 2, &[0; 60]);
    bench.card.receive(&frame);
    assert!(bench.poll().is_some(), "its own");
    frame[5] = 9;
    bench.card.receive(&frame);
    frame[..6].fill(0xFF);
    bench.card.receive(&frame);
    assert!(bench.poll().is_none());
    bench.set(&FCTRL, fctrl::BAM.mask());
    bench.card.receive(&frame);
    assert!(bench.poll().is_some(), "broadcast");
}

#[test]
fn the_multicast_table_takes_bits_47_to_36() {
    let mut bench = Bench::started();
    bench.set(&FCTRL, 0);
    bench.set(&MCSTCTRL, mcstctrl::MFE.mask());
    let mut frame = tcp(1, 2, &[0; 60]);
    frame[..6].copy_from_slice(&[0x01, 0, 0x5E, 0, 0x12, 0x34]);
    let hash = 0x341;
    bench.set_at(&MTA, hash >> 5, 1 << (hash & 31));
    bench.card.receive(&frame);
    assert_eq!(bench.poll().unwrap().field(receive::PIF), 1);
    frame[5] = 0x44;
    bench.card.receive(&frame);
    assert!(bench.poll().is_none());
}

#[test]
fn tags_are_filtered_and_stripped() {
    let mut bench = Bench::started();
    let plain = tcp(1, 2, &[0; 60]);
    let mut tagged = plain.clone();
    tagged.splice(12..12, [0x81, 0, 0x60, 5]);
    bench.set(&VLNCTRL, vlnctrl::VFE.put(0x8100, 1));
    bench.card.receive(&tagged);
    assert!(bench.poll().is_none());
    bench.set(&VFTA, 1 << 5);
    bench.card.receive(&tagged);
    let got = bench.poll().unwrap();
    assert_eq!((got.field(receive::VP), got.bytes), (1, tagged.clone()));
    let control = bench.get(&RXDCTL);
    bench.set(&RXDCTL, control | rxdctl::VME.mask());
    bench.card.receive(&tagged);
    let got = bench.poll().unwrap();
    assert_eq!(got.field(receive::VLAN), 0x6005);
    assert_eq!(got.bytes, plain);
}

#[test]
fn rss_spreads_over_queues_by_the_redirection_table() {
    let mut bench = Bench::started();
    bench.start_rx(1);
    bench.set(&MRQC, mrqc::TCP_IPV4.put(1, 1));
    bench.set(&RSSRK, 0x0102_0304);
    for entry in 0..32 {
        bench.set_at(&RETA, entry, 0x0101_0101);
    }
    bench.card.receive(&tcp(80, 1024, &[7; 100]));
    assert!(bench.poll().is_none());
    let words = bench.first(1);
    assert!(receive::DD.is_set(words[1]));
    assert_eq!(receive::RSS_TYPE.of(words[0]), 1);
    assert_eq!(bench.get_at(&QPRC, 0), 1);
}

#[test]
fn five_tuple_syn_and_ether_type_filters_steer() {
    let mut bench = Bench::started();
    for queue in 1..4 {
        bench.start_rx(queue);
    }
    bench.set(&SDPQF, u32::from(80u16.to_be()));
    bench.set(&L34TIMIR, l34timir::RX_QUEUE.put(0, 1));
    let masks = ftqf::MASK_SOURCE.mask() | ftqf::MASK_DESTINATION.mask();
    bench.set(&FTQF, ftqf::QUEUE_ENABLE.mask() | masks | ftqf::MASK_DESTINATION_PORT.mask());
    bench.card.receive(&tcp(80, 9, &[7; 100]));
    assert!(receive::DD.is_set(bench.first(1)[1]));

    bench.set(&SYNQF, synqf::RX_QUEUE.put(1, 2));
    let mut syn = tcp(81, 9, &[7; 100]);
    syn[47] = 0x02;
    bench.card.receive(&syn);
    assert!(receive::DD.is_set(bench.first(2)[1]));

    bench.set(&ETQF, etqf::EN.put(0x0806, 1));
    bench.set(&ETQS, etqs::QUEUE_EN.put(etqs::RX_QUEUE.put(0, 3), 1));
    let mut arp = vec![0xFF; 60];
    arp[12..14].copy_from_slice(&[8, 6]);
    bench.card.receive(&arp);
    let words = bench.first(3);
    assert_eq!(receive::PACKET_TYPE.of(words[0]), packet_type::ETHERTYPE);
}

#[test]
fn without_descriptors_frames_wait_until_the_packet_buffer_overflows() {
    let mut bench = Bench::started();
    bench.set(&RXPBSIZE, 8 << 10);
    for _ in 0..RING + 10 {
        bench.card.receive(&tcp(1, 2, &[0; 1000]));
    }
    let mut received = 0;
    while bench.poll().is_some() {
        received += 1;
    }
    let missed = bench.get(&MPC);
    assert_eq!(received + u64::from(missed), RING + 10);
    assert!(missed > 0 && received > RING - 1, "{missed} missed");
}

#[test]
fn a_queue_with_drop_enabled_drops_and_counts() {
    let mut bench = Bench::started();
    bench.set(&SRRCTL, srrctl::DROP_EN.put(srrctl::DESCTYPE.put(2, 1), 1));
    for _ in 0..RING + 4 {
        bench.card.receive(&tcp(1, 2, &[0; 100]));
    }
    assert_eq!(bench.get(&QPRDC), 5);
    assert_eq!(bench.card.held_frames(), 0);
}

#[test]
fn xoff_is_sent_above_the_high_mark_and_xon_below_the_low() {
    let mut bench = Bench::started();
    bench.set(&FCCFG, fccfg::TFCE.put(0, 1));
    bench.set(&FCRTH, fcrth::FCEN.put(2048, 1));
    bench.set(&FCRTL, fcrtl::XONE.put(1024, 1));
    bench.set(&FCTTV, 0x1234);
    for _ in 0..RING + 3 {
        bench.card.receive(&tcp(1, 2, &[0; 1000]));
    }
    let pause = bench.wire.take().unwrap();
    assert_eq!(pause[12..18], [0x88, 0x08, 0, 1, 0x12, 0x34]);
    while bench.poll().is_some() {}
    let pause = bench.wire.take().unwrap();
    assert_eq!(pause[16..18], [0, 0]);
    assert_eq!((bench.get(&LXOFFTXC), bench.get(&LXONTXC)), (1, 1));
}

#[test]
fn headers_are_split_off_into_their_own_buffer() {
    let mut bench = Bench::started();
    bench.set(&PSRTYPE, psrtype::TCP.mask());
    bench.set(&SRRCTL, srrctl::BSIZEHEADER.put(srrctl::DESCTYPE.put(2, 2), 2));
    let ring = bench.get(&RDBAL);
    bench.memory.put_word(u64::from(ring) + 8, 0x7_0000);
    let frame = tcp(1, 2, &[9; 200]);
    bench.card.receive(&frame);
    let words = bench.first(0);
    assert_eq!((receive::SPH.of(words[0]), receive::HDR_LEN.of(words[0])), (1, 54));
    assert_eq!(receive::PKT_LEN.of(words[1]), 200);
    assert_eq!(bench.memory.bytes(0x7_0000, 54), frame[..54]);
}

#[test]
fn a_frame_check_that_is_not_stripped_is_at_the_end() {
    let mut bench = Bench::started();
    bench.set(&HLREG0, 0);
    bench.set(&RDRXCTL, 0);
    let frame = tcp(1, 2, &[9; 200]);
    bench.card.receive(&frame);
    assert_eq!(bench.poll().unwrap().bytes.len(), frame.len() + 4);
}
