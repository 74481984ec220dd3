//! What is sent: checksums, tags, segments, and when its descriptor is done.

use crate::bench::{Bench, checksum, pseudo, raw_tcp, tcp};
use linecard_ixgbe_model::Breach;
use linecard_ixgbe_regs::descriptor::{context, transmit};
use linecard_ixgbe_regs::registers::*;

fn context_of(vlan: u64, mss: u64) -> [u64; 2] {
    let low = context::VLAN.put(context::MACLEN.put(context::IPLEN.put(0, 20), 14), vlan);
    let high = context::DTYP.put(0, 2) | context::DEXT.mask() | context::IPV4.mask();
    let high = context::L4T.put(context::L4LEN.put(high, 20), context::L4T_TCP);
    [low, context::MSS.put(high, mss)]
}

/// The sum of the pseudo header, as a driver puts it into the checksum field.
fn seed(frame: &mut [u8], len: usize) {
    let sum = !checksum(&[], pseudo(len));
    frame[50..52].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn a_frame_goes_to_the_wire_and_its_descriptor_is_done() {
    let mut bench = Bench::started();
    let frame = tcp(1, 2, &[5; 80]);
    bench.send(&frame, 0, frame.len() as u64);
    assert_eq!(bench.wire.take().unwrap(), frame);
    assert!(bench.last_is_done());
    assert_eq!((bench.get(&GPTC), bench.get(&GOTCL)), (1, frame.len() as u32 + 4));
    assert_eq!((bench.get(&QPTC), bench.get(&GPTC)), (1, 0));
}

#[test]
fn a_short_frame_is_padded() {
    let mut bench = Bench::started();
    bench.send(&[1; 20], 0, 20);
    assert_eq!(bench.wire.take().unwrap().len(), 60);
}

#[test]
fn checksums_are_inserted() {
    let mut bench = Bench::started();
    let mut frame = raw_tcp(1, 2, &[5; 81]);
    seed(&mut frame, 101);
    bench.push(context_of(0, 0));
    let flags = transmit::IXSM.mask() | transmit::TXSM.mask() | transmit::CC.mask();
    bench.send(&frame, flags, frame.len() as u64);
    assert_eq!(bench.wire.take().unwrap(), tcp(1, 2, &[5; 81]));
}

#[test]
fn a_tag_is_inserted() {
    let mut bench = Bench::started();
    let frame = tcp(1, 2, &[5; 80]);
    bench.push(context_of(0x6005, 0));
    bench.send(&frame, transmit::VLE.mask(), frame.len() as u64);
    assert_eq!(bench.wire.take().unwrap()[12..18], [0x81, 0, 0x60, 5, 8, 0]);
}

#[test]
fn a_long_payload_becomes_segments_with_right_headers() {
    let mut bench = Bench::started();
    let payload: Vec<u8> = (0..2500).map(|at| at as u8).collect();
    let mut frame = raw_tcp(1, 2, &payload);
    frame[16..18].fill(0);
    seed(&mut frame, 0);
    frame[47] = 0x19;
    bench.push(context_of(0, 1000));
    let flags = transmit::TSE.mask() | transmit::IXSM.mask() | transmit::TXSM.mask();
    bench.send(&frame, flags, payload.len() as u64);
    let mut sent = Vec::new();
    for (index, size) in [(0, 1000), (1, 1000), (2, 500)] {
        let segment = bench.wire.take().unwrap();
        assert_eq!(segment.len(), 54 + size);
        assert_eq!(checksum(&segment[14..34], 0), 0, "IPv4");
        assert_eq!(checksum(&segment[34..], pseudo(20 + size)), 0, "TCP");
        assert_eq!(segment[19], 7 + index);
        let sequence = u32::from_be_bytes(segment[38..42].try_into().unwrap());
        assert_eq!(sequence, 256 + u32::from(index) * 1000);
        assert_eq!(segment[47], if index == 2 { 0x19 } else { 0x10 }, "FIN and PSH are the last's");
        sent.extend_from_slice(&segment[54..]);
    }
    assert_eq!(sent, payload);
}

#[test]
fn a_payload_length_that_is_not_the_packets_is_a_breach() {
    let mut bench = Bench::started();
    bench.push(context_of(0, 1000));
    bench.send(&raw_tcp(1, 2, &[0; 2000]), transmit::TSE.mask(), 1999);
    assert!(bench.wire.is_empty());
    assert_eq!(bench.card.journal().breaches[&Breach::BadContext], 1);
}

#[test]
fn the_head_is_written_where_it_is_wanted() {
    let mut bench = Bench::started();
    bench.set(&TDWBAL, 0x5_0001);
    bench.send(&tcp(1, 2, &[5; 80]), 0, 0);
    assert_eq!(bench.memory.word(0x5_0000), 1);
    assert!(!bench.last_is_done());
}

#[test]
fn a_tail_before_the_queue_is_enabled_is_lost() {
    let mut bench = Bench::started();
    bench.set(&TXDCTL, 0);
    bench.send(&tcp(1, 2, &[5; 80]), 0, 0);
    assert!(bench.wire.is_empty());
    assert_eq!(bench.card.journal().breaches[&Breach::TailOfDisabledQueue], 1);
}

#[test]
fn a_threshold_without_room_for_a_frame_is_a_breach() {
    let mut bench = Bench::started();
    let frame = tcp(1, 2, &[5; 1200]);
    bench.send(&frame, 0, frame.len() as u64);
    assert!(bench.card.journal().breaches.is_empty(), "as after a reset");
    bench.set(&TXPBTHRESH, 0x9F);
    bench.send(&frame, 0, frame.len() as u64);
    assert_eq!(bench.card.journal().breaches[&Breach::NoRoomAboveThreshold], 1);
}

#[test]
fn a_queue_beyond_those_of_the_mode_and_a_class_without_means_send_nothing() {
    let mut bench = Bench::started();
    let ring = 0x5_0000;
    bench.set_at(&TDBAL, 96, ring);
    bench.set_at(&TDLEN, 96, 256);
    bench.set_at(&TXDCTL, 96, txdctl::ENABLE.mask());
    bench.memory.put(0x6_0000, &tcp(1, 2, &[5; 80]));
    let word = transmit::DTYP.put(0, 3) | transmit::DEXT.mask() | transmit::EOP.mask();
    bench.memory.put_word(ring.into(), 0x6_0000);
    bench.memory.put_word(u64::from(ring) + 8, transmit::DTALEN.put(word, 134));
    bench.set_at(&TDT, 96, 1);
    assert!(bench.wire.is_empty(), "there are 64 without classes");
    assert_eq!(bench.card.take_journal().breaches[&Breach::NoSuchQueue], 1);
    bench.set(&MTQC, mtqc::NUM_TC_OR_Q.put(mtqc::RT_ENA.mask(), 2));
    bench.set_at(&TDT, 96, 1);
    // Its class is 2; after a reset each of eight buffers has all of the memory.
    (0..8).for_each(|class| bench.set_at(&TXPBSIZE, class, 20 << 10));
    bench.set_at(&TDT, 96, 1);
    assert!(bench.wire.is_empty(), "it has no credits");
    let breaches = bench.card.take_journal().breaches;
    assert_eq!(breaches[&Breach::ClassWithoutMeans], 2, "{breaches:?}");
    let credits = rttdt2c::MCL.put(rttdt2c::CRQ.put(0, 1), 2);
    bench.set_at(&RTTDT2C, 2, credits);
    bench.set_at(&RTTPT2C, 2, credits);
    bench.set_at(&TDT, 96, 1);
    assert!(bench.wire.take().is_some());
    let breaches = bench.card.take_journal().breaches;
    assert_eq!(
        breaches[&Breach::ClassWithoutMeans],
        1,
        "134 bytes are three credits: {breaches:?}"
    );
}

#[test]
fn loopback_leads_back_to_receive() {
    let mut bench = Bench::started();
    let word = bench.get(&HLREG0);
    bench.set(&HLREG0, word | hlreg0::LPBK.mask());
    let frame = tcp(1, 2, &[5; 80]);
    bench.send(&frame, 0, 0);
    assert!(bench.wire.is_empty());
    assert_eq!(bench.poll().unwrap().bytes, frame);
    bench.card.receive(&frame);
    assert!(bench.poll().is_none(), "what comes from the wire meanwhile is lost");
}

#[test]
fn a_packet_without_an_end_takes_no_more_memory_than_forty_buffers() {
    let mut bench = Bench::started();
    let piece = transmit::DTYP.put(transmit::DEXT.mask() | transmit::IFCS.mask(), 3);
    for _ in 0..1000 {
        bench.push([0x30_0000, transmit::DTALEN.put(piece, 1000)]);
    }
    bench.push([0x30_0000, transmit::DTALEN.put(piece | transmit::EOP.mask(), 1000)]);
    assert_eq!(bench.wire.take().unwrap().len(), 40 * 1000);
    assert_eq!(bench.card.journal().breaches[&Breach::TooManyDescriptors], 1);
}

/// The end of a pause has transmit go on, which is at work on that very frame.
#[test]
fn the_end_of_a_pause_that_comes_back_by_loopback_is_heeded_once() {
    let mut bench = Bench::started();
    let word = bench.get(&HLREG0);
    bench.set(&HLREG0, word | hlreg0::LPBK.mask());
    bench.set(&MFLCN, mflcn::RFCE.mask());
    let mut pause = vec![1, 0x80, 0xC2, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x88, 8, 0, 1, 0, 0];
    pause.resize(60, 0);
    bench.send(&pause, 0, 60);
    assert!(bench.last_is_done());
    assert_eq!((bench.get(&LXONRXCNT), bench.get(&GPTC)), (1, 1));
    let frame = tcp(1, 2, &[5; 80]);
    bench.send(&frame, 0, 0);
    assert_eq!(bench.poll().unwrap().bytes, frame);
}
