//! Maps memory and tells what was tried and what was got.
//!
//! `cargo run -p linecard-eal --example memory -- 64` maps 64 MiB.
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use linecard_eal::mem::{Backing, HugePages, IovaMode, MemError, Request, Segment};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mebibytes: usize = std::env::args().nth(1).map_or(Ok(8), |text| text.parse())?;
    offer();
    for backing in [Backing::Memfd, Backing::Anonymous] {
        let request = Request::new(mebibytes << 20).name("example").backing(backing);
        match request.map() {
            Ok(segment) => describe(&segment),
            Err(error) => println!("{error}"),
        }
    }
    Ok(())
}

/// What the machine has.
fn offer() {
    let machine = HugePages::discover();
    for size in &machine.sizes {
        println!("{size}; {} can be had", size.available());
    }
    for mount in &machine.mounts {
        println!("hugetlbfs at {} ({:?})", mount.path.display(), mount.access);
    }
    println!("transparent: {:?}, shared: {:?}", machine.transparent, machine.transparent_shared);
}

/// What was got.
fn describe(segment: &Segment) {
    println!("\n{}", segment.report());
    println!("pages of {}, node {:?}", segment.page_size(), segment.node());
    match physical_runs(segment) {
        Ok(runs) => println!("{runs} physically contiguous runs"),
        Err(error) => println!("{error}"),
    }
}

fn physical_runs(segment: &Segment) -> Result<usize, MemError> {
    Ok(segment.iova(IovaMode::Physical)?.runs().len())
}
