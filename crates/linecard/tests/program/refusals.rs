//! What is refused: with an error that names the limit, and nothing left running.

use crate::files::show;
use crate::{linecard, run};
use linecard_testbed::programs::Output;

/// The error that a command line ends with.
fn refusal(words: &str) -> String {
    let output = run(words);
    assert_refused(words, &output);
    output.stderr
}

fn assert_refused(words: &str, output: &Output) {
    let code = output.status.code();
    assert!(matches!(code, Some(1 | 2)), "{words}: {code:?}, {}", output.printed());
    assert!(!output.stderr.contains("panicked"), "{words}: {}", output.stderr);
    assert!(!output.stderr.trim().is_empty(), "{words}: without a word");
}

/// Each command line is refused with an error that contains these words.
fn refused(cases: &[(&str, &str)]) {
    for (words, expected) in cases {
        let error = refusal(&format!("fwd {words}"));
        assert!(error.contains(expected), "{words}: {error}");
    }
}

#[test]
fn kinds_and_keys_that_there_are_not() {
    refused(&[
        ("--port nul", "no port kind \"nul\": there are null, ring, pcap"),
        ("--port null:sise=64", "no key \"sise\": name, size"),
        ("--port null:size", "is no key=value"),
        ("--port null:size=64,size=65", "size is given twice"),
        ("--port null --port null:name=null0", "two ports of the name \"null0\""),
        ("--mode fast", "possible values"),
        ("--idle deeply", "possible values"),
        ("--no-such-option", "unexpected argument"),
    ]);
}

#[test]
fn values_that_are_no_numbers_or_too_large_ones() {
    refused(&[
        ("--port null:size=big", "wanted a number of bytes"),
        ("--port null:size=-1", "wanted a number of bytes"),
        ("--port null:size=65001", "0 to 65000"),
        ("--port ring:capacity=0", "capacity 0"),
        ("--port ring:capacity=99999999999", "capacity 99999999999"),
        ("--port pcap:tx=/dev/null,loop=often", "wanted a number of times, or forever"),
        ("--port pcap:tx=/dev/null,pace=slow", "wanted speed or captured"),
        ("--port null --burst 0", "1..=64"),
        ("--port null --burst 65", "1..=64"),
        ("--port null --frame 59", "60..=9000"),
        ("--port null --duration=-1", "seconds from 0"),
        ("--port null --duration NaN", "seconds from 0"),
        ("--port null --stats-period inf", "seconds from 0"),
        ("--port null --duration soon", "wanted a number of seconds"),
    ]);
}

#[test]
fn more_than_a_port_has() {
    refused(&[
        ("--port null --rxq 0", "one queue at least"),
        ("--port null --rxq 129", "null0: receive queues (--rxq) 129: this port takes 1 to 128"),
        ("--port null --txq 200", "transmit queues (--txq) 200: this port takes 1 to 128"),
        ("--port null --rxq 4 --txq 2", "--txq 2 is fewer than --rxq 4"),
        ("--port null --rxq 18446744073709551615", "1 to 128"),
        ("--port ring --rxd 5000", "receive descriptors (--rxd) 5000: this port takes 1 to 1024"),
        ("--port ring --txd 0", "transmit descriptors (--txd) 0: this port takes 1 to 1024"),
        ("--port null --mtu 67", "MTU (--mtu) 67: this port takes 68 to 65000"),
        ("--port null --mtu 65001", "MTU (--mtu) 65001: this port takes 68 to 65000"),
        ("--port pcap:tx=/dev/null --rxq 2", "receive queues (--rxq) 2: this port takes 1 to 1"),
    ]);
}

#[test]
fn too_few_buffers() {
    refused(&[
        ("--port null --buffers 100", "could starve"),
        ("--port null --buffers 0", "take"),
        ("--port null --buffers 18446744073709551615", "take"),
    ]);
}

