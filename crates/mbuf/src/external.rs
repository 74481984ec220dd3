//! Buffers from outside the pool: zero-copy from memory that somebody else owns.

use crate::header::{HEADER, Header, Kind};
use crate::mbuf::Mbuf;
use crate::pool::MbufPool;
use crate::shared::restore;
use core::fmt;
use core::ptr::NonNull;

/// Memory from outside, with what to call when the packet that shows it is gone.
pub struct ExternalBuffer {
    base: NonNull<u8>,
    len: u16,
    iova: u64,
    release: OnRelease,
}

// SAFETY: nobody else uses the bytes, by the contract of `new`, and the release may be called anywhere.
unsafe impl Send for ExternalBuffer {}

/// What to call when the memory is let go of: dropping this calls it.
struct OnRelease(Option<Box<dyn FnOnce() + Send>>);

impl Drop for OnRelease {
    fn drop(&mut self) {
        if let Some(release) = self.0.take() {
            release();
        }
    }
}

impl ExternalBuffer {
    /// Names `len` bytes at `base`, which a device knows as `iova`. `release` is called once, when
    /// the last packet that shows them is freed, on the thread that frees it; or when this is dropped
    /// without having become a packet.
    ///
    /// # Safety
    /// From now until `release` is called the bytes are readable and writable, stay where they are,
    /// and nobody else uses them.
    pub unsafe fn new(
        base: NonNull<u8>,
        len: u16,
        iova: u64,
        release: impl FnOnce() + Send + 'static,
    ) -> Self {
        ExternalBuffer { base, len, iova, release: OnRelease(Some(Box::new(release))) }
    }

    /// Gives a vector's bytes away for as long as a packet shows them.
    ///
    /// # Errors
    /// The vector back, if it has more than 65,535 bytes.
    pub fn from_vec(mut bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        let Ok(len) = u16::try_from(bytes.len()) else { return Err(bytes) };
        let base = NonNull::from(&mut bytes[..]).cast::<u8>();
        // IOVA as VA: what a device behind no IOMMU would need is another constructor.
        let iova = base.as_ptr() as u64;
        // SAFETY: the vector's heap block stays where it is, untouched, inside `release`.
        Ok(unsafe { ExternalBuffer::new(base, len, iova, move || drop(bytes)) })
    }
}

impl fmt::Debug for ExternalBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExternalBuffer({} bytes)", self.len)
    }
}

/// What an external segment keeps in its own idle buffer.
#[repr(C)]
struct Saved {
    iova: u64,
    buf_len: u16,
    release: OnRelease,
}

impl Mbuf {
    /// A packet whose bytes are those of `buffer`: no headroom, no tailroom, no copy.
    ///
    /// # Errors
    /// The buffer back, if `pool` has no header for it.
    pub fn from_external(pool: &MbufPool, buffer: ExternalBuffer) -> Result<Mbuf, ExternalBuffer> {
        let Some(mut packet) = pool.alloc() else { return Err(buffer) };
        let header = packet.header_mut();
        let buf_len = header.rearm.buf_len;
        let saved = Saved { iova: header.iova, buf_len, release: buffer.release };
        // SAFETY: the buffer behind a direct header is idle from now on; pools have at least 64
        // bytes there.
        unsafe { Header::own_buffer(header).cast::<Saved>().write_unaligned(saved) };
        header.buf = buffer.base.as_ptr();
        header.iova = buffer.iova;
        header.rearm.kind = Kind::External as u8;
        header.rearm.data_off = 0;
        header.rearm.buf_len = buffer.len;
        header.rx.data_len = buffer.len;
        header.rx.packet_len = u32::from(buffer.len);
        Ok(packet)
    }
}

/// Releases the outside memory and shows the own buffer again.
///
/// # Safety
/// The segment is external.
pub(crate) unsafe fn detach(header: &mut Header) {
    const { assert!(size_of::<Saved>() <= 64 && HEADER == 128) };
    // SAFETY: `from_external` left it there.
    let saved = unsafe { Header::own_buffer(header).cast::<Saved>().read_unaligned() };
    restore(header, saved.iova, saved.buf_len);
    drop(saved.release);
}
