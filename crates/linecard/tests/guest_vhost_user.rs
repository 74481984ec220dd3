//! Two guests whose kernels drive virtio-net, joined by `linecard fwd` alone, outside: this one, behind an
//! IOMMU of which the port asks translations, and a peer, which takes only frames that are finished, and
//! reboots. Neither has MSI-X: QEMU 7.2 dies of that with vhost-user and without KVM.
//!
//! guest: iommu=intel, nodes=1, cpus=2, memory=768, hugepages=64, limit=150, append=iommu.strict=1
//! guest: modules=virtio_pci+virtio_net, programs=ethtool+ip+ping+iperf3
//! guest: chardev=socket,id=c0,path={run}/near, netdev=vhost-user,id=n0,chardev=c0,queues=2
//! guest: device=pcie-root-port,id=rp1,bus=pcie.0,slot=1,chassis=1
//! guest: device=virtio-net-pci,id=nic0,netdev=n0,bus=rp1,mq=on,vectors=0,disable-legacy=on,iommu_platform=on,ats=on
//! peer: chardev=socket,id=c0,path={run}/far, netdev=vhost-user,id=n0,chardev=c0,queues=2
//! peer: device=virtio-net-pci,id=nic0,netdev=n0,addr=5,mq=on,vectors=0,guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off
//! peer runs: ip address add 198.51.100.2/24 dev eth0
//! peer runs: ip link set eth0 up
//! peer runs: iperf3 --server --daemon
//! peer runs: echo 'cat /proc/sys/kernel/random/boot_id /proc/net/snmp; echo .; read order && ip link set eth0 down && reboot -f' >/obey
//! peer runs: chmod +x /obey; sed -i '1i #!/bin/sh' /obey
//! peer runs: nc -ll -p 7000 -e /obey &
//! host: linecard/bin/linecard fwd --offloads pass --idle sleep --rxq 2 --port vhost:path={run}/near,queues=2,iommu=1 --port vhost:path={run}/far,queues=2

#[path = "guest_ends/mod.rs"]
mod ends;

use ends::{End, PATIENCE, eventually, tcp_checksum_errors};
use linecard_testbed::programs::Program;
use linecard_testbed::{Need, guest, needs};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::Duration;

/// Behind a port, since without ATS, which QEMU has there only, nobody tells what is translated no more.
const NIC: &str = "0000:01:00.0";
const ADDRESS: &str = "198.51.100.1/24";
const PEER: &str = "198.51.100.2";

/// Fewer frames than ten million bytes are if each is cut, by a quarter; small ones are among them on a slow machine.
const MANY: u64 = 10_000_000 / 1448 * 3 / 4;

/// Our end, made by whoever comes first, once the peer has booted.
fn end() -> &'static End {
    static END: LazyLock<End> = LazyLock::new(|| {
        let end = End::new(&guest::interface_of(NIC).expect("an interface"), ADDRESS);
        end.wait_for_answer(PEER);
        end
    });
    &END
}

/// What the peer says of itself: the number of its boot, and its counters. With an order, it reboots: with its
/// interface down, since a Linux 6.1 that answered while it shut its device was seen to hang (soft lock-up).
fn ask(order: &str) -> Option<(String, String)> {
    let connect =
        || TcpStream::connect_timeout(&(format!("{PEER}:7000").parse().unwrap()), PATIENCE);
    let mut stream = end().netns.inside(connect).unwrap().ok()?;
    // One that reboots meanwhile says nothing more, and is asked again.
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(order.as_bytes()).ok()?;
    stream.shutdown(std::net::Shutdown::Write).ok()?;
    let mut said = Vec::new();
    // A peer that reboots does not end the conversation.
    let mut byte = [0];
    while stream.read(&mut byte).ok()? == 1 && byte != *b"." {
        said.extend(byte);
    }
    let (boot, counters) = std::str::from_utf8(&said).ok()?.split_once('\n')?;
    Some((boot.to_owned(), counters.to_owned()))
}

