//! What each mode does with packets.

use crate::capture::{Packet, packets, read, write};
use crate::files::show;
use crate::forward;
use linecard::net::checksum::{Status, verify_ipv4, verify_l4};
use linecard::net::header::TcpFlags;
use linecard::net::packet_type::{L3, L4};
use linecard::net::parse::parse;
use linecard::net::{FlowKey, FrameBuilder, MacAddr};
use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

const ALICE: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xA]);
const BOB: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xB]);

/// What comes out of `mode` when `frames` go in, with their times checked.
fn through(mode: &str, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("in.pcap"), folder.path().join("out.pcap"));
    write(&from, &packets(frames.iter().cloned()));
    // Some modes send where packets came from, others to the partner: here that is the same port.
    let report = forward(&format!("--mode {mode} --port pcap:rx={},tx={}", show(&from), show(&to)));
    assert_eq!(report["pools"][0]["leaked"], 0);
    read(&to).into_iter().map(|Packet { data, .. }| data).collect()
}

fn four() -> FrameBuilder<'static> {
    let (src, dst) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 2));
    FrameBuilder::new(BOB, ALICE).ipv4(src, dst)
}

fn six() -> FrameBuilder<'static> {
    let src = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let dst = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
    FrameBuilder::new(BOB, ALICE).ipv6(src, dst)
}

/// TCP and UDP over both, one of them jumbo.
fn samples() -> Vec<Vec<u8>> {
    let frames = [
        four().udp(1000, 53).frame_len(75),
        four().tcp(1001, 80, TcpFlags::ACK).frame_len(1514),
        six().udp(1002, 53).frame_len(9014),
        six().tcp(1003, 80, TcpFlags::ACK).frame_len(90),
    ];
    frames.map(|frame| frame.to_vec().expect("within limits")).to_vec()
}

fn assert_sound(frame: &[u8]) {
    let layers = parse(frame).outer;
    assert_ne!(verify_ipv4(frame, &layers), Status::Bad, "{frame:02x?}");
    assert_eq!(verify_l4(frame, &layers), Status::Good, "{frame:02x?}");
}

#[test]
fn io_changes_nothing() {
    assert_eq!(through("io", &samples()), samples());
}

#[test]
fn macswap_exchanges_the_addresses_and_nothing_else() {
    let short = vec![vec![1; 11], vec![9; 12]];
    assert_eq!(through("macswap", &short), short, "too short for addresses, or alike");
    for (before, after) in samples().iter().zip(through("macswap", &samples())) {
        assert_eq!((&after[..6], &after[6..12]), (&before[6..12], &before[..6]));
        assert_eq!(after[12..], before[12..]);
    }
}

#[test]
fn mac_sets_the_source_to_the_port_that_sends() {
    let all = through("mac", &samples());
    for (before, after) in samples().iter().zip(&all) {
        assert_eq!((&after[..6], &after[12..]), (&before[..6], &before[12..]));
        assert_eq!(after[6] & 3, 2, "a local address of one station");
        assert_eq!(after[6..12], all[0][6..12]);
        assert_ne!(after[6..12], before[6..12]);
    }
}

#[test]
fn five_tuple_swap_turns_flows_around_with_checksums_right() {
    for (before, after) in samples().iter().zip(through("5tswap", &samples())) {
        assert_sound(&after);
        assert_eq!(parse(before).flow().map(FlowKey::reversed), parse(&after).flow());
        assert_eq!((&after[..6], &after[6..12]), (&before[6..12], &before[..6]));
    }
}

#[test]
fn five_tuple_swap_leaves_sctp_ports_alone_as_its_checksum_covers_their_order() {
    let sctp = four().sctp(5000, 6000, 7).payload(b"chunks").to_vec().expect("within limits");
    let after = through("5tswap", std::slice::from_ref(&sctp));
    assert_sound(&after[0]);
    assert_ne!(after[0], sctp, "the addresses are exchanged");
}

#[test]
fn csum_repairs_checksums_and_leaves_right_ones() {
    assert_eq!(through("csum", &samples()), samples(), "right ones stay");
    let mut broken = samples();
    broken.iter_mut().for_each(|frame| spoil(frame));
    assert_eq!(through("csum", &broken), samples());
}

/// Makes the checksums of a TCP or UDP packet wrong.
fn spoil(frame: &mut [u8]) {
    let layers = parse(frame).outer;
    let field = if layers.l4 == L4::Tcp { 16 } else { 6 };
    frame[usize::from(layers.l4_offset) + field] ^= 0x55;
    if layers.l3 == L3::Ipv4 {
        frame[usize::from(layers.l3_offset) + 10] ^= 0x55;
    }
    assert_eq!(verify_l4(frame, &parse(frame).outer), Status::Bad);
}

