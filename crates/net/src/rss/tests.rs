//! Microsoft's verification suite, and properties of the hash.

use proptest::prelude::*;

use super::*;
use crate::Error;

static MICROSOFT: ToeplitzKey = ToeplitzKey::new(&RssKey::MICROSOFT);
static SYMMETRIC: ToeplitzKey = ToeplitzKey::new(&RssKey::SYMMETRIC);

/// Destination, source, hash over addresses, hash with ports: "Verifying the RSS hash
/// calculation" of the Windows driver documentation.
const V4: [(&str, u16, &str, u16, u32, u32); 5] = [
    ("161.142.100.80", 1766, "66.9.149.187", 2794, 0x323e_8fc2, 0x51cc_c178),
    ("65.69.140.83", 4739, "199.92.111.2", 14230, 0xd718_262a, 0xc626_b0ea),
    ("12.22.207.184", 38024, "24.19.198.95", 12898, 0xd2d0_a5de, 0x5c2b_394a),
    ("209.142.163.6", 2217, "38.27.205.30", 48228, 0x8298_9176, 0xafc7_327f),
    ("202.188.127.2", 1303, "153.39.163.191", 44251, 0x5d18_09c5, 0x10e8_28a2),
];

const V6: [(&str, u16, &str, u16, u32, u32); 3] = [
    ("3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2cc1_8cd5, 0x4020_7d3d),
    ("ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0f0c_461c, 0xdde5_1bbf),
    (
        "fe80::200:f8ff:fe21:67cf",
        38024,
        "3ffe:1900:4545:3:200:f8ff:fe21:67cf",
        44251,
        0x4b61_e985,
        0x02d1_feef,
    ),
];

#[test]
fn the_hash_over_ipv4_is_microsofts() {
    for (dst, dport, src, sport, addresses, ports) in V4 {
        let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
        assert_eq!(rss_v4_addresses(&MICROSOFT, src, dst), addresses, "{src}");
        assert_eq!(rss_v4(&MICROSOFT, src, dst, sport, dport), ports, "{src}");
    }
}

#[test]
fn the_hash_over_ipv6_is_microsofts() {
    for (dst, dport, src, sport, addresses, ports) in V6 {
        let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
        assert_eq!(rss_v6_addresses(&MICROSOFT, src, dst), addresses, "{src}");
        assert_eq!(rss_v6(&MICROSOFT, src, dst, sport, dport), ports, "{src}");
    }
}

#[test]
fn only_the_kinds_asked_for_are_hashed() {
    let (src, dst) = (Ipv4Addr::new(66, 9, 149, 187), Ipv4Addr::new(161, 142, 100, 80));
    let udp = FlowKey::V4 { src, dst, sport: 2794, dport: 1766, proto: 17 };
    let hash = |types| rss_hash_flow(&udp, types, &MICROSOFT);
    assert_eq!(hash(RssTypes::IPV4_UDP | RssTypes::IPV4), Some(0x51cc_c178));
    assert_eq!(hash(RssTypes::IPV4_TCP | RssTypes::IPV4), Some(0x323e_8fc2));
    assert_eq!(hash(RssTypes::IPV4_TCP | RssTypes::IPV6 | RssTypes::IPV6_UDP), None);
}

#[test]
fn a_key_has_40_or_52_bytes() {
    assert_eq!(RssKey::new(&[0; 39]), Err(Error::BadKeyLength(39)));
    assert_eq!(RssKey::new(&[7; 40]), Ok(RssKey::from_40(&[7; 40])));
    assert_eq!(RssKey::new(&[7; 52]).unwrap().as_bytes(), &[7; 52]);
}

/// The hash by its definition: bit by bit, the key sliding past.
fn naive(key: &RssKey, input: &[u8]) -> u32 {
    let bit = |bytes: &[u8], at: usize| u32::from(bytes[at / 8] >> (7 - at % 8) & 1);
    let set = (0..input.len() * 8).filter(|&at| bit(input, at) == 1);
    set.fold(0, |hash, at| {
        hash ^ (0..32).fold(0, |window, n| window << 1 | bit(key.as_bytes(), at + n))
    })
}

proptest! {
    #[test]
    fn the_tables_agree_with_the_definition(
        key in proptest::collection::vec(any::<u8>(), 40),
        input in proptest::collection::vec(any::<u8>(), 0..=36),
    ) {
        let key = RssKey::new(&key).unwrap();
        prop_assert_eq!(ToeplitzKey::new(&key).hash(&input), naive(&key, &input));
    }

    #[test]
    fn the_symmetric_key_hashes_both_directions_alike(
        src: [u8; 16], dst: [u8; 16], sport: u16, dport: u16, proto in prop::sample::select(&[6_u8, 17, 132, 1]),
    ) {
        let types = RssTypes::all();
        let v6 = FlowKey::V6 { src: src.into(), dst: dst.into(), sport, dport, proto };
        let (src, dst) = (*src.first_chunk::<4>().unwrap(), *dst.first_chunk::<4>().unwrap());
        let v4 = FlowKey::V4 { src: src.into(), dst: dst.into(), sport, dport, proto };
        for flow in [v4, v6] {
            let (one, other) = (flow, flow.reversed());
            prop_assert_eq!(rss_hash_flow(&one, types, &SYMMETRIC), rss_hash_flow(&other, types, &SYMMETRIC));
        }
    }
}
