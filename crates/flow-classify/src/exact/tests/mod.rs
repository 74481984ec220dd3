//! A flow table, as a list of what it does.

mod aging;
mod full;
mod handles;
mod oracle;
mod reclaim;

use super::{Builder, FlowTable, Key, Seed};
use crate::simd::Simd;

/// A table's builder, with a hash that is always the same.
fn builder<K: Key, V>(capacity: usize) -> Builder<K, V> {
    FlowTable::<K, V>::builder(capacity).seed(Seed::fixed(7))
}

/// One on every path of this processor.
fn every_path(check: impl Fn(Simd)) {
    Simd::supported().for_each(check);
}
