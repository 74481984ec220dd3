//! Discovery on made-up trees.

use super::*;
use std::fs;

fn write(dir: &Path, file: &str, text: &str) {
    let path = dir.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("{text}\n")).unwrap();
}

/// Two sizes and two nodes: 512 pages of 2 MiB, 12 free, 4 of them reserved.
fn machine() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    write(base, "sys/devices/system/node/online", "0-1");
    write(base, "proc/meminfo", "MemTotal: 1 kB\nHugepagesize:       2048 kB");
    write(base, "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never");
    write(base, "sys/kernel/mm/transparent_hugepage/shmem_enabled", "always advise [never] deny");
    write(base, "sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0");
    let pool = "sys/kernel/mm/hugepages/hugepages-2048kB";
    for (file, value) in [("nr", "512"), ("free", "12"), ("resv", "4"), ("surplus", "1")] {
        write(base, &format!("{pool}/{file}_hugepages"), value);
    }
    write(base, &format!("{pool}/nr_overcommit_hugepages"), "3");
    for (node, free) in [(0, "12"), (1, "0")] {
        let dir = format!("sys/devices/system/node/node{node}/hugepages/hugepages-2048kB");
        write(base, &format!("{dir}/nr_hugepages"), "256");
        write(base, &format!("{dir}/free_hugepages"), free);
    }
    dir
}

#[test]
fn pages_are_counted_by_size_and_by_node() {
    let dir = machine();
    let found = HugePages::discover_in(&Root::at(dir.path()));
    assert_eq!(found.sizes.iter().map(|size| size.bytes >> 20).collect::<Vec<_>>(), [1024, 2]);
    let size = found.of_size(2 << 20).unwrap();
    assert_eq!(size.counts, Counts { total: 512, free: 12, surplus: 1 });
    assert_eq!(size.on_node(1), Some(Counts { total: 256, free: 0, surplus: 0 }));
    assert_eq!(size.to_string(), "12 of 512 2 MiB pages free, 4 of them reserved");
}

#[test]
fn reserved_pages_are_not_available_and_overcommitted_ones_are() {
    let dir = machine();
    let found = HugePages::discover_in(&Root::at(dir.path()));
    assert_eq!(found.of_size(2 << 20).unwrap().available(), 12 - 4 + (3 - 1));
}

#[test]
fn modes_and_the_default_size_are_read() {
    let dir = machine();
    let found = HugePages::discover_in(&Root::at(dir.path()));
    assert_eq!(found.default_size, Some(2 << 20));
    assert_eq!(found.transparent, ThpMode::OnAdvice);
    assert_eq!(found.transparent_shared, ThpMode::Never);
}

#[test]
fn mounts_of_hugetlbfs_are_found_with_their_page_size() {
    let dir = machine();
    let here = dir.path().display();
    let text = format!(
        "proc /proc proc rw 0 0\nnodev {here} hugetlbfs rw,pagesize=1024M 0 0\n\
         nodev /no\\040where hugetlbfs rw,relatime 0 0\nbroken"
    );
    write(dir.path(), "proc/self/mounts", &text);
    let found = HugePages::discover_in(&Root::at(dir.path())).mounts;
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].page_size, found[0].access), (Some(1 << 30), Access::Writable));
    assert_eq!((found[1].page_size, found[1].access), (Some(2 << 20), Access::ReadOnly));
    assert_eq!(found[1].path, Path::new("/no where"));
}

#[test]
fn an_empty_tree_has_no_huge_pages_and_is_not_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let found = HugePages::discover_in(&Root::at(dir.path()));
    assert!(found.sizes.is_empty() && found.mounts.is_empty());
    assert_eq!(found.transparent, ThpMode::Unknown);
}

#[test]
fn sizes_are_read_and_written_in_any_unit() {
    assert_eq!(parse_size("2048K"), Some(2 << 20));
    assert_eq!(parse_size("7x"), None);
    assert_eq!(Bytes(1 << 30).to_string(), "1 GiB");
    assert_eq!(Bytes(64 << 10).to_string(), "64 KiB");
    assert_eq!(Bytes(0).to_string(), "0 bytes");
}
