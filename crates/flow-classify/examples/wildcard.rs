//! Wildcard rules over flow keys, with no other crate of the house but `net`.

use linecard_flow_classify::acl::{Acl, AclRule, RuleId};
use linecard_net::flow::KeyV4;
use linecard_net::rule::Match;
use std::net::Ipv4Addr;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut acl = Acl::<KeyV4>::new();
    let inside = Match::prefix(Ipv4Addr::new(192, 0, 2, 0), 24);
    let web = AclRule {
        dst: inside,
        dport: Match::Exact(443),
        proto: Match::Exact(6),
        ..AclRule::default()
    };
    acl.insert(RuleId(1), web)?;
    acl.insert(RuleId(2), AclRule { dst: inside, priority: 9, ..AclRule::default() })?;

    let reader = acl.reader(); // any thread may have one, also while rules come and go
    let (src, dst, zero) = ([198, 51, 100, 7], [192, 0, 2, 1], [0; 3]);
    let key = KeyV4 { src, dst, sport: 4000.into(), dport: 443.into(), proto: 6, zero };
    assert_eq!(reader.lookup(&key), Some(RuleId(1)));
    let _ = acl.remove(RuleId(1));
    assert_eq!(reader.lookup(&key), Some(RuleId(2)));
    Ok(())
}
