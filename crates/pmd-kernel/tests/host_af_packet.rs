//! AF_PACKET ports on veth pairs.

#[path = "workbench/cable.rs"]
mod cable;
mod workbench;

use cable::Cable;
use linecard_mbuf::{Burst, ChecksumStatus, MbufPool, Segmentation};
use linecard_net::checksum::{Status, verify_l4};
use linecard_net::{MacAddr, parse};
use linecard_pmd_core::conformance::{self, Bed, Wire};
use linecard_pmd_core::{
    AllMulticast, Error, Event, LinkState, Opened, Port, PortConfig, Promiscuous, Queues,
    RxOffloads, Started,
};
use linecard_pmd_kernel::{AfPacketOptions, AfPacketPort, Fanout, Qdisc, RxRing};
use linecard_testbed::netns::{Netns, Veth};
use linecard_testbed::programs::capture::{Capture, tshark_complaints, tshark_fields};
use linecard_testbed::programs::iperf::{self, Load, Server};
use linecard_testbed::programs::ping;
use linecard_testbed::{Need, needs};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::Instant;
use workbench::{Joined, PATIENCE, bytes, packet, pool, receive, reflect, start, with_offloads};

impl Cable {
    /// The far end's name.
    fn other(&self) -> &str {
        self.veth.second()
    }

    fn options(&self) -> AfPacketOptions {
        AfPacketOptions::new(self.veth.first())
    }

    fn start(&self, options: AfPacketOptions, config: PortConfig) -> (Port<Started>, Queues) {
        self.start_port(|| AfPacketPort::open(options).expect("an interface"), config)
    }
}

/// A cable at whose other end everything comes back.
struct Mirror {
    options: AfPacketOptions,
    largest: usize,
}

impl Bed for Mirror {
    fn open(&mut self) -> Port<Opened> {
        Port::open(AfPacketPort::open(self.options.clone()).expect("an interface"))
    }

    fn wire(&self) -> Wire {
        Wire::Loop
    }

    fn largest_frame(&self) -> usize {
        self.largest
    }
}

