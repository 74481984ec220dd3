//! Which node memory is on: asking for one before the fault, verifying it afterwards.

use std::io;
use std::ptr;

use super::area::Area;

/// Node numbers that fit the kernel's largest configuration (`CONFIG_NODES_SHIFT` 10).
const MOST_NODES: usize = 1024;
/// Pages looked up in one system call.
const CHUNK: usize = 512;

/// The kernel's memory policies, `linux/mempolicy.h`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Policy {
    /// That node if it has room.
    Preferred = 1,
    /// That node or an error.
    Bind = 2,
}

/// Sets the policy of pages that are not there yet. `EINVAL` for a node that is absent or that
/// the process's cpuset excludes.
pub(super) fn bind(area: &Area, node: u32, policy: Policy) -> io::Result<()> {
    let mut mask = [0u64; MOST_NODES / 64];
    let word = mask.get_mut(node as usize / 64).ok_or(io::ErrorKind::InvalidInput)?;
    *word |= 1 << (node % 64);
    // SAFETY: the range is a mapping that `area` owns, and a policy does not change its contents;
    // the kernel reads at most MOST_NODES bits of `mask`, which is that long (it takes one bit
    // off `maxnode`, hence + 1).
    let refused = unsafe {
        libc::syscall(
            libc::SYS_mbind,
            area.base().as_ptr(),
            area.len(),
            policy as libc::c_ulong,
            mask.as_ptr(),
            MOST_NODES as libc::c_ulong + 1,
            0 as libc::c_ulong,
        )
    };
    if refused == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Where the pages of a mapping turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// All on one node.
    One(u32),
    /// On several; the first two that were seen.
    Spread(u32, u32),
    /// The kernel does not tell.
    Unknown,
}

/// Asks the kernel where every page (of `page` bytes) is.
pub(super) fn verify(base: *mut u8, len: usize, page: usize) -> Placement {
    let mut seen = None;
    for first in (0..len).step_by(page * CHUNK) {
        let offsets = (first..len).step_by(page).take(CHUNK);
        let pages: Vec<_> = offsets.map(|offset| base.wrapping_add(offset)).collect();
        for node in nodes_of(&pages) {
            match (seen, u32::try_from(node)) {
                (_, Err(_)) => return Placement::Unknown,
                (None, Ok(node)) => seen = Some(node),
                (Some(one), Ok(node)) if one != node => return Placement::Spread(one, node),
                _ => {}
            }
        }
    }
    seen.map_or(Placement::Unknown, Placement::One)
}

/// The node of each page; negative where there is none, or if the kernel has no such call.
fn nodes_of(pages: &[*mut u8]) -> Vec<i32> {
    let mut status = vec![-libc::ENOSYS; pages.len()];
    // SAFETY: with no list of target nodes move_pages only reads `pages` and writes one int for
    // each of them to `status`, which is as long; it does not access the pages' contents.
    let refused = unsafe {
        libc::syscall(
            libc::SYS_move_pages,
            0,
            pages.len() as libc::c_ulong,
            pages.as_ptr(),
            ptr::null::<libc::c_int>(),
            status.as_mut_ptr(),
            0,
        )
    };
    if refused == 0 { status } else { vec![-libc::ENOSYS; pages.len()] }
}
