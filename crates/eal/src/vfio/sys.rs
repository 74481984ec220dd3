//! The ioctls of VFIO and iommufd, by number and structure.
//!
//! All are of type `;` and encode neither size nor direction; all structures begin with their own
//! size, so that either side may be older than the other.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use iommufd_bindings::iommufd as iommu;
use vfio_bindings::bindings::vfio;

/// Which ioctl.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request(u32);

const fn io(number: u32) -> Request {
    Request((vfio::VFIO_TYPE as u32) << 8 | number)
}

pub(super) const GET_API_VERSION: Request = io(vfio::VFIO_BASE);
pub(super) const CHECK_EXTENSION: Request = io(vfio::VFIO_BASE + 1);
pub(super) const SET_IOMMU: Request = io(vfio::VFIO_BASE + 2);
pub(super) const GROUP_GET_STATUS: Request = io(vfio::VFIO_BASE + 3);
pub(super) const GROUP_SET_CONTAINER: Request = io(vfio::VFIO_BASE + 4);
pub(super) const GROUP_GET_DEVICE_FD: Request = io(vfio::VFIO_BASE + 6);
pub(super) const DEVICE_GET_INFO: Request = io(vfio::VFIO_BASE + 7);
pub(super) const DEVICE_GET_REGION_INFO: Request = io(vfio::VFIO_BASE + 8);
pub(super) const DEVICE_GET_IRQ_INFO: Request = io(vfio::VFIO_BASE + 9);
pub(super) const DEVICE_SET_IRQS: Request = io(vfio::VFIO_BASE + 10);
pub(super) const DEVICE_RESET: Request = io(vfio::VFIO_BASE + 11);
pub(super) const IOMMU_GET_INFO: Request = io(vfio::VFIO_BASE + 12);
pub(super) const IOMMU_MAP_DMA: Request = io(vfio::VFIO_BASE + 13);
pub(super) const IOMMU_UNMAP_DMA: Request = io(vfio::VFIO_BASE + 14);
pub(super) const DEVICE_BIND_IOMMUFD: Request = io(vfio::VFIO_BASE + 18);
pub(super) const DEVICE_ATTACH: Request = io(vfio::VFIO_BASE + 19);
pub(super) const IOAS_ALLOC: Request = io(iommu::IOMMUFD_CMD_IOAS_ALLOC);
pub(super) const IOAS_IOVA_RANGES: Request = io(iommu::IOMMUFD_CMD_IOAS_IOVA_RANGES);
pub(super) const IOAS_MAP: Request = io(iommu::IOMMUFD_CMD_IOAS_MAP);
pub(super) const IOAS_UNMAP: Request = io(iommu::IOMMUFD_CMD_IOAS_UNMAP);

/// A structure that begins with its own size as a `u32`, and of which every bit pattern is a value.
///
/// # Safety
///
/// Both are so, it is `repr(C)`, and its alignment is 8 at most.
pub(super) unsafe trait Sized32: Copy {}

macro_rules! sized {
    ($($of:ident::$name:ident)*) => {$(
        // SAFETY: a plain C structure of the kernel's whose first field is `argsz` or `size`.
        unsafe impl Sized32 for $of::$name {}
        const _: () = assert!(align_of::<$of::$name>() <= 8);
    )*};
}

sized! {
    vfio::vfio_group_status vfio::vfio_device_info vfio::vfio_region_info vfio::vfio_irq_info
    vfio::vfio_iommu_type1_info vfio::vfio_iommu_type1_dma_map vfio::vfio_device_bind_iommufd
    vfio::vfio_device_attach_iommufd_pt iommu::iommu_ioas_alloc iommu::iommu_ioas_map
    iommu::iommu_ioas_unmap
}

fn outcome(got: libc::c_int) -> io::Result<u32> {
    u32::try_from(got).map_err(|_| io::Error::last_os_error())
}

/// An ioctl whose argument is a number.
pub(super) fn number(fd: BorrowedFd<'_>, request: Request, value: u32) -> io::Result<u32> {
    // SAFETY: of these requests the kernel takes the argument as a number, and follows no pointer.
    outcome(unsafe { libc::ioctl(fd.as_raw_fd(), request.0.into(), libc::c_ulong::from(value)) })
}

/// An ioctl whose argument is a value that it reads, of a size that it knows.
///
/// # Safety
///
/// The kernel reads and writes no more than `T` for this request, and nothing that `T` points to
/// but what is valid.
pub(super) unsafe fn raw<T>(
    fd: BorrowedFd<'_>,
    request: Request,
    value: *mut T,
) -> io::Result<u32> {
    // SAFETY: the caller's promise.
    outcome(unsafe { libc::ioctl(fd.as_raw_fd(), request.0.into(), value) })
}

/// An ioctl on a structure that begins with its size, which is filled in here.
///
/// # Safety
///
/// What the structure points to is valid for what the request does with it.
pub(super) unsafe fn call<T: Sized32>(
    fd: BorrowedFd<'_>,
    request: Request,
    value: &mut T,
) -> io::Result<u32> {
    // SAFETY: the structure begins with a u32, which is its size (`Sized32`).
    unsafe { std::ptr::from_mut(value).cast::<u32>().write(size_of::<T>() as u32) };
    // SAFETY: the kernel touches no more than the size says; the rest is the caller's promise.
    unsafe { raw(fd, request, std::ptr::from_mut(value)) }
}

/// What an information request answered: the structure, and all bytes that came with it, among
/// them the structure itself, as capabilities are counted from its start.
pub(super) struct Answer<T> {
    pub(super) head: T,
    pub(super) bytes: Vec<u8>,
}

/// The most that an answer may take; a region with hundreds of windows stays far below.
const MOST: usize = 1 << 20;

/// Asks for a structure that may have capabilities behind it: a second time, with room for them,
/// if the first answer says that there is more.
pub(super) fn query<T: Sized32>(
    fd: BorrowedFd<'_>,
    request: Request,
    head: T,
) -> io::Result<Answer<T>> {
    let first = query_with(fd, request, head, size_of::<T>())?;
    let wanted = u32::from_ne_bytes(first.bytes[..4].try_into().unwrap_or_default()) as usize;
    match wanted {
        _ if wanted <= size_of::<T>() => Ok(first),
        ..=MOST => query_with(fd, request, head, wanted),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn query_with<T: Sized32>(
    fd: BorrowedFd<'_>,
    request: Request,
    head: T,
    len: usize,
) -> io::Result<Answer<T>> {
    let mut words = vec![0u64; len.max(size_of::<T>()).div_ceil(8)];
    let place = words.as_mut_ptr().cast::<T>();
    // SAFETY: `words` is as long as `T` at least, and aligned to 8.
    unsafe { place.write(head) };
    // SAFETY: the structure begins with a u32.
    unsafe { place.cast::<u32>().write(len as u32) };
    // SAFETY: the kernel writes no more than `len` bytes, of which there are as many.
    unsafe { raw(fd, request, place) }?;
    // SAFETY: initialised above, every bit pattern is a value (`Sized32`).
    let head = unsafe { place.read() };
    let bytes = words.iter().flat_map(|word| word.to_ne_bytes()).take(len).collect();
    Ok(Answer { head, bytes })
}
