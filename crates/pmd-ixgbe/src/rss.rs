//! Spreading packets over queues (§7.1.2.8).

use crate::classes::Classes;
use crate::registers::Registers;
use linecard_ixgbe_regs::Field;
use linecard_ixgbe_regs::registers::*;
use linecard_net::rss::{RssKey, RssTypes};
use linecard_pmd_core::{RssCapabilities, RssConfig};

/// RETA names queues with four bits.
pub(crate) const MOST_QUEUES: usize = 16;

/// Registers of the table that every card has; an X550 has the rest elsewhere.
const FIRST: u32 = RETA.count();

const TYPES: &[(RssTypes, Field)] = &[
    (RssTypes::IPV4, mrqc::IPV4),
    (RssTypes::IPV4_TCP, mrqc::TCP_IPV4),
    (RssTypes::IPV4_UDP, mrqc::UDP_IPV4),
    (RssTypes::IPV6, mrqc::IPV6),
    (RssTypes::IPV6_TCP, mrqc::TCP_IPV6),
    (RssTypes::IPV6_UDP, mrqc::UDP_IPV6),
];

pub(crate) fn capabilities(table: usize) -> RssCapabilities {
    let types = TYPES.iter().fold(RssTypes::empty(), |all, (one, _)| all | *one);
    RssCapabilities { types, key_bytes: vec![RssKey::LEN], table }
}

/// What the device is told; the checks were pmd-core's.
pub(crate) fn apply(
    registers: &Registers,
    rss: &RssConfig,
    table: usize,
    queues: usize,
    classes: Classes,
) {
    let own = RssKey::MICROSOFT;
    let key = rss.key.as_deref().unwrap_or(own.as_bytes());
    for (index, word) in (0..).zip(key.chunks_exact(4)) {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        registers.write_at(&RSSRK, index, word);
    }
    let table = rss.full_table(table, queues.min(MOST_QUEUES));
    for (index, four) in (0..).zip(table.chunks_exact(4)) {
        let word = four.iter().rev().fold(0, |word, queue| word << 8 | u32::from(*queue));
        match index {
            0..FIRST => registers.write_at(&RETA, index, word),
            _ => registers.write_at(&ERETA, index - FIRST, word),
        }
    }
    let hashed = TYPES.iter().filter(|(one, _)| rss.types.contains(*one));
    let word = hashed
        .fold(mrqc::MRQE.put(0, classes.receive_mode(true)), |word, (_, field)| field.put(word, 1));
    registers.write(&MRQC, word);
}
