//! Any bytes: parse them every way, verify and fill checksums, hash.
#![no_main]

use libfuzzer_sys::fuzz_target;
use linecard_net::checksum::{Status, fill_ipv4, fill_l4, verify_ipv4, verify_l4};
use linecard_net::parse::{Layers, parse_ip};
use linecard_net::rss::{RssKey, RssTypes, ToeplitzKey, rss_hash};
use linecard_net::{FlowKey, parse};

static KEY: ToeplitzKey = ToeplitzKey::new(&RssKey::MICROSOFT);

fn check(frame: &mut [u8], layers: &Layers) {
    assert!(layers.l2_offset <= layers.l3_offset && layers.l3_offset <= layers.l4_offset);
    assert!(layers.l4_offset <= layers.payload_offset);
    assert!(usize::from(layers.payload_offset) <= layers.end && layers.end <= frame.len());
    if fill_ipv4(frame, layers).is_ok() {
        assert_eq!(verify_ipv4(frame, layers), Status::Good);
    }
    if fill_l4(frame, layers).is_ok() {
        assert_eq!(verify_l4(frame, layers), Status::Good);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let parsed = parse(bytes);
    assert_eq!(FlowKey::from_frame(bytes), parsed.flow());
    let _ = (parse_ip(bytes), rss_hash(&parsed, RssTypes::all(), &KEY));
    let mut frame = bytes.to_vec();
    check(&mut frame, &parsed.outer);
    if let Some(inner) = &parsed.inner {
        check(&mut frame, inner);
    }
});