fn keeps_every_promise(change: impl Fn(AfPacketOptions) -> AfPacketOptions) {
    if !needs(&[Need::Root, Need::Tool("tc")]) {
        return;
    }
    let cable = Cable::lay();
    reflect(&cable.far, cable.other());
    let mut mirror = Mirror { options: change(cable.options()), largest: 1514 };
    cable.near.inside(|| conformance::run(&mut mirror)).expect("inside");
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_port_with_a_ring_of_frames_keeps_every_promise() {
    keeps_every_promise(|options| options.rx_ring(RxRing::Frames));
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_port_with_a_ring_of_blocks_keeps_every_promise() {
    keeps_every_promise(|options| options.rx_ring(RxRing::Blocks));
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_port_behind_the_queueing_discipline_keeps_every_promise() {
    keeps_every_promise(|options| options.qdisc(Qdisc::Pass));
}

/// Two stations, each with a cable to a namespace in which two ports are joined.
struct Between {
    left: Netns,
    right: Netns,
    inner: Veth,
    _outer: Veth,
    _middle: Netns,
    joined: Joined,
}

fn between(ring: RxRing, configure: fn(&MbufPool) -> PortConfig) -> Option<Between> {
    if !needs(&[Need::Root, Need::Tool("ping"), Need::Tool("iperf3")]) {
        return None;
    }
    let pool = pool(16383);
    let [left, middle, right] = ["left", "middle", "right"].map(|n| Netns::new(n).expect("one"));
    let outer = Veth::between(&left, &middle).expect("a cable");
    let inner = Veth::between(&right, &middle).expect("a cable");
    left.address(outer.first(), "198.51.100.1/24").expect("an address");
    right.address(inner.first(), "198.51.100.2/24").expect("an address");
    let port = |name: &str| {
        let options = AfPacketOptions::new(name).rx_ring(ring);
        start(AfPacketPort::open(options).expect("an interface"), configure(&pool))
    };
    let ports = middle.inside(|| [port(outer.second()), port(inner.second())]).expect("inside");
    let joined = Joined::new(ports);
    Some(Between { left, right, inner, _outer: outer, _middle: middle, joined })
}

/// Pings, and sends TCP, whose frames the stations neither sum up nor cut: the ports must.
fn tcp_passes(ring: RxRing, configure: fn(&MbufPool) -> PortConfig, least: f64) {
    let Some(bed) = between(ring, configure) else { return };
    assert!(ping(&bed.left, "198.51.100.2", 5).expect("ping runs").is_lossless());
    let _server = Server::start(&bed.right).expect("iperf3 serves");
    let sent = iperf::send(&bed.left, "198.51.100.2", Load::Tcp, 1).expect("iperf3 sends");
    assert!(sent.bits_per_second > least, "{sent:?}");
    for port in &bed.joined.ports {
        let stats = port.stats();
        assert_eq!((stats.rx_errors, stats.tx_errors), (0, 0), "{stats:?}");
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn ping_and_tcp_pass_through_rings_of_frames() {
    tcp_passes(RxRing::Frames, PortConfig::new, 1e6);
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn ping_and_tcp_pass_through_rings_of_blocks() {
    tcp_passes(RxRing::Blocks, PortConfig::new, 1e6);
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn large_tcp_frames_pass_through_rings_of_frames() {
    tcp_passes(RxRing::Frames, |pool| with_offloads(PortConfig::new(pool)), 1e6);
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn large_tcp_frames_pass_through_rings_of_blocks() {
    tcp_passes(RxRing::Blocks, |pool| with_offloads(PortConfig::new(pool)), 1e6);
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn checksums_are_right_behind_the_ports() {
    let Some(bed) = between(RxRing::Frames, PortConfig::new) else { return };
    if !needs(&[Need::Tool("tcpdump"), Need::Tool("tshark")]) {
        return;
    }
    let file = std::env::temp_dir().join(format!("linecard-{}.pcap", std::process::id()));
    // Towards the station only: what it sends itself has no checksum yet.
    let filter = "src host 198.51.100.1";
    let capture = Capture::start(&bed.right, bed.inner.first(), filter, &file).expect("a capture");
    let _server = Server::start(&bed.right).expect("iperf3 serves");
    // As many packets on a fast machine as on a slow one: tshark reads each of them.
    let load = Load::TcpBytes { bytes: 4 << 20 };
    iperf::send(&bed.left, "198.51.100.2", load, 1).expect("iperf3 sends");
    iperf::send(&bed.left, "198.51.100.2", Load::Udp { megabits: 20 }, 1).expect("iperf3 sends");
    let captured = capture.stop().expect("it ends");
    let complaints = tshark_complaints(&file).expect("tshark reads");
    // 1 is "good": that nothing is bad could also mean that nothing was looked at.
    let fields = ["tcp.checksum.status", "udp.checksum.status"];
    let statuses = tshark_fields(&file, "tcp or udp", &fields).expect("tshark reads");
    std::fs::remove_file(&file).expect("it was there");
    assert!(captured.packets > 1000, "{captured:?}");
    let good = statuses.iter().filter(|row| row.concat() == "1").count();
    assert_eq!((good, statuses.len() > 1000), (statuses.len(), true), "good, of all");
    let wrong: Vec<_> = complaints.iter().filter(|c| c.contains("hecksum")).collect();
    assert!(wrong.is_empty(), "{} of {}: {:?}", wrong.len(), captured.packets, wrong[0]);
}

/// A datagram from the far end, whose checksum nobody has computed yet.
fn unfinished(cable: &Cable, payload: usize) {
    let send = || {
        let socket = UdpSocket::bind("198.51.100.2:7").expect("a socket");
        socket.send_to(&vec![0x5A; payload], "198.51.100.1:9").expect("it is sent");
    };
    cable.far.inside(send).expect("inside");
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn an_unfinished_checksum_is_completed_unless_it_was_asked_for() {
    if !needs(&[Need::Root]) {
        return;
    }
    let (cable, pool) = (Cable::lay(), pool(1023));
    cable.far.address(cable.other(), "198.51.100.2/24").expect("an address");
    let neighbour =
        format!("neigh replace 198.51.100.1 lladdr 02:00:00:00:00:01 dev {}", cable.other());
    cable.far.ip(&neighbour).run().expect("ip obeys");
    let is_udp = |p: &linecard_mbuf::Mbuf| parse(p.data()).outer.l4_len() == 8;
    let status = |p: &linecard_mbuf::Mbuf| verify_l4(p.data(), &parse(p.data()).outer);
    let (port, mut queues) = cable.start(cable.options(), PortConfig::new(&pool));
    unfinished(&cable, 333);
    let got = receive(&mut *queues.rx[0], is_udp).expect("a datagram");
    assert_eq!((status(&got), got.l4_checksum()), (Status::Good, ChecksumStatus::Unknown));
    drop((port, queues));
    let config = PortConfig::new(&pool).rx_offloads(RxOffloads::L4_CHECKSUM);
    let (_port, mut queues) = cable.start(cable.options(), config);
    unfinished(&cable, 333);
    let got = receive(&mut *queues.rx[0], is_udp).expect("a datagram");
    assert_eq!((status(&got), got.l4_checksum()), (Status::Bad, ChecksumStatus::Intact));
    let request = got.tx_request().expect("it asks for its checksum");
    assert_eq!((request.l2_len, request.l3_len, request.l4_len), (14, 20, 8));
}

/// Three datagrams from the far end, in one frame that nobody has cut yet.
fn large_datagrams(cable: &Cable) {
    let send = || {
        let socket = UdpSocket::bind("198.51.100.2:7").expect("a socket");
        let segment = SEGMENT;
        let (at, len) = ((&raw const segment).cast(), size_of_val(&segment) as u32);
        // SAFETY: a number of the length that is said, which outlives the call.
        let set = unsafe {
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, at, len)
        };
        assert_eq!(set, 0, "UDP_SEGMENT, since Linux 4.18");
        let payload = vec![0x5A; 3 * SEGMENT as usize];
        socket.send_to(&payload, "198.51.100.1:9").expect("it is sent");
    };
    cable.far.inside(send).expect("inside");
}

/// Bytes of each.
const SEGMENT: libc::c_int = 600;

#[test]
#[ignore = "host level: cargo xtask test host"]
fn large_udp_is_cut_unless_it_was_asked_for_whatever_is_asked_of_tcp() {
    if !needs(&[Need::Root]) {
        return;
    }
    let (cable, pool) = (Cable::lay(), pool(1023));
    cable.far.address(cable.other(), "198.51.100.2/24").expect("an address");
    let neighbour =
        format!("neigh replace 198.51.100.1 lladdr 02:00:00:00:00:01 dev {}", cable.other());
    cable.far.ip(&neighbour).run().expect("ip obeys");
    let is_udp = |p: &linecard_mbuf::Mbuf| parse(p.data()).outer.l4_len() == 8;
    let both = RxOffloads::L4_CHECKSUM | RxOffloads::SCATTER;
    for (large, frames, len) in [(RxOffloads::LRO, 3, 600), (RxOffloads::LARGE_UDP, 1, 1800)] {
        let config = PortConfig::new(&pool).rx_offloads(both | large);
        let (_port, mut queues) = cable.start(cable.options(), config);
        large_datagrams(&cable);
        for _ in 0..frames {
            let got = receive(&mut *queues.rx[0], is_udp).expect("a datagram");
            let cut = got.tx_request().map(|request| request.segmentation);
            let expected = (frames == 1).then_some(Segmentation::Udp(600));
            assert_eq!((got.len(), cut), (42 + len, expected));
        }
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn frames_larger_than_a_slot_pass_whole() {
    if !needs(&[Need::Root, Need::Tool("tc")]) {
        return;
    }
    for ring in [RxRing::Frames, RxRing::Blocks] {
        let (cable, pool) = (Cable::lay(), pool(2047));
        cable.near.mtu(cable.veth.first(), 65_000).expect("ip obeys");
        cable.far.mtu(cable.other(), 65_000).expect("ip obeys");
        reflect(&cable.far, cable.other());
        let config = PortConfig::new(&pool).rx_offloads(RxOffloads::SCATTER);
        let (port, mut queues) = cable.start(cable.options().rx_ring(ring), config);
        for len in [60, 1514, 2047, 2048, 2049, 9014, 16_300, 16_400, 40_000, 65_014] {
            let mut frame: Vec<u8> = (0..len).map(|i| ((i * 7) >> 3) as u8).collect();
            frame[..14].copy_from_slice(b"\xFF\xFF\xFF\xFF\xFF\xFF\x02lc\0\0\x01\x88\xB5");
            let mut burst = Burst::new();
            burst.push(packet(&pool, &frame)).expect("room");
            assert_eq!(queues.tx[0].send(&mut burst), 1);
            let back = receive(&mut *queues.rx[0], |p| p.data()[12..14] == [0x88, 0xB5]);
            let back = back.unwrap_or_else(|| panic!("{len} bytes, {ring:?}: {:?}", port.stats()));
            assert!(bytes(&back) == frame, "{len} bytes, {ring:?}");
        }
        let mut burst = Burst::new();
        burst.push(packet(&pool, &vec![0; 65_019])).expect("room");
        assert_eq!(queues.tx[0].send(&mut burst), 1, "taken, as it never will go");
        assert_eq!(port.stats().tx_errors, 1);
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_tag_is_put_back_or_told_of() {
    if !needs(&[Need::Root]) {
        return;
    }
    for ring in [RxRing::Frames, RxRing::Blocks] {
        let (cable, pool) = (Cable::lay(), pool(1023));
        let far = AfPacketOptions::new(cable.other());
        let open = || start(AfPacketPort::open(far).expect("an interface"), PortConfig::new(&pool));
        let (_far, mut far) = cable.far.inside(open).expect("inside");
        let config =
            PortConfig::new(&pool).rx_offloads(RxOffloads::VLAN_STRIP | RxOffloads::TIMESTAMP);
        let (mut port, mut near) = cable.start(cable.options().rx_ring(ring), config);
        let mut send = |insert: bool| {
            let mut burst = Burst::new();
            let mut frame =
                b"\xFF\xFF\xFF\xFF\xFF\xFF\x02lc\0\0\x01\x81\x00\x60\x05\x88\xB5".to_vec();
            frame.resize(64, 3);
            if insert {
                frame.drain(12..16);
            }
            let mut packet = packet(&pool, &frame);
            if insert {
                packet.insert_vlan(0x6005);
            }
            burst.push(packet).expect("room");
            assert_eq!(far.tx[0].send(&mut burst), 1);
        };
        for insert in [false, true] {
            send(insert);
            let got = receive(&mut *near.rx[0], |p| p.data()[12..14] == [0x88, 0xB5]);
            let got = got.expect("without its tag");
            assert_eq!((got.vlan(), got.len()), (Some(0x6005), 60));
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            let ago = (now.as_nanos() as u64).checked_sub(got.timestamp().expect("a time"));
            assert!(ago.is_some_and(|ago| ago < 5_000_000_000), "{ago:?}");
        }
        port.set_vlan_strip(linecard_pmd_core::VlanStrip::Off).expect("it can");
        send(true);
        let got =
            receive(&mut *near.rx[0], |p| p.data()[12..14] == [0x81, 0]).expect("with its tag");
        assert_eq!(
            (got.vlan(), got.len(), &got.data()[14..18]),
            (None, 64, &[0x60, 5, 0x88, 0xB5][..])
        );
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn every_fanout_spreads_each_frame_to_one_queue() {
    if !needs(&[Need::Root, Need::Tool("tc")]) {
        return;
    }
    use Fanout::{Cpu, Hash, LoadBalance, QueueMapping, Random, Rollover};
    let (cable, pool) = (Cable::lay(), pool(4095));
    reflect(&cable.far, cable.other());
    for fanout in [Hash, LoadBalance, Cpu, Rollover, Random, QueueMapping] {
        let config = PortConfig::new(&pool).rx_queues(2);
        let options = cable.options().queues(2).fanout(fanout);
        let (_port, mut queues) = cable.start(options, config);
        let mut got = [0; 2];
        let begin = Instant::now();
        for flow in 0..200u8 {
            let mut burst = Burst::new();
            burst.push(packet(&pool, &udp(flow))).expect("room");
            assert_eq!(queues.tx[0].send(&mut burst), 1);
        }
        while got[0] + got[1] < 200 && begin.elapsed() < PATIENCE {
            for (n, rx) in got.iter_mut().zip(&mut queues.rx) {
                *n += rx.receive(&mut Burst::new());
            }
        }
        assert_eq!(got[0] + got[1], 200, "{fanout:?}: {got:?}");
        let both = got[0] > 20 && got[1] > 20;
        let spreads = matches!(fanout, Hash | LoadBalance | Random);
        assert!(both || !spreads, "{fanout:?}: {got:?}");
    }
}

/// A datagram of a flow of its own.
fn udp(flow: u8) -> Vec<u8> {
    let mut frame = b"\xFF\xFF\xFF\xFF\xFF\xFF\x02lc\0\0\x01\x08\x00".to_vec();
    frame.extend(b"\x45\0\0\x2E\0\0\0\0\x40\x11\0\0\xC6\x33\x64\x01\xC6\x33\x64\x02");
    frame.extend([0x10, flow, 0x20, 0x00, 0, 26, 0, 0]);
    frame.resize(60, 0);
    frame
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_port_works_again_when_its_interface_is_up_again_and_tells_when_it_is_gone() {
    if !needs(&[Need::Root, Need::Tool("tc")]) {
        return;
    }
    let (cable, pool) = (Cable::lay(), pool(1023));
    reflect(&cable.far, cable.other());
    let (mut port, mut queues) = cable.start(cable.options(), PortConfig::new(&pool));
    workbench::wakes(&mut queues, &pool);
    port.set_link(LinkState::Down).expect("it goes down");
    assert!(!port.link().expect("a link").is_up());
    let mut burst = Burst::new();
    burst.push(packet(&pool, &udp(1))).expect("room");
    queues.tx[0].send(&mut burst);
    assert_eq!(queues.rx[0].receive(&mut burst), 0);
    drop(burst);
    assert_eq!(port.next_event().expect("events"), None, "what we did is no event");
    cable.near.up(cable.veth.first()).expect("ip obeys");
    let begin = Instant::now();
    let up = loop {
        match port.next_event().expect("events") {
            Some(Event::Link(link)) if link.is_up() => break true,
            _ if begin.elapsed() > PATIENCE => break false,
            _ => {}
        }
    };
    assert!(up, "it came up and was not told of");
    assert_eq!(port.link().expect("a link").speed, Some(10_000));
    workbench::wakes(&mut queues, &pool);
    let delete = format!("link delete {}", cable.veth.first());
    cable.near.ip(&delete).run().expect("ip obeys");
    let begin = Instant::now();
    while port.next_event().expect("events") != Some(Event::Gone) {
        assert!(begin.elapsed() < PATIENCE, "it is gone, and was not told of");
    }
    assert!(matches!(port.set_mtu(1400), Err(Error::Gone { .. })));
    let mut burst = Burst::new();
    assert_eq!(queues.rx[0].receive(&mut burst), 0);
    port.stop().expect("a port that is gone stops");
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn the_interface_is_asked_for_what_the_port_is_and_no_longer() {
    if !needs(&[Need::Root]) {
        return;
    }
    let (cable, pool) = (Cable::lay(), pool(255));
    let shown = || {
        let show = format!("-d link show {}", cable.veth.first());
        cable.near.ip(&show).run().expect("ip obeys").stdout
    };
    let options = cable.options().promiscuous(Promiscuous::On);
    let (mut port, queues) = cable.start(options, PortConfig::new(&pool));
    assert!(shown().contains("promiscuity 1"), "{}", shown());
    port.set_promiscuous(Promiscuous::Off).expect("it can");
    port.set_all_multicast(AllMulticast::On).expect("it can");
    assert!(shown().contains("promiscuity 0") && shown().contains("allmulti 1"), "{}", shown());
    let mac = MacAddr([2, 0, 0, 0, 0, 0x77]);
    port.add_mac(mac).expect("it can");
    assert!(port.add_mac(mac).is_err(), "twice");
    port.remove_mac(mac).expect("it can");
    assert!(port.remove_mac(mac).is_err(), "and it is not there");
    port.set_promiscuous(Promiscuous::On).expect("it can");
    drop((port, queues));
    assert!(shown().contains("promiscuity 0") && shown().contains("allmulti 0"), "{}", shown());
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn frames_that_find_no_room_are_counted_as_missed() {
    if !needs(&[Need::Root, Need::Tool("tc")]) {
        return;
    }
    for ring in [RxRing::Frames, RxRing::Blocks] {
        let (cable, pool) = (Cable::lay(), pool(8191));
        reflect(&cable.far, cable.other());
        let config = PortConfig::new(&pool).rx_descriptors(64);
        let (port, mut queues) = cable.start(cable.options().rx_ring(ring), config);
        for _ in 0..200 {
            let mut burst = Burst::new();
            (0..32).for_each(|i| burst.push(packet(&pool, &udp(i))).expect("room"));
            while !burst.is_empty() {
                queues.tx[0].send(&mut burst);
            }
        }
        let begin = Instant::now();
        let mut got = 0;
        while got + port.stats().rx_missed < 6400 && begin.elapsed() < PATIENCE {
            got += queues.rx[0].receive(&mut Burst::with_limit(64)) as u64;
        }
        let stats = port.stats();
        assert!(stats.rx_missed > 0, "{stats:?}");
        assert_eq!(got + stats.rx_missed, 6400, "{ring:?}: {stats:?}");
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn wrong_options_are_refused_with_what_to_do() {
    if !needs(&[Need::Root]) {
        return;
    }
    let cable = Cable::lay();
    let refusal = |options| {
        let opened = cable.near.inside(|| AfPacketPort::open(options)).expect("inside");
        opened.expect_err("a refusal").to_string()
    };
    assert!(refusal(AfPacketOptions::new("nothing0")).contains("ip link"));
    assert!(refusal(AfPacketOptions::new("a-name-that-is-too-long")).contains("15"));
    assert!(refusal(cable.options().queues(0)).contains("256"));
    let open = || AfPacketPort::open(cable.options()).expect("an interface");
    let port = Port::open(cable.near.inside(open).expect("inside"));
    let port = port.configure(PortConfig::new(&pool(63))).expect("configured");
    let elsewhere = port.start().expect_err("this is another namespace");
    assert!(elsewhere.to_string().contains("namespace"), "{elsewhere}");
}
