//! What `create_in` and `attach` refuse.

use linecard_ring::{Error, MAX_CAPACITY, Multi, Plain, RawMemory, Ring, Side, Single};
use std::ptr::NonNull;

const LINE: usize = 128;

/// A line, so that memory starts on a multiple of 128 bytes.
#[repr(C, align(128))]
#[derive(Clone, Copy)]
struct Line([u8; LINE]);

/// Sixty-four lines filled with `byte`. Never freed, so that whoever names them may do so for ever.
fn lines(byte: u8) -> NonNull<u8> {
    NonNull::from(Box::leak(Box::new([Line([byte; LINE]); 64]))).cast()
}

/// Names `len` bytes of `lines` that begin `skip` bytes after its start.
fn part(lines: NonNull<u8>, skip: usize, len: usize) -> RawMemory {
    assert!(skip + len <= 64 * LINE);
    // SAFETY: within the lines, which live for ever and which only rings touch.
    unsafe { RawMemory::new(lines.add(skip), len) }
}

fn all(lines: NonNull<u8>) -> RawMemory {
    part(lines, 0, 64 * LINE)
}

fn attach<T: Plain, P: Side, C: Side>(memory: RawMemory) -> Error {
    Ring::<T, P, C>::attach(memory).expect_err("no such ring")
}

#[test]
fn memory_without_a_ring_is_an_error() {
    for garbage in [0x00, 0x5A, 0xFF] {
        assert_eq!(attach::<u64, Single, Single>(all(lines(garbage))), Error::NotThisRing);
    }
}

#[test]
fn a_ring_of_another_type_or_of_other_sides_is_an_error() {
    let lines = lines(0);
    let ring = Ring::<u64, Single, Multi>::create_in(all(lines), 100).unwrap();
    assert_eq!(attach::<u32, Single, Multi>(all(lines)), Error::NotThisRing);
    assert_eq!(attach::<[u32; 2], Single, Multi>(all(lines)), Error::NotThisRing);
    assert_eq!(attach::<u64, Single, Single>(all(lines)), Error::NotThisRing);
    assert_eq!(attach::<u64, Multi, Single>(all(lines)), Error::NotThisRing);
    assert_eq!(Ring::<u64, Single, Multi>::attach(all(lines)).unwrap().capacity(), 100);
    drop(ring);
}

#[test]
fn too_little_memory_is_an_error_that_says_how_much_it_takes() {
    let lines = lines(0);
    let needed = Ring::<u64, Single, Single>::bytes_for(100).unwrap();
    let given = needed - 1;
    let too_small = Error::MemoryTooSmall { needed, given };
    let create = |len| Ring::<u64, Single, Single>::create_in(part(lines, 0, len), 100);
    assert_eq!(create(given).unwrap_err(), too_small);
    let _ring = create(needed).unwrap();
    assert_eq!(attach::<u64, Single, Single>(part(lines, 0, given)), too_small);
    let header = attach::<u64, Single, Single>(part(lines, 0, 64));
    assert!(matches!(header, Error::MemoryTooSmall { given: 64, .. }));
}

#[test]
fn unaligned_memory_is_an_error() {
    let lines = lines(0);
    let unaligned = || part(lines, 8, 32 * LINE);
    let created = Ring::<u64, Single, Single>::create_in(unaligned(), 1);
    assert_eq!(created.unwrap_err(), Error::MemoryUnaligned);
    assert_eq!(attach::<u64, Single, Single>(unaligned()), Error::MemoryUnaligned);
}

#[test]
fn a_capacity_out_of_bounds_in_the_header_is_an_error() {
    let lines = lines(0);
    drop(Ring::<u8, Single, Single>::create_in(all(lines), 4).unwrap());
    for capacity in [0, MAX_CAPACITY as u32 + 1, u32::MAX] {
        // SAFETY: no ring is there any more; the capacity follows the eight bytes of magic.
        unsafe { lines.add(8).cast::<u32>().write(capacity) };
        assert_eq!(attach::<u8, Single, Single>(all(lines)), Error::NotThisRing);
    }
}

#[test]
fn elements_beyond_all_memory_are_an_error() {
    type Huge = Ring<[u8; 1 << 40], Single, Single>;
    assert_eq!(Huge::bytes_for(MAX_CAPACITY).unwrap(), usize::MAX);
    let created = Huge::create_in(all(lines(0)), MAX_CAPACITY).unwrap_err();
    assert!(matches!(created, Error::MemoryTooSmall { needed: usize::MAX, .. }));
}

#[test]
fn a_ring_made_anew_in_old_memory_is_empty() {
    let lines = lines(0xFF);
    for _ in 0..2 {
        let mut tx =
            Ring::<u8, Single, Single>::create_in(all(lines), 4).unwrap().producer().unwrap();
        assert!(tx.is_empty());
        tx.enqueue(1).unwrap();
    }
}
