//! Captures that other programs write, whole and broken, and what a pcap port makes of them.

use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::{Error, Port, PortConfig, Queues, RxOffloads, Started};
use linecard_pmd_soft::{Pace, PcapError, PcapOptions, PcapPort, Repeat};
use proptest::prelude::*;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A file of these bytes, and the folder that it goes away with.
fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in.pcap");
    std::fs::write(&path, bytes).expect("a file");
    (folder, path)
}

fn open(bytes: &[u8]) -> Result<PcapPort, PcapError> {
    let (_folder, path) = file(bytes);
    PcapPort::open(PcapOptions::new("pcap0").rx(path))
}

fn pool() -> MbufPool {
    MbufPool::builder("captures").size(1023).build().expect("a pool")
}

fn start(port: PcapPort, pool: &MbufPool) -> (Port<Started>, Queues) {
    let config = PortConfig::new(pool).rx_offloads(RxOffloads::SCATTER);
    Port::open(port).configure(config).expect("a plain one").start().expect("it starts")
}

/// Every packet of a capture, with its time stamp.
fn packets(bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let pool = pool();
    let (_port, mut queues) = start(open(bytes).expect("a capture"), &pool);
    let (mut all, mut burst) = (Vec::new(), Burst::new());
    while queues.rx[0].receive(&mut burst) > 0 {
        for packet in burst.drain(usize::MAX) {
            let mut bytes = vec![0; packet.len()];
            packet.copy_to(0, &mut bytes);
            all.push((packet.timestamp().expect("captures have times"), bytes));
        }
    }
    assert!(queues.rx[0].is_finished());
    all
}

/// A pcap file, made by hand: magic, snap length, packets of (seconds, fraction, original length,
/// data).
fn pcap(magic: u32, snap: u32, link: u32, packets: &[(u32, u32, u32, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let words = [magic, 4 << 16 | 2, 0, 0, snap, link];
    words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    for (seconds, fraction, original, data) in packets {
        let words = [*seconds, *fraction, data.len() as u32, *original];
        words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        bytes.extend_from_slice(data);
    }
    bytes
}

const MICRO: u32 = 0xA1B2_C3D4;
const NANO: u32 = 0xA1B2_3C4D;
const ETHERNET: u32 = 1;

/// A block of a pcapng file.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0xEE);
    let len = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes(), &len, &body[..], &len].concat()
}

fn section() -> Vec<u8> {
    let words = [0x1A2B_3C4Du32, 1, u32::MAX, u32::MAX];
    block(0x0A0D_0D0A, &words.map(u32::to_le_bytes).concat())
}

