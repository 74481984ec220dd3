//! Headers laid out as the specifications draw them.

use alloc::vec::Vec;
use std::vec;

use super::*;
use crate::MacAddr;

#[test]
fn a_header_cut_short_is_none() {
    assert!(Ethernet::ref_from_prefix(&[0; 13]).is_none());
    assert!(Ipv4::split(&[0x45; 19]).is_none());
    assert!(Tcp::split(&[0x50; 19]).is_none());
    assert!(Geneve::split(&[1, 0, 0x65, 0x58, 0, 0, 0, 0, 1, 2, 3]).is_none());
    assert!(Gre::split(&[0x20, 0, 8, 0, 0, 0, 0]).is_none());
}

#[test]
fn headers_are_written_in_place() {
    let mut bytes = [0; 20];
    let (eth, rest) = Ethernet::mut_from_prefix(&mut bytes).unwrap();
    eth.dst = MacAddr::BROADCAST;
    eth.ether_type.set(ethertype::VLAN);
    Vlan::mut_from_prefix(rest).unwrap().0.tci.set(0xb064);
    assert_eq!(bytes[..6], [0xff; 6]);
    assert_eq!(bytes[12..16], [0x81, 0, 0xb0, 0x64]);
    let vlan = Vlan::ref_from_prefix(&bytes[14..]).unwrap().0;
    assert_eq!((vlan.id(), vlan.priority(), vlan.is_drop_eligible()), (100, 5, true));
}

#[test]
fn an_ipv4_header_of_impossible_version_or_length_is_refused() {
    let mut bytes = [0; 60];
    for (first, sound) in [(0x45, true), (0x4f, true), (0x44, false), (0x65, false), (0x40, false)]
    {
        bytes[0] = first;
        assert_eq!(Ipv4::split(&bytes).is_some(), sound, "{first:#x}");
    }
    bytes[0] = 0x46;
    let (_, options, payload) = Ipv4::split(&bytes).unwrap();
    assert_eq!((options.len(), payload.len()), (4, 36));
}

#[test]
fn a_hop_keeps_the_ipv4_checksum_right_and_stops_at_the_last() {
    let mut bytes =
        [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 2, 0x11, 0, 0, 192, 168, 0, 1, 192, 168, 0, 199];
    let (ip, _) = Ipv4::mut_from_prefix(&mut bytes).unwrap();
    let checksum = crate::checksum::ipv4_header_checksum(ip.as_bytes());
    ip.checksum.set(checksum);
    assert!(ip.is_unfragmentable());
    assert!(ip.decrement_ttl());
    assert_eq!(ip.checksum.get(), crate::checksum::ipv4_header_checksum(ip.as_bytes()));
    assert!(!ip.decrement_ttl());
    assert_eq!(ip.ttl, 1);
}

#[test]
fn options_are_walked_past_padding_and_end_at_a_bad_length() {
    let bytes = [1, 2, 4, 0x05, 0xb4, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 0, 99];
    let kinds: Vec<_> =
        Tcp::options(&bytes).map(|option| (option.kind, option.value.len())).collect();
    assert_eq!(kinds, [(2, 2), (8, 8)]);
    for bad in [&[2, 1, 0][..], &[2, 0], &[2], &[2, 9, 0]] {
        let mut options = TlvOptions::new(bad);
        assert_eq!((options.next(), options.is_malformed()), (None, true), "{bad:?}");
        assert_eq!(options.next(), None);
    }
}

#[test]
fn the_extension_chain_ends_at_the_upper_layer() {
    // Hop-by-hop of 16 bytes, then AH of 24, then a first fragment, then UDP.
    let mut bytes = vec![51, 1];
    bytes.extend([0; 14]);
    bytes.extend([44, 4]);
    bytes.extend([0; 22]);
    bytes.extend([17, 0, 0, 1, 0, 0, 0, 9]);
    bytes.extend([7; 8]);
    let mut chain = ExtensionChain::new(protocol::HOP_BY_HOP, &bytes);
    let lens: Vec<_> = chain.by_ref().map(|header| (header.kind, header.bytes.len())).collect();
    assert_eq!(lens, [(0, 16), (51, 24), (44, 8)]);
    assert_eq!((chain.protocol(), chain.rest()), (protocol::UDP, &[7; 8][..]));
    assert_eq!(chain.end(), Some(ChainEnd::UpperLayer));
}

