//! What host-level and guest-level tests share.

pub mod guest;
mod needs;
pub mod netns;
pub mod programs;

pub use needs::{Need, needs};
