//! A virtio-net device of QEMU's before a TAP of the host's kernel, which takes frames unfinished: offloads, several
//! queues and RSS, judged by QEMU and by that kernel.
//!
//! guest: iommu=intel, nodes=1, cpus=2, memory=768, hugepages=64, limit=200
//! network: ip link set lo up; echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
//! network: ip tuntap add lc0 mode tap multi_queue vnet_hdr
//! network: ip link set lc0 address 02:00:00:00:00:02 up; ip address add 198.51.100.2/24 dev lc0
//! network: ip neighbour add 198.51.100.1 lladdr 52:54:00:00:00:05 dev lc0 nud permanent
//! guest: netdev=tap,id=n0,ifname=lc0,queues=2,script=no,downscript=no,vhost=off
//! guest: device=virtio-net-pci,id=nic0,netdev=n0,addr=5,disable-legacy=on,iommu_platform=on,packed=on,mq=on,vectors=6,rss=on,hash=on,mac=52:54:00:00:00:05
//! guest: modules=tun+virtio_pci, carried=vfio-pci, programs=ip+ping+iperf3
//! guest: built=linecard/bin/linecard
//! host: iperf3 --server
//! host: busybox nc -ll -p 7000 -e cat
//! host: busybox nc -ll -p 7001 -e cat /proc/net/dev /proc/net/snmp

#[expect(dead_code, reason = "this file needs a part of it")]
#[path = "guest_ends/mod.rs"]
mod ends;

use ends::{End, PATIENCE, tcp_checksum_errors};
use linecard::eal::pci;
use linecard::mbuf::{Burst, MbufPool};
use linecard::net::header::TcpFlags;
use linecard::net::rss::{RssKey, RssTypes, ToeplitzKey, rss_v4};
use linecard::net::{FrameBuilder, MacAddr, parse};
use linecard::pmd::{Port, PortConfig, Queues, RssConfig, RxOffloads};
use linecard::virtio::{Choice, PciOptions, RingOptions, VirtioPort};
use linecard_testbed::programs::{Program, Running};
use linecard_testbed::{Need, guest, needs};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::{Duration, Instant};

const NIC: &str = "0000:00:05.0";
const OUR_MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 5]);
const HOST_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const OURS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// Where the host's kernel has nobody listen: it resets each connection.
const CLOSED: u16 = 9;
/// Fewer frames than this have carried so many bytes, if they were not cut.
const fn uncut(bytes: u64) -> u64 {
    bytes / 1448 / 2
}

fn take() {
    if guest::driver_of(NIC).as_deref() != Some("vfio-pci") {
        guest::load_module("vfio-pci").unwrap();
        guest::bind(NIC, "vfio-pci").unwrap();
    }
}

/// The guest's own stack behind the card: a TAP, and a forwarder between.
struct Stack {
    end: End,
    fwd: Running,
}

impl Stack {
    fn behind(keys: &str, words: &str) -> Self {
        take();
        let mut fwd = Program::new("linecard")
            .words(&format!("fwd --offloads pass --port pci:{NIC}{keys} {words}"))
            .within(Duration::from_secs(150))
            .spawn()
            .unwrap();
        fwd.wait_for("pps", PATIENCE).unwrap();
        // The host is told where we are.
        Program::new("ip").words(&format!("link set lc0 address {OUR_MAC}")).run().unwrap();
        let end = End::new("lc0", "198.51.100.1/24");
        end.assert_answered(&HOST.to_string());
        Stack { end, fwd }
    }

    fn stop(self) {
        let said = self.fwd.interrupt(PATIENCE).unwrap();
        assert!(said.status.success() && said.stdout.contains(" 0 leaked"), "{}", said.printed());
    }

