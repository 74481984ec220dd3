//! Our own driver over UIO, with physical addresses: `linecard fwd` carries the kernel's traffic.
//!
//! guest: iommu=none, nodes=1, cpus=2, memory=1024, hugepages=128, limit=200
//! guest: modules=ixgbe, carried=uio_pci_generic, programs=ethtool+ip+ping+iperf3, built=linecard/bin/linecard
//! guest: qtest=unix:{run}/qtest,server=on,wait=off
//! guest: device=x-pci-proxy-dev,id=nic0,fd={socket:zero},addr=5, device=x-pci-proxy-dev,id=nic1,fd={socket:one},addr=6
//! guest: device=x-pci-proxy-dev,id=nic2,fd={socket:two},addr=7, device=x-pci-proxy-dev,id=nic3,fd={socket:three},addr=8
//! host: linecard-ixgbe-model/bin/ixgbe-model qemu --strict --qtest {run}/qtest --wire cable --card {socket:zero}:5 --card {socket:one}:6 --card {socket:two}:7 --card {socket:three}:8

#[path = "guest_fwd/forwarder.rs"]
mod forwarder;
#[path = "guest_linux/stage.rs"]
#[expect(dead_code, reason = "this file needs a part of the stage only")]
mod stage;

use forwarder::{forwarder, outer};
use linecard_testbed::programs::iperf::{self, Load};
use linecard_testbed::programs::ping;
use linecard_testbed::{Need, needs};
use stage::Stage;
use std::time::Duration;

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn pings_and_tcp_pass_through_our_driver() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let running = forwarder("uio_pci_generic", "--lcores 1");
    let Stage { near, far } = outer();
    let found = ping(&near.netns, "198.51.100.2", 20).unwrap();
    assert!(found.is_lossless(), "{found:?}");
    let server = iperf::Server::start(&far.netns).unwrap();
    let load = Load::TcpBytes { bytes: 15_000_000 };
    let sent = iperf::send(&near.netns, "198.51.100.2", load, 10).unwrap();
    drop(server);
    assert!(sent.bytes > 2_000_000, "{sent:?}");
    assert_eq!(far.tcp_checksum_errors(), 0);
    running.interrupt(Duration::from_secs(60)).unwrap();
}
