//! An X540: a card with a PHY behind MDIO, and no cage; and an X550, whose EEPROM is behind its firmware.

use crate::bed::Modelled;
use crate::ends::*;
use linecard_ixgbe_model::{Carrier, Identity, MailboxFault};
use linecard_mbuf::MbufPool;
use linecard_net::rss::{RssKey, RssTypes, ToeplitzKey, rss_hash};
use linecard_net::{FrameBuilder, parse};
use linecard_pmd_core::{Controls, Error, Event, LinkState, PortConfig, RssConfig, RxOffloads};
use linecard_pmd_ixgbe::IxgbePort;

const X540: u16 = 0x1528;
const X550: u16 = 0x1563;

fn x540(pool: &MbufPool) -> [End; 2] {
    cards(pool, X540, |config| config)
}

fn cards(
    pool: &MbufPool,
    device_id: u16,
    configure: impl Fn(PortConfig) -> PortConfig,
) -> [End; 2] {
    let identity = |last| Identity { mac: [2, 0, 0, 0, 0, last], device_id };
    Modelled::pair_of([identity(1), identity(2)]).map(|card| {
        let (port, queues) = start(&card, configure(PortConfig::new(pool)));
        End { card, port, queues }
    })
}

/// As Linux and DPDK have it for both, and an X540's datasheet for itself (§8.2.3.8.9 there).
#[test]
fn the_packet_buffer_is_as_large_as_the_card_has_it() {
    for (device_id, kib) in [(0x10FB, 512), (X540, 384), (X550, 384)] {
        let pool = pool();
        let [mut left, _right] = cards(&pool, device_id, |config| config);
        let all = left.port.registers().expect("it is there");
        let word = |name| all.iter().find(|one| one.name == name).expect("it has it").value;
        // The flow director has 64 KiB of it, unless told otherwise.
        assert_eq!(word("RXPBSIZE") >> 10, kib - 64, "{device_id:x}");
        assert!(word("FCRTH") < (kib - 64) << 10, "{device_id:x}");
    }
}

#[test]
fn frames_pass_between_two_x540() {
    let pool = pool();
    let [mut left, mut right] = x540(&pool);
    assert_eq!(right.port.link().expect("a link").speed, Some(10_000));
    left.send(packet(&pool, &udp(b"copper")));
    assert_eq!(right.receive().len(), 1);
    [&left, &right].iter().for_each(|end| end.card.assert_clean());
}

#[test]
fn a_phy_that_sleeps_takes_the_other_ends_link_down() {
    let pool = pool();
    let [mut left, mut right] = x540(&pool);
    while right.port.next_event().expect("events").is_some() {}
    for state in [LinkState::Down, LinkState::Up] {
        left.port.set_link(state).expect("it has a PHY");
        let told = right.port.next_event().expect("events");
        assert!(matches!(told, Some(Event::Link(link)) if link.state == state), "{told:?}");
    }
    left.card.assert_clean();
}

#[test]
fn what_only_an_sfp_card_has_is_refused() {
    let pool = pool();
    let [mut left, _right] = x540(&pool);
    let controls = left.port.info().capabilities.controls;
    assert!(!controls.intersects(Controls::MODULE) && controls.contains(Controls::TIME_SYNC));
    assert!(matches!(left.port.module(), Err(Error::Unsupported { .. })));
    assert!(left.port.firmware().is_ok() && left.port.read_eeprom(0..64).is_ok());
}

