//! Two of the kernel's stacks, joined by `linecard fwd` alone: one behind the kernel's vhost, one behind
//! QEMU's virtio-net device, whose other end of the wire has the kernel's own driver.
//!
//! guest: iommu=intel, nodes=1, cpus=2, memory=768, hugepages=64, limit=200
//! guest: netdev=hubport,id=n0,hubid=0, netdev=hubport,id=n1,hubid=0
//! guest: device=virtio-net-pci,id=nic0,netdev=n0,addr=5,disable-legacy=on,iommu_platform=on,packed=on
//! guest: device=virtio-net-pci,id=nic1,netdev=n1,addr=6,disable-legacy=on,iommu_platform=on
//! guest: modules=tun+virtio_pci+virtio_net, carried=vfio-pci, programs=ethtool+ip+ping+iperf3
//! guest: built=linecard/bin/linecard

#[expect(dead_code, reason = "this file needs a part of it")]
#[path = "guest_ends/mod.rs"]
mod ends;

use ends::{End, PATIENCE};
use linecard_testbed::programs::Program;
use linecard_testbed::programs::iperf::Server;
use linecard_testbed::{Need, guest, needs};
use std::time::Duration;

const OURS: &str = "0000:00:05.0";
const THEIRS: &str = "0000:00:06.0";
const FAR: &str = "198.51.100.2";

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn pings_and_tcp_pass_over_either_kind_of_ring_and_the_card_goes_back_to_the_kernel() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let listed = || Program::new("linecard").words("ports").run().unwrap().stdout;
    assert!(listed().contains(&format!("linecard bind {OURS}")), "{}", listed());
    guest::load_module("vfio-pci").unwrap();
    guest::bind(OURS, "vfio-pci").unwrap();
    assert!(listed().contains(&format!("pci:{OURS}")), "{}", listed());
    let far = End::new(&guest::interface_of(THEIRS).unwrap(), "198.51.100.2/24");
    for keys in ["", ",packed=1", ",packed=1,event_idx=1"] {
        let mut fwd = Program::new("linecard")
            .args(["fwd", "--port", &format!("pci:{OURS}{keys}"), "--port", "tap:name=lc0"])
            .within(Duration::from_secs(150))
            .spawn()
            .unwrap();
        fwd.wait_for("pps", PATIENCE).unwrap();
        let near = End::new("lc0", "198.51.100.1/24");
        near.assert_answered(FAR);
        let server = Server::start(&far.netns).unwrap();
        let sent = near.send_to(FAR, 20_000_000);
        drop(server);
        // The receiver stops to count when the sender has sent all: what the stacks' buffers hold (10 MB
        // at most) does not count.
        assert!(sent.bytes > 8_000_000, "{sent:?}");
        assert_eq!((near.checksum_errors(), far.checksum_errors()), (0, 0));
        let said = fwd.interrupt(PATIENCE).unwrap();
        assert!(said.status.success(), "{}", said.printed());
    }
    guest::bind(OURS, "virtio-pci").unwrap();
    assert!(guest::interface_of(OURS).is_some());
}
