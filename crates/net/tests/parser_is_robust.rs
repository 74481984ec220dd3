//! The parser on anything: no panic, offsets in order and in bounds, the same answer every way.

mod frames;

use linecard_net::checksum::{Status, fill_ipv4, fill_l4, verify_ipv4, verify_l4};
use linecard_net::packet_type::{L3, L4};
use linecard_net::parse::{Fragment, Layers, Stop, parse_ip};
use linecard_net::{FlowKey, PacketType, Parsed, parse};
use proptest::prelude::*;

fn assert_in_order(layers: &Layers, len: usize) {
    assert!(layers.l2_offset <= layers.l3_offset, "{layers:?}");
    assert!(layers.l3_offset <= layers.l4_offset, "{layers:?}");
    assert!(layers.l4_offset <= layers.payload_offset, "{layers:?}");
    assert!(usize::from(layers.payload_offset) <= layers.end, "{layers:?}");
    assert!(layers.end <= len, "{layers:?}, frame of {len}");
    assert_eq!(layers.flow.is_some(), layers.l3 != L3::Unknown, "{layers:?}");
}

fn check(frame: &[u8]) -> Parsed {
    let parsed = parse(frame);
    assert_in_order(&parsed.outer, frame.len());
    assert!(usize::from(parsed.tunnel_offset) <= parsed.outer.end);
    if let Some(inner) = &parsed.inner {
        assert_in_order(inner, parsed.outer.end);
        assert!(inner.l2_offset >= parsed.tunnel_offset, "{parsed:?}");
    }
    assert_eq!(FlowKey::from_frame(frame), parsed.outer.flow);
    assert_eq!(PacketType::from_bits(parsed.packet_type.bits()), parsed.packet_type);
    parsed
}

/// Filling a checksum makes it good; verifying never panics, and filling changes nothing else.
fn check_checksums(frame: &mut [u8], layers: &Layers) {
    let _ = (verify_ipv4(frame, layers), verify_l4(frame, layers));
    if fill_ipv4(frame, layers).is_ok() {
        assert_eq!(verify_ipv4(frame, layers), Status::Good);
    }
    if fill_l4(frame, layers).is_ok() {
        assert_eq!(verify_l4(frame, layers), Status::Good, "{layers:?}");
    }
}

/// A number of cases that `PROPTEST_CASES` can raise, for a run through the night.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = default.cases.max(2_000);
    ProptestConfig { cases, failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes);
        assert_in_order(&parse_ip(&bytes).outer, bytes.len());
    }

    #[test]
    fn frames_with_wrong_bytes_never_panic(mut frame in frames::broken_frame()) {
        let parsed = check(&frame);
        check_checksums(&mut frame, &parsed.outer);
        if let Some(inner) = parsed.inner {
            check_checksums(&mut frame, &inner);
        }
    }

    #[test]
    fn a_stale_parse_of_another_frame_never_panics(
        one in frames::frame(), mut other in frames::broken_frame(),
    ) {
        let parsed = parse(&one);
        let _ = (verify_l4(&other, &parsed.outer), verify_ipv4(&other, &parsed.outer));
        let _ = (fill_l4(&mut other, &parsed.outer), fill_ipv4(&mut other, &parsed.outer));
        let _ = parsed.outer.payload(&other);
    }

    #[test]
    fn every_sound_frame_is_read_to_its_end(frame in frames::frame()) {
        let parsed = check(&frame);
        prop_assert!(parsed.outer.flow.is_some());
        prop_assert!(!parsed.outer.cut_short);
        prop_assert!(parsed.outer.l4 != L4::Unknown || parsed.packet_type.tunnel().name() != "", "{:?}", parsed);
        prop_assert_eq!(parsed.outer.stop, Stop::Complete);
        if let Some(inner) = parsed.inner {
            prop_assert_eq!(inner.stop, Stop::Complete);
        }
    }

    #[test]
    fn cutting_a_frame_never_changes_what_was_read_before_the_cut(
        frame in frames::frame(), cut: prop::sample::Index,
    ) {
        let whole = parse(&frame).outer;
        let cut = cut.index(frame.len() + 1);
        let part = check(&frame[..cut]).outer;
        if usize::from(whole.l4_offset) <= cut {
            prop_assert_eq!((part.l3, part.l4_offset), (whole.l3, whole.l4_offset));
        }
        if whole.fragment == Fragment::None && usize::from(whole.payload_offset) <= cut {
            prop_assert_eq!((part.l4, part.flow), (whole.l4, whole.flow));
        }
    }
}