/// Nine bits of the hash choose among its 512 entries.
#[test]
fn an_x550_spreads_flows_by_all_of_its_table() {
    let pool = pool();
    let table = (0..512).map(|entry| (entry / 128 % 2) as u16).collect();
    let rss = RssConfig { table, ..RssConfig::over(RssTypes::IPV4_UDP) };
    let [mut left, mut right] = cards(&pool, X550, |config| {
        config.rx_queues(2).rss(rss.clone()).rx_offloads(RxOffloads::RSS_HASH)
    });
    assert_eq!(right.port.info().capabilities.rss.as_ref().map(|can| can.table), Some(512));
    let key = ToeplitzKey::new(&RssKey::MICROSOFT);
    for port in 1000..1064 {
        let frame = FrameBuilder::new(ALL, HERE).ipv4(FROM, TO).udp(port, 53).to_vec();
        let frame = frame.expect("a frame");
        let hash = rss_hash(&parse(&frame), RssTypes::IPV4_UDP, &key).expect("a hash");
        left.send(packet(&pool, &frame));
        let queue = usize::from(rss.table[hash as usize % 512]);
        assert_eq!(right.receive_on(queue).len(), 1, "port {port}");
    }
    // A shorter table is repeated.
    let all_to_one = RssConfig { table: vec![1], ..rss };
    right.port.set_rss(&all_to_one).expect("it can");
    for port in 1000..1016 {
        let frame = FrameBuilder::new(ALL, HERE).ipv4(FROM, TO).udp(port, 53).to_vec();
        left.send(packet(&pool, &frame.expect("a frame")));
        assert_eq!(right.receive_on(1).len(), 1, "port {port}");
    }
}

#[test]
fn an_x550_shows_its_eeprom_through_its_firmware() {
    let pool = pool();
    let [mut left, mut right] = cards(&pool, X550, |config| config);
    left.send(packet(&pool, &udp(b"copper")));
    assert_eq!(right.receive().len(), 1);
    assert_eq!(right.port.link().expect("a link").speed, Some(10_000));
    let mac = left.port.mac().0;
    assert_eq!(left.port.read_eeprom(0x20..0x26).expect("it is there"), mac);
    assert_eq!(left.port.read_eeprom(0x21..0x24).expect("odd"), mac[1..4]);
    let all = left.port.read_eeprom(0..8192).expect("in several reads");
    assert_eq!((all.len(), &all[0x20..0x26]), (8192, &mac[..]));
    assert!(left.port.firmware().expect("a track id").starts_with("0x8000"));
    left.card.assert_clean();
}

#[test]
fn an_x550_has_speeds_between() {
    let pool = pool();
    let [mut left, _right] = cards(&pool, X550, |config| config);
    let speeds = [
        (Carrier::OneGigabit, 1_000),
        (Carrier::TwoAndAHalfGigabit, 2_500),
        (Carrier::FiveGigabit, 5_000),
        (Carrier::TenGigabit, 10_000),
    ];
    for (carrier, speed) in speeds {
        left.card.model().set_carrier(carrier);
        assert_eq!(left.port.link().expect("a link").speed, Some(speed));
    }
}

fn opened(change: impl FnOnce(&Modelled)) -> Result<IxgbePort, Error> {
    let identity = Identity { device_id: X550, ..Identity::default() };
    let card = Modelled::with(identity);
    change(&card);
    IxgbePort::open(Box::new(card), crate::options())
}

#[test]
fn an_x550_whose_eeprom_is_damaged_is_refused() {
    assert!(opened(|_| {}).is_ok());
    // Behind pointers: one area that has its own length, and one that begins with it.
    for word in [0x41, 0x410, 0x470] {
        let damaged = opened(|card| card.model().set_eeprom_word(word, 0x1234));
        let text = damaged.expect_err("damaged").to_string();
        assert!(text.contains("settings are damaged"), "{word:#x}: {text}");
    }
}

#[test]
fn a_firmware_that_says_nothing_or_no_is_an_error_and_no_hang() {
    for (fault, says) in [(MailboxFault::Silent, "HICR"), (MailboxFault::Refuses, "refused")] {
        let failed = opened(|card| card.model().faults().mailbox = Some(fault));
        let text = failed.expect_err("no EEPROM").to_string();
        assert!(text.contains(says), "{text}");
    }
}
