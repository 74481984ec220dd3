//! Lists the packets of a capture: type, flow, and whether the checksums hold.
//!
//! `cargo run -p linecard-net --example parse_pcap -- capture.pcap`

use std::error::Error;
use std::fs::File;
use std::io::{Write, stdout};

use linecard_net::checksum::{verify_ipv4, verify_l4};
use linecard_net::{FlowKey, parse};
use pcap_file::pcap::PcapReader;

fn describe(flow: &FlowKey) -> String {
    let (sport, dport) = flow.ports();
    format!("{}:{sport} -> {}:{dport}, protocol {}", flow.src(), flow.dst(), flow.proto())
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("give the path of a pcap file")?;
    let mut reader = PcapReader::new(File::open(path)?)?;
    let (mut number, mut out) = (0, stdout().lock());
    while let Some(packet) = reader.next_packet() {
        let frame = packet?.data;
        let parsed = parse(&frame);
        let layers = parsed.innermost();
        let flow = layers.flow.as_ref().map(describe).unwrap_or_default();
        let (l3, l4) = (verify_ipv4(&frame, layers), verify_l4(&frame, layers));
        number += 1;
        let checksums = format!("header {l3:?}, transport {l4:?}");
        writeln!(out, "{number:>6}  {:<28} {flow} [{checksums}]", parsed.packet_type)?;
    }
    Ok(())
}
