//! From capture to capture: the same packets, bytes and times.

use crate::capture::{Packet, packets, read, write};
use crate::forward;
use linecard_testbed::programs::Program;
use std::path::Path;

/// Frames of many lengths, jumbo ones that need several buffers among them.
fn frames() -> Vec<Packet> {
    let lens = (60..=1514).step_by(97).chain([9014, 2048, 2049, 14, 1, 65_000]);
    packets(lens.map(|len| (0..len).map(|i| (i * 31 + len) as u8).collect()))
}

#[test]
fn packets_bytes_and_nanoseconds_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("in.pcap"), folder.path().join("out.pcap"));
    let frames = frames();
    write(&from, &frames);
    let report = forward(&format!("--port pcap:rx={} --port pcap:tx={}", show(&from), show(&to)));
    assert_eq!(read(&to), frames);
    let bytes: usize = frames.iter().map(|packet| packet.data.len()).sum();
    assert_eq!(report["ports"][0]["rx_packets"], frames.len());
    assert_eq!(report["ports"][1]["tx_bytes"], bytes);
    assert_eq!(report["pools"][0]["leaked"], 0);
}

#[test]
fn bursts_of_one_and_of_all_sizes_keep_the_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("in.pcap"), folder.path().join("out.pcap"));
    let frames = frames();
    write(&from, &frames);
    for burst in [1, 2, 3, 64] {
        let ports = format!("--port pcap:rx={} --port pcap:tx={}", show(&from), show(&to));
        forward(&format!("--burst {burst} {ports}"));
        assert_eq!(read(&to), frames, "in bursts of {burst}");
    }
}

#[test]
fn a_round_trip_through_pcapng_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (from, middle, to) = (at("in.pcap"), at("middle.pcapng"), at("out.pcap"));
    let frames = frames();
    write(&from, &frames);
    forward(&format!("--port pcap:rx={} --port pcap:tx={}", show(&from), show(&middle)));
    assert_eq!(std::fs::read(&middle).expect("a file")[..4], [0x0A, 0x0D, 0x0D, 0x0A]);
    forward(&format!("--port pcap:rx={} --port pcap:tx={}", show(&middle), show(&to)));
    assert_eq!(read(&to), frames);
}

#[test]
fn a_port_without_a_partner_sends_back_and_a_loop_repeats() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("in.pcap"), folder.path().join("out.pcap"));
    let frames = frames();
    write(&from, &frames);
    forward(&format!("--port pcap:rx={},tx={},loop=3", show(&from), show(&to)));
    assert_eq!(read(&to), [&frames[..], &frames, &frames].concat());
}

#[test]
fn two_ways_at_once_do_not_mix() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (ones, twos) = (packets(vec![vec![1; 60]; 500]), packets(vec![vec![2; 70]; 300]));
    write(&at("ones"), &ones);
    write(&at("twos"), &twos);
    let port =
        |rx: &str, tx: &str| format!("--port pcap:rx={},tx={}", show(&at(rx)), show(&at(tx)));
    forward(&format!("{} {}", port("ones", "a"), port("twos", "b")));
    assert_eq!((read(&at("a")), read(&at("b"))), (twos, ones));
}

#[test]
fn two_lcores_take_a_direction_each() {
    let program = Program::new("nproc").run().expect("coreutils");
    if program.stdout.trim() == "1" {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("in.pcap"), folder.path().join("out.pcap"));
    write(&from, &frames());
    let ports = format!("--port pcap:rx={} --port pcap:tx={}", show(&from), show(&to));
    // Lcores without a fixed place, so that any machine has them.
    let report = forward(&format!("--lcores (7-8)@({}) {ports}", allowed()));
    assert_eq!(report["lcores"].as_array().map(Vec::len), Some(2));
    assert_eq!(read(&to), frames());
}

/// The CPUs that this process may use, as the kernel lists them.
fn allowed() -> String {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.expect("the kernel says").trim().to_owned()
}

pub(crate) fn show(path: &Path) -> std::path::Display<'_> {
    path.display()
}
