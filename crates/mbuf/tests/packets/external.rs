//! Memory from outside: released once, when the last packet that shows it is gone.

use crate::{bytes, packet, pool};
use linecard_mbuf::{Burst, ExternalBuffer, Mbuf, free_bulk};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A buffer of leaked bytes, and how often it was released.
fn counted(content: &[u8]) -> (ExternalBuffer, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let mut held = content.to_vec();
    let base = NonNull::from(&mut held[..]).cast();
    let counter = count.clone();
    let release = move || {
        // Relaxed: tests look after all threads were joined.
        counter.fetch_add(1, Ordering::Relaxed);
        drop(held);
    };
    // SAFETY: the vector's bytes stay where they are, inside the release, until it is called.
    (unsafe { ExternalBuffer::new(base, content.len() as u16, 0x1000, release) }, count)
}

fn releases(count: &AtomicUsize) -> usize {
    // Relaxed: as above.
    count.load(Ordering::Relaxed)
}

#[test]
fn a_packet_shows_the_bytes_and_releases_them_when_it_is_dropped() {
    let pool = pool(4);
    let (buffer, count) = counted(b"outside");
    let mut packet = Mbuf::from_external(&pool, buffer).unwrap();
    assert_eq!((packet.data(), packet.headroom(), packet.tailroom()), (&b"outside"[..], 0, 0));
    assert_eq!(packet.place().iova, 0x1000);
    packet.data_mut()[0] = b'O';
    packet.adjust(3).unwrap();
    assert_eq!((packet.data(), packet.place().iova), (&b"side"[..], 0x1003));
    assert_eq!(releases(&count), 0);
    drop(packet);
    assert_eq!((releases(&count), pool.available()), (1, 4));
    // The buffer is again what it was.
    let again: Vec<_> = (0..4).map(|_| pool.alloc().unwrap()).collect();
    assert!(again.iter().all(|p| p.headroom() == 128 && p.tailroom() == 2048));
}

#[test]
fn a_buffer_that_never_became_a_packet_is_released_too() {
    let (buffer, count) = counted(b"unused");
    drop(buffer);
    assert_eq!(releases(&count), 1);
}

#[test]
fn a_pool_without_a_header_for_it_gives_the_buffer_back() {
    let pool = pool(1);
    let taken = pool.alloc().unwrap();
    let (buffer, count) = counted(b"back");
    let buffer = Mbuf::from_external(&pool, buffer).unwrap_err();
    assert_eq!(releases(&count), 0);
    drop(taken);
    drop(Mbuf::from_external(&pool, buffer).unwrap());
    assert_eq!(releases(&count), 1);
}

#[test]
fn aliases_of_it_delay_the_release() {
    let pool = pool(8);
    let (buffer, count) = counted(b"seen by many");
    let shared = Mbuf::from_external(&pool, buffer).unwrap().share();
    let mut alias = shared.alias(&pool).unwrap();
    let other = shared.alias(&pool).unwrap();
    drop(shared);
    drop(other);
    assert_eq!((releases(&count), alias.data()), (0, &b"seen by many"[..]));
    alias.data_mut()[0] = b'S';
    assert_eq!((releases(&count), alias.data()), (1, &b"Seen by many"[..]));
    drop(alias);
    assert_eq!((releases(&count), pool.available()), (1, 8));
}

#[test]
fn it_may_be_a_segment_of_a_chain() {
    let pool = pool(8);
    let (buffer, count) = counted(b"payload");
    let mut all = packet(&pool, b"header:");
    all.chain(Mbuf::from_external(&pool, buffer).unwrap()).unwrap();
    assert_eq!(bytes(&all), b"header:payload");
    all.linearize().unwrap();
    assert_eq!((releases(&count), all.data()), (1, &b"header:payload"[..]));
}

#[test]
fn a_vector_may_be_given_away() {
    let pool = pool(4);
    let packet = Mbuf::from_external(&pool, ExternalBuffer::from_vec(vec![7; 3000]).unwrap());
    assert_eq!(packet.unwrap().data(), [7; 3000]);
    assert_eq!(ExternalBuffer::from_vec(vec![0; 65_536]).unwrap_err().len(), 65_536);
    let none = Mbuf::from_external(&pool, ExternalBuffer::from_vec(vec![]).unwrap()).unwrap();
    assert!(none.is_empty());
}

#[test]
fn it_is_released_on_the_thread_that_frees_it() {
    let pool = pool(4);
    let (give, got) = std::sync::mpsc::channel();
    let mut byte = vec![1u8];
    let base = NonNull::from(&mut byte[..]).cast();
    let release = move || {
        drop(byte);
        give.send(std::thread::current().id()).unwrap();
    };
    // SAFETY: the byte stays where it is, inside the release, until it is called.
    let buffer = unsafe { ExternalBuffer::new(base, 1, 0, release) };
    let packet = Mbuf::from_external(&pool, buffer).unwrap();
    let thread = std::thread::spawn(move || {
        drop(packet);
        std::thread::current().id()
    });
    assert_eq!(got.recv().unwrap(), thread.join().unwrap());
}

#[test]
fn a_release_that_panics_frees_nothing_twice() {
    let panics = |pool: &linecard_mbuf::MbufPool| {
        let base = NonNull::from(Box::leak(Box::new([0u8; 4]))).cast();
        // SAFETY: leaked, so that nobody else ever uses it.
        let buffer = unsafe { ExternalBuffer::new(base, 4, 0, || panic!("released")) };
        Mbuf::from_external(pool, buffer).unwrap()
    };
    let pool = pool(16);
    let mut some: Vec<Mbuf> = (0..4).map(|_| packet(&pool, b"plain")).collect();
    some.insert(2, panics(&pool));
    assert!(catch_unwind(AssertUnwindSafe(|| free_bulk(&mut some))).is_err());
    assert!(some.is_empty());
    let mut burst = Burst::new();
    burst.push(packet(&pool, b"plain")).unwrap();
    burst.push(panics(&pool)).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| burst.clear())).is_err());
    assert!(burst.is_empty());
    // Some leaked; none is there twice.
    drop(burst);
    let left: Vec<_> = std::iter::from_fn(|| pool.alloc()).collect();
    assert!(left.len() < 16);
}
