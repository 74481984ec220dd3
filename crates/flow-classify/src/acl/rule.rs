//! A wildcard rule, and the form in which it is compared.

use super::Error;
use super::key::{Key, Packed, rest};
use linecard_net::rule::{Field, Match};

/// Which keys a rule matches, and how it stands among others.
///
/// Of all rules that match a key the one with the lowest `priority` number wins; of equal priority
/// the one with the lowest id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AclRule<K: Key> {
    /// Source address.
    pub src: Match<K::Address>,
    /// Destination address.
    pub dst: Match<K::Address>,
    /// Source port.
    pub sport: Match<u16>,
    /// Destination port.
    pub dport: Match<u16>,
    /// Protocol.
    pub proto: Match<u8>,
    /// 0 is the highest.
    pub priority: u32,
    /// Which look-ups see it.
    pub categories: Categories,
    /// Whether the key is all that the rule asks about.
    pub reach: Reach,
}

/// Whether the fields of the key are all that a rule asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reach {
    /// They are: where the rule matches, rules after it are not looked at.
    #[default]
    Whole,
    /// They are not: the caller asks more, and may want the next rule that matches
    /// ([`AclReader::visit`](super::AclReader::visit)). None is left out after this one.
    Part,
}

impl<K: Key> Default for AclRule<K> {
    /// A rule of priority 0 that matches everything, in category 0.
    fn default() -> Self {
        Self {
            src: Match::Any,
            dst: Match::Any,
            sport: Match::Any,
            dport: Match::Any,
            proto: Match::Any,
            priority: 0,
            categories: Categories::default(),
            reach: Reach::Whole,
        }
    }
}

/// A set of categories, bit by bit: independent sets of rules in one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Categories(pub u16);

impl Default for Categories {
    /// Category 0.
    fn default() -> Self {
        Self(1)
    }
}

impl Categories {
    /// How many there are.
    pub const COUNT: u8 = 16;

    /// One of them, from 0; above 15 there is none.
    pub const fn one(category: u8) -> Self {
        Self(if category < Self::COUNT { 1 << category } else { 0 })
    }
}

/// The name of a rule: given by whoever adds it, unique in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// Values of a 16-bit field, or a narrower one, in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) lo: u16,
    pub(super) hi: u16,
}

impl Span {
    fn contains(self, value: u16) -> bool {
        (self.lo..=self.hi).contains(&value)
    }
}

/// Least and greatest values of both addresses.
type Bounds = [(u128, u128); 2];

/// The order in which rules win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) priority: u32,
    pub(super) id: RuleId,
}

impl Rank {
    /// What comes after every rule.
    pub(super) const NONE: u64 = u64::MAX;

    /// The rank as a number, in the same order.
    #[inline(always)]
    pub(super) fn number(self) -> u64 {
        u64::from(self.priority) << 32 | u64::from(self.id.0)
    }
}

/// A rule as it is compared.
#[derive(Clone, Debug)]
pub(super) struct Compiled<K: Key> {
    /// Bits that a key has, where the mask is set.
    pub(super) value: Packed<K>,
    /// Masks and prefixes, and of a range what all its values share.
    pub(super) mask: Packed<K>,
    pub(super) sport: Span,
    pub(super) dport: Span,
    pub(super) proto: Span,
    /// Only where no mask says the same.
    bounds: Option<Box<Bounds>>,
    pub(super) lanes: Lanes,
    pub(super) rank: Rank,
    pub(super) categories: Categories,
    reach: Reach,
}

/// Whether masks of addresses and spans of the rest say all about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lanes {
    /// They do.
    Suffice,
    /// They let more through: what they find must be compared in full.
    LetMoreThrough,
}

