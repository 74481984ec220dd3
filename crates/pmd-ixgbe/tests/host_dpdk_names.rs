//! DPDK is the judge of names: counters of the card are called as its `net_ixgbe` calls them.

#[path = "model/bed/mod.rs"]
#[expect(dead_code, reason = "this file needs a part of the bed only")]
mod bed;

use bed::Modelled;
use linecard_pmd_core::Driver;
use linecard_pmd_ixgbe::{IxgbeOptions, IxgbePort};
use linecard_testbed::{Need, needs};
use std::path::PathBuf;

/// What DPDK does not count, or adds up under another name.
const OURS: &[&str] = &[
    "rx_mac_good_packets",
    "tx_mac_good_packets",
    "rx_good_mac_bytes",
    "tx_good_mac_bytes",
    "queues_that_did_not_stop",
];

/// Debian's library of the driver, whatever its version.
fn library() -> Option<PathBuf> {
    let folder = std::fs::read_dir("/usr/lib/x86_64-linux-gnu").ok()?;
    let mut files = folder.flatten().map(|entry| entry.path());
    files.find(|path| path.to_string_lossy().contains("librte_net_ixgbe.so."))
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn counters_have_the_names_that_dpdk_gives_them() {
    let library = library();
    let need = library.is_none().then_some(Need::Unmet("Debian's package librte-net-ixgbe23"));
    if !needs(need.as_slice()) {
        return;
    }
    let theirs = std::fs::read(library.expect("it is there")).expect("a file");
    let port = IxgbePort::open(Box::new(Modelled::looped()), IxgbeOptions::new()).expect("one");
    let names: Vec<String> = port.device_stats().into_iter().map(|(name, _)| name).collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names.iter().filter(|name| !OURS.contains(&name.as_str())) {
        let text = [b"\0", name.as_bytes(), b"\0"].concat();
        assert!(theirs.windows(text.len()).any(|window| window == text), "{name}");
    }
}
