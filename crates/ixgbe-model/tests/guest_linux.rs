//! Linux's own `ixgbe` is the judge: two modelled cards on one cable, each in a namespace.
//!
//! guest: iommu=none, nodes=1, cpus=2, memory=768, hugepages=0, limit=300
//! guest: modules=ixgbe+8021q+sch_mqprio, programs=ethtool+ip+ping+iperf3+tc+ptp4l
//! guest: qtest=unix:{run}/qtest,server=on,wait=off
//! guest: device=x-pci-proxy-dev,id=nic0,fd={socket:one},addr=5
//! guest: device=x-pci-proxy-dev,id=nic1,fd={socket:two},addr=6
//! host: linecard-ixgbe-model/bin/ixgbe-model qemu --strict --setup linux --qtest {run}/qtest --wire cable --card {socket:one}:5 --card {socket:two}:6

#[path = "guest_linux/ptp.rs"]
mod ptp;
#[path = "guest_linux/stage.rs"]
mod stage;

use linecard_testbed::programs::iperf::{self, Load};
use linecard_testbed::programs::ping;
use linecard_testbed::{Need, needs};
use stage::{Stage, stage, toeplitz};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};

const PORT: u16 = 7777;

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_driver_probes_both_cards_and_links_at_ten_gigabit() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let Stage { near, far } = stage();
    for end in [near, far] {
        let said = end.ethtool("").stdout;
        assert!(said.contains("Speed: 10000Mb/s") && said.contains("Link detected: yes"), "{said}");
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_module_is_read_through_i2c() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let said = stage().near.ethtool("-m").stdout;
    assert!(said.contains("10G Base-SR") && said.contains("35.00 degrees C"), "{said}");
}

/// The driver looks at the checksum in the test of the EEPROM, after it was written.
#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn every_self_test_passes_with_an_eeprom_that_was_written() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let said = stage().near.write_eeprom(0x2A, 0x5A);
    assert!(said.contains("5a"), "{said}");
    let said = stage().near.ethtool_with("-t", "offline").stdout;
    assert!(said.contains("PASS"), "{said}");
    stage().near.wait_for_link();
    stage().far.wait_for_link();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn pings_come_back_without_loss_as_jumbo_frames_too() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let Stage { near, .. } = stage();
    let found = ping(&near.netns, "198.51.100.2", 40).unwrap();
    assert!(found.is_lossless(), "{found:?}");
    stage().set_mtu(9000);
    let large = near.netns.program("ping").words("-n -q -i 0.2 -M do -s 8900 -c 10 198.51.100.2");
    let large = large.run().unwrap().stdout;
    assert!(large.contains(" 0% packet loss"), "{large}");
    stage().set_mtu(1500);
}

/// The receiver checks in software, so that not the model judges its own checksums.
#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn tcp_is_segmented_and_summed_so_that_the_kernel_finds_nothing_wrong() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let Stage { near, far } = stage();
    far.ethtool_with("-K", "rx off");
    let server = iperf::Server::start(&far.netns).unwrap();
    let before = near.statistic("tx_packets");
    let load = Load::TcpBytes { bytes: 30_000_000 };
    let sent = iperf::send(&near.netns, "198.51.100.2", load, 10).unwrap();
    drop(server);
    far.ethtool_with("-K", "rx on");
    // The receiver stops to count when the sender has sent all, not when all has come.
    assert!(sent.bytes >= 20_000_000, "{sent:?}");
    assert_eq!(far.tcp_checksum_errors(), 0);
    let frames = near.statistic("tx_pkts_nic");
    assert!(frames - before > 15_000, "cut into frames of the MTU: {frames}");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn received_checksums_are_checked_by_the_card() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let Stage { near, far } = stage();
    let server = iperf::Server::start(&far.netns).unwrap();
    iperf::send(&near.netns, "198.51.100.2", Load::TcpBytes { bytes: 10_000_000 }, 10).unwrap();
    drop(server);
    assert_eq!(far.statistic("rx_csum_offload_errors"), 0);
    assert_eq!(far.tcp_checksum_errors(), 0);
}