/// An interface of Ethernet frames with these options, given as (code, value).
fn interface(snap: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = [ETHERNET.to_le_bytes(), snap.to_le_bytes()].concat();
    for (code, value) in options {
        body.extend(code.to_le_bytes());
        body.extend((value.len() as u16).to_le_bytes());
        body.extend_from_slice(value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    body.extend([0; 4]);
    block(1, &body)
}

fn enhanced(interface: u32, stamp: u64, data: &[u8]) -> Vec<u8> {
    let len = data.len() as u32;
    let words = [interface, (stamp >> 32) as u32, stamp as u32, len, len];
    block(6, &[&words.map(u32::to_le_bytes).concat(), data].concat())
}

fn simple(original: u32, data: &[u8]) -> Vec<u8> {
    block(3, &[&original.to_le_bytes(), data].concat())
}

const TS_RESOLUTION: u16 = 9;
const TS_OFFSET: u16 = 14;

#[test]
fn micro_and_nanoseconds_of_pcap_are_kept() {
    let all = packets(&pcap(MICRO, 65_535, ETHERNET, &[(1, 999_999, 60, &[1; 60])]));
    assert_eq!(all, [(1_999_999_000, vec![1; 60])]);
    let all = packets(&pcap(NANO, 65_535, ETHERNET, &[(1, 999_999_999, 60, &[1; 60])]));
    assert_eq!(all, [(1_999_999_999, vec![1; 60])]);
}

#[test]
fn a_pcap_of_the_other_byte_order_is_read() {
    let little = pcap(MICRO, 65_535, ETHERNET, &[(7, 8, 4, &[1, 2, 3, 4])]);
    let (head, data) = little.split_at(40);
    let swapped = head.chunks(4).flat_map(|word| word.iter().rev().copied());
    // The two halves of the version's word are halves, not a word: they do not matter here.
    let big: Vec<u8> = swapped.chain(data.iter().copied()).collect();
    assert_eq!(packets(&big), [(7_000_008_000, vec![1, 2, 3, 4])]);
}

#[test]
fn a_packet_cut_by_the_snap_length_is_received_as_it_was_captured() {
    let cut = pcap(MICRO, 96, ETHERNET, &[(1, 0, 1514, &[3; 96]), (2, 0, 60, &[4; 60])]);
    assert_eq!(packets(&cut), [(1_000_000_000, vec![3; 96]), (2_000_000_000, vec![4; 60])]);
    let unlimited = pcap(MICRO, 0, ETHERNET, &[(1, 0, 60, &[3; 60])]);
    assert_eq!(packets(&unlimited).len(), 1, "a snap length of 0 is none");
}

#[test]
fn resolutions_of_pcapng_are_powers_of_ten_or_of_two() {
    let of = |resolution: u8, stamp| {
        let interface = interface(0, &[(TS_RESOLUTION, &[resolution])]);
        packets(&[section(), interface, enhanced(0, stamp, &[5; 61])].concat())
    };
    assert_eq!(of(6, 1_500_001), [(1_500_001_000, vec![5; 61])]);
    assert_eq!(of(9, 1_500_000_001), [(1_500_000_001, vec![5; 61])]);
    assert_eq!(of(3, 1_500), [(1_500_000_000, vec![5; 61])]);
    assert_eq!(of(0x80 | 10, 1536), [(1_500_000_000, vec![5; 61])]);
    assert_eq!(of(0x80 | 32, 3 << 31), [(1_500_000_000, vec![5; 61])]);
    let plain = packets(&[section(), interface(0, &[]), enhanced(0, 7, &[5; 61])].concat());
    assert_eq!(plain, [(7_000, vec![5; 61])], "microseconds, where nothing is said");
}

#[test]
fn an_offset_of_time_stamps_is_added() {
    let hour = interface(0, &[(TS_OFFSET, &3600u64.to_le_bytes())]);
    let back = interface(0, &[(TS_OFFSET, &(-1i64).to_le_bytes())]);
    let two = [enhanced(0, 5_000_000, &[1; 60]), enhanced(1, 5_000_000, &[2; 60])].concat();
    let all = packets(&[section(), hour, back, two].concat());
    let times: Vec<_> = all.iter().map(|(time, _)| *time).collect();
    assert_eq!(times, [3_605_000_000_000, 4_000_000_000]);
}

#[test]
fn simple_packets_lose_their_padding_and_what_the_snap_length_cut() {
    let first = [section(), interface(64, &[]), enhanced(0, 9, &[1; 60])].concat();
    let all = packets(&[first, simple(61, &[2; 61]), simple(1000, &[3; 64])].concat());
    let lens: Vec<_> = all.iter().map(|(time, data)| (*time, data.len())).collect();
    assert_eq!(lens, [(9_000, 60), (9_000, 61), (9_000, 64)], "of the time of the one before");
}

#[test]
fn packets_of_the_old_packet_block_are_not_lost() {
    // Interface 0 with 3 drops; then as in an enhanced packet.
    let words = [3u32 << 16, 0, 7, 60, 60].map(u32::to_le_bytes).concat();
    let old = block(2, &[&words[..], &[8; 60]].concat());
    assert_eq!(packets(&[section(), interface(0, &[]), old].concat()), [(7_000, vec![8; 60])]);
}

#[test]
fn blocks_of_other_kinds_are_passed_over() {
    // Names that are no UTF-8, secrets, and a kind that nobody has defined.
    let others = [block(4, &[0xFF; 9]), block(10, &[0; 12]), block(0x0BAD_BEEF, &[1; 7])].concat();
    let all = [section(), interface(0, &[]), others, enhanced(0, 1, &[6; 60])].concat();
    assert_eq!(packets(&all).len(), 1);
}

#[test]
fn each_section_has_interfaces_of_its_own() {
    let one =
        [section(), interface(0, &[(TS_RESOLUTION, &[9])]), enhanced(0, 5, &[1; 60])].concat();
    let two = [section(), interface(0, &[]), enhanced(0, 5, &[2; 60])].concat();
    let all = packets(&[one, two].concat());
    assert_eq!((all[0].0, all[1].0), (5, 5_000));
}

#[test]
fn an_interface_that_is_not_described_is_an_error_that_says_so() {
    let bytes = [section(), interface(0, &[]), enhanced(3, 5, &[1; 60])].concat();
    let error = open(&bytes).expect_err("there is no interface 3");
    assert!(error.to_string().contains("packet 1, at byte 52"), "{error}");
    assert!(error.to_string().contains("names interface 3"), "{error}");
}

#[test]
fn packets_of_other_links_are_refused_with_a_way_out() {
    let error = open(&pcap(MICRO, 65_535, 101, &[])).expect_err("raw IP");
    assert!(error.to_string().contains("tcprewrite"), "{error}");
}

#[test]
fn what_is_no_capture_is_refused_with_what_it_begins_with() {
    for (bytes, found) in [(&b""[..], "nothing"), (b"\x7fELF\x02", "7f454c46"), (b"ab", "6162")] {
        let error = open(bytes).expect_err("no capture");
        assert!(error.to_string().contains(found), "{error}");
    }
}

#[test]
fn an_absent_file_is_an_error_that_names_it() {
    let absent = PcapPort::open(PcapOptions::new("pcap0").rx("/nonexistent/a.pcap"));
    assert!(absent.expect_err("no file").to_string().contains("/nonexistent/a.pcap"));
}

/// A small capture of three packets, and where each record begins.
fn three() -> (Vec<u8>, Vec<usize>) {
    let three: [(u32, u32, u32, &[u8]); 3] =
        [(1, 0, 20, &[1; 20]), (2, 0, 30, &[2; 30]), (3, 0, 40, &[3; 40])];
    (pcap(MICRO, 65_535, ETHERNET, &three), vec![24, 60, 106, 162])
}

#[test]
fn a_pcap_cut_anywhere_is_an_error_that_says_which_packet_and_where() {
    let (whole, starts) = three();
    for cut in 0..=whole.len() {
        let result = open(&whole[..cut]);
        if let Some(complete) = starts.iter().position(|start| *start == cut) {
            assert_eq!(result.expect("cut between packets").packets(), complete);
            continue;
        }
        let error = result.expect_err("cut in the middle").to_string();
        if cut >= starts[0] {
            let packet = starts.iter().filter(|start| **start < cut).count();
            let place = format!("packet {packet}, at byte {} of {cut}", starts[packet - 1]);
            assert!(error.contains(&place), "{cut}: {error}");
            assert!(error.contains("ends in the middle"), "{cut}: {error}");
        }
    }
}

#[test]
fn a_pcapng_cut_anywhere_but_between_blocks_is_an_error() {
    let blocks = [section(), interface(0, &[]), enhanced(0, 1, &[1; 33]), simple(60, &[2; 60])];
    let whole = blocks.concat();
    let mut between = Vec::new();
    blocks.iter().fold(0, |at, block| {
        between.push(at + block.len());
        at + block.len()
    });
    for cut in 0..=whole.len() {
        assert_eq!(open(&whole[..cut]).is_ok(), between.contains(&cut), "cut at {cut}");
    }
}

#[test]
fn lengths_that_cannot_be_are_errors() {
    let (mut whole, _) = three();
    whole[60 + 8..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = open(&whole).expect_err("4 GiB of data").to_string();
    assert!(error.contains("packet 2, at byte 60 of 162"), "{error}");
    let long = vec![0; 262_145];
    let long = pcap(MICRO, 0, ETHERNET, &[(1, 0, 262_145, &long)]);
    let error = open(&long).expect_err("longer than anything").to_string();
    assert!(error.contains("at most 262144"), "{error}");
}

#[test]
fn a_frame_that_needs_several_buffers_is_received_in_them() {
    let jumbo: Vec<u8> = (0..9014).map(|i| (i * 7) as u8).collect();
    let all = packets(&pcap(NANO, 262_144, ETHERNET, &[(1, 1, 9014, &jumbo)]));
    assert_eq!(all, [(1_000_000_001, jumbo)]);
}

#[test]
fn without_scattering_buffers_that_are_too_small_are_refused() {
    let port = open(&pcap(NANO, 0, ETHERNET, &[(1, 1, 9014, &[0; 9014])])).expect("a capture");
    let refused = Port::open(port).configure(PortConfig::new(&pool())).expect_err("too small");
    assert!(matches!(refused.error, Error::Buffers { room: 2048, needed: 9014, .. }));
}

#[test]
fn a_capture_is_received_as_often_as_asked() {
    let (whole, _) = three();
    let (_folder, path) = file(&whole);
    for times in [0, 1, 5] {
        let options = PcapOptions::new("pcap0").rx(&path).repeat(Repeat::Times(times));
        let pool = pool();
        let (port, mut queues) = start(PcapPort::open(options).expect("a capture"), &pool);
        let mut burst = Burst::new();
        while queues.rx[0].receive(&mut burst) > 0 {
            burst.clear();
        }
        assert!(queues.rx[0].is_finished(), "after {times} times");
        assert_eq!(port.stats().rx_packets, 3 * times);
    }
}

#[test]
fn at_its_own_pace_no_packet_comes_before_its_time() {
    let gaps: [(u32, u32, u32, &[u8]); 3] =
        [(5, 0, 60, &[1; 60]), (5, 20_000, 60, &[2; 60]), (5, 50_000, 60, &[3; 60])];
    let (_folder, path) = file(&pcap(MICRO, 65_535, ETHERNET, &gaps));
    let options = PcapOptions::new("pcap0").rx(path).pace(Pace::AsCaptured);
    let pool = pool();
    let begun = Instant::now();
    let (_port, mut queues) = start(PcapPort::open(options).expect("a capture"), &pool);
    let mut burst = Burst::new();
    let mut times = Vec::new();
    while !queues.rx[0].is_finished() {
        for _ in 0..queues.rx[0].receive(&mut burst) {
            times.push(begun.elapsed());
        }
        burst.clear();
    }
    assert_eq!(times.len(), 3);
    assert!(times[1] >= Duration::from_millis(20) && times[2] >= Duration::from_millis(50));
}

#[test]
fn a_full_disk_is_told_when_the_port_stops() {
    let pool = pool();
    let port = PcapPort::open(PcapOptions::new("pcap0").tx("/dev/full")).expect("it opens");
    let (port, mut queues) = start(port, &pool);
    let mut burst = Burst::new();
    for _ in 0..1000 {
        assert!(pool.alloc_bulk(&mut burst, 8));
        burst.iter_mut().for_each(|packet| packet.append(1000).expect("room").fill(1));
        assert_eq!(queues.tx[0].send(&mut burst), 8);
    }
    assert!(port.stats().tx_errors > 0, "what was not written is counted");
    let refused = port.stop().expect_err("nothing could be written");
    assert!(refused.to_string().contains("No space left"), "{refused}");
}

proptest! {
    /// An error or a port, never a panic.
    #[test]
    fn arbitrary_bytes_do_no_harm(
        magic in prop_oneof![
            Just(MICRO), Just(NANO), Just(MICRO.swap_bytes()), Just(NANO.swap_bytes()),
            Just(0x0A0D_0D0A), any::<u32>(),
        ],
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = open(&[&magic.to_le_bytes(), &rest[..]].concat());
    }

    #[test]
    fn mutated_captures_do_no_harm(
        which in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let ng = || [
            section(),
            interface(0, &[(TS_RESOLUTION, &[9]), (TS_OFFSET, &[0; 8]), (2, b"eth0")]),
            enhanced(0, 1, &[1; 33]), simple(60, &[2; 60]), block(2, &[0; 24]),
        ].concat();
        let mut bytes = if which { ng() } else { three().0 };
        for (index, value) in changes {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(port) = open(&bytes) {
            // What is received of it lies within the file.
            let pool = pool();
            let (_port, mut queues) = start(port, &pool);
            let mut burst = Burst::new();
            while queues.rx[0].receive(&mut burst) > 0 {
                burst.clear();
            }
        }
    }
}
