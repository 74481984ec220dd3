//! What rules match, and which rules are refused.

use alloc::string::ToString;
use alloc::vec;
use core::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::header::{TcpFlags, Vxlan, ethertype, protocol};
use crate::rss::RssTypes;
use crate::{FrameBuilder, MacAddr, parse};

const SRC: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const DST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

fn v4<'a>() -> FrameBuilder<'a> {
    FrameBuilder::new(MacAddr::BROADCAST, MAC).ipv4(SRC, DST)
}

fn matches<const N: usize>(frame: &FrameBuilder<'_>, items: [Item; N]) -> bool {
    let frame = frame.to_vec().unwrap();
    let pattern = Pattern::from(items);
    assert_eq!(pattern.validate(), Ok(()));
    pattern.matches(&parse(&frame), &frame)
}

fn to_port(dport: Match<u16>) -> Item {
    Item::Udp(PortsItem { dport, ..PortsItem::default() })
}

fn from_net(len: u8) -> Item {
    Ipv4Item { src: Match::prefix(Ipv4Addr::new(192, 0, 3, 0), len), ..Ipv4Item::default() }.into()
}

#[test]
fn an_empty_pattern_matches_everything() {
    assert!(matches(&v4(), []));
    assert!(Pattern::default().matches(&parse(&[]), &[]));
    assert!(matches(&v4(), [Item::Any]));
}

#[test]
fn layers_that_no_item_names_may_be_anything() {
    let tagged = v4().vlan(100).vlan(200).udp(7, 53);
    assert!(matches(&tagged, [to_port(53.into())]));
    assert!(matches(&tagged, [EthItem::default().into(), Ipv4Item::default().into()]));
    assert!(matches(
        &tagged,
        [Item::Any, Ipv4Item::default().into(), Item::Any, to_port(53.into())]
    ));
    assert!(!matches(&v4().tcp(7, 53, TcpFlags::SYN), [to_port(53.into())]));
    assert!(!matches(&tagged, [Ipv6Item::default().into()]));
}

#[test]
fn the_nth_vlan_item_is_the_nth_tag() {
    let frame = v4().vlan(0xe064).vlan(200);
    let tag = |id| Item::from(VlanItem::id(id));
    assert!(matches(&frame, [tag(100), tag(200)]));
    assert!(matches(&frame, [tag(100)]));
    assert!(!matches(&frame, [tag(200)]));
    assert!(!matches(&frame, [tag(100), tag(200), VlanItem::default().into()]));
    assert!(!matches(&frame, [VlanItem { tci: Match::Exact(100) }.into()]), "the priority counts");
}

#[test]
fn ethernet_fields_are_those_of_the_header_itself() {
    let eth = |ether_type: u16| {
        Item::Eth(EthItem {
            src: MAC.into(),
            dst: Match::Mask {
                value: MacAddr([1, 0, 0, 0, 0, 0]),
                mask: MacAddr([1, 0, 0, 0, 0, 0]),
            },
            ether_type: ether_type.into(),
        })
    };
    assert!(matches(&v4().vlan(5), [eth(ethertype::VLAN)]));
    assert!(!matches(&v4().vlan(5), [eth(ethertype::IPV4)]));
}

#[test]
fn prefixes_ranges_and_masks_match_what_they_say() {
    let frame = v4().udp(7, 53);
    assert!(matches(&frame, [from_net(23)]) && !matches(&frame, [from_net(24)]));
    assert!(matches(&frame, [from_net(0)]));
    assert!(matches(&frame, [to_port(Match::Range { lo: 53, hi: 60 })]));
    assert!(!matches(&frame, [to_port(Match::Range { lo: 54, hi: 60 })]));
    assert!(matches(&frame, [to_port(Match::Mask { value: 0xff35, mask: 0x00ff })]));
}

#[test]
fn tcp_flags_match_under_a_mask() {
    let flags =
        Match::Mask { value: TcpFlags::SYN.bits(), mask: (TcpFlags::SYN | TcpFlags::ACK).bits() };
    let syn_only = Item::from(TcpItem { flags, ..TcpItem::default() });
    assert!(matches(&v4().tcp(1, 2, TcpFlags::SYN | TcpFlags::ECE), [syn_only]));
    assert!(!matches(&v4().tcp(1, 2, TcpFlags::SYN | TcpFlags::ACK), [syn_only]));
}

#[test]
fn fragments_are_told_apart_and_have_no_transport_to_match() {
    let mut frame = v4().udp(7, 53).to_vec().unwrap();
    frame[20] = 0x20;
    let parsed = parse(&frame);
    let fragment = |fragment| Pattern::from([Ipv4Item { fragment, ..Ipv4Item::default() }.into()]);
    assert!(fragment(FragmentMatch::First).matches(&parsed, &frame));
    assert!(fragment(FragmentMatch::Fragment).matches(&parsed, &frame));
    assert!(!fragment(FragmentMatch::Later).matches(&parsed, &frame));
    assert!(!fragment(FragmentMatch::Whole).matches(&parsed, &frame));
    assert!(!Pattern::from([to_port(53.into())]).matches(&parsed, &frame));
}

