//! The table itself: no overlaps, ends of arrays, widths, aliases.

extern crate std;

use crate::registers::*;
use crate::{Access, BAR0_BYTES, Field, Register, VF_BAR_BYTES, descriptor};
use crate::{all, all_of_virtual_function, find};
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

/// Every address of a register, aliases included, with its element.
fn addresses(register: &Register) -> Vec<(u32, u32)> {
    let own = register.offsets().enumerate().map(|(index, offset)| (offset, index as u32));
    let alias = register.alias.into_iter();
    let also = alias.flat_map(|span| (0..span.count).filter_map(move |i| Some((span.at(i)?, i))));
    own.chain(also).collect()
}

#[test]
fn no_two_registers_share_an_address() {
    let windows: [Vec<_>; 2] = [all().collect(), all_of_virtual_function().collect()];
    for window in windows {
        let mut seen = BTreeMap::new();
        for register in window {
            for (offset, index) in addresses(register) {
                let before = seen.insert(offset, register.name);
                assert_eq!(before, None, "{}[{index}] at {offset:#x}", register.name);
            }
        }
    }
}

#[test]
fn every_element_is_a_word_of_bar_0() {
    for register in all() {
        for (offset, index) in addresses(register) {
            assert!(offset % 4 == 0 && offset < BAR0_BYTES, "{}[{index}]", register.name);
        }
    }
    for register in all_of_virtual_function() {
        assert!(register.offsets().all(|offset| offset % 4 == 0 && offset < VF_BAR_BYTES));
    }
}

#[test]
fn names_are_unique_and_sections_are_given() {
    let mut names = BTreeSet::new();
    for register in all().chain(all_of_virtual_function()) {
        assert!(names.insert(register.name), "{}", register.name);
        assert!(!register.section.is_empty());
    }
    assert!(names.len() > 200, "{}", names.len());
}

fn assert_field_fits(register: &Register, field: Field) {
    assert!(field.msb < 32 && field.lsb <= field.msb, "{}.{}", register.name, field.name);
}

#[test]
fn fields_fit_their_word_and_do_not_overlap() {
    // The same bits with two meanings: negotiation's pause bits lie within the whole page; an X540 has all of
    // TIMINCA for its increment.
    let unions = ["LINK_PARTNER", "WIDE_INCREMENT", "LESS"];
    for register in all().chain(all_of_virtual_function()) {
        let mut taken = 0;
        for &field in register.fields {
            assert_field_fits(register, field);
            if unions.contains(&field.name) {
                continue;
            }
            assert_eq!(taken & field.mask(), 0, "{}.{}", register.name, field.name);
            taken |= field.mask();
        }
    }
}

#[test]
fn fields_of_descriptors_lie_in_one_of_two_quadwords() {
    for (layout, fields) in descriptor::LAYOUTS {
        for field in *fields {
            assert!(field.word < 2 && field.msb < 64 && field.lsb <= field.msb, "{layout}");
            assert_eq!(field.mask().count_ones(), field.width(), "{layout}.{}", field.name);
        }
    }
}

#[test]
fn fields_of_what_a_driver_writes_do_not_overlap() {
    let layouts =
        [descriptor::transmit::ALL, descriptor::context::ALL, descriptor::transmit_legacy::ALL];
    for fields in layouts {
        let mut taken = [0u64; 2];
        for field in fields {
            let word = &mut taken[usize::from(field.word)];
            assert_eq!(*word & field.mask(), 0, "{}", field.name);
            *word |= field.mask();
        }
    }
}

/// Taken from the datasheet by hand, apart from the table.
#[test]
fn arrays_begin_and_end_where_the_datasheet_says() {
    let ends: &[(Register, u32, u32, u32)] = &[
        (RDBAL, 128, 0x1000, 0xDFC0),
        (RDLEN, 128, 0x1008, 0xDFC8),
        (RDT, 128, 0x1018, 0xDFD8),
        (RXDCTL, 128, 0x1028, 0xDFE8),
        (SRRCTL, 128, 0x1014, 0xDFD4),
        (TDBAL, 128, 0x6000, 0x7FC0),
        (TDT, 128, 0x6018, 0x7FD8),
        (TXDCTL, 128, 0x6028, 0x7FE8),
        (TDWBAH, 128, 0x603C, 0x7FFC),
        (EITR, 129, 0x0820, 0x124A0),
        (IVAR, 64, 0x0900, 0x09FC),
        (MTA, 128, 0x5200, 0x53FC),
        (VFTA, 128, 0xA000, 0xA1FC),
        (RAL, 128, 0xA200, 0xA5F8),
        (RAH, 128, 0xA204, 0xA5FC),
        (MPSAR, 256, 0xA600, 0xA9FC),
        (RETA, 32, 0xEB00, 0xEB7C),
        (ERETA, 96, 0xEE80, 0xEFFC),
        (RSSRK, 10, 0xEB80, 0xEBA4),
        (FTQF, 128, 0xE600, 0xE7FC),
        (L34TIMIR, 128, 0xE800, 0xE9FC),
        (ETQF, 8, 0x5128, 0x5144),
        (PFUTA, 128, 0xF400, 0xF5FC),
        (RXPBSIZE, 8, 0x3C00, 0x3C1C),
        (TXPBSIZE, 8, 0xCC00, 0xCC1C),
        (QPRC, 16, 0x1030, 0x13F0),
        (QPRDC, 16, 0x1430, 0x17F0),
        (PFMBMEM, 1024, 0x13000, 0x13FFC),
        (PFMAILBOX, 64, 0x4B00, 0x4BFC),
        (virtual_function::VFRDT, 8, 0x1018, 0x11D8),
        (virtual_function::VFTDT, 8, 0x2018, 0x21D8),
        (virtual_function::VFMBMEM, 16, 0x200, 0x23C),
    ];
    for (register, count, first, last) in ends {
        assert_eq!(register.count(), *count, "{}", register.name);
        assert_eq!(register.at(0), Some(*first), "{}", register.name);
        assert_eq!(register.at(count - 1), Some(*last), "{}", register.name);
        assert_eq!(register.at(*count), None, "{}", register.name);
    }
}

