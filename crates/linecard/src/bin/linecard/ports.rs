//! `linecard ports`: which there are, and what they can do.

use crate::pci::{self, Nic};
use crate::port::{KINDS, OpenError, Spec, open_all};
use crate::table::table;
use clap::Parser;
use linecard::eal::Root;
use linecard::pmd::{PortInfo, RxOffloads, TxOffloads};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// Say which ports there are and what they can do.
#[derive(Parser, Debug)]
pub(crate) struct Options {
    /// A port to open and look at, as for `fwd`.
    #[arg(long = "port", value_name = "SPEC")]
    ports: Vec<Spec>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Lists kinds, interfaces and PCI devices, or looks at the ports named.
pub(crate) fn run(options: &Options) -> Result<ExitCode, OpenError> {
    let value = if options.ports.is_empty() {
        let devices = Nic::all(&Root::host());
        let devices: Vec<_> = devices.iter().map(Nic::describe).collect();
        json!({ "kinds": kinds(), "interfaces": interfaces(), "devices": devices })
    } else {
        let opened = open_all(&options.ports)?;
        json!({ "ports": opened.iter().map(|port| describe(port.info())).collect::<Vec<_>>() })
    };
    if options.json {
        crate::tell!("{value}");
    } else if options.ports.is_empty() {
        print_kinds();
        print_interfaces();
        pci::print(&Nic::all(&Root::host()));
    } else {
        print_ports(&value);
    }
    Ok(ExitCode::SUCCESS)
}

fn kinds() -> Vec<Value> {
    let keys = |kind: &crate::port::Kind| {
        kind.keys.iter().map(|(key, what)| json!({ "key": key, "what": what })).collect::<Vec<_>>()
    };
    KINDS.iter().map(|k| json!({ "kind": k.name, "what": k.what, "keys": keys(k) })).collect()
}

/// The kernel's interfaces, which `af-packet` can use.
fn interfaces() -> Vec<Value> {
    let Ok(entries) = fs::read_dir("/sys/class/net") else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| interface(path)).collect()
}

fn interface(path: &Path) -> Value {
    let read = |file: &str| fs::read_to_string(path.join(file)).ok().map(|s| s.trim().to_owned());
    let link = |file: &str| {
        let target = fs::read_link(path.join(file)).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    };
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    json!({
        "name": name,
        "mac": read("address"),
        "mtu": read("mtu").and_then(|mtu| mtu.parse::<u64>().ok()),
        "state": read("operstate"),
        "speed_mbps": read("speed").and_then(|speed| speed.parse::<u64>().ok()),
        "node": read("device/numa_node").and_then(|node| node.parse::<u32>().ok()),
        "driver": link("device/driver"),
        "spec": name.as_ref().map(|name| format!("af-packet:iface={name}")),
    })
}

fn describe(info: &PortInfo) -> Value {
    let can = &info.capabilities;
    let descriptors = |d: linecard::pmd::Descriptors| json!({ "min": d.min, "max": d.max, "step": d.step.to_string(), "default": d.default });
    let names = |names: Vec<(&'static str, ())>| names.iter().map(|n| n.0).collect::<Vec<_>>();
    let rx: Vec<_> =
        can.rx_offloads.iter_names().map(|(name, _): (_, RxOffloads)| (name, ())).collect();
    let tx: Vec<_> =
        can.tx_offloads.iter_names().map(|(name, _): (_, TxOffloads)| (name, ())).collect();
    let controls: Vec<_> = can.controls.iter_names().map(|(name, _)| (name, ())).collect();
    json!({
        "name": info.name,
        "kind": info.kind,
        "mac": info.mac.to_string(),
        "node": info.node,
        "rx_queues": can.rx_queues,
        "tx_queues": can.tx_queues,
        "rx_descriptors": descriptors(can.rx_descriptors),
        "tx_descriptors": descriptors(can.tx_descriptors),
        "mtu": { "min": can.mtu.start(), "max": can.mtu.end() },
        "rx_offloads": names(rx),
        "tx_offloads": names(tx),
        "rss": can.rss.as_ref().map(|rss| json!({ "table": rss.table, "key_bytes": rss.key_bytes })),
        "rx_wake_up": can.rx_wake_up,
        "events": can.events,
        "flow_rules": can.flows.rules,
        "controls": names(controls),
    })
}

fn print_kinds() {
    let mut kinds = table(&["kind", "what it is", "keys"], 3);
    for kind in KINDS {
        let keys: Vec<_> = kind.keys.iter().map(|(key, what)| format!("{key}: {what}")).collect();
        kinds.add_row([kind.name.to_owned(), kind.what.to_owned(), keys.join("\n")]);
    }
    crate::tell!("{kinds}");
}

fn print_interfaces() {
    let mut table = table(&["interface", "address", "mtu", "state", "driver", "use it as"], 6);
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    for i in interfaces() {
        let cells = ["name", "mac", "mtu", "state", "driver", "spec"];
        table.add_row(cells.map(|key| text(&i[key])));
    }
    crate::tell!("{table}");
}

fn print_ports(value: &Value) {
    for port in value["ports"].as_array().into_iter().flatten() {
        let mut table = table(&["port", port["name"].as_str().unwrap_or_default()], 2);
        for (key, value) in port.as_object().into_iter().flatten().filter(|(key, _)| *key != "name")
        {
            table.add_row([key.clone(), plain(value)]);
        }
        crate::tell!("{table}");
    }
}

/// A value in words.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("{key} {}", plain(value)));
            fields.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}
