//! A page of 1 GiB, which a machine that has been up for a while may be too fragmented to make.
//!
//! guest: iommu=none, nodes=1, cpus=1, memory=2560, hugepages=16, append=hugepagesz=1G hugepages=1

use linecard_eal::mem::{HugePages, PageSize, Request};
use linecard_testbed::{Need, needs};

const GIGABYTE: usize = PageSize::Size1G.bytes();

fn free() -> u64 {
    HugePages::discover().of_size(GIGABYTE as u64).expect("a kernel with such pages").counts.free
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_gigabyte_page_is_one_contiguous_run() {
    if !needs(&[Need::Guest]) {
        return;
    }
    assert_eq!(free(), 1);
    let segment = Request::new(GIGABYTE).map().unwrap();
    assert_eq!(segment.page_size(), PageSize::Size1G);
    assert_eq!(segment.physical().unwrap().runs().len(), 1);
    assert_eq!(free(), 0);
    drop(segment);
    assert_eq!(free(), 1);
}