#[test]
fn items_after_a_tunnel_are_about_the_packet_inside() {
    let inner = v4().udp(7, 53).to_vec().unwrap();
    let payload = [Vxlan::new(77).as_bytes(), &inner].concat();
    let frame = FrameBuilder::new(MAC, MAC)
        .ipv6([1; 16].into(), [2; 16].into())
        .udp(1, 4789)
        .payload(&payload);
    let vni = |vni: u32| Item::Vxlan(VxlanItem { vni: vni.into() });
    assert!(matches(&frame, [vni(77)]));
    assert!(matches(
        &frame,
        [Ipv6Item::default().into(), vni(77), Ipv4Item::default().into(), to_port(53.into())]
    ));
    assert!(!matches(&frame, [vni(77), Ipv6Item::default().into()]));
    assert!(!matches(&frame, [vni(78)]));
    assert!(!matches(&frame, [to_port(53.into())]), "the outer port");
    assert!(!matches(&v4().udp(7, 53), [vni(77)]));
}

#[test]
fn raw_bytes_are_counted_from_the_frame_s_first_wherever_the_item_stands() {
    let inner = v4().udp(7, 53).to_vec().unwrap();
    let payload = [Vxlan::new(77).as_bytes(), &inner].concat();
    let frame = FrameBuilder::new(MAC, MAC).ipv4(SRC, DST).udp(1, 4789).payload(&payload);
    let raw = |offset, word| Item::Raw(RawItem { offset, word });
    let udp = Item::Udp(PortsItem::default());
    let vxlan = VxlanItem::default().into();
    let length = frame.to_vec().unwrap().len() as u16;
    assert!(matches(&frame, [raw(12, 0x0800.into()), udp]));
    assert!(matches(&frame, [udp, vxlan, raw(34, 1.into()), udp, raw(36, 4789.into())]));
    assert!(matches(&frame, [raw(13, Match::Mask { value: 0x0045, mask: 0xFFF0 })]));
    assert!(!matches(&frame, [raw(12, 0x0008.into())]), "the first byte is the high one");
    assert!(matches(&frame, [raw(length - 2, Match::Any)]));
    assert!(!matches(&frame, [raw(length - 1, Match::Any)]), "the frame ends before");
    assert!(!matches(&frame, [raw(u16::MAX, Match::Any)]));
}

#[test]
fn a_gre_key_matches_only_where_there_is_one() {
    let ip = v4().udp(7, 53).to_vec().unwrap().split_off(14);
    let keyed = [&[0x20, 0, 8, 0, 0, 0, 0, 5][..], &ip].concat();
    let plain = [&[0, 0, 8, 0][..], &ip].concat();
    let key = |key: u32| Item::Gre(GreItem { key: key.into(), ..GreItem::default() });
    let gre = |payload| v4().protocol(protocol::GRE).payload(payload);
    assert!(matches(&gre(&keyed), [key(5), to_port(53.into())]));
    assert!(!matches(&gre(&keyed), [key(6)]) && !matches(&gre(&plain), [key(0)]));
    assert!(matches(&gre(&plain), [GreItem::default().into()]));
}

/// The error of a pattern with a good fate.
fn refused<const N: usize>(items: [Item; N]) -> alloc::string::String {
    Pattern::from(items).validate().unwrap_err().to_string()
}

#[test]
fn layers_out_of_order_are_refused_by_name() {
    let (udp, tcp) = (Item::Udp(PortsItem::default()), Item::Tcp(TcpItem::default()));
    let (eth, ip) = (Item::Eth(EthItem::default()), Item::Ipv4(Ipv4Item::default()));
    let ip6 = Item::Ipv6(Ipv6Item::default());
    let (icmp, icmp6) = (Item::Icmp(IcmpItem::default()), Item::Icmpv6(IcmpItem::default()));
    let (vxlan, gtpu) = (Item::Vxlan(VxlanItem::default()), Item::Gtpu(GtpuItem::default()));
    assert!(refused([ip, udp, tcp]).starts_with("item 2 (tcp): cannot follow udp"));
    assert!(refused([ip, eth]).starts_with("item 1 (eth): cannot follow ipv4"));
    assert!(refused([ip, Item::Any, ip]).starts_with("item 2 (ipv4): cannot follow ipv4"));
    assert!(refused([ip, icmp6]).contains("icmpv6") && refused([ip6, icmp]).contains("icmp"));
    assert!(refused([tcp, vxlan]).starts_with("item 1 (vxlan): cannot follow tcp"));
    assert!(
        refused([vxlan, eth, ip, Item::IpInIp])
            .starts_with("item 3 (ip-in-ip): cannot follow vxlan")
    );
    assert!(refused([gtpu, eth]).starts_with("item 1 (eth): cannot follow gtpu"));
    assert!(
        refused([ArpItem::default().into(), udp]).starts_with("item 1 (udp): cannot follow arp")
    );
    assert_eq!(Pattern::from([eth, ip, udp, vxlan, eth, ip6, tcp]).validate(), Ok(()));
    assert!(refused([VlanItem::default().into(); 5]).contains("the parser follows 4"));
}

