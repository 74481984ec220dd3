//! What patterns ask of a field, in words that filters understand.

use linecard_net::rule::{EthItem, Field, FragmentMatch, Ipv4Item, Ipv6Item, Item, Match};

/// The item's fields that no filter of the card looks at are not asked for.
pub(super) fn any<T: Field>(item: &str, field: &str, value: Match<T>) -> Result<(), String> {
    match value.to_mask() {
        Some((_, 0)) => Ok(()),
        _ => Err(format!("{item} {field}: the filters of the 82599 do not look there")),
    }
}

/// The value to compare, or that any will do.
pub(super) fn exact<T: Field>(
    item: &str,
    field: &str,
    value: Match<T>,
) -> Result<Option<T>, String> {
    let all = u128::MAX >> (128 - T::BITS);
    match value {
        Match::Any => Ok(None),
        Match::Exact(value) => Ok(Some(value)),
        Match::Prefix { value, len } if u32::from(len) == T::BITS => Ok(Some(value)),
        Match::Mask { value, mask } if mask.to_number() == all => Ok(Some(value)),
        _ if value.to_mask().is_some_and(|(_, mask)| mask == 0) => Ok(None),
        _ => Err(format!("{item} {field}: the filters of the 82599 compare all of it, or nothing")),
    }
}

/// The value and the mask to compare under.
pub(super) fn masked<T: Field>(
    item: &str,
    field: &str,
    value: Match<T>,
) -> Result<(u128, u128), String> {
    let range = || format!("{item} {field}: a range: the flow director compares under masks");
    value.to_mask().ok_or_else(range)
}

pub(super) fn plain_eth(eth: &EthItem) -> Result<(), String> {
    any("eth", "src", eth.src)?;
    any("eth", "dst", eth.dst)
}

pub(super) fn plain_ipv4(ip: &Ipv4Item) -> Result<(), String> {
    any("ipv4", "proto", ip.proto)?;
    any("ipv4", "tos", ip.tos)?;
    any("ipv4", "ttl", ip.ttl)?;
    whole("ipv4", ip.fragment)
}

pub(super) fn plain_ipv6(ip: &Ipv6Item) -> Result<(), String> {
    any("ipv6", "proto", ip.proto)?;
    any("ipv6", "traffic_class", ip.traffic_class)?;
    any("ipv6", "flow_label", ip.flow_label)?;
    any("ipv6", "hop_limit", ip.hop_limit)?;
    whole("ipv6", ip.fragment)
}

fn whole(item: &str, fragment: FragmentMatch) -> Result<(), String> {
    match fragment {
        FragmentMatch::Any => Ok(()),
        _ => Err(format!("{item} fragment: the filters of the 82599 do not look there")),
    }
}

pub(super) fn too_much(item: &Item) -> String {
    format!("item {}: the filters of the 82599 do not look there", item.name())
}
