//! Frames one by one: what the parser says of each.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use super::*;
use crate::header::{Arp, TcpFlags, Vxlan, ethertype, protocol};
use crate::{FrameBuilder, MacAddr};

const SRC: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const DST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

fn eth<'a>() -> FrameBuilder<'a> {
    FrameBuilder::new(MacAddr::BROADCAST, MacAddr([2, 0, 0, 0, 0, 1]))
}

fn v4<'a>() -> FrameBuilder<'a> {
    eth().ipv4(SRC, DST)
}

fn v6<'a>() -> FrameBuilder<'a> {
    eth().ipv6([1; 16].into(), [2; 16].into())
}

fn name(frame: &[u8]) -> alloc::string::String {
    parse(frame).packet_type.to_string()
}

fn udp_flow(sport: u16, dport: u16) -> Option<FlowKey> {
    Some(FlowKey::V4 { src: SRC, dst: DST, sport, dport, proto: protocol::UDP })
}

#[test]
fn plain_packets_are_named_by_their_layers() {
    assert_eq!(name(&v4().udp(1, 2).to_vec().unwrap()), "ether/ipv4/udp");
    assert_eq!(name(&v6().tcp(1, 2, TcpFlags::ACK).to_vec().unwrap()), "ether/ipv6/tcp");
    assert_eq!(name(&v4().vlan(3).sctp(1, 2, 3).to_vec().unwrap()), "ether-vlan/ipv4/sctp");
    assert_eq!(
        name(&v6().vlan(3).vlan(4).echo_request(1, 2).to_vec().unwrap()),
        "ether-qinq/ipv6/icmp"
    );
    assert_eq!(name(&v4().protocol(protocol::IGMP).to_vec().unwrap()), "ether/ipv4/igmp");
    assert_eq!(name(&v4().protocol(89).to_vec().unwrap()), "ether/ipv4/nonfrag");
    assert_eq!(name(&v4().protocol(protocol::ESP).to_vec().unwrap()), "ether/ipv4/esp");
    assert_eq!(name(&eth().ether_type(ethertype::LLDP).to_vec().unwrap()), "ether-lldp");
}

#[test]
fn offsets_point_at_the_layers_and_padding_is_no_payload() {
    let mut frame = v4().vlan(100).udp(7, 9).payload(b"abc").to_vec().unwrap();
    frame.extend([0; 20]);
    let layers = parse(&frame).outer;
    assert_eq!((layers.l2_len(), layers.l3_len(), layers.l4_len()), (18, 20, 8));
    assert_eq!(layers.payload(&frame), b"abc");
    assert_eq!((layers.vlans.outer_id(), layers.vlans.as_slice()), (Some(100), &[100][..]));
    assert_eq!(layers.flow, udp_flow(7, 9));
    assert!(!layers.cut_short);
}

#[test]
fn an_arp_packet_has_no_flow() {
    let arp = Arp::new(Arp::REQUEST, (MacAddr::ZERO, SRC), (MacAddr::ZERO, DST));
    let frame = eth().ether_type(ethertype::ARP).payload(arp.as_bytes()).to_vec().unwrap();
    let parsed = parse(&frame);
    assert_eq!((parsed.flow(), parsed.packet_type.to_string().as_str()), (None, "ether-arp"));
    assert_eq!(parse(&frame[..41]).outer.stop, Stop::Truncated);
}

#[test]
fn the_first_fragment_has_ports_and_the_later_have_none() {
    let mut frame = v4().udp(7, 9).payload(&[1; 24]).to_vec().unwrap();
    frame[20] = 0x20;
    let first = parse(&frame).outer;
    assert_eq!(
        (first.fragment, first.l4, first.flow),
        (Fragment::First, L4::Fragment, udp_flow(7, 9))
    );
    frame[20..22].copy_from_slice(&[0, 3]);
    let later = parse(&frame).outer;
    assert_eq!(
        (later.fragment, later.l4, later.flow),
        (Fragment::Later, L4::Fragment, udp_flow(0, 0))
    );
}

#[test]
fn an_atomic_ipv6_fragment_is_a_whole_packet() {
    let udp = [0, 7, 0, 9, 0, 8, 0, 0];
    let payload = [&[protocol::UDP, 0, 0, 0, 0, 0, 0, 1][..], &udp].concat();
    let frame = v6().protocol(protocol::FRAGMENT).payload(&payload).to_vec().unwrap();
    let layers = parse(&frame).outer;
    assert_eq!(
        (layers.fragment, layers.l4, layers.l3),
        (Fragment::None, L4::Udp, L3::Ipv6Extensions)
    );
    assert_eq!(layers.flow.map(|flow| flow.ports()), Some((7, 9)));
}

#[test]
fn a_packet_cut_short_keeps_what_was_read() {
    let frame = v4().udp(7, 9).payload(&[1; 24]).to_vec().unwrap();
    let stop = |len: usize| (parse(&frame[..len]).outer.stop, parse(&frame[..len]).flow());
    assert_eq!(stop(13), (Stop::Truncated, None));
    assert_eq!(stop(33), (Stop::Truncated, None));
    assert_eq!(stop(37), (Stop::Truncated, udp_flow(0, 0)));
    assert_eq!(stop(41), (Stop::Truncated, udp_flow(7, 9)));
    assert_eq!(stop(50), (Stop::Complete, udp_flow(7, 9)));
    assert!(parse(&frame[..50]).outer.cut_short);
}

