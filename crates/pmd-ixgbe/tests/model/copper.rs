//! An X540: a card with a PHY behind MDIO, and no cage.

use crate::bed::Modelled;
use crate::ends::*;
use linecard_ixgbe_model::Identity;
use linecard_pmd_core::{Controls, Error, Event, LinkState, PortConfig};

fn x540(pool: &linecard_mbuf::MbufPool) -> [End; 2] {
    let identity = |last| Identity { mac: [2, 0, 0, 0, 0, last], device_id: 0x1528 };
    Modelled::pair_of([identity(1), identity(2)]).map(|card| {
        let (port, queues) = start(&card, PortConfig::new(pool));
        End { card, port, queues }
    })
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
    assert!(!controls.intersects(Controls::MODULE | Controls::TIME_SYNC));
    assert!(matches!(left.port.module(), Err(Error::Unsupported { .. })));
    assert!(matches!(left.port.clock(), Err(Error::Unsupported { .. })));
    assert!(left.port.firmware().is_ok() && left.port.read_eeprom(0..64).is_ok());
}
