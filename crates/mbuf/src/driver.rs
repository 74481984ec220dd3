//! What only drivers need: buffers as addresses for a device, and back.
//!
//! A driver takes [`Object`]s from the raw pool, gives a device their [`buffer`] addresses, and makes
//! an [`Mbuf`] of each that the device has filled ([`received`]). For transmit it takes packets apart
//! into their segments' addresses ([`Mbuf::device_segments`]) and keeps the packet until the device
//! is done.

use crate::header::Header;
pub use crate::header::{Rearm, RxFields};
use crate::mbuf::Mbuf;
use crate::meta::Flags;
use crate::{Burst, MbufPool};
use core::ptr::NonNull;
use linecard_mempool::Object;
use linecard_ring::Sink;

/// Where a buffer lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// For this process.
    pub address: NonNull<u8>,
    /// For a device.
    pub iova: u64,
}

/// Where the data of a raw buffer will begin: `headroom` bytes into it.
///
/// # Safety
/// `object` is a buffer of an [`MbufPool`], taken from its raw pool.
#[inline(always)]
pub unsafe fn buffer(object: Object, headroom: usize) -> Place {
    // SAFETY: every buffer of such a pool begins with a header.
    let header = unsafe { object.cast::<Header>().as_ref() };
    // SAFETY: the buffer is not at address zero.
    let address = unsafe { NonNull::new_unchecked(header.buf.wrapping_add(headroom)) };
    Place { address, iova: header.iova + headroom as u64 }
}

/// Makes a packet of a buffer that has been filled: three stores to its first line.
///
/// # Safety
/// `object` is a buffer of an [`MbufPool`], taken from its raw pool and given up by
/// the caller; `rearm` is that pool's; `rearm.data_off + rx.data_len <= rearm.buf_len`, those bytes
/// have been written, and `rx.packet_len == rx.data_len`.
#[inline(always)]
pub unsafe fn received(object: Object, rearm: Rearm, flags: Flags, rx: RxFields) -> Mbuf {
    let header: NonNull<Header> = object.cast();
    // SAFETY: the caller has the buffer alone.
    unsafe {
        (*header.as_ptr()).rearm = rearm;
        (*header.as_ptr()).flags = flags.bits();
        (*header.as_ptr()).rx = rx;
        Mbuf::from_header(header)
    }
}

/// As [`received`], with the first 16 bytes of [`RxFields`] as two words, as descriptors often have
/// them: packet type and packet length; data length, VLAN tag and RSS hash, each from bit 0 up. The
/// mark and the outer tag stay what they were: `flags` does not name them.
///
/// # Safety
/// As for [`received`].
#[inline(always)]
pub unsafe fn received_words(object: Object, rearm: Rearm, flags: Flags, rx: [u64; 2]) -> Mbuf {
    let header: NonNull<Header> = object.cast();
    // SAFETY: the caller has the buffer alone; `rx` lies at a multiple of 8 and is longer than that.
    unsafe {
        (*header.as_ptr()).rearm = rearm;
        (*header.as_ptr()).flags = flags.bits();
        (&raw mut (*header.as_ptr()).rx).cast::<[u64; 2]>().write(words(rx));
        Mbuf::from_header(header)
    }
}

/// Bytes of a header from [`Rearm`] on: it, the flags, and the first 16 of [`RxFields`].
pub const LINE: usize = 32;

/// As [`received_words`], with all that it writes as it lies in memory, in one value of [`LINE`] bytes:
/// what a driver has in vectors.
///
/// # Safety
/// As for [`received`], of the fields that `line` is.
#[inline(always)]
pub unsafe fn received_line<T: Copy>(object: Object, line: T) -> Mbuf {
    const { assert!(size_of::<T>() == LINE, "as long as what it replaces") };
    let header: NonNull<Header> = object.cast();
    // SAFETY: the caller has the buffer alone; the header is longer than that behind `rearm`.
    unsafe {
        (&raw mut (*header.as_ptr()).rearm).cast::<T>().write_unaligned(line);
        Mbuf::from_header(header)
    }
}

