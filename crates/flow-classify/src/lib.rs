//! Exact match, longest prefix, wildcard: packet classification with SIMD, whose readers never block.

pub mod acl;
pub mod exact;
pub mod hash;
pub mod lpm;
pub mod memory;
pub mod quiesce;
pub mod rules;
pub mod simd;
mod sync;
