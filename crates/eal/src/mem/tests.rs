//! Mapping on whatever machine this is: with or without huge pages, root or not.

use super::*;
use crate::Root;

fn small(len: usize) -> Request {
    Request::new(len).pages(PagePolicy::Small)
}

fn bytes(segment: &Segment) -> &[u8] {
    // SAFETY: the segment is mapped and initialised for its whole length while it is borrowed,
    // and no test writes to it while it holds the slice.
    unsafe { std::slice::from_raw_parts(segment.base().as_ptr(), segment.len()) }
}

#[test]
fn memory_is_zeroed_and_at_least_as_long_as_asked_for() {
    let segment = small(5000).map().unwrap();
    assert!(segment.len() >= 5000 && segment.len().is_multiple_of(PageSize::Size4K.bytes()));
    assert!(bytes(&segment).iter().all(|byte| *byte == 0));
    assert!(!segment.is_huge() && !segment.transparent_huge());
}

#[test]
fn every_backing_gives_writable_memory() {
    for backing in [Backing::Memfd, Backing::Anonymous] {
        let segment = Request::new(3 << 20).backing(backing.clone()).map().unwrap();
        // SAFETY: offset 0 and the last byte are within the segment, and nobody else has it.
        unsafe {
            segment.base().write(1);
            segment.base().add(segment.len() - 1).write(2);
        }
        assert_eq!((bytes(&segment)[0], *bytes(&segment).last().unwrap()), (1, 2));
        // SAFETY: only looked at.
        assert_eq!(unsafe { segment.file() }.is_some(), backing == Backing::Memfd);
    }
}

#[test]
fn the_file_shows_what_is_written_to_the_segment() {
    use std::os::unix::fs::FileExt;
    let segment = small(4096).map().unwrap();
    // SAFETY: byte 7 is within the segment, and nobody else has it.
    unsafe { segment.base().add(7).write(42) };
    // SAFETY: the memory is this test's alone.
    let (fd, offset) = unsafe { segment.file() }.unwrap();
    let file = std::fs::File::from(fd.try_clone_to_owned().unwrap());
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset + 7).unwrap();
    assert_eq!(byte, [42]);
}

#[test]
fn a_request_for_nothing_or_for_everything_is_an_error() {
    assert!(matches!(Request::new(0).map(), Err(MemError::Empty)));
    assert!(matches!(Request::new(usize::MAX).map(), Err(MemError::TooLong { .. })));
    assert!(matches!(small(1 << 60).map(), Err(MemError::Unavailable(_))));
}

#[test]
fn a_node_that_does_not_exist_is_an_error_if_required_and_a_remark_if_preferred() {
    let error = small(4096).node(Node::Require(900)).map().unwrap_err();
    assert!(error.to_string().contains("online nodes"), "{error}");
    let segment = small(4096).node(Node::Prefer(900)).map().unwrap();
    assert!(segment.report().to_string().contains("900"));
    assert!(small(4096).node(Node::Require(70_000)).map().is_err());
}

#[test]
fn too_few_huge_pages_are_an_error_that_counts_them_and_names_the_command() {
    let tebibyte = 1 << 40;
    let error = Request::new(tebibyte).pages(PagePolicy::Huge).map().unwrap_err();
    let MemError::Unavailable(report) = &error else { panic!("{error}") };
    assert_eq!(report.attempts.len(), 2);
    let text = error.to_string();
    assert!(text.contains("pages free") || text.contains("this kernel has no"), "{text}");
}

#[test]
fn a_required_node_without_free_pages_is_refused_before_anything_is_mapped() {
    let dir = tempfile::tempdir().unwrap();
    let pool = dir.path().join("sys/devices/system/node/node1/hugepages/hugepages-2048kB");
    let global = dir.path().join("sys/kernel/mm/hugepages/hugepages-2048kB");
    for dir in [&pool, &global] {
        std::fs::create_dir_all(dir).unwrap();
    }
    std::fs::write(dir.path().join("sys/devices/system/node/online"), "0-1").unwrap();
    std::fs::write(pool.join("nr_hugepages"), "8").unwrap();
    std::fs::write(pool.join("free_hugepages"), "1").unwrap();
    let request = Request::new(4 << 20).pages(PagePolicy::Exactly(PageSize::Size2M));
    let error = request.node(Node::Require(1)).map_in(&Root::at(dir.path())).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("1 of 8 2 MiB pages free on node 1"), "{text}");
    assert!(text.contains("--count 9 --node 1"), "{text}");
}

#[test]
fn the_last_attempt_of_a_report_is_the_one_that_worked() {
    let segment = Request::new(100).name("pool").map().unwrap();
    let (last, before) = segment.report().attempts.split_last().unwrap();
    assert!(last.outcome.is_ok() && before.iter().all(|attempt| attempt.outcome.is_err()));
    assert!(segment.report().to_string().starts_with("pool: 100 bytes asked for"));
}

#[test]
fn a_virtual_iova_is_the_address_of_the_process_and_contiguous() {
    let segment = small(3 * 4096).map().unwrap();
    let map = segment.iova(IovaMode::Virtual).unwrap();
    assert_eq!(map.contiguous(0, segment.len()), Some(Iova::new(segment.address().raw() as u64)));
}

#[test]
fn physical_addresses_are_told_or_refused_with_a_reason() {
    match small(4096).map().unwrap().physical() {
        Ok(map) => assert_eq!(map.runs()[0].start.raw() % 4096, 0),
        Err(error) => assert!(error.to_string().contains("CAP_SYS_ADMIN"), "{error}"),
    }
}

#[test]
fn merged_pages_are_verified_or_the_report_says_why_not() {
    let segment = Request::new(4 << 20).backing(Backing::Anonymous).map().unwrap();
    let text = segment.report().to_string();
    let explained = segment.is_huge() || segment.transparent_huge() || text.contains("merge");
    assert!(explained, "{text}");
}

#[test]
fn segments_lie_where_an_iommu_of_39_bits_can_show_them() {
    for pages in [PagePolicy::Small, PagePolicy::Auto] {
        let segment = Request::new(3 << 20).pages(pages).map().unwrap();
        let end = segment.address().raw() + segment.len();
        assert!(end <= 1 << 39 && segment.address().raw() >= 1 << 32, "{:?}", segment.address());
    }
}

#[test]
fn threads_that_map_at_once_all_find_low_places() {
    let highest = std::thread::scope(|scope| {
        let map = || {
            let segments: Vec<_> = (0..100).map(|_| small(3 * 4096).map().unwrap()).collect();
            segments.iter().map(|segment| segment.address().raw()).max().unwrap()
        };
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(map)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).max().unwrap()
    });
    assert!(highest < 1 << 39, "{highest:#x}");
}
