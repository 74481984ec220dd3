//! What the program says about itself.

use crate::{forward, last_line, linecard, run};
use serde_json::Value;
use std::time::Duration;

type Check = fn(&Value) -> bool;

/// Whether `value` has the fields that `kinds` names, each of its type.
fn has(value: &Value, kinds: &[(&str, Check)]) {
    for (field, is) in kinds {
        assert!(is(&value[*field]), "{field} of {value}");
    }
}

fn text(value: &Value) -> bool {
    value.is_string()
}

fn count(value: &Value) -> bool {
    value.is_u64()
}

fn number(value: &Value) -> bool {
    value.is_number()
}

#[test]
fn the_bench_forwards_and_loses_nothing() {
    let report = forward("--duration 1");
    assert_eq!(report["pools"][0]["leaked"], 0);
    assert!(report["total"]["packets"].as_u64() > Some(0));
    assert!(report["total"]["mpps"].as_f64() > Some(0.0));
    assert!(report["duration_s"].as_f64() >= Some(1.0));
    let received: u64 = sum(&report, "rx_packets");
    let sent = sum(&report, "tx_packets");
    assert!(sent <= received && received - sent <= 64, "received {received}, sent {sent}");
}

fn sum(report: &Value, field: &str) -> u64 {
    let ports = report["ports"].as_array().expect("ports");
    ports.iter().filter_map(|port| port[field].as_u64()).sum()
}

#[test]
fn the_last_line_has_the_promised_fields() {
    let report = forward("--duration 0.1 --port null --port null:name=other");
    has(&report, &[("duration_s", number)]);
    assert_eq!(report["ports"].as_array().map(Vec::len), Some(2));
    for port in report["ports"].as_array().expect("ports") {
        has(port, &[("name", text), ("kind", text), ("rx_packets", count), ("rx_bytes", count)]);
        has(port, &[("tx_packets", count), ("tx_bytes", count), ("rx_missed", count)]);
        has(port, &[("tx_unsent", count), ("errors", count)]);
    }
    let lcore = &report["lcores"][0];
    has(lcore, &[("id", count), ("cpu", |_| true), ("packets", count)]);
    has(lcore, &[("cycles_per_packet", number), ("busy", number)]);
    has(&report["total"], &[("packets", count), ("mpps", number)]);
    let pool = &report["pools"][0];
    has(pool, &[("name", text), ("size", count), ("available", count), ("leaked", count)]);
    assert_eq!(pool["available"], pool["size"]);
    assert_eq!(report["ports"][1]["name"], "other");
}

#[test]
fn an_interrupt_ends_it_in_order() {
    for signal in ["INT", "TERM"] {
        let mut running =
            linecard("fwd --stats-period 0.1 --port null").spawn().expect("it starts");
        running.wait_for("lcore", Duration::from_secs(120)).expect("it forwards");
        let id = running.id().to_string();
        let kill = linecard_testbed::programs::Program::new("kill").args(["-s", signal, &id]);
        kill.run().expect("it is there");
        let output = running.wait(Duration::from_secs(120)).expect("it ends");
        assert!(output.status.success(), "after SIG{signal}: {}", output.printed());
        assert!(output.stdout.contains("0 leaked"), "the report comes all the same: {output:?}");
    }
}

#[test]
fn rates_go_out_as_plain_lines_when_nobody_watches() {
    let output = run("fwd --duration 0.5 --stats-period 0.1 --port null:name=n0");
    assert!(!output.stdout.contains('\x1b'), "no cursor movements in a pipe");
    let lines = output.stdout.lines().filter(|line| line.starts_with("n0 ")).count();
    assert!(lines >= 2, "{}", output.stdout);
}

#[test]
fn a_reader_that_leaves_early_is_no_reason_to_panic() {
    let command = format!("{} ports | true", env!("CARGO_BIN_EXE_linecard"));
    for _ in 0..5 {
        let shell = linecard_testbed::programs::Program::new("sh").arg("-c").arg(&command);
        let output = shell.run().expect("the shell runs it");
        assert_eq!(output.stderr, "");
    }
}

#[test]
fn ports_of_rings_and_nulls_end_when_time_is_up() {
    let ring = "--port ring:name=a,peer=b --port ring:name=b,peer=a";
    let report = forward(&format!("--duration 0.1 {ring}"));
    assert_eq!(report["total"]["packets"], 0, "nobody put anything in");
    let queues = forward("--duration 0.1 --rxq 2 --txq 3 --port null --port null:name=x");
    assert!(sum(&queues, "tx_packets") > 0);
}

#[test]
fn ports_can_be_asked_for_in_json() {
    let kinds = last_line(&run("ports --json"));
    let names: Vec<_> = kinds["kinds"].as_array().expect("kinds").iter().collect();
    assert!(names.iter().any(|kind| kind["kind"] == "pcap"), "{kinds}");
    assert!(kinds["devices"].is_array(), "{kinds}");
    let loopback = kinds["interfaces"].as_array().expect("interfaces");
    assert!(loopback.iter().all(|interface| text(&interface["name"])), "{kinds}");
    let one = last_line(&run("ports --json --port null:size=128,name=n"));
    let port = &one["ports"][0];
    has(port, &[("name", text), ("kind", text), ("mac", text), ("rx_queues", count)]);
    has(&port["mtu"], &[("min", count), ("max", count)]);
}

#[test]
fn the_doctor_answers_in_json_with_commands() {
    let doctor = last_line(&run("doctor --json --jitter-ms 10"));
    let findings = doctor["findings"].as_array().expect("findings");
    for finding in findings {
        has(
            finding,
            &[("what", text), ("state", text), ("found", text), ("mend", Value::is_array)],
        );
    }
    assert!(findings.iter().any(|finding| finding["what"] == "huge pages"));
}

#[test]
fn tables_are_for_people() {
    for words in ["ports", "doctor --jitter-ms 0", "ports --port ring", "--help", "--version"] {
        let output = run(words);
        assert!(output.status.success() && !output.stdout.is_empty(), "{words}: {output:?}");
    }
}
