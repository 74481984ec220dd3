//! What host-level tests share.

mod needs;
pub mod netns;
pub mod programs;

pub use needs::{Need, needs};
