//! Ports on virtual functions: a card's function that has queues and registers of its own, and asks the
//! driver of the physical function for everything else by a mailbox (§7.10, §8.3).
//!
//! `mailbox` is the exchange of words, `request` what can be asked, `interrupts` and `stats` what the
//! function has of its own, `open` taking one over, and `port` puts them together.

mod interrupts;
mod mailbox;
mod open;
mod port;
mod request;
mod start;
mod stats;

pub use open::IxgbeVfOptions;
pub use port::IxgbeVfPort;
