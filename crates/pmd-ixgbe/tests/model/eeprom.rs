//! The EEPROM is written: an 82599's by SPI, an X540's by a register, an X550's by its firmware.

use crate::bed::Modelled;
use linecard_ixgbe_model::{Identity, MailboxFault};
use linecard_pmd_core::{Driver, Error};
use linecard_pmd_ixgbe::{EepromAccess, IxgbePort};

const FAMILY: [u16; 3] = [0x10FB, 0x1528, 0x1563];

fn card(device_id: u16) -> Modelled {
    Modelled::with(Identity { device_id, ..Identity::default() })
}

fn open(card: &Modelled) -> Result<IxgbePort, Error> {
    IxgbePort::open(Box::new(card.clone()), crate::options().eeprom(EepromAccess::Write))
}

/// A checksum that is wrong is seen when the card is opened.
#[test]
fn what_was_written_is_there_when_the_power_was_away_and_the_sum_is_right() {
    for device_id in FAMILY {
        let card = card(device_id);
        let mut port = open(&card).expect("a card");
        let before = port.read_eeprom(0..512).expect("it is read");
        // Odd at both ends; and with the checksum's word between, which is not taken as it is given.
        let written = [(0x2B, vec![1, 2, 3, 4]), (0x7D, vec![0xEE; 5]), (0x100, vec![7])];
        for (at, bytes) in &written {
            port.write_eeprom(*at, bytes).expect("it is written");
        }
        drop(port);
        card.model().lose_power();
        let mut port = open(&card).unwrap_or_else(|error| panic!("{device_id:#x}: {error}"));
        let mut expected = before;
        written
            .iter()
            .for_each(|(at, bytes)| expected[*at..][..bytes.len()].copy_from_slice(bytes));
        let mut after = port.read_eeprom(0..512).expect("it is read");
        after[0x7E..0x80].fill(0xEE);
        assert_eq!(after, expected, "{device_id:#x}");
        card.assert_clean();
    }
}

#[test]
fn nobody_writes_who_has_not_asked_to() {
    for device_id in FAMILY {
        let card = card(device_id);
        let mut port = IxgbePort::open(Box::new(card.clone()), crate::options()).expect("a card");
        let before = port.read_eeprom(0..8192).expect("it is read");
        let refused = port.write_eeprom(0x2A, &[1]).expect_err("not asked for");
        assert!(matches!(refused, Error::Unsupported { .. }), "{refused}");
        assert!(refused.to_string().contains("EepromAccess::Write"), "{refused}");
        assert_eq!(port.read_eeprom(0..8192).expect("it is read"), before);
    }
}

#[test]
fn writes_beyond_the_end_are_refused_with_the_size() {
    let mut port = open(&card(0x10FB)).expect("a card");
    let refused = port.write_eeprom(8191, &[1, 2]).expect_err("one too many");
    assert!(matches!(refused, Error::Range { max: 8192, .. }), "{refused}");
    port.write_eeprom(8191, &[1]).expect("the last");
}

#[test]
fn a_firmware_that_refuses_to_write_is_an_error() {
    let card = card(0x1563);
    let mut port = open(&card).expect("an X550");
    card.model().faults().mailbox = Some(MailboxFault::Refuses);
    let text = port.write_eeprom(0x2A, &[1]).expect_err("refused").to_string();
    assert!(text.contains("refused"), "{text}");
}