/// Two words of fields as they lie in memory.
#[inline(always)]
fn words([first, second]: [u64; 2]) -> [u64; 2] {
    if cfg!(target_endian = "little") {
        return [first, second];
    }
    // Fields are in the machine's order each, words of several are not.
    let pair = |low: u32, high: u32| u64::from(low) << 32 | u64::from(high);
    let (len, vlan) = (second as u16, (second >> 16) as u16);
    let lengths = u32::from(len) << 16 | u32::from(vlan);
    [pair(first as u32, (first >> 32) as u32), pair(lengths, (second >> 32) as u32)]
}

/// Address and length for a device, of a packet that needs nothing else: one plain buffer of the
/// pool `home`, that asks nothing of transmit. `None` of any other.
#[inline(always)]
pub fn simple(packet: &Mbuf, home: linecard_mempool::Home) -> Option<(u64, u16)> {
    if asks(packet) { None } else { plain(packet, home) }
}

/// Address and length for a device, of a packet that is one plain buffer of the pool `home`, whatever it
/// asks of transmit. `None` of any other.
#[inline(always)]
pub fn plain(packet: &Mbuf, home: linecard_mempool::Home) -> Option<(u64, u16)> {
    let header = packet.header();
    if !header.is_plain() || header.home != home {
        return None;
    }
    let iova = header.iova.wrapping_add(u64::from(header.rearm.data_off));
    Some((iova, header.rx.data_len))
}

/// Whether a packet asks anything of transmit.
#[inline(always)]
pub fn asks(packet: &Mbuf) -> bool {
    packet.header().flags & Flags::TX.bits() != 0
}

/// All that a packet asks of transmit, to be compared with what the next one asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    flags: u64,
    request: u64,
    /// All ones, if the flags name the request.
    request_mask: u64,
    vlan: u16,
    vlan_mask: u16,
}

impl Asked {
    /// What `packet` asks for.
    pub fn of(packet: &Mbuf) -> Self {
        let (header, flags) = (packet.header(), packet.flags() & Flags::TX);
        let tags = Flags::INSERT_VLAN | Flags::INSERT_QINQ;
        let request_mask = if flags.intersects(!tags) { u64::MAX } else { 0 };
        let vlan_mask = if flags.contains(Flags::INSERT_VLAN) { u16::MAX } else { 0 };
        let (request, vlan) = (header.tx, header.rx.vlan);
        Asked { flags: flags.bits(), request, request_mask, vlan, vlan_mask }
    }

    /// Whether `packet` asks for the same: never of one with an outer tag, which is not compared.
    #[inline(always)]
    pub fn is_same(&self, packet: &Mbuf) -> bool {
        let header = packet.header();
        let differs = (header.flags ^ self.flags) & Flags::TX.bits()
            | (header.tx ^ self.request) & self.request_mask
            | u64::from((header.rx.vlan ^ self.vlan) & self.vlan_mask)
            | self.flags & Flags::INSERT_QINQ.bits();
        differs == 0
    }
}

/// Gives up a packet that is one plain buffer, as an object of its pool: what a transmit ring keeps.
/// The packet back, if it is more than that.
#[inline(always)]
pub fn into_plain(packet: Mbuf) -> Result<Object, Mbuf> {
    if packet.header().is_plain() {
        Ok(Object::new(packet.into_header().cast()))
    } else {
        Err(packet)
    }
}

/// The packet that an object of [`into_plain`] was.
///
/// # Safety
/// The object is from [`into_plain`] and becomes a packet again once.
#[inline(always)]
pub unsafe fn from_plain(object: Object) -> Mbuf {
    // SAFETY: the caller's promise.
    unsafe { Mbuf::from_header(object.cast()) }
}

/// Whether a packet is one plain buffer: direct, and alone.
#[inline(always)]
pub fn is_plain(packet: &Mbuf) -> bool {
    packet.header().is_plain()
}

/// The address of a packet that will be given up with [`give_up`].
#[inline(always)]
pub fn address(packet: &Mbuf) -> NonNull<u8> {
    packet.header_ptr().cast()
}

