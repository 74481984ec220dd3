//! No counter that is known to be usable.

use super::{Rate, calibrate};
use crate::Root;

pub(super) fn counter() -> u64 {
    calibrate::nanoseconds(libc::CLOCK_MONOTONIC)
}

pub(super) use counter as counter_ordered;

pub(super) fn usable(_root: &Root) -> bool {
    false
}

pub(super) fn rate() -> Option<(u64, Rate)> {
    None
}