#[test]
fn csum_leaves_what_has_no_checksum() {
    let others = vec![vec![0xFF; 60], vec![1; 14], vec![2; 3]];
    assert_eq!(through("csum", &others), others);
}

/// An ARP request of Alice's for an address.
fn arp_request() -> Vec<u8> {
    let mut frame = [&[0xFF; 6][..], &ALICE.octets(), &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
    frame.extend(ALICE.octets());
    frame.extend([192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 2]);
    frame.resize(60, 0);
    frame
}

#[test]
fn icmpecho_answers_arp_and_ping_and_drops_the_rest() {
    let ping = four().echo_request(7, 8).payload(b"are you there").to_vec().expect("within limits");
    let mut reply = ping.clone();
    reply[34] = 0;
    let requests = [samples(), vec![arp_request(), ping.clone(), reply]].concat();
    let answers = through("icmpecho", &requests);
    assert_eq!(answers.len(), 2, "to the two requests");
    let (arp, pong) = (&answers[0], &answers[1]);
    assert_eq!((&arp[..6], arp[21]), (&ALICE.octets()[..], 2), "a reply to Alice");
    assert_eq!((&arp[28..32], &arp[38..42]), (&[192, 0, 2, 2][..], &[192, 0, 2, 1][..]));
    assert_eq!((&arp[6..12], arp[6] & 1), (&arp[22..28], 0), "from the station that it names");
    assert_sound(pong);
    assert_eq!((pong[34], &pong[38..]), (0, &ping[38..]), "an echo reply, with what was sent");
    assert_eq!((&pong[26..30], &pong[30..34]), (&ping[30..34], &ping[26..30]));
    assert_eq!((&pong[..6], &pong[6..12]), (&ALICE.octets()[..], &BOB.octets()[..]));
}

#[test]
fn a_ping_to_a_group_is_answered_by_one_station() {
    let (src, dst) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 255));
    let all = FrameBuilder::new(MacAddr([0xFF; 6]), ALICE).ipv4(src, dst).echo_request(1, 1);
    let answers = through("icmpecho", &[all.to_vec().expect("within limits")]);
    assert_eq!(answers[0][6] & 1, 0, "a source address is never a group's");
}

#[test]
fn hundreds_of_pings_are_all_answered() {
    let ping = |i| four().echo_request(7, i).to_vec().expect("within limits");
    let pings: Vec<_> = (0..500).map(ping).collect();
    assert_eq!(through("icmpecho", &pings).len(), 500);
}

#[test]
fn rxonly_receives_everything_and_sends_nothing() {
    assert_eq!(through("rxonly", &samples()), Vec::<Vec<u8>>::new());
}

/// What a mode that makes frames sends into a capture in a short while.
fn made(options: &str) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("in.pcap"), folder.path().join("out.pcap"));
    // What is received meanwhile must not be among what is sent.
    write(&from, &packets(vec![vec![0xEE; 60]; 100]));
    let ports = format!("--port pcap:rx={},tx={}", show(&from), show(&to));
    let report = forward(&format!("--duration 0.02 {options} {ports}"));
    // However many of them there was time for.
    assert!(report["ports"][0]["rx_packets"].as_u64().is_some_and(|n| n <= 100));
    read(&to).into_iter().map(|packet| packet.data).collect()
}

#[test]
fn txonly_sends_sound_frames_of_one_flow() {
    for len in [60, 1514, 9000] {
        let frames = made(&format!("--mode txonly --frame {len}"));
        assert!(!frames.is_empty());
        assert!(frames.iter().all(|frame| *frame == frames[0]), "frames of one flow are alike");
        assert_eq!(frames[0].len(), len);
        assert_sound(&frames[0]);
    }
}

#[test]
fn flowgen_sends_sound_frames_of_many_flows() {
    let frames = made("--mode flowgen");
    frames.iter().take(2000).for_each(|frame| assert_sound(frame));
    let flows: HashSet<_> = frames.iter().take(2000).filter_map(|f| parse(f).flow()).collect();
    assert_eq!(flows.len(), frames.len().min(1024));
}

#[test]
fn generators_lose_nothing_to_a_cable_that_is_full() {
    for mode in ["txonly", "flowgen"] {
        let report = forward(&format!("--mode {mode} --duration 0.1 --port ring --port null"));
        assert_eq!(report["pools"][0]["leaked"], 0);
        let ring = &report["ports"][0];
        let count = |field: &str| ring[field].as_u64().expect("a count");
        assert!(count("rx_packets") > 0 && count("tx_packets") - count("rx_packets") <= 1024);
    }
}
