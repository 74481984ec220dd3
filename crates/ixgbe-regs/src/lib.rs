//! Registers and descriptors of the Intel 82599 family (82599, X520, X540, X550), as data.
//!
//! The notation is the datasheet's (Intel 82599 10 GbE Controller Datasheet, revision 3.4): a
//! register has a name, where its elements lie (offset, stride, count), an access mode, fields as
//! `msb:lsb`, and the section that tells of it. Only what a driver or a device model needs is here.
//! Nothing here touches a device: both the driver and the model read this one table.
//!
//! ```
//! use linecard_ixgbe_regs::registers::{CTRL, SRRCTL, rdlen, srrctl, ctrl};
//! use linecard_ixgbe_regs::find;
//!
//! assert_eq!(CTRL.offset(), 0);
//! assert_eq!(ctrl::RST.mask(), 1 << 26);
//!
//! // Queue 70 lies in the second span of the array; element 128 is beyond both.
//! assert_eq!(SRRCTL.at(70), Some(0xD014 + 6 * 0x40));
//! assert_eq!(SRRCTL.at(128), None);
//!
//! // A field is put into a word and taken out of it.
//! let word = srrctl::BSIZEPACKET.put(0, 2);
//! assert_eq!(srrctl::BSIZEPACKET.of(word), 2);
//! assert_eq!(rdlen::LEN.width(), 13);
//!
//! // From an offset back to the register, by whichever of its addresses.
//! let place = find(0x2104).unwrap();
//! assert_eq!((place.register.name, place.index), ("SRRCTL", 1));
//! ```
//!
//! # Guarantees
//!
//! * no dependency, `no_std`, no `unsafe`, no allocation; everything is `const`;
//! * registers do not overlap, fields do not overlap and lie in their word, arrays end in BAR 0:
//!   the table is tested for it, and the registers that every driver touches against numbers
//!   taken from the datasheet by hand.
//!
//! # Map
//!
//! * [`registers`]: the constants, by group; for a register `NAME` its fields are in module `name`.
//!   [`registers::virtual_function`] is another window: a virtual function's
//! * [`descriptor`]: receive and transmit descriptors
//! * [`Register`], [`Field`], [`Span`], [`Access`]: what they are made of
//! * [`find`], [`all`], [`all_of_virtual_function`]: the tables

#![no_std]
#![forbid(unsafe_code)]

pub mod descriptor;
mod field;
pub mod registers;
mod table;
#[cfg(test)]
mod tests;

pub use field::{Field, WideField};
pub use table::{Access, Place, Register, Span, all, all_of_virtual_function, find};

/// Bytes of BAR 0, the window of registers (§9.3.6.1).
pub const BAR0_BYTES: u32 = 0x80000;

/// Bytes of a virtual function's BAR 0, and of its BAR 3, where its MSI-X table is (§9.4).
pub const VF_BAR_BYTES: u32 = 0x4000;

/// Vectors of a virtual function's MSI-X table.
pub const VF_MSIX_VECTORS: u32 = 3;

/// Queues of a virtual function, each way, at most: as many as its pool has.
pub const VF_QUEUES: u32 = 8;

/// Bytes of BAR 4, with the MSI-X table at 0 and the pending bits at [`MSIX_PBA`] (§8.2.3.6).
pub const MSIX_BAR_BYTES: u32 = 0x4000;

/// Where the pending bit array begins in BAR 4.
pub const MSIX_PBA: u32 = 0x2000;

/// Vectors of the MSI-X table.
pub const MSIX_VECTORS: u32 = 64;

/// Receive queues, and transmit queues.
pub const QUEUES: u32 = 128;