#[test]
fn an_alias_leads_to_the_same_element() {
    let aliases = [
        (0x5400, "RAL", 0),
        (0x5404, "RAH", 0),
        (0x5478, "RAL", 15),
        (0x2100, "SRRCTL", 0),
        (0x213C, "SRRCTL", 15),
        (0x2200, "DCA_RXCTRL", 0),
        (0x223C, "DCA_RXCTRL", 15),
        (0x5480, "PSRTYPE", 0),
        (0x54BC, "PSRTYPE", 15),
        (0x5C00, "RETA", 0),
        (0x5C80, "RSSRK", 0),
        (0x6030, "QPTC", 0),
        (0x0004, "CTRL", 0),
    ];
    for (offset, name, index) in aliases {
        let place = find(offset).unwrap();
        assert_eq!((place.register.name, place.index), (name, index), "{offset:#x}");
    }
    assert_eq!(RAL.at(0), Some(0xA200));
    assert_eq!(SRRCTL.at(0), Some(0x1014));
}

#[test]
fn every_element_is_found_again_by_its_address() {
    for register in all() {
        for (offset, index) in addresses(register) {
            let place = find(offset).unwrap();
            assert_eq!((place.register.name, place.index), (register.name, index));
        }
    }
}

#[test]
fn an_address_between_elements_is_nothing() {
    assert_eq!(find(0x101C), None);
    assert_eq!(find(0x1002), None);
    assert_eq!(find(BAR0_BYTES), None);
}

#[test]
fn a_field_is_put_and_taken_without_touching_others() {
    let word = srrctl::DESCTYPE.put(u32::MAX, 1);
    assert_eq!(srrctl::DESCTYPE.of(word), 1);
    assert_eq!(word | srrctl::DESCTYPE.mask(), u32::MAX);
    assert_eq!(descriptor::transmit::PAYLEN.put(0, 60), 60 << 46);
    assert_eq!(descriptor::context::MACLEN.of(14 << 9), 14);
}

/// TinyNF and ixy both shipped a wrong mask: the ones that matter are spelt out again here.
#[test]
fn masks_that_drivers_depend_on_are_what_the_datasheet_says() {
    let masks = [
        (ctrl::RST.mask() | ctrl::LRST.mask(), 0x0400_0008),
        (rxdctl::ENABLE.mask(), 1 << 25),
        (rxdctl::VME.mask(), 1 << 30),
        (txdctl::ENABLE.mask(), 1 << 25),
        (srrctl::BSIZEPACKET.mask(), 0x1F),
        (srrctl::DROP_EN.mask(), 1 << 28),
        (rdlen::LEN.mask(), 0x000F_FF80),
        (rah::AV.mask() | rah::ADDR.mask(), 0x8000_FFFF),
        (links::UP.mask() | links::SPEED.mask(), 0x7000_0000),
        (autoc::LMS.mask(), 0xE000),
        (eerd::ADDR.mask(), 0xFFFC),
        (fctrl::UPE.mask() | fctrl::MPE.mask() | fctrl::BAM.mask(), 0x700),
        (maxfrs::MFS.mask(), 0xFFFF_0000),
        (fdircmd::RX_QUEUE.mask(), 0x007F_0000),
        (l34timir::RX_QUEUE.mask(), 0x0FE0_0000),
        (fcrth::RTH.mask(), 0x0007_FFE0),
    ];
    for (mask, expected) in masks {
        assert_eq!(mask, expected, "{expected:#x}");
    }
}

#[test]
fn counters_are_cleared_by_reading() {
    for register in [GPRC, GPTC, MPC, QPRC, QPTC, QPRDC, CRCERRS] {
        assert_eq!(register.access, Access::ReadClear, "{}", register.name);
    }
}