#[test]
fn lcores_that_there_are_not() {
    refused(&[
        ("--port null --lcores 1023", "lcore 1023 cannot run on cpu 1023: this process may use"),
        ("--port null --lcores 3-1", "the range ends before it starts"),
        ("--port null --lcores (0-1", "a `)` was expected"),
        ("--port null --lcores 0,0", "given a place before"),
        ("--port null --lcores x", "a number was expected"),
        ("--port null --lcores 0@", "a number was expected"),
    ]);
}

#[test]
fn rings_without_their_peers() {
    refused(&[
        ("--port ring:peer=nobody", "\"nobody\" is no ring port of this program"),
        ("--port ring:name=a,peer=a", "is no ring port"),
        ("--port ring:name=a,peer=b --port null:name=b", "is no ring port"),
        ("--port ring:name=a,peer=b --port ring:name=b", "with peer=a"),
        ("--port ring:name=a,peer=b --port ring:name=b,peer=b", "with peer=a"),
        (
            "--port ring:name=a,peer=b,capacity=8 --port ring:name=b,peer=a,capacity=16",
            "8 at a, 16 at b",
        ),
    ]);
}

#[test]
fn files_that_cannot_be_read_or_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let odd = folder.path().join("odd.pcap");
    std::fs::write(&odd, b"#!/bin/sh\n").expect("a file");
    let words = format!("fwd --port pcap:rx={}", show(&odd));
    assert!(refusal(&words).contains("no capture file: it begins with 23212f62"));
    refused(&[
        ("--port pcap:rx=/nonexistent/in.pcap", "/nonexistent/in.pcap: No such file"),
        ("--port pcap:tx=/nonexistent/out.pcap", "/nonexistent/out.pcap: No such file"),
        ("--port pcap:tx=/", "Is a directory"),
        ("--port pcap:rx=/", "Is a directory"),
        ("--port pcap", "give it rx=FILE, tx=FILE or both"),
    ]);
}

#[test]
fn a_full_disk_is_an_error_at_the_end() {
    let output = run("fwd --json --duration 0.2 --mode txonly --port pcap:tx=/dev/full");
    assert_refused("/dev/full", &output);
    assert!(output.stderr.contains("No space left"), "{}", output.stderr);
    assert!(output.stdout.contains("\"leaked\":0"), "the report comes all the same");
}

#[test]
fn a_report_that_cannot_be_written_is_an_error() {
    let program = env!("CARGO_BIN_EXE_linecard");
    let command = format!("{program} fwd --json --duration 0.1 --port null > /dev/full");
    let output = linecard_testbed::programs::Program::new("sh").arg("-c").arg(command);
    assert_refused("> /dev/full", &output.finish().expect("it ends"));
}

#[test]
fn devices_that_there_are_not() {
    for (words, expected) in [
        ("bind", "Usage"),
        ("bind ffff:ff:1f.7", "--driver"),
        ("bind ffff:ff:1f.7 --driver vfio-pci", "no PCI device at ffff:ff:1f.7"),
        ("bind no-such-interface --driver vfio-pci", "no PCI address"),
        ("bind unbind ffff:ff:1f.7", "no PCI device"),
        ("bind unbind", "required"),
    ] {
        let error = refusal(words);
        assert!(error.contains(expected), "{words}: {error}");
    }
}

#[test]
fn interfaces_that_there_are_not() {
    refused(&[
        ("--port af-packet", "which interface?"),
        ("--port af-packet:iface=none0,fanout=odd", "wanted hash, lb, cpu"),
        ("--port af-packet:iface=none0,queues=many", "wanted a number of queues"),
        ("--port af-xdp:iface=none0,hook=odd", "wanted native, generic or best"),
        ("--port af-xdp", "which interface?"),
        ("--port tap:mac=02:00", "wanted an address such as"),
        ("--port tap:name=a-name-of-an-interface", "15"),
    ]);
    assert!(!refusal("fwd --port af-packet:iface=none0").is_empty());
    assert!(!refusal("fwd --port af-xdp:iface=none0").is_empty());
}

#[test]
fn a_tap_without_privilege() {
    // SAFETY: geteuid takes nothing and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        return;
    }
    let output = linecard("fwd --port tap:name=lcdenied0").finish().expect("it ends");
    assert_refused("tap", &output);
}
