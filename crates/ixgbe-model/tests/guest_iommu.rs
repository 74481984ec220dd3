//! Linux's `ixgbe` behind an IOMMU: addresses are translated and interrupts remapped, and what is
//! not mapped is refused.
//!
//! guest: iommu=intel, nodes=1, cpus=2, memory=768, hugepages=0, limit=200
//! guest: modules=ixgbe, programs=ethtool+ip+ping+iperf3
//! guest: qtest=unix:{run}/qtest,server=on,wait=off
//! guest: device=x-pci-proxy-dev,id=nic0,fd={socket:one},addr=5
//! guest: device=x-pci-proxy-dev,id=nic1,fd={socket:two},addr=6
//! host: linecard-ixgbe-model/bin/ixgbe-model qemu --strict --iommu --qtest {run}/qtest --wire cable --card {socket:one}:5 --card {socket:two}:6

#[path = "guest_linux/stage.rs"]
#[expect(dead_code, reason = "this file needs a part of the stage only")]
mod stage;

use linecard_testbed::programs::iperf::{self, Load};
use linecard_testbed::programs::ping;
use linecard_testbed::{Need, needs};
use stage::{Stage, stage};

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn frames_pass_through_translated_memory() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let Stage { near, far } = stage();
    assert!(std::path::Path::new("/sys/bus/pci/devices/0000:00:05.0/iommu_group").exists());
    let found = ping(&near.netns, "198.51.100.2", 20).unwrap();
    assert!(found.is_lossless(), "{found:?}");
    let server = iperf::Server::start(&far.netns).unwrap();
    let sent =
        iperf::send(&near.netns, "198.51.100.2", Load::TcpBytes { bytes: 10_000_000 }, 10).unwrap();
    drop(server);
    assert!(sent.bytes > 5_000_000, "{sent:?}");
    assert_eq!(far.tcp_checksum_errors(), 0);
}