#[test]
fn headers_that_contradict_themselves_are_malformed() {
    let sound = v4().tcp(7, 9, TcpFlags::SYN).to_vec().unwrap();
    for (at, value) in [(14, 0x44), (14, 0x65), (17, 19), (46, 0x40)] {
        let mut frame = sound.clone();
        (frame[16], frame[at]) = (0, value);
        assert_eq!(parse(&frame).outer.stop, Stop::Malformed, "byte {at} = {value:#x}");
    }
}

#[test]
fn stacks_deeper_than_the_limit_end_the_walk() {
    let tags = [&[0xff; 12][..], &[0x81, 0, 0, 1].repeat(20)].concat();
    assert_eq!(parse(&tags).outer.stop, Stop::TooDeep);
    let labels = eth().ether_type(ethertype::MPLS).payload(&[0; 100]).to_vec().unwrap();
    assert_eq!(parse(&labels).outer.stop, Stop::TooDeep);
    let options = [protocol::DEST_OPTS, 0, 0, 0, 0, 0, 0, 0].repeat(20);
    let chain = v6().protocol(protocol::DEST_OPTS).payload(&options).to_vec().unwrap();
    assert_eq!(parse(&chain).outer.stop, Stop::TooDeep);
}

#[test]
fn the_longest_headers_there_can_be_still_have_right_offsets() {
    let mut option = [0; 2048];
    (option[0], option[1]) = (protocol::DEST_OPTS, 255);
    let mut chain = option.repeat(8);
    chain[7 * 2048] = protocol::UDP;
    let inner = v6()
        .protocol(protocol::DEST_OPTS)
        .payload(&[&chain[..], &[0; 8]].concat())
        .to_vec()
        .unwrap();
    let vxlan = [&[0, 1, 0x12, 0xb5, 0, 0, 0, 0][..], Vxlan::new(1).as_bytes(), &inner].concat();
    let outer = v6()
        .protocol(protocol::DEST_OPTS)
        .payload(&[&chain[..], &vxlan].concat())
        .to_vec()
        .unwrap();
    let parsed = parse(&outer);
    let inner = parsed.inner.unwrap();
    assert_eq!((parsed.outer.l4, inner.l4), (L4::Udp, L4::Udp));
    assert_eq!(usize::from(inner.payload_offset), outer.len());
}

#[test]
fn labels_belong_to_the_link_layer() {
    let ip = v4().udp(7, 9).to_vec().unwrap().split_off(14);
    let payload = [&[0, 1, 0, 64, 0, 2, 1, 64][..], &ip].concat();
    let frame = eth().ether_type(ethertype::MPLS).payload(&payload).to_vec().unwrap();
    let parsed = parse(&frame);
    assert_eq!((parsed.outer.l2_len(), parsed.flow()), (22, udp_flow(7, 9)));
    assert_eq!(parsed.packet_type.to_string(), "mpls/ipv4/udp");
}

/// A VXLAN packet with `inside` in it.
fn vxlan(inside: &[u8]) -> Vec<u8> {
    let payload = [Vxlan::new(77).as_bytes(), inside].concat();
    v6().udp(1, 4789).payload(&payload).to_vec().unwrap()
}

#[test]
fn both_packets_of_a_tunnel_have_their_layers() {
    let frame = vxlan(&v4().udp(7, 9).payload(b"abc").to_vec().unwrap());
    let parsed = parse(&frame);
    assert_eq!(parsed.packet_type.to_string(), "ether/ipv6/udp/vxlan/ether/ipv4/udp");
    assert_eq!(parsed.tunnel_offset, 62);
    let inner = parsed.innermost();
    assert_eq!(
        (inner.flow, inner.l2_offset, inner.payload(&frame)),
        (udp_flow(7, 9), 70, &b"abc"[..])
    );
    assert_eq!(parsed.flow().map(|flow| flow.ports()), Some((1, 4789)));
}

#[test]
fn tunnels_on_ip_have_no_transport_outside() {
    let ip = v4().udp(7, 9).to_vec().unwrap().split_off(14);
    let gre = [&[0x20, 0, 8, 0, 0, 0, 0, 5][..], &ip].concat();
    let in_gre = v4().protocol(protocol::GRE).payload(&gre).to_vec().unwrap();
    assert_eq!(name(&in_gre), "ether/ipv4/gre/ipv4/udp");
    let in_ip = v6().protocol(protocol::IPV4).payload(&ip).to_vec().unwrap();
    assert_eq!(name(&in_ip), "ether/ipv6/ip/ipv4/udp");
    assert_eq!(parse(&in_ip).innermost().flow, udp_flow(7, 9));
}

#[test]
fn a_tunnel_in_a_tunnel_is_not_followed() {
    let ip = v4().udp(7, 9).to_vec().unwrap().split_off(14);
    let in_ip = v4().protocol(protocol::IPV4).payload(&ip).to_vec().unwrap();
    let inner = parse(&vxlan(&in_ip)).inner.unwrap();
    assert_eq!((inner.stop, inner.l4), (Stop::TooDeep, L4::Unknown));
}

#[test]
fn udp_to_a_tunnel_port_without_its_header_is_udp() {
    assert_eq!(name(&v4().udp(7, 4789).payload(&[8, 0, 0]).to_vec().unwrap()), "ether/ipv4/udp");
    assert_eq!(name(&v4().udp(7, 2152).payload(&[0; 20]).to_vec().unwrap()), "ether/ipv4/udp");
}

#[test]
fn a_packet_without_ethernet_is_told_by_its_version() {
    let ip = v4().udp(7, 9).to_vec().unwrap().split_off(14);
    let parsed = parse_ip(&ip);
    assert_eq!((parsed.flow(), parsed.outer.l2_len()), (udp_flow(7, 9), 0));
    assert_eq!(parse_ip(&[]).outer.stop, Stop::UnknownProtocol);
}
