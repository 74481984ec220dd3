//! Memory barriers between this processor and a device, by what they are for.
//!
//! | barrier | orders | before | x86-64 | aarch64 |
//! |---|---|---|---|---|
//! | [`dma_publish`] | our stores to memory | later stores to memory, which tell the device | compiler only | `dmb oshst` |
//! | [`dma_observe`] | a load that saw the device's sign | later loads of what the sign covers | compiler only | `dmb oshld` |
//! | [`dma_full`] | our stores | later loads, as in "tell, then look whether it sleeps" | `lock or` | `dmb osh` |
//! | [`doorbell`] | our stores to memory | a later store to a device register | compiler only | `dmb oshst` |
//! | [`flush_write_combining`] | stores to write-combining memory | any later store | `sfence` | `dsb st` |
//!
//! [`Asymmetric`] is a fence between threads of this process, dear for one of them only.
//!
//! The others are atomic fences in Rust's memory model too, so that the same code is right when the
//! "device" is another thread or process (virtio, vhost).
//!
//! All memory shared with a device is taken to be cached and coherent (write-back), registers to
//! be uncached: what the kernel gives through VFIO and UIO. A register window that is mapped
//! write-combining needs [`flush_write_combining`] around its doorbells.

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), path = "other.rs")]
mod arch;
mod asymmetric;

pub use asymmetric::Asymmetric;

/// Everything stored so far is seen by the device before anything stored from here on.
///
/// Between filling a descriptor and setting the bit or index that gives it away.
#[inline(always)]
pub fn dma_publish() {
    arch::store_store();
}

/// Nothing is loaded ahead of what has been loaded so far.
///
/// Between seeing the device's "done" bit or index and reading what it wrote before.
#[inline(always)]
pub fn dma_observe() {
    arch::load_load();
}

/// Everything stored so far is seen by the device before anything is loaded from here on.
///
/// Between publishing an index and reading whether the other side wants to be woken. The one
/// barrier that costs time on x86, where a load may overtake an earlier store.
#[inline(always)]
pub fn dma_full() {
    arch::full();
}

/// Everything stored to memory so far is seen by the device before a register that is written
/// from here on. [`Mmio`](crate::mmio::Mmio)'s writes contain it, its relaxed writes do not.
#[inline(always)]
pub fn doorbell() {
    arch::store_device();
}

/// Drains the write-combining buffers: what was stored to such memory is on its way.
#[inline(always)]
pub fn flush_write_combining() {
    arch::flush_write_combining();
}

#[cfg(test)]
mod tests;