    fn connect(&self, port: u16) -> TcpStream {
        let address = (HOST, port).into();
        let connect = || TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        let stream = self.end.netns.inside(connect).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes to a program of the host's, which sends them back.
    fn assert_echoed(&self, bytes: usize) {
        let all: Vec<u8> = (0..bytes).map(|at| (at * 7 + at / 251) as u8).collect();
        let mut stream = self.connect(7000);
        let mut back = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (&stream).write_all(&all).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            });
            (&mut &stream).take(bytes as u64).read_to_end(&mut back).unwrap();
        });
        assert!(back == all, "{} of {bytes} bytes came back, or others", back.len());
        stream.flush().unwrap();
    }

    /// What the host's kernel counts: frames from us and to us, and wrong checksums of TCP.
    fn host(&self) -> (u64, u64, u64) {
        let mut said = String::new();
        self.connect(7001).read_to_string(&mut said).unwrap();
        let line = said.lines().find_map(|line| line.trim().strip_prefix("lc0:"));
        let numbers: Vec<u64> =
            line.expect(&said).split_whitespace().map(|n| n.parse().unwrap()).collect();
        (numbers[1], numbers[9], tcp_checksum_errors(&said))
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn large_tcp_passes_uncut_both_ways_to_the_hosts_kernel_and_unchanged() {
    if !needs(&[Need::Guest]) {
        return;
    }
    const BYTES: u64 = 8_000_000;
    for keys in [",packed=0", ",packed=1"] {
        let stack = Stack::behind(keys, "--port tap:name=lc0");
        let (from, to, _) = stack.host();
        stack.assert_echoed(BYTES as usize);
        let (now_from, now_to, errors) = stack.host();
        assert!(now_from - from < uncut(BYTES), "{} frames from us", now_from - from);
        assert!(now_to - to < uncut(BYTES), "{} frames to us", now_to - to);
        assert_eq!((errors, stack.end.checksum_errors()), (0, 0));
        let sent = stack.end.send_to(&HOST.to_string(), BYTES);
        assert!(sent.bytes > BYTES / 2, "{sent:?}");
        stack.stop();
    }
}

/// Frames that the kernel finished itself: it checks each that it gets.
#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn tcp_passes_over_two_queues() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let stack = Stack::behind(",queues=2", "--port tap:name=lc0,queues=2 --rxq 2");
    stack.assert_echoed(4_000_000);
    let words = format!("--client {HOST} --bytes 2M --parallel 4");
    stack.end.netns.program("iperf3").words(&words).run().unwrap();
    let (_, _, errors) = stack.host();
    assert_eq!((errors, stack.end.checksum_errors()), (0, 0));
    stack.stop();
}

/// A connection's first frame, which the host's kernel answers with a reset.
fn knock(from: u16) -> Vec<u8> {
    let frame = FrameBuilder::new(HOST_MAC, OUR_MAC).ipv4(OURS, HOST);
    frame.tcp(from, CLOSED, TcpFlags::SYN).to_vec().unwrap()
}

/// Knocks from each port, and collects on which queue the answer came, and with which hash.
fn answers(
    queues: &mut Queues,
    pool: &MbufPool,
    ports: std::ops::Range<u16>,
) -> Vec<(u16, usize, Option<u32>)> {
    let mut all = Vec::new();
    for port in ports {
        let mut packet = pool.alloc().unwrap();
        packet.extend(pool, &knock(port)).unwrap();
        let mut burst = Burst::new();
        burst.push(packet).unwrap();
        assert_eq!(queues.tx[usize::from(port % 2)].send(&mut burst), 1);
        let start = Instant::now();
        let answer = loop {
            assert!(start.elapsed() < PATIENCE, "no answer to port {port}");
            let mut burst = Burst::new();
            let queue = queues.rx.iter_mut().position(|rx| rx.receive(&mut burst) > 0);
            let Some(queue) = queue else { continue };
            let meant = burst.iter().find(|packet| {
                parse(packet.data()).outer.flow.is_some_and(|flow| flow.ports() == (CLOSED, port))
            });
            if let Some(packet) = meant {
                break (port, queue, packet.rss_hash());
            }
        };
        all.push(answer);
    }
    all
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn flows_land_where_the_toeplitz_hash_says_and_the_hash_comes_along() {
    if !needs(&[Need::Guest]) {
        return;
    }
    take();
    let key: Vec<u8> = (0..40u32).map(|at| (at * 37 + 11) as u8).collect();
    let toeplitz = ToeplitzKey::new(&RssKey::new(&key).unwrap());
    // Not in turn, so that no other rule gives the same.
    let table = vec![0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1];
    for packed in [Choice::Off, Choice::On] {
        let rings = RingOptions { packed, ..RingOptions::default() };
        let device = pci::open(NIC.parse().unwrap()).unwrap();
        let options = PciOptions::new().name("virtio0").rings(rings);
        let port = Port::open(VirtioPort::pci(device, options).unwrap());
        let pool = MbufPool::builder("guest").size(2047).cache(0).build().unwrap();
        let types = RssTypes::IPV4_TCP;
        let rss =
            RssConfig { key: Some(key.clone()), table: table.clone(), ..RssConfig::over(types) };
        let config = PortConfig::new(&pool).rx_queues(2).tx_queues(2).rss(rss);
        let config = config.rx_offloads(RxOffloads::RSS_HASH);
        let (port, mut queues) = port.configure(config).unwrap().start().unwrap();
        let all = answers(&mut queues, &pool, 5000..5064);
        for (port, queue, told) in &all {
            let hash = rss_v4(&toeplitz, HOST, OURS, CLOSED, *port);
            assert_eq!(*told, Some(hash), "port {port}");
            assert_eq!(*queue, usize::from(table[hash as usize % table.len()]), "port {port}");
        }
        let on_first = all.iter().filter(|(_, queue, _)| *queue == 0).count();
        assert!((8..=56).contains(&on_first), "{on_first} of 64 on the first queue");
        drop((queues, port));
        assert_eq!(pool.in_use(), 0);
    }
}