/// The kernel puts merged packets together by what descriptors say is their next one.
#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn segments_are_merged_and_every_byte_is_where_it_was() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let Stage { near, far } = stage();
    far.ethtool_with("-K", "lro on");
    far.wait_for_link();
    near.wait_for_link();
    let data: Vec<u8> =
        (0..4_000_000u32).map(|at| (at.wrapping_mul(0x9E37_79B9) >> 24) as u8).collect();
    let there = ("198.51.100.2", PORT);
    let listener = far.netns.inside(|| TcpListener::bind(there)).unwrap().unwrap();
    let mut stream = near.netns.inside(|| TcpStream::connect(there)).unwrap().unwrap();
    let mut got = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| listener.accept().unwrap().0.read_to_end(&mut got).unwrap());
        stream.write_all(&data).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    });
    let merged = far.statistic("hw_rsc_aggregated");
    far.ethtool_with("-K", "lro off");
    // The card was dark meanwhile: the other end's link has been away too.
    far.wait_for_link();
    near.wait_for_link();
    assert!(got == data, "{} bytes of {}", got.len(), data.len());
    assert!(merged > 500, "{merged}");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn flows_go_to_the_queue_that_the_key_and_the_table_say() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let Stage { near, far } = stage();
    far.ethtool_with("-N", "rx-flow-hash udp4 sdfn");
    let (table, key) = far.rss();
    let before = [far.statistic("rx_queue_0_packets"), far.statistic("rx_queue_1_packets")];
    let mut expected = [0, 0];
    for port in 20_000..20_100 {
        let input =
            [&[198, 51, 100, 1, 198, 51, 100, 2][..], &u16::to_be_bytes(port), &PORT.to_be_bytes()];
        let hash = toeplitz(&key, &input.concat());
        expected[table[hash as usize % table.len()]] += 1;
        near.send_datagram(port, ("198.51.100.2", PORT));
    }
    assert!(expected[0] > 20 && expected[1] > 20, "{expected:?}");
    let got = || far.statistic("rx_queue_1_packets") - before[1];
    stage::eventually(|| got() >= expected[1]);
    assert_eq!(got(), expected[1]);
    assert!(far.statistic("rx_queue_0_packets") - before[0] >= expected[0]);
}

