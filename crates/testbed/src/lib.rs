//! What host-level tests share.

pub mod netns;
pub mod programs;
