//! Two of the kernel's stacks, joined by `linecard fwd` alone, over two `/dev/vhost-net` with a TAP each.
//!
//! guest: iommu=none, nodes=1, cpus=2, memory=768, hugepages=64, limit=200
//! guest: modules=tun, carried=vhost_net, programs=ethtool+ip+ping+iperf3+setpriv
//! guest: built=linecard/bin/linecard

#[path = "guest_ends/mod.rs"]
mod ends;

use ends::{End, PATIENCE, eventually};
use linecard_testbed::programs::iperf::Server;
use linecard_testbed::programs::{Program, Running};
use linecard_testbed::{Need, guest, needs};
use std::time::Duration;

const FAR: &str = "198.51.100.2";

/// Both stacks, and what joins them.
struct Joined {
    near: End,
    far: End,
    fwd: Running,
}

impl Joined {
    fn by(queues: usize, words: &str) -> Self {
        guest::load_module("vhost_net").unwrap();
        let port = |iface| format!("virtio-user:path=/dev/vhost-net,iface={iface},queues={queues}");
        let mut fwd = Program::new("linecard")
            .args(["fwd", "--idle", "sleep", "--rxq", &queues.to_string()])
            .args(["--port", &port("lc0"), "--port", &port("lc1")])
            .words(words)
            .within(Duration::from_secs(150))
            .spawn()
            .unwrap();
        fwd.wait_for("pps", PATIENCE).unwrap();
        let near = End::new("lc0", "198.51.100.1/24");
        let far = End::new("lc1", "198.51.100.2/24");
        near.wait_for_answer(FAR);
        Joined { near, far, fwd }
    }

    /// Ends the forwarder, which complains if a buffer has not come home.
    fn end(self) {
        let said = self.fwd.interrupt(PATIENCE).unwrap();
        assert!(said.status.success(), "{}", said.printed());
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_port_without_the_module_or_the_right_says_what_is_missing() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let refused = |prefix: &str, port: &str| {
        let line = format!("{prefix} linecard fwd --port {port} --port null:");
        let (program, words) = line.trim().split_once(' ').unwrap();
        let said = Program::new(program).words(words).finish().unwrap();
        assert!(!said.status.success());
        said.stderr
    };
    let port = "virtio-user:path=/dev/vhost-net,iface=lc9";
    let _ = guest::unload_module("vhost_net");
    let absent = refused("", port);
    assert!(absent.contains("modprobe vhost_net"), "{absent}");
    guest::load_module("vhost_net").unwrap();
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let forbidden = refused(nobody, port);
    assert!(forbidden.contains("chown $USER /dev/vhost-net"), "{forbidden}");
    let other = refused("", "virtio-user:path=/dev/null,iface=lc9");
    assert!(other.contains("no vhost-net device"), "{other}");
    let nameless = refused("", "virtio-user:path=/dev/vhost-net");
    assert!(nameless.contains("iface=NAME"), "{nameless}");
    let packed = refused("", &format!("{port},packed=1"));
    assert!(packed.contains("packed=1"), "{packed}");
    Program::new("ip").words("tuntap add lc9 mode tap").run().unwrap();
    let taken = refused("", port);
    assert!(taken.contains("attach=1"), "{taken}");
    Program::new("ip").words("link del lc9").run().unwrap();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn large_tcp_passes_uncut_and_with_sums_that_the_stacks_find_right() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let joined = Joined::by(1, "--offloads pass");
    joined.near.assert_answered(FAR);
    let features = joined.near.ethtool("-k", "");
    assert!(features.contains("tcp-segmentation-offload: on"), "{features}");
    let server = Server::start(&joined.far.netns).unwrap();
    let before = joined.near.counters().tx_packets;
    let sent = joined.near.send_to(FAR, 50_000_000);
    let packets = joined.near.counters().tx_packets - before;
    drop(server);
    // The receiver stops to count when the sender has sent all, not when all has come.
    assert!(sent.bytes > 30_000_000, "{sent:?}");
    assert!(packets < 50_000_000 / 1448 / 3, "{packets} frames: they were cut before the port");
    assert_eq!(joined.far.checksum_errors(), 0);
    joined.end();
}

/// Without offloads the stack cuts and sums before the port; and the far stack checks each sum itself.
#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn frames_that_are_finished_pass_over_two_queues() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let joined = Joined::by(2, "--offloads none --lcores (0-1)@1");
    joined.near.assert_answered(FAR);
    let server = Server::start(&joined.far.netns).unwrap();
    let before = joined.near.counters().tx_packets;
    let sent = joined.near.send_to(FAR, 10_000_000);
    let packets = joined.near.counters().tx_packets - before;
    drop(server);
    assert!(sent.bytes > 5_000_000 && packets > sent.bytes / 1448, "{packets} frames of {sent:?}");
    assert_eq!(joined.far.checksum_errors(), 0);
    joined.end();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn an_interface_goes_with_its_port() {
    if !needs(&[Need::Guest]) {
        return;
    }
    for _ in 0..2 {
        let joined = Joined::by(1, "--offloads pass --mtu 4000");
        let large = joined.near.netns.program("ping");
        joined.near.netns.mtu("lc0", 4000).unwrap();
        joined.far.netns.mtu("lc1", 4000).unwrap();
        let said = large.words("-n -q -i 0.2 -M do -s 3900 -c 5").arg(FAR).run().unwrap().stdout;
        assert!(said.contains(" 0% packet loss"), "{said}");
        let Joined { near, far, fwd } = joined;
        assert!(fwd.interrupt(PATIENCE).unwrap().status.success());
        for end in [near, far] {
            let gone = || end.netns.ip(&format!("link show {}", end.name)).finish().unwrap();
            eventually("the interface is gone", || !gone().status.success());
        }
    }
}
