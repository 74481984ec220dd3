//! Exact match, longest prefix, wildcard: packet classification with SIMD, whose readers never block.

pub mod acl;
pub mod simd;
