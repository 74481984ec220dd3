//! Where objects lie.

use crate::small;
use linecard_mempool::{Mempool, Object};
use std::collections::{BTreeMap, HashSet};

fn lines(pool: &Mempool) -> Vec<usize> {
    pool.walk().map(|object| object.as_ptr().addr() / 64).collect()
}

#[test]
fn objects_start_on_lines_and_do_not_overlap() {
    for bytes in [1, 63, 64, 65, 200, 2048, 5000] {
        let pool = small("lines", 50, 0).object_size(bytes).build().unwrap();
        let starts: Vec<_> = pool.walk().map(|object| object.as_ptr().addr()).collect();
        assert!(starts.iter().all(|at| at % 64 == 0));
        assert!(starts.windows(2).all(|two| two[1] - two[0] >= bytes));
    }
}

#[test]
fn first_lines_spread_evenly_over_channels() {
    for bytes in [64, 256, 1024, 2048, 2176, 4096] {
        let pool = small("colours", 256, 0).object_size(bytes).build().unwrap();
        for channels in [2, 4, 8, 16] {
            let mut each = BTreeMap::new();
            lines(&pool).iter().for_each(|line| *each.entry(line % channels).or_insert(0) += 1);
            assert_eq!(each.len(), channels, "{bytes} bytes");
            assert!(each.values().all(|n| *n == 256 / channels), "{bytes} bytes: {each:?}");
        }
    }
}

#[test]
fn a_stricter_alignment_is_kept() {
    for align in [128, 512, 4096] {
        let pool = small("aligned", 20, 0).object_size(100).align(align).build().unwrap();
        assert!(pool.walk().all(|object| object.as_ptr().addr() % align == 0));
    }
}

#[test]
fn a_walk_meets_every_object_once_and_an_index_names_it() {
    let pool = small("walk", 77, 0).build().unwrap();
    let all: HashSet<Object> = pool.walk().collect();
    assert_eq!(all.len(), 77);
    for (i, object) in pool.walk().enumerate() {
        assert_eq!(pool.index_of(object), Some(i));
    }
    let one = pool.take().unwrap();
    assert!(all.contains(&one));
    crate::put(&pool, &[one]);
}

#[test]
fn what_is_no_object_has_no_index() {
    let (pool, other) = (small("one", 3, 0).build().unwrap(), small("two", 3, 0).build().unwrap());
    assert!(other.walk().all(|object| pool.index_of(object).is_none()));
    let inside = pool.filler().as_ptr().wrapping_add(1);
    let inside = Object::new(core::ptr::NonNull::new(inside).unwrap());
    assert_eq!(pool.index_of(inside), None);
}

#[test]
fn a_pool_tells_its_name_layout_and_memory() {
    let pool = small("told", 10, 2).object_size(100).build().unwrap();
    assert!(pool.name().starts_with("told-"));
    assert_eq!((pool.size(), pool.cache_size()), (10, 2));
    assert_eq!((pool.layout().object, pool.layout().stride), (100, 192));
    assert_eq!(pool.memory().len(), 1);
    assert!(pool.with_segments(|segments| segments[0].len()) >= 10 * 192);
    let text = format!("{pool:?}");
    assert!(text.contains("told-") && text.contains("available: 10"), "{text}");
}
