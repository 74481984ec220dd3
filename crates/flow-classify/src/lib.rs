//! Exact match, longest prefix, wildcard: packet classification with SIMD, whose readers never block.

pub mod simd;
