//! Models, property tests and stress tests of `linecard-ring`: what they have in common.
//!
//! | target | checker | runs |
//! |---|---|---|
//! | `tests/loom` | every interleaving of small cases, with C11's orderings | `--cfg loom` |
//! | `tests/shuttle` | random interleavings of larger ones | `--cfg shuttle` |
//! | `tests/oracle` | random operations beside a `VecDeque` | always |
//! | `tests/stress` | real threads, more of them than cores | always |
//! | `tests/processes` | two processes over shared memory | always |

mod pairs;
mod parcel;

pub use parcel::{Parcel, assert_exactly_once, assert_in_order, parcels};
