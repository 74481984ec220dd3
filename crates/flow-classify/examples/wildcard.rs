//! Wildcard rules over flow keys, with no other crate of the house but `net`.

use linecard_flow_classify::acl::{Acl, AclRule, RuleId};
use linecard_net::flow::KeyV4;
use linecard_net::rule::Match;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dst = Match::prefix([192, 0, 2, 0].into(), 24);
    let web = AclRule { dst, dport: Match::Exact(443), ..AclRule::default() };
    let mut acl = Acl::<KeyV4>::new();
    acl.insert(RuleId(1), web)?;
    acl.insert(RuleId(2), AclRule { dst, priority: 9, ..AclRule::default() })?;

    let reader = acl.reader(); // any thread may have one, also while rules come and go
    let (src, dst, zero) = ([198, 51, 100, 7], [192, 0, 2, 1], [0; 3]);
    let key = KeyV4 { src, dst, sport: 4000.into(), dport: 443.into(), proto: 6, zero };
    assert_eq!(reader.lookup(&key), Some(RuleId(1)));
    let _ = acl.remove(RuleId(1));
    assert_eq!(reader.lookup(&key), Some(RuleId(2)));
    Ok(())
}
