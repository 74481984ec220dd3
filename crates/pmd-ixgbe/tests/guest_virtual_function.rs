//! A port on a virtual function over vfio-pci and an IOMMU. Third parties have the rest: DPDK's testpmd the
//! physical function, and Linux's `ixgbe` the card at the other end of the cable.
//!
//! guest: iommu=intel, nodes=1, cpus=3, memory=1024, hugepages=128, limit=300
//! guest: modules=ixgbe+8021q, carried=vfio-pci, programs=dpdk-testpmd+ip+ping, built=linecard/bin/linecard
//! guest: qtest=unix:{run}/qtest,server=on,wait=off
//! guest: device=x-pci-proxy-dev,id=nic0,fd={socket:physical},addr=5
//! guest: device=x-pci-proxy-dev,id=nic1,fd={socket:virtual},addr=6
//! guest: device=x-pci-proxy-dev,id=nic2,fd={socket:peer},addr=7
//! host: linecard-ixgbe-model/bin/ixgbe-model qemu --strict --iommu --qtest {run}/qtest --wire cable --card {socket:physical}:5 --card {socket:peer}:7 --vf 0:{socket:virtual}:6

#[path = "../../ixgbe-model/tests/guest_ixgbevf/host.rs"]
mod host;
#[path = "../../ixgbe-model/tests/guest_linux/stage.rs"]
#[expect(dead_code, reason = "this file needs a part of the stage only")]
mod stage;

use linecard_eal::event::{Epoll, Wake};
use linecard_eal::pci;
use linecard_mbuf::{Burst, ChecksumStatus, L4Checksum, Mbuf, MbufPool, TxRequest};
use linecard_net::checksum::pseudo_sum;
use linecard_net::{FrameBuilder, MacAddr, parse};
use linecard_pmd_core::{
    Configured, Event, Opened, Port, PortConfig, Promiscuous, Queues, RxOffloads, Started,
    TxOffloads, VlanFilter,
};
use linecard_pmd_ixgbe::{IxgbeVfOptions, IxgbeVfPort};
use linecard_testbed::programs::{Program, Running, ping};
use linecard_testbed::{Need, guest, needs};
use stage::{End, eventually};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const VIRTUAL: &str = "0000:00:06.0";
const PEER: &str = "0000:00:07.0";
/// Addresses of the function, and of its peer.
const NEAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

const PATIENCE: Duration = Duration::from_secs(60);

/// Who has the physical function, and the other end of the cable.
struct Others {
    host: Mutex<Option<Running>>,
    peer: End,
    mac: MacAddr,
}

static OTHERS: LazyLock<Others> = LazyLock::new(|| {
    std::fs::create_dir_all("/var/run/netns").unwrap();
    let host = host::start(2);
    guest::bind(VIRTUAL, "vfio-pci").unwrap();
    let name = guest::interface_of(PEER).unwrap();
    let mac = std::fs::read_to_string(format!("/sys/class/net/{name}/address")).unwrap();
    let peer = End::new("peer", PEER, "198.51.100.2/24");
    peer.wait_for_link();
    let mac = mac.trim().parse().unwrap();
    Others { host: Mutex::new(Some(host)), peer, mac }
});

impl Others {
    fn host(&self) -> MutexGuard<'_, Option<Running>> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A datagram to the function, from a port.
    fn send(&self, device: &str, to: Ipv4Addr, mac: MacAddr, from: u16) {
        let words = format!("neigh replace {to} lladdr {mac} dev {device}");
        self.peer.netns.ip(&words).run().unwrap();
        let socket =
            self.peer.netns.inside(|| UdpSocket::bind(("0.0.0.0", from))).unwrap().unwrap();
        socket.send_to(&[7; 1000], (to, 7777)).unwrap();
    }
}

struct Ours {
    port: Port<Started>,
    queues: Queues,
    pool: MbufPool,
}

fn open() -> Port<Opened> {
    LazyLock::force(&OTHERS);
    let device = pci::open(VIRTUAL.parse().unwrap()).unwrap();
    Port::open(IxgbeVfPort::open(device, IxgbeVfOptions::new()).unwrap())
}

fn start(ask: impl FnOnce(PortConfig) -> PortConfig) -> Ours {
    let port = open();
    let pool = MbufPool::builder("packets").size(2047);
    let pool = match port.info().capabilities.iova {
        Some(mode) => pool.iova(mode),
        None => pool,
    };
    let pool = pool.build().unwrap();
    let port: Port<Configured> = port.configure(ask(PortConfig::new(&pool))).unwrap();
    let (port, queues) = port.start().unwrap();
    Ours { port, queues, pool }
}

