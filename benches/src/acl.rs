//! ClassBench rule sets and traces, as DPDK's `dpdk-test-acl` reads them.

use linecard_flow_classify::acl::{AclRule, RuleId};
use linecard_net::flow::KeyV4;
use linecard_net::rule::Match;
use std::net::Ipv4Addr;

/// Rules by their line, from 0; the first wins. `None` for a text that has another form.
pub fn rules(text: &str) -> Option<Vec<(RuleId, AclRule<KeyV4>)>> {
    (0..).zip(text.lines()).map(|(line, text)| Some((RuleId(line), rule(line, text)?))).collect()
}

/// `@src/len dst/len sport : sport dport : dport proto/mask`.
fn rule(priority: u32, line: &str) -> Option<AclRule<KeyV4>> {
    let words: Vec<_> = line.strip_prefix('@')?.split_whitespace().collect();
    let [src, dst, sport, _, sport_hi, dport, _, dport_hi, proto, ..] = words[..] else {
        return None;
    };
    let (value, mask) = proto.split_once('/')?;
    let hex = |word: &str| u8::from_str_radix(word.strip_prefix("0x")?, 16).ok();
    Some(AclRule {
        src: prefix(src)?,
        dst: prefix(dst)?,
        sport: Match::Range { lo: sport.parse().ok()?, hi: sport_hi.parse().ok()? },
        dport: Match::Range { lo: dport.parse().ok()?, hi: dport_hi.parse().ok()? },
        proto: Match::Mask { value: hex(value)?, mask: hex(mask)? },
        priority,
        ..AclRule::default()
    })
}

fn prefix(word: &str) -> Option<Match<Ipv4Addr>> {
    let (address, len) = word.split_once('/')?;
    Some(Match::prefix(address.parse().ok()?, len.parse().ok()?))
}

/// Headers: `src dst sport dport proto` and more, in decimal.
pub fn trace(text: &str) -> Option<Vec<KeyV4>> {
    text.lines().map(key).collect()
}

fn key(line: &str) -> Option<KeyV4> {
    let mut numbers = line.split_whitespace().map(|word| word.parse::<u32>().ok());
    let mut next = || numbers.next()?;
    let [src, dst] = [next()?, next()?].map(u32::to_be_bytes);
    let [sport, dport] = [next()? as u16, next()? as u16].map(Into::into);
    Some(KeyV4 { src, dst, sport, dport, proto: next()? as u8, zero: [0; 3] })
}
