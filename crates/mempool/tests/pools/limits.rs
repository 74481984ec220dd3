//! What a builder refuses, and whether its words help.

use crate::small;
use linecard_eal::mem::{PagePolicy, Request};
use linecard_mempool::{Builder, Error, MAX_CACHE, MAX_SIZE, Mempool, Needs, Pool};

fn refusal(builder: Builder) -> String {
    builder.build().expect_err("it should have been refused").to_string()
}

fn names(text: &str, limits: &[&str]) {
    assert!(limits.iter().all(|limit| text.contains(limit)), "{text}");
}

#[test]
fn a_pool_of_no_objects_or_too_many_is_refused() {
    for size in [0, MAX_SIZE + 1, usize::MAX] {
        names(&refusal(small("size", 1, 0).size(size)), &["1 to 1073741824", &size.to_string()]);
        let typed = Pool::new(small("typed", 1, 0).size(size), || 0u8).expect_err("as above");
        assert!(matches!(typed, Error::Size(_)));
    }
}

#[test]
fn objects_of_no_bytes_or_too_many_are_refused() {
    for bytes in [0, (1 << 30) + 1] {
        names(&refusal(small("object", 1, 0).object_size(bytes)), &["1 to 1073741824"]);
    }
}

#[test]
fn an_alignment_that_is_none_or_above_a_page_is_refused() {
    for align in [0, 3, 96, 8192] {
        names(&refusal(small("align", 1, 0).align(align)), &["power of two", "4096"]);
    }
}

#[test]
fn a_cache_that_could_take_the_whole_pool_is_refused() {
    names(&refusal(small("cache", 8, 6)), &["6 objects", "pool of 8", "two thirds"]);
    assert!(small("cache", 9, 6).build().is_ok());
    let large = small("cache", 100_000, MAX_CACHE + 1);
    names(&refusal(large), &["at most 4096"]);
}

#[test]
fn bytes_to_watch_that_are_not_the_objects_are_refused() {
    let refused = [0..65, 70..80, usize::MAX - 1..usize::MAX];
    refused
        .into_iter()
        .for_each(|bytes| names(&refusal(small("watch", 1, 0).watch(bytes)), &["64 bytes"]));
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    names(&refusal(small("watch", 1, 0).watch(9..3)), &["9 to 3"]);
    assert!(small("watch", 1, 0).watch(64..64).build().is_ok());
}

#[test]
fn a_pool_that_could_starve_its_receivers_is_refused_with_the_sum() {
    let needs = Needs::new().rx_descriptors(512).tx_descriptors(512).bursts(64).threads(2);
    let text = refusal(small("starve", 1855, 256).needs(needs));
    names(
        &text,
        &["1856", "512 in receive", "512 in transmit", "64 in bursts", "768 in thread caches"],
    );
    assert!(small("starve", 1856, 256).needs(needs).build().is_ok());
}

#[test]
fn a_pool_of_the_size_needed_always_has_one_for_the_receiver() {
    // All that the sum names is held, by caches as full as they get: the next bulk is still there.
    let needs = Needs::new().rx_descriptors(20).bursts(4).threads(2);
    let pool = small("enough", needs.total(8), 8).needs(needs).build().unwrap();
    let posted: Vec<_> = (0..20).map(|_| pool.take().unwrap()).collect();
    std::thread::scope(|scope| {
        let hoard = || {
            let mut some = [pool.filler(); 12];
            assert!(pool.take_bulk(&mut some));
            crate::put(&pool, &some);
        };
        scope.spawn(hoard).join().unwrap();
        hoard();
        let receiver = scope.spawn(|| pool.take().map(|one| crate::put(&pool, &[one])));
        assert!(receiver.join().unwrap().is_some());
    });
    crate::put(&pool, &posted);
}

#[test]
fn sums_of_needs_do_not_overflow() {
    let needs = Needs::new().rx_descriptors(usize::MAX).held(1).threads(usize::MAX).rings(3);
    assert_eq!(needs.total(usize::MAX), usize::MAX);
    names(&refusal(small("sum", 8, 1).needs(needs)), &["could starve"]);
}

#[test]
fn supplied_segments_that_are_too_small_are_refused_with_what_fits() {
    let segment = || Request::new(4096).pages(PagePolicy::Small).map().unwrap();
    let stride = small("stride", 1, 0).object_size(1000).build().unwrap().layout().stride;
    let each = 4096 / stride;
    let pool = |size: usize, segments| {
        small("segments", size, 0).object_size(1000).segments(segments).build()
    };
    let text = pool(2 * each + 1, vec![segment(), segment()]).unwrap_err().to_string();
    names(&text, &[&format!("hold {} objects", 2 * each), "add memory"]);
    let pool = pool(2 * each, vec![segment(), segment()]).unwrap();
    assert_eq!(pool.walk().count(), 2 * each);
    assert_eq!(pool.memory().len(), 2);
}

#[test]
fn memory_that_is_not_there_is_an_error_with_a_report() {
    let huge = Mempool::builder("never").size(MAX_SIZE).object_size(1 << 30).cache(0);
    assert!(matches!(huge.build(), Err(Error::Memory(_))));
}