/// Gives up the first `n` packets of a burst, whose addresses ([`address`]) somebody has: each is had back with
/// [`from_address`], or all with [`free_plain`].
///
/// # Safety
/// `n` is at most `burst.len()`.
#[inline(always)]
pub unsafe fn give_up(burst: &mut Burst, n: usize) {
    use linecard_ring::Source;
    // SAFETY: `n` are there; whoever has their addresses has them now.
    unsafe { burst.took(n) }
}

/// Returns packets that were given up as addresses, each one plain buffer of the pool `home`, in one
/// call.
///
/// # Safety
/// All are from [`address`] and [`give_up`], or from [`into_address`], were plain ([`is_plain`]) and of `home` then,
/// and become packets again no more. None is `None`.
#[inline(always)]
pub unsafe fn free_plain(home: linecard_mempool::Home, addresses: &[Option<NonNull<u8>>]) {
    debug_assert!(addresses.iter().all(Option::is_some), "a hole among packets");
    // SAFETY: an object is the address of its first byte, where the header is; a plain one goes back
    // as it is; the rest is the caller's promise.
    unsafe {
        let objects = addresses.as_ptr().cast::<Object>();
        home.put_bulk(core::slice::from_raw_parts(objects, addresses.len()));
    }
}

/// Gives up a packet as an address, to be had back with [`from_address`].
#[inline(always)]
pub fn into_address(packet: Mbuf) -> NonNull<u8> {
    packet.into_header().cast()
}

/// The packet that was given up as this address.
///
/// # Safety
/// The address is from [`into_address`] and becomes a packet again once.
#[inline(always)]
pub unsafe fn from_address(address: NonNull<u8>) -> Mbuf {
    // SAFETY: the caller's promise.
    unsafe { Mbuf::from_header(address.cast()) }
}

impl Mbuf {
    /// Where the first segment's data lies.
    #[inline(always)]
    pub fn place(&self) -> Place {
        place(self.header())
    }

    /// Where the first buffer goes back to: tells a driver whether its device knows the pool.
    #[inline(always)]
    pub fn home(&self) -> linecard_mempool::Home {
        self.header().home
    }

    /// Where each segment's data lies, and how long it is.
    pub fn device_segments(&self) -> impl Iterator<Item = (Place, usize)> + '_ {
        (0..self.segment_count()).map(|i| {
            // SAFETY: a header of this packet, which is borrowed.
            let header = unsafe { self.nth_header(i).as_ref() };
            (place(header), usize::from(header.rx.data_len))
        })
    }
}

#[inline(always)]
fn place(header: &Header) -> Place {
    let offset = usize::from(header.rearm.data_off);
    // SAFETY: a buffer is not at address zero.
    let address = unsafe { NonNull::new_unchecked(header.buf.wrapping_add(offset)) };
    Place { address, iova: header.iova.wrapping_add(offset as u64) }
}

/// Adds `n` packets to `burst`, filled as `fields` says of each raw buffer; all, or none if the pool
/// has fewer or the burst less room. Says whether it did.
///
/// # Safety
/// What `fields` gives is true of the buffer: see [`received`].
#[inline(always)]
pub unsafe fn receive_with(
    pool: &MbufPool,
    burst: &mut Burst,
    n: usize,
    mut fields: impl FnMut(Object) -> (Rearm, Flags, RxFields),
) -> bool {
    let (room, most) = burst.room();
    let objects = room.cast::<Object>();
    // SAFETY: the burst has room for `n` packets, which are as large as objects; each object becomes
    // a packet in the same place before the burst owns it. Should `fields` panic, buffers leak, and
    // none is owned twice.
    unsafe {
        if n > most || !pool.raw().take_into(objects, n) {
            return false;
        }
        for i in 0..n {
            let object = objects.add(i).read();
            let (rearm, flags, rx) = fields(object);
            room.add(i).write(received(object, rearm, flags, rx));
        }
        burst.gave(n);
    }
    true
}