#[test]
fn the_extension_chain_says_why_it_cannot_go_on() {
    let end = |next, bytes: &[u8]| {
        let mut chain = ExtensionChain::new(next, bytes);
        chain.by_ref().for_each(drop);
        chain.end()
    };
    assert_eq!(end(protocol::DEST_OPTS, &[17, 9, 0, 0, 0, 0, 0, 0]), Some(ChainEnd::Truncated));
    assert_eq!(end(protocol::ROUTING, &[]), Some(ChainEnd::Truncated));
    assert_eq!(end(protocol::FRAGMENT, &[0, 0, 0, 8, 0, 0, 0, 0]), Some(ChainEnd::LaterFragment));
    assert_eq!(
        end(protocol::DEST_OPTS, &[60, 0, 0, 0, 0, 0, 0, 0].repeat(20)),
        Some(ChainEnd::TooLong)
    );
    assert_eq!(end(protocol::ESP, &[1; 40]), Some(ChainEnd::UpperLayer));
}

#[test]
fn gre_gives_the_fields_its_bits_announce() {
    let bytes = [0xb0, 0, 8, 0, 0xab, 0xcd, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9, 0x45];
    let (gre, fields, rest) = Gre::split(&bytes).unwrap();
    assert_eq!((gre.header_len(), rest), (16, &[0x45][..]));
    let expected = GreFields { checksum: Some(0xabcd), key: Some(7), sequence: Some(9) };
    assert_eq!(fields, expected);
    assert!(Gre::split(&[0x00, 1, 8, 0]).is_none(), "PPTP's version");
}

#[test]
fn a_label_stack_ends_at_its_bottom() {
    let bytes = [0, 0x01, 0x00, 64, 0, 0x02, 0x0b, 63, 0x45];
    let mut stack = MplsStack::new(&bytes);
    let labels: Vec<_> = stack.by_ref().map(|label| (label.label(), label.ttl())).collect();
    assert_eq!(labels, [(16, 64), (32, 63)]);
    assert!(stack.is_complete());
    assert_eq!(stack.rest(), [0x45]);
    assert_eq!(MplsStack::new(&[0; 100]).count(), MAX_LABELS);
}

#[test]
fn geneve_options_end_at_the_first_that_does_not_fit() {
    let bytes = [3, 0x40, 8, 0, 0, 0x12, 0x34, 0, 1, 2, 0x83, 1, 9, 9, 9, 9, 0, 0, 0, 1, 0x45];
    let (geneve, options, payload) = Geneve::split(&bytes).unwrap();
    assert_eq!((geneve.vni(), payload), (0x1234, &[0x45][..]));
    let options: Vec<_> = Geneve::options(options).collect();
    assert_eq!(options, [GeneveOption { class: 0x102, kind: 0x83, value: &[9; 4] }]);
}

#[test]
fn gtpu_gives_optional_fields_and_skips_extension_headers() {
    let plain = [0x30, 255, 0, 1, 0, 0, 0, 9, 0x45];
    assert_eq!(Gtpu::split(&plain).unwrap().2, [0x45]);
    let long = [0x36, 255, 0, 9, 0, 0, 0, 9, 0, 5, 0, 0x85, 1, 0x10, 9, 0, 0x45];
    let (gtp, fields, payload) = Gtpu::split(&long).unwrap();
    assert_eq!((gtp.teid.get(), fields.sequence, fields.n_pdu), (9, Some(5), None));
    assert_eq!((fields.first_extension, fields.extensions.len(), payload), (0x85, 4, &[0x45][..]));
    let endless = [0x34, 255, 0, 9, 0, 0, 0, 9, 0, 5, 0, 0x85, 0, 0, 0, 0];
    assert!(Gtpu::split(&endless).is_none(), "an extension header of no length");
}

#[test]
fn an_arp_request_is_28_bytes_of_the_right_kind() {
    let (mac, ip) = (MacAddr([2, 0, 0, 0, 0, 1]), [192, 0, 2, 1].into());
    let arp = Arp::new(Arp::REQUEST, (mac, ip), (MacAddr::ZERO, [192, 0, 2, 2].into()));
    assert!(arp.is_ipv4());
    assert_eq!(arp.as_bytes()[..8], [0, 1, 8, 0, 6, 4, 0, 1]);
    assert_eq!(Vxlan::new(0x123456).as_bytes(), &[8, 0, 0, 0, 0x12, 0x34, 0x56, 0]);
}
