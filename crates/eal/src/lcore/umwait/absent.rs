//! Architectures without TPAUSE.

pub(super) fn is_supported() -> bool {
    false
}

/// # Safety
///
/// None needed; the signature is that of the architecture that has the instruction.
pub(super) unsafe fn doze(_cycles: u64) {
    std::hint::spin_loop();
}