/// VLAN 5 on both cards.
fn tag(Stage { near, far }: &Stage) {
    for (end, address) in [(near, "203.0.113.1/24"), (far, "203.0.113.2/24")] {
        end.netns
            .ip(&format!("link add link {} name tagged type vlan id 5", end.name))
            .run()
            .unwrap();
        end.netns.address("tagged", address).unwrap();
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn tags_are_inserted_stripped_and_filtered_by_the_card() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let Stage { near, far } = stage();
    tag(stage());
    let offloads = near.ethtool("-k").stdout;
    assert!(offloads.contains("rx-vlan-offload: on") && offloads.contains("tx-vlan-offload: on"));
    let found = ping(&near.netns, "203.0.113.2", 10).unwrap();
    far.netns.ip("link del tagged").run().unwrap();
    let before = far.statistic("rx_packets");
    let lost = near.netns.program("ping").words("-n -q -c 3 -W 1 203.0.113.2").finish().unwrap();
    let after = far.statistic("rx_packets");
    near.netns.ip("link del tagged").run().unwrap();
    assert!(found.is_lossless(), "{found:?}");
    assert!(!lost.status.success(), "VLAN 5 is filtered now");
    assert!(after - before < 3, "the card has taken tagged frames: {before}, {after}");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn clocks_and_stamps_are_good_enough_for_ptp4l() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let Stage { near, far } = stage();
    ptp::one_clock_follows_the_other(far, near);
}

/// Of four traffic classes: their first transmit queues are 0, 64, 96 and 112.
#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn packets_of_all_traffic_classes_are_sent() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let Stage { near, far } = stage();
    let queueing = |verb: &str, words: &str| {
        let words = format!("qdisc {verb} dev {} root {words}", near.name);
        near.netns.program("tc").words(&words).run().unwrap();
        near.wait_for_link();
        far.wait_for_link();
    };
    // What the kernel makes of a type of service is a priority: 0, 6, 2, 4.
    queueing("add", "mqprio num_tc 4 map 0 0 2 0 3 0 1 0 0 0 0 0 0 0 0 0 hw 1");
    let sent = |class: usize| {
        let queues = 2 * class..2 * class + 2;
        queues.map(|queue| near.statistic(&format!("tx_queue_{queue}_packets"))).sum::<u64>()
    };
    for (class, service) in [(0, 0x00), (1, 0x10), (2, 0x08), (3, 0x18)] {
        let before = sent(class);
        let words = format!("-n -q -i 0.1 -c 5 -Q {service} -s 1400 198.51.100.2");
        let said = near.netns.program("ping").words(&words).run().unwrap().stdout;
        assert!(said.contains(" 0% packet loss"), "{class}: {said}");
        assert!(sent(class) - before >= 5, "{class}");
    }
    queueing("del", "");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn flow_rules_steer_and_drop() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let Stage { near, far } = stage();
    far.ethtool_with("-K", "ntuple on");
    far.wait_for_link();
    near.wait_for_link();
    let rule = |action: i32| {
        format!("flow-type udp4 dst-ip 198.51.100.2 dst-port {PORT} action {action} loc 5")
    };
    for queue in [1, 0] {
        far.ethtool_with("-N", &rule(queue));
        let name = format!("rx_queue_{queue}_packets");
        let before = far.statistic(&name);
        for port in 21_000..21_050 {
            near.send_datagram(port, ("198.51.100.2", PORT));
        }
        stage::eventually(|| far.statistic(&name) - before >= 50);
    }
    far.ethtool_with("-N", &rule(-1));
    let socket = far.netns.inside(|| UdpSocket::bind(("198.51.100.2", PORT))).unwrap().unwrap();
    socket.set_nonblocking(true).unwrap();
    near.send_datagram(22_000, ("198.51.100.2", PORT));
    assert!(ping(&near.netns, "198.51.100.2", 2).unwrap().is_lossless());
    assert!(socket.recv(&mut [0; 64]).is_err(), "a dropped datagram has come");
    far.ethtool_with("-N", "delete 5");
    near.send_datagram(22_000, ("198.51.100.2", PORT));
    stage::eventually(|| socket.recv(&mut [0; 64]).is_ok());
    the_flexible_word_steers(near, far);
    far.ethtool_with("-K", "ntuple off");
    far.wait_for_link();
    near.wait_for_link();
}

/// Linux has the flexible word at byte 12: a tag's EtherType, or that of the packet.
fn the_flexible_word_steers(near: &stage::End, far: &stage::End) {
    tag(stage());
    for (word, queue, to) in [("0x8100", 1, "203.0.113.2"), ("0x0800", 0, "198.51.100.2")] {
        let rule = format!("flow-type udp4 dst-port {PORT} vlan-etype {word} action {queue}");
        far.ethtool_with("-N", &format!("{rule} loc {}", 6 + queue));
        let name = format!("rx_queue_{queue}_packets");
        let before = [far.statistic(&name), far.statistic("fdir_match")];
        for port in 23_000..23_050 {
            near.send_datagram(port, (to, PORT));
        }
        stage::eventually(|| far.statistic(&name) - before[0] >= 50);
        assert_eq!(far.statistic("fdir_match") - before[1], 50, "{word}");
    }
    for end in [near, far] {
        end.netns.ip("link del tagged").run().unwrap();
    }
    for place in [7, 6] {
        far.ethtool_with("-N", &format!("delete {place}"));
    }
}