#[test]
fn fields_that_cannot_match_are_refused_by_name() {
    assert_eq!(
        refused([from_net(33)]),
        "item 0 (ipv4): the prefix of src has 33 bits: the limit is 32"
    );
    assert!(
        refused([to_port(Match::Range { lo: 2, hi: 1 })]).contains("the range of dport is empty")
    );
    let vni = VxlanItem { vni: Match::Exact(1 << 24) };
    assert!(refused([vni.into()]).contains("vni does not fit: the field has 24 bits"));
    let udp_only = Ipv4Item { proto: protocol::UDP.into(), ..Ipv4Item::default() };
    let fault = refused([udp_only.into(), TcpItem::default().into()]);
    assert_eq!(fault, "item 1 (tcp): cannot match: proto of ipv4 demands another protocol");
    let ipv6_only = EthItem { ether_type: ethertype::IPV6.into(), ..EthItem::default() };
    assert!(refused([ipv6_only.into(), udp_only.into()]).contains("ether_type of eth"));
}

#[test]
fn a_rule_has_exactly_one_fate() {
    let build = |actions: &[Action]| {
        let rule = Rule { actions: actions.to_vec(), ..Rule::default() };
        rule.validate()
    };
    assert_eq!(build(&[]), Err(RuleError::NoFate));
    assert_eq!(build(&[Action::Mark(1), Action::Count]), Err(RuleError::NoFate));
    let two = RuleError::TwoFates { first: "drop", second: "queue" };
    assert_eq!(build(&[Action::Drop, Action::Queue(QueueIndex(1))]), Err(two));
    assert_eq!(
        build(&[Action::Mark(1), Action::Drop, Action::Mark(2)]),
        Err(RuleError::Twice("mark"))
    );
    assert_eq!(build(&[Action::Mark(1), Action::Count, Action::PassThrough]), Ok(()));
    assert_eq!(build(&[Action::Jump(0)]), Err(RuleError::JumpBack { from: 0, to: 0 }));
    let rss = |queues| Action::Rss(RssAction { queues, types: RssTypes::IP, key: None });
    assert_eq!(build(&[rss(vec![])]), Err(RuleError::NoQueue));
    assert_eq!(build(&[rss(vec![QueueIndex(0), QueueIndex(1)])]), Ok(()));
}

/// Any match of a 16-bit field, sound or not.
fn any_match() -> impl Strategy<Value = Match<u16>> {
    prop_oneof![
        Just(Match::Any),
        any::<u16>().prop_map(Match::Exact),
        any::<(u16, u16)>().prop_map(|(value, mask)| Match::Mask { value, mask }),
        (any::<u16>(), 0_u8..=16).prop_map(|(value, len)| Match::Prefix { value, len }),
        any::<(u16, u16)>().prop_map(|(a, b)| Match::Range { lo: a.min(b), hi: a.max(b) }),
    ]
}

proptest! {
    #[test]
    fn a_match_and_its_mask_form_are_the_same_set(matching in any_match(), field: u16) {
        prop_assert_eq!(matching.validate("field", 16), Ok(()));
        if let Some((value, mask)) = matching.to_mask() {
            prop_assert_eq!(matching.matches(field), u128::from(field) & mask == value);
        }
    }

    #[test]
    fn a_pattern_of_ports_matches_by_the_flow_key(
        sport in any_match(), dport in any_match(), ports: (u16, u16),
    ) {
        let frame = v4().udp(ports.0, ports.1).to_vec().unwrap();
        let pattern = Pattern::from([Item::Udp(PortsItem { sport, dport })]);
        let expected = sport.matches(ports.0) && dport.matches(ports.1);
        prop_assert_eq!(pattern.matches(&parse(&frame), &frame), expected);
    }

    #[test]
    fn matching_noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), other in prop::collection::vec(any::<u8>(), 0..200)) {
        let items = [
            Item::Eth(EthItem::default()), VlanItem::default().into(), MplsItem::default().into(),
            Ipv4Item::default().into(), TcpItem::default().into(), Item::Icmp(IcmpItem::default()),
            VxlanItem::default().into(), GreItem::default().into(), ArpItem::default().into(),
        ];
        for item in items {
            let _ = Pattern::from([item]).matches(&parse(&bytes), &other);
        }
    }
}