fn asked() -> (String, String) {
    let mut said = None;
    eventually("the peer says", || {
        said = ask("");
        said.is_some()
    });
    said.unwrap()
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_driver_finds_what_the_port_offers() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let bits = std::fs::read_to_string(format!("/sys/bus/pci/devices/{NIC}/virtio0/features"));
    let bits = bits.unwrap();
    let has = |bit: usize| bits.as_bytes()[bit] == b'1';
    // Checksums and large TCP both ways, merged buffers, several queues, version 1, the IOMMU.
    for bit in [0, 1, 7, 8, 11, 12, 15, 22, 32, 33] {
        assert!(has(bit), "feature {bit} of {bits}");
    }
    let said = end().ethtool("-l", "");
    assert_eq!(said.matches("Combined:\t2").count(), 2, "{said}");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn large_tcp_is_cut_and_summed_for_a_guest_that_takes_neither_undone() {
    if !needs(&[Need::Guest]) {
        return;
    }
    end().assert_answered(PEER);
    let before = end().counters().tx_packets;
    let sent = end().send_to(PEER, 10_000_000);
    let packets = end().counters().tx_packets - before;
    // The receiver stops to count when the sender has sent all, not when all has come.
    assert!(sent.bytes > 1_000_000, "{sent:?}");
    assert!(packets < MANY, "{packets} frames: they were cut before the port");
    assert_eq!(tcp_checksum_errors(&asked().1), 0);
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn large_tcp_passes_uncut_to_a_guest_that_takes_it() {
    if !needs(&[Need::Guest]) {
        return;
    }
    end().wait_for_answer(PEER);
    let before = end().counters().rx_packets;
    let words = format!("--reverse --client {PEER} --bytes 10000000");
    end().netns.program("iperf3").words(&words).run().unwrap();
    let packets = end().counters().rx_packets - before;
    assert!(packets < MANY, "{packets} frames: somebody has cut them");
    assert_eq!(end().checksum_errors(), 0);
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn both_queues_carry_what_is_sent_from_both_cpus() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let counted = |queue: usize| {
        let said = end().ethtool("-S", "");
        let name = format!("tx_queue_{queue}_packets: ");
        let line = said.lines().find_map(|line| line.trim().strip_prefix(&name)).unwrap();
        line.parse::<u64>().unwrap()
    };
    let before = [counted(0), counted(1)];
    // The driver gives each CPU a queue of its own.
    for cpu in ["1", "2"] {
        let words = format!("{cpu} ping -n -q -i 0.2 -c 5 {PEER}");
        let said = end().netns.program("taskset").words(&words).run().unwrap().stdout;
        assert!(said.contains(" 0% packet loss"), "{said}");
    }
    for queue in [0, 1] {
        assert!(counted(queue) >= before[queue] + 5, "queue {queue}: {before:?}");
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_driver_lets_go_of_the_device_and_takes_it_again() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let end = end();
    for _ in 0..2 {
        guest::release(NIC).unwrap();
        guest::bind(NIC, "virtio-pci").unwrap();
        let name = guest::interface_of(NIC).expect("an interface");
        assert_eq!(name, end.name, "one of the same name");
        end.adopt(ADDRESS);
        end.assert_answered(PEER);
    }
    let said = end.ethtool("-l", "");
    assert_eq!(said.matches("Combined:\t2").count(), 2, "{said}");
}

/// With `strict`, the kernel takes each buffer's translation back once it has been used: what is asked for after
/// that is a fault.
#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn no_translation_is_asked_for_that_was_taken_back() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let words = format!("-n -q -i 0.02 -c 300 -s 1400 {PEER}");
    end().wait_for_answer(PEER);
    let said = end().netns.program("ping").words(&words).run().unwrap().stdout;
    assert!(said.contains(" 0% packet loss"), "{said}");
    let said = Program::new("dmesg").run().unwrap().stdout;
    assert!(said.contains("DMAR") && !said.contains("fault addr"), "{said}");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_port_sees_a_guest_that_reboots_leave_and_return() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let (boot, _) = asked();
    let _ = ask("reboot\n");
    eventually("another boot", || ask("").is_some_and(|(now, _)| now != boot));
    end().assert_answered(PEER);
    // The receiver stops to count when the sender has sent all, not when all has come.
    let sent = end().send_to(PEER, 10_000_000);
    assert!(sent.bytes > 1_000_000, "{sent:?}");
}