impl Ours {
    fn mac(&self) -> MacAddr {
        self.port.info().mac
    }

    /// Datagrams that have come on a queue.
    fn received(&mut self, queue: usize) -> Vec<Mbuf> {
        let mut burst = Burst::with_limit(64);
        self.queues.rx[queue].receive(&mut burst);
        let all = burst.drain(64);
        all.filter(|one| one.data()[12..14] == [8, 0] && one.data()[23] == 17).collect()
    }

    /// The next datagram.
    fn next(&mut self) -> Mbuf {
        let mut found = None;
        eventually(|| {
            found = found.take().or_else(|| self.received(0).pop());
            found.is_some()
        });
        found.unwrap()
    }

    /// Datagrams come in.
    fn assert_receives(&mut self) {
        let mac = self.mac();
        OTHERS.send(&OTHERS.peer.name, NEAR, mac, 5000);
        self.next();
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_address_is_the_hosts_and_the_link_is_the_cards() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let mut port = open();
    let mac = port.info().mac;
    // DPDK makes up an address for each function when it starts, and keeps it.
    assert!(!mac.is_multicast() && mac.0 != [0; 6], "{mac}");
    eventually(|| port.link().unwrap().speed == Some(10_000));
    drop(port);
    assert_eq!(open().info().mac, mac);
    // Pools of two queues, as testpmd has set the card up.
    let can = open().info().capabilities.clone();
    assert_eq!((can.rx_queues, can.tx_queues), (2, 2));
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn datagrams_pass_both_ways_with_checksums_by_the_function() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let checks = RxOffloads::IP_CHECKSUM | RxOffloads::L4_CHECKSUM;
    let fills = TxOffloads::IP_CHECKSUM | TxOffloads::UDP_CHECKSUM;
    let mut ours = start(|config| config.rx_offloads(checks).tx_offloads(fills));
    let mac = ours.mac();
    let socket = OTHERS.peer.netns.inside(|| UdpSocket::bind((FAR, 9999))).unwrap().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    OTHERS.send(&OTHERS.peer.name, NEAR, mac, 5000);
    let got = ours.next();
    assert_eq!(got.data()[42..], [7; 1000]);
    assert_eq!(got.l4_checksum(), ChecksumStatus::Good);
    let frame = FrameBuilder::new(OTHERS.mac, mac).ipv4(NEAR, FAR).udp(7, 9999).payload(b"hello");
    let mut frame = frame.to_vec().unwrap();
    // Neither sum is there; the kernel takes no datagram whose sum is wrong.
    let flow = parse(&frame).outer.flow.unwrap();
    frame[24..26].fill(0);
    frame[40..42].copy_from_slice(&pseudo_sum(&flow, 13).to_be_bytes());
    let mut packet = ours.pool.alloc().unwrap();
    packet.extend(&ours.pool, &frame).unwrap();
    packet.request(TxRequest {
        l2_len: 14,
        l3_len: 20,
        l4_len: 8,
        ip_checksum: true,
        l4_checksum: L4Checksum::Udp,
        ..TxRequest::default()
    });
    let mut burst = Burst::new();
    burst.push(packet).unwrap();
    assert_eq!(ours.queues.tx[0].send(&mut burst), 1);
    let mut bytes = [0; 100];
    let (len, from) = socket.recv_from(&mut bytes).unwrap();
    assert_eq!((&bytes[..len], from.to_string().as_str()), (&b"hello"[..], "198.51.100.1:7"));
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn pings_of_the_kernels_are_answered_by_the_program() {
    if !needs(&[Need::Guest]) {
        return;
    }
    LazyLock::force(&OTHERS);
    OTHERS.peer.netns.ip("neigh flush all").run().unwrap();
    let mut running = Program::new("linecard")
        .args(["fwd", "--port", &format!("pci:{VIRTUAL}")])
        .words("--mode icmpecho --lcores 2")
        .within(Duration::from_secs(240))
        .spawn()
        .unwrap();
    running.wait_for("pps", PATIENCE).unwrap();
    let found = ping(&OTHERS.peer.netns, "198.51.100.1", 20).unwrap();
    assert!(found.is_lossless(), "{found:?}");
    let output = running.interrupt(PATIENCE).unwrap();
    // DPDK does not let functions of this card have frames for others.
    assert!(output.stderr.contains("only frames for its own address"), "{}", output.printed());
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn flows_are_spread_over_both_queues() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let mut ours = start(|config| config.rx_queues(2).tx_queues(2));
    let mac = ours.mac();
    (20_000..20_064).for_each(|port| OTHERS.send(&OTHERS.peer.name, NEAR, mac, port));
    let mut counts = [0, 0];
    eventually(|| {
        (0..2).for_each(|queue| counts[queue] += ours.received(queue).len());
        counts.iter().sum::<usize>() == 64
    });
    assert!(counts.iter().all(|count| *count > 8), "{counts:?}");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn what_the_host_refuses_is_an_error_that_says_so() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let mut ours = start(|config| config.rx_offloads(RxOffloads::SCATTER));
    let refused = ours.port.set_promiscuous(Promiscuous::On).unwrap_err().to_string();
    assert!(refused.contains("physical function refuses"), "{refused}");
    let refused = ours.port.set_mtu(9000).unwrap_err().to_string();
    assert!(refused.contains("physical function refuses"), "{refused}");
    assert_eq!(ours.port.mtu(), 1500);
    ours.assert_receives();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn another_address_is_taken_and_kept() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let mut ours = start(|config| config);
    let (before, mac) = (ours.mac(), MacAddr([2, 0, 0, 0, 0x56, 0x78]));
    ours.port.set_mac(mac).unwrap();
    ours.assert_receives();
    assert_eq!(ours.mac(), mac);
    ours.port.set_mac(before).unwrap();
    ours.assert_receives();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn frames_of_a_vlan_come_in_once_it_has_been_named() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let offloads = RxOffloads::VLAN_FILTER | RxOffloads::VLAN_STRIP;
    let mut ours = start(|config| config.rx_offloads(offloads));
    let mac = ours.mac();
    let there = Ipv4Addr::new(203, 0, 113, 1);
    let words = format!("link add link {} name tagged type vlan id 5", OTHERS.peer.name);
    OTHERS.peer.netns.ip(&words).run().unwrap();
    OTHERS.peer.netns.address("tagged", "203.0.113.2/24").unwrap();
    OTHERS.send("tagged", there, mac, 5001);
    // They come in order: the one behind it is there, and it is not.
    OTHERS.send(&OTHERS.peer.name, NEAR, mac, 5002);
    let got = ours.next();
    assert_eq!((got.vlan(), got.data()[34..36].to_vec()), (None, 5002u16.to_be_bytes().to_vec()));
    ours.port.set_vlan_filter(5, VlanFilter::Pass).unwrap();
    OTHERS.send("tagged", there, mac, 5003);
    let got = ours.next();
    assert_eq!(
        (got.vlan(), got.data()[34..36].to_vec()),
        (Some(5), 5003u16.to_be_bytes().to_vec())
    );
    ours.port.set_vlan_filter(5, VlanFilter::Drop).unwrap();
    OTHERS.peer.netns.ip("link del tagged").run().unwrap();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_queue_that_is_slept_on_wakes_for_a_frame() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let mut ours = start(|config| config);
    let mac = ours.mac();
    let epoll = Epoll::new().unwrap();
    epoll.add(ours.queues.rx[0].arm().unwrap().0, 1).unwrap();
    let mut wakes = [Wake::default()];
    OTHERS.send(&OTHERS.peer.name, NEAR, mac, 5000);
    let begin = Instant::now();
    // Other frames may wake it first.
    while ours.received(0).is_empty() {
        assert!(begin.elapsed() < PATIENCE, "no frame");
        assert!(!epoll.wait(&mut wakes, Some(PATIENCE)).unwrap().is_empty(), "nobody rang");
        ours.queues.rx[0].arm();
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_host_that_starts_anew_is_told_of_and_the_port_goes_on_after_a_restart() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let mut ours = start(|config| config);
    let mac = MacAddr([2, 0, 0, 0, 0x56, 0x79]);
    ours.port.set_mac(mac).unwrap();
    while ours.port.next_event().unwrap().is_some() {}
    let epoll = Epoll::new().unwrap();
    epoll.add(ours.port.events().unwrap(), 1).unwrap();
    let running = OTHERS.host().take().unwrap();
    running.interrupt(PATIENCE).unwrap();
    *OTHERS.host() = Some(host::start(2));
    let mut wakes = [Wake::default()];
    assert!(!epoll.wait(&mut wakes, Some(PATIENCE)).unwrap().is_empty(), "nobody rang");
    let mut told = Vec::new();
    eventually(|| {
        told.extend(ours.port.next_event().unwrap());
        told.contains(&Event::Reset)
    });
    let Ours { port, queues, pool } = ours;
    drop(queues);
    let (port, queues) = port.stop().unwrap().start().unwrap();
    let mut ours = Ours { port, queues, pool };
    OTHERS.peer.wait_for_link();
    assert_eq!(ours.mac(), mac);
    ours.assert_receives();
}