impl<K: Key> Compiled<K> {
    pub(super) fn new(id: RuleId, rule: &AclRule<K>) -> Result<Self, Error> {
        if rule.categories.0 == 0 {
            return Err(Error::NoCategory);
        }
        let [src, dst] = [field("src", &rule.src)?, field("dst", &rule.dst)?];
        let [sport, dport] = [field("sport", &rule.sport)?, field("dport", &rule.dport)?];
        let proto = field("proto", &rule.proto)?;
        let pack = |of: fn(&Ternary) -> u128| Packed {
            addresses: K::words(of(&src), of(&dst)),
            rest: rest(of(&sport) as u16, of(&dport) as u16, of(&proto) as u8),
        };
        let bounded = src.is_wider || dst.is_wider;
        let suffice = !bounded && [sport, dport, proto].iter().all(|field| field.is_one_span());
        Ok(Self {
            value: pack(|field| field.value),
            mask: pack(|field| field.mask),
            sport: sport.span(),
            dport: dport.span(),
            proto: proto.span(),
            bounds: bounded.then(|| Box::new([src, dst].map(|field| (field.lo, field.hi)))),
            lanes: if suffice { Lanes::Suffice } else { Lanes::LetMoreThrough },
            rank: Rank { priority: rule.priority, id },
            categories: rule.categories,
            reach: rule.reach,
        })
    }

    /// The reference: whether a key matches, field by field.
    pub(super) fn matches(&self, key: &Packed<K>) -> bool {
        let words = key.words().zip(self.value.words()).zip(self.mask.words());
        let masks = words.fold(0, |differ, ((key, value), mask)| differ | (key ^ value) & mask);
        masks == 0
            && self.sport.contains(key.sport())
            && self.dport.contains(key.dport())
            && self.proto.contains(u16::from(key.proto()))
            && self.bounds.as_ref().is_none_or(|bounds| contain(bounds, K::numbers(&key.addresses)))
    }

    /// Whether rules after this one need not be looked at where masks and spans match.
    pub(super) fn settles(&self) -> bool {
        self.bounds.is_none() && self.reach == Reach::Whole
    }
}

fn contain(bounds: &Bounds, addresses: [u128; 2]) -> bool {
    bounds.iter().zip(addresses).all(|((lo, hi), address)| (*lo..=*hi).contains(&address))
}

/// A field as value and mask, with its least and greatest value.
#[derive(Clone, Copy, Debug)]
struct Ternary {
    value: u128,
    mask: u128,
    lo: u128,
    hi: u128,
    /// The mask lets more through than the field: it is a range.
    is_wider: bool,
    all: u128,
}

impl Ternary {
    fn span(&self) -> Span {
        Span { lo: self.lo as u16, hi: self.hi as u16 }
    }

    /// Whether all from the least to the greatest value match.
    fn is_one_span(&self) -> bool {
        let free = self.all & !self.mask;
        self.is_wider || free & free.wrapping_add(1) == 0
    }
}

fn field<T: Field>(name: &'static str, matching: &Match<T>) -> Result<Ternary, Error> {
    let all = u128::MAX >> (128 - T::BITS);
    if let Some((value, mask)) = matching.to_mask() {
        if let Match::Prefix { len, .. } = matching
            && u32::from(*len) > T::BITS
        {
            return Err(Error::PrefixTooLong { field: name, len: *len, limit: T::BITS });
        }
        return Ok(Ternary {
            value,
            mask,
            lo: value,
            hi: value | all & !mask,
            is_wider: false,
            all,
        });
    }
    let Match::Range { lo, hi } = matching else { unreachable!("all but ranges have a mask") };
    let (lo, hi) = (lo.to_number(), hi.to_number());
    if lo > hi {
        return Err(Error::EmptyRange { field: name });
    }
    // What all values share: the bits above the highest in which the ends differ.
    let free = u128::MAX.checked_shr((lo ^ hi).leading_zeros()).unwrap_or(0);
    let (mask, is_wider) = (all & !free, hi - lo != free);
    Ok(Ternary { value: lo & mask, mask, lo, hi, is_wider, all })
}
