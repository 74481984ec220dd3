//! Every port of this crate keeps the promises of `linecard-pmd-core`.

use linecard_pmd_core::conformance::{self, Bed, Wire};
use linecard_pmd_core::{Opened, Port};
use linecard_pmd_soft::{Frames, NullOptions, NullPort, PcapOptions, PcapPort, Repeat, RingPort};

struct On<F>(F, Wire);

impl<F: FnMut() -> Port<Opened>> Bed for On<F> {
    fn open(&mut self) -> Port<Opened> {
        (self.0)()
    }

    fn wire(&self) -> Wire {
        self.1
    }
}

fn null() -> Port<Opened> {
    Port::open(NullPort::open(NullOptions::new("null0")).expect("64-byte frames"))
}

#[test]
fn a_null_port_conforms_as_a_sink() {
    conformance::run(&mut On(null, Wire::Nowhere));
}

#[test]
fn a_null_port_conforms_as_a_source() {
    conformance::run(&mut On(null, Wire::Source));
}

#[test]
fn a_null_port_of_copies_conforms() {
    let options = NullOptions::new("null0").frames(Frames::Copies(vec![7; 200]));
    let open = || Port::open(NullPort::open(options.clone()).expect("200-byte frames"));
    conformance::run(&mut On(open, Wire::Source));
    conformance::run(&mut On(open, Wire::Nowhere));
}

#[test]
fn a_null_port_without_frames_conforms_as_a_sink() {
    let options = NullOptions::new("null0").frames(Frames::None);
    let open = || Port::open(NullPort::open(options.clone()).expect("no frames"));
    conformance::run(&mut On(open, Wire::Nowhere));
}

#[test]
fn a_looped_ring_port_conforms() {
    conformance::run(&mut On(|| Port::open(RingPort::looped("ring0")), Wire::Loop));
}

#[test]
fn a_pcap_port_conforms_as_a_sink() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.pcap");
    let open = || Port::open(PcapPort::open(PcapOptions::new("pcap0").tx(&path)).expect("a file"));
    conformance::run(&mut On(open, Wire::Nowhere));
}

#[test]
fn a_pcap_port_conforms_as_a_source() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in.pcap");
    write_capture(&path);
    let options = PcapOptions::new("pcap0").rx(&path).repeat(Repeat::Forever);
    let open = || Port::open(PcapPort::open(options.clone()).expect("a capture"));
    conformance::run(&mut On(open, Wire::Source));
}

/// A capture of one frame, written by the library that the port reads with: the host level compares
/// with tshark.
fn write_capture(path: &std::path::Path) {
    use pcap_file::pcap::{PcapPacket, PcapWriter};
    let file = std::fs::File::create(path).expect("a file");
    let mut writer = PcapWriter::new(file).expect("a header");
    let frame = vec![0x5A; 100];
    let time = std::time::Duration::from_secs(1);
    writer.write_packet(&PcapPacket::new(time, 100, &frame)).expect("a packet");
}
