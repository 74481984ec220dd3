//! The parser against `etherparse`, on random frames and on real captures.

mod frames;

use std::fs::File;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use etherparse::{LinkExtSlice, NetSlice, SlicedPacket, TransportSlice};
use linecard_net::packet_type::L4;
use linecard_net::parse::{Fragment, Layers};
use linecard_net::{FlowKey, parse};
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};
use proptest::prelude::*;

/// Where `part` lies in `whole`.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}

/// What the two disagree about on purpose: AH over IPv4, which only etherparse walks; and an
/// IPv6 payload length of 0, which only etherparse takes for "all there is".
fn is_judged_differently(net: &NetSlice<'_>) -> bool {
    match net {
        NetSlice::Ipv4(ip) => ip.header().protocol().0 == 51,
        NetSlice::Ipv6(ip) => ip.header().payload_length() == 0,
        NetSlice::Arp(_) => false,
    }
}

/// Compares the outer headers; `false` when etherparse refuses the frame or knows no IP in it.
fn agrees(frame: &[u8]) -> bool {
    let Ok(theirs) = SlicedPacket::from_ethernet(frame) else {
        return false;
    };
    let ours = parse(frame).outer;
    let Some(net) = theirs.net.as_ref().filter(|net| !is_judged_differently(net)) else {
        return false;
    };
    let tags: Vec<u16> = ours.vlans.as_slice().iter().map(|tci| tci & 0xfff).collect();
    let is_vlan = |ext: &LinkExtSlice<'_>| matches!(ext, LinkExtSlice::Vlan(_));
    if theirs.link_exts.iter().all(is_vlan) {
        let their_tags: Vec<u16> = theirs.vlan_ids().iter().map(|id| id.value()).collect();
        assert_eq!(tags, their_tags);
    }
    let Some(payload) = theirs.ip_payload() else {
        return false;
    };
    let flow = ours.flow.expect("etherparse found IP");
    assert_eq!((flow.src(), flow.dst()), addresses(net));
    if ours.fragment == Fragment::Later && ours.l3.is_ipv6() {
        // What follows the fragment header is a piece of data; etherparse reads headers in it.
        return true;
    }
    assert_eq!(flow.proto(), payload.ip_number.0);
    assert_eq!(usize::from(ours.l4_offset), offset(frame, payload.payload));
    assert_eq!(ours.end, offset(frame, payload.payload) + payload.payload.len());
    assert_eq!(ours.fragment != Fragment::None, payload.fragmented);
    if let Some(transport) = &theirs.transport {
        agrees_on_transport(&ours, &flow, transport, frame);
    }
    true
}

fn addresses(net: &NetSlice<'_>) -> (IpAddr, IpAddr) {
    match net {
        NetSlice::Ipv4(ip) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        NetSlice::Ipv6(ip) => {
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        NetSlice::Arp(_) => unreachable!("ARP has no IP payload"),
    }
}

fn agrees_on_transport(ours: &Layers, flow: &FlowKey, theirs: &TransportSlice<'_>, frame: &[u8]) {
    let (l4, ports, payload) = match theirs {
        TransportSlice::Tcp(tcp) => {
            (L4::Tcp, (tcp.source_port(), tcp.destination_port()), Some(tcp.payload()))
        }
        TransportSlice::Udp(udp) => {
            (L4::Udp, (udp.source_port(), udp.destination_port()), Some(udp.payload()))
        }
        TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) => (L4::Icmp, (0, 0), None),
        TransportSlice::Igmp(_) => (L4::Igmp, (0, 0), None),
    };
    let is_wrong_version = ours.l4 == L4::Other && l4 == L4::Icmp;
    assert!(ours.l4 == l4 || is_wrong_version, "{ours:?}, etherparse found {l4:?}");
    assert_eq!(flow.ports(), ports);
    if let Some(payload) = payload {
        assert_eq!(usize::from(ours.payload_offset), offset(frame, payload));
    }
}

/// A number of cases that `PROPTEST_CASES` can raise, for a run through the night.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(2_000), failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn on_sound_frames(frame in frames::frame()) {
        prop_assert!(agrees(&frame), "{:?}", SlicedPacket::from_ethernet(&frame));
    }

    #[test]
    fn on_frames_with_wrong_bytes_that_both_accept(frame in frames::broken_frame()) {
        agrees(&frame);
    }
}

fn captures() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/captures");
    folder.is_dir().then_some(folder)
}

fn packets(path: &Path) -> Vec<Vec<u8>> {
    let file = File::open(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "pcap") {
        let mut reader = PcapReader::new(file).unwrap();
        let next = || reader.next_packet().map(|packet| packet.unwrap().data.into_owned());
        return std::iter::from_fn(next).collect();
    }
    let mut reader = PcapNgReader::new(file).unwrap();
    let mut packets = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block.unwrap() {
            packets.push(packet.data.into_owned());
        }
    }
    packets
}

#[test]
fn on_real_captures() {
    let Some(folder) = captures() else {
        eprintln!("SKIPPED on_real_captures: needs the captures in ../shared/data/captures");
        return;
    };
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let packets = packets(&path);
        let agreed = packets.iter().filter(|packet| agrees(packet)).count();
        println!("{}: {agreed} of {} packets compared", path.display(), packets.len());
        assert!(agreed > 0, "{} has no packet to compare", path.display());
    }
}
