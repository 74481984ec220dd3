//! Copies a capture, packet by packet, with its time stamps; pcapng becomes pcap and the other way
//! round, by the file's name.
//!
//! `cargo run -p linecard-pmd-soft --example copy_capture -- in.pcap out.pcapng`

use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::{Port, PortConfig, RxOffloads};
use linecard_pmd_soft::{PcapOptions, PcapPort};

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files = std::env::args().skip(1);
    let (Some(from), Some(to)) = (files.next(), files.next()) else {
        return Err("which capture, and where to: copy_capture in.pcap out.pcapng".into());
    };
    let pool = MbufPool::builder("packets").size(1023).build()?;
    // Frames longer than a buffer are scattered over several.
    let config = PortConfig::new(&pool).rx_offloads(RxOffloads::SCATTER);
    let port = Port::open(PcapPort::open(PcapOptions::new("copy").rx(from).tx(to))?);
    let (port, mut queues) = port.configure(config)?.start()?;

    let mut burst = Burst::new();
    while !queues.rx[0].is_finished() {
        queues.rx[0].receive(&mut burst);
        queues.tx[0].send(&mut burst);
    }
    println!("{} packets, {} bytes", port.stats().tx_packets, port.stats().tx_bytes);
    // Stopping writes out what is buffered, and tells if a packet could not be written.
    port.stop()?;
    Ok(())
}
