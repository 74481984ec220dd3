//! AF_XDP ports on veth pairs.

#[path = "workbench/cable.rs"]
mod cable;
#[expect(dead_code, reason = "each file of tests uses a part of it")]
mod workbench;

use cable::Cable;
use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::conformance::{self, Bed, Wire};
use linecard_pmd_core::{Event, LinkState, Opened, Port, PortConfig, Queues, Started};
use linecard_pmd_kernel::{AfPacketOptions, AfPacketPort, AfXdpOptions, AfXdpPort, XdpHook};
use linecard_testbed::netns::{Netns, Veth};
use linecard_testbed::programs::iperf::{self, Load, Server};
use linecard_testbed::programs::{Program, ping};
use linecard_testbed::{Need, needs};
use std::time::Instant;
use workbench::{Joined, PATIENCE, bytes, forward, packet, pool, receive, reflect, start};

impl Cable {
    fn options(&self) -> AfXdpOptions {
        AfXdpOptions::new(self.veth.first())
    }

    fn start(&self, options: AfXdpOptions, config: PortConfig) -> (Port<Started>, Queues) {
        self.start_port(|| AfXdpPort::open(options).expect("an interface"), config)
    }

    /// A port at whose other end everything comes back.
    fn mirrored(&self, pool: &MbufPool) -> (Port<Started>, Queues) {
        reflect(&self.far, self.veth.second());
        self.start(self.options(), PortConfig::new(pool))
    }

    /// Has the far end give back what it gets by a port there: programs behind a driver do not see
    /// frames that the kernel has turned around itself.
    fn echo(&self) -> Joined<1> {
        let pool = pool(4095);
        let open = || AfPacketPort::open(AfPacketOptions::new(self.veth.second()));
        let run = || start(open().expect("an interface"), PortConfig::new(&pool));
        let (port, mut queues) = self.far.inside(run).expect("inside");
        Joined::turning([port], move || forward(&mut *queues.rx[0], &mut *queues.tx[0]))
    }

    /// What `ip` says of the interface.
    fn described(&self) -> String {
        let words = format!("-details link show {}", self.veth.first());
        self.near.program("ip").words(&words).run().expect("ip answers").stdout
    }
}

/// A cable at whose other end everything comes back.
struct Mirror(AfXdpOptions);

impl Bed for Mirror {
    fn open(&mut self) -> Port<Opened> {
        Port::open(AfXdpPort::open(self.0.clone()).expect("an interface"))
    }

    fn wire(&self) -> Wire {
        Wire::Loop
    }
}

fn keeps_every_promise(hook: XdpHook) {
    if !needs(&[Need::Root, Need::Tool("tc")]) {
        return;
    }
    let cable = Cable::lay();
    let _echo = (hook == XdpHook::Generic).then(|| cable.echo());
    if hook == XdpHook::Native {
        reflect(&cable.far, cable.veth.second());
    }
    let mut mirror = Mirror(cable.options().hook(hook));
    cable.near.inside(|| conformance::run(&mut mirror)).expect("inside");
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_port_in_the_driver_keeps_every_promise() {
    keeps_every_promise(XdpHook::Native);
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_port_behind_the_driver_keeps_every_promise() {
    keeps_every_promise(XdpHook::Generic);
}

/// Two stations, each with a cable to a namespace in which two ports are joined. The stations finish
/// their frames, as a wire wants them.
struct Between {
    left: Netns,
    right: Netns,
    _cables: [Veth; 2],
    _middle: Netns,
    joined: Joined,
}

fn between(hook: XdpHook) -> Option<Between> {
    let tools = ["ping", "iperf3", "ethtool"].map(Need::Tool);
    if !needs(&[Need::Root]) || !needs(&tools) {
        return None;
    }
    let pool = pool(16383);
    let [left, middle, right] = ["left", "middle", "right"].map(|n| Netns::new(n).expect("one"));
    let outer = Veth::between(&left, &middle).expect("a cable");
    let inner = Veth::between(&right, &middle).expect("a cable");
    for (station, name, address) in
        [(&left, outer.first(), "198.51.100.1/24"), (&right, inner.first(), "198.51.100.2/24")]
    {
        station.address(name, address).expect("an address");
        station.plain(name).expect("ethtool obeys");
    }
    let port = |name: &str| {
        let options = AfXdpOptions::new(name).hook(hook);
        start(AfXdpPort::open(options).expect("an interface"), PortConfig::new(&pool))
    };
    let ports = middle.inside(|| [port(outer.second()), port(inner.second())]).expect("inside");
    let joined = Joined::new(ports);
    Some(Between { left, right, _cables: [outer, inner], _middle: middle, joined })
}

fn tcp_passes(hook: XdpHook) {
    let Some(bed) = between(hook) else { return };
    assert!(ping(&bed.left, "198.51.100.2", 5).expect("ping runs").is_lossless());
    let _server = Server::start(&bed.right).expect("iperf3 serves");
    let sent = iperf::send(&bed.left, "198.51.100.2", Load::Tcp, 1).expect("iperf3 sends");
    assert!(sent.bits_per_second > 1e6, "{sent:?}");
    for port in &bed.joined.ports {
        let stats = port.stats();
        assert_eq!((stats.rx_errors, stats.tx_errors), (0, 0), "{stats:?}");
        assert!(stats.rx_packets > 100, "{stats:?}");
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn ping_and_tcp_pass_through_two_ports_in_the_driver() {
    tcp_passes(XdpHook::Native);
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn ping_and_tcp_pass_through_two_ports_behind_the_driver() {
    tcp_passes(XdpHook::Generic);
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn packets_that_cannot_be_lent_are_copied_and_all_buffers_come_home() {
    if !needs(&[Need::Root, Need::Tool("tc")]) {
        return;
    }
    let (cable, own, other) = (Cable::lay(), pool(4095), pool(511));
    let small = MbufPool::builder("small").size(511).data_room(256).build().expect("a pool");
    let (port, mut queues) = cable.mirrored(&own);
    let frame = |len: usize, number: u8| {
        let mut frame = vec![number; len];
        frame[..14].copy_from_slice(b"\xFF\xFF\xFF\xFF\xFF\xFF\x02lc\0\0\x01\x88\xB5");
        frame
    };
    // Of the port's pool, of another one, and of several buffers.
    let frames = [frame(60, 1), frame(1514, 2), frame(1514, 3)];
    for (pool, frame) in [&own, &other, &small].into_iter().zip(&frames) {
        let mut burst = Burst::new();
        burst.push(packet(pool, frame)).expect("room");
        assert_eq!(queues.tx[0].send(&mut burst), 1);
        let back = receive(&mut *queues.rx[0], |packet| bytes(packet) == *frame);
        assert!(back.is_some(), "a frame of {} bytes", frame.len());
    }
    let stats = port.stats();
    assert_eq!((stats.tx_packets, stats.tx_errors, stats.rx_errors), (3, 0, 0), "{stats:?}");
    drop((port, queues));
    for pool in [&own, &other, &small] {
        assert_eq!(pool.available(), pool.size(), "{}", pool.name());
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn frames_of_an_mtu_that_was_set_while_the_port_runs_are_sent() {
    if !needs(&[Need::Root, Need::Tool("tc")]) {
        return;
    }
    let (cable, pool) = (Cable::lay(), pool(4095));
    reflect(&cable.far, cable.veth.second());
    let config = PortConfig::new(&pool).mtu(1000);
    let (mut port, mut queues) = cable.start(cable.options(), config);
    port.set_mtu(1500).expect("it can");
    let mut frame = vec![7; 1514];
    frame[..14].copy_from_slice(b"\xFF\xFF\xFF\xFF\xFF\xFF\x02lc\0\0\x01\x88\xB5");
    let mut burst = Burst::new();
    burst.push(packet(&pool, &frame)).expect("room");
    assert_eq!(queues.tx[0].send(&mut burst), 1);
    let back = receive(&mut *queues.rx[0], |packet| bytes(packet) == frame);
    assert!(back.is_some(), "{:?}", port.stats());
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_port_that_stops_gives_the_interface_back_to_the_kernels_stack() {
    if !needs(&[Need::Root, Need::Tool("ping")]) {
        return;
    }
    let (cable, pool) = (Cable::lay(), pool(4095));
    cable.near.address(cable.veth.first(), "198.51.100.1/24").expect("an address");
    cable.far.address(cable.veth.second(), "198.51.100.2/24").expect("an address");
    let (port, queues) = cable.start(cable.options(), PortConfig::new(&pool));
    assert!(cable.described().contains("xdp"), "{}", cable.described());
    assert!(!ping(&cable.far, "198.51.100.1", 1).expect("ping runs").is_lossless());
    let port = port.stop().expect("it stops");
    assert!(ping(&cable.far, "198.51.100.1", 2).expect("ping runs").is_lossless());
    let refused = cable.near.inside(|| port.start().map(drop)).expect("inside");
    let text = refused.expect_err("its queues live").to_string();
    assert!(text.contains("drop the queues"), "{text}");
    drop(queues);
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_killed_process_leaves_no_program_on_the_interface() {
    if !needs(&[Need::Root, Need::Tool("ip")]) {
        return;
    }
    let cable = Cable::lay();
    let test = std::env::current_exe().expect("this test");
    let part = cable.near.program(test.to_str().expect("a path in UTF-8")).env(CHILD, "1");
    let part = part.env("LINECARD_IFACE", cable.veth.first());
    let words = "--ignored --exact --nocapture part_of_a_process_that_is_killed";
    let mut child = part.words(words).spawn().expect("itself");
    child.wait_for("started", PATIENCE).expect("it starts");
    assert!(cable.described().contains("xdp"), "{}", cable.described());
    Program::new("kill").args(["-9", &child.id().to_string()]).run().expect("it is killed");
    let start = Instant::now();
    while cable.described().contains("xdp") {
        assert!(start.elapsed() < PATIENCE, "{}", cable.described());
    }
}

const CHILD: &str = "LINECARD_XDP_CHILD";

#[test]
#[ignore = "host level: cargo xtask test host"]
fn part_of_a_process_that_is_killed() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let name = std::env::var("LINECARD_IFACE").expect("an interface");
    let driver = AfXdpPort::open(AfXdpOptions::new(name)).expect("a port");
    let _running = start(driver, PortConfig::new(&pool(4095)));
    println!("started");
    std::thread::sleep(PATIENCE);
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_sleeper_is_woken_by_a_frame() {
    if !needs(&[Need::Root, Need::Tool("tc")]) {
        return;
    }
    let (cable, pool) = (Cable::lay(), pool(4095));
    let (_port, mut queues) = cable.mirrored(&pool);
    workbench::wakes(&mut queues, &pool);
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_link_that_goes_down_is_an_event() {
    if !needs(&[Need::Root, Need::Tool("ip")]) {
        return;
    }
    let (cable, pool) = (Cable::lay(), pool(4095));
    let (mut port, _queues) = cable.start(cable.options(), PortConfig::new(&pool));
    let words = format!("link set {} down", cable.veth.second());
    cable.far.program("ip").words(&words).run().expect("ip obeys");
    let start = Instant::now();
    loop {
        match port.next_event().expect("it can be told") {
            Some(Event::Link(link)) if link.state == LinkState::Down => break,
            _ => assert!(start.elapsed() < PATIENCE, "no event"),
        }
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn wrong_options_are_refused_with_what_to_do() {
    if !needs(&[Need::Root]) {
        return;
    }
    let cable = Cable::lay();
    let open = |options: AfXdpOptions| cable.near.inside(|| AfXdpPort::open(options));
    let refused = |options| match open(options).expect("inside") {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    };
    let absent = refused(AfXdpOptions::new("nothere"));
    assert!(absent.contains("there is no such interface"), "{absent}");
    let none = refused(cable.options().queues(0));
    assert!(none.contains("queues 0"), "{none}");
    let many = refused(cable.options().queues(99));
    assert!(many.contains("99") && many.contains("ethtool -L"), "{many}");
    // Buffers that are too small for the kernel, and for a frame.
    let configured = |pool: &MbufPool, mtu: usize| {
        let port = Port::open(open(cable.options()).expect("inside").expect("a port"));
        let config = PortConfig::new(pool).mtu(mtu);
        cable.near.inside(|| port.configure(config).map(|port| port.start().map(drop)))
    };
    let small = MbufPool::builder("small").size(511).data_room(1792).build().expect("a pool");
    let text = match configured(&small, 1400).expect("inside") {
        Ok(Err(error)) => error.to_string(),
        Ok(Ok(())) => panic!("it started"),
        Err(error) => error.to_string(),
    };
    assert!(text.contains("1920") && text.contains("2048"), "{text}");
    let text = match configured(&pool(511), 3000).expect("inside") {
        Err(error) => error.to_string(),
        Ok(_) => panic!("frames that do not fit"),
    };
    assert!(text.contains("3022"), "{text}");
    // A second port finds the first one's program.
    let pool = pool(4095);
    let _running = cable.start(cable.options(), PortConfig::new(&pool));
    let second = Port::open(open(cable.options()).expect("inside").expect("a port"));
    let second = second.configure(PortConfig::new(&pool)).expect("a configuration");
    let refused = cable.near.inside(|| second.start().map(drop)).expect("inside");
    let text = refused.expect_err("the queue is taken").to_string();
    assert!(text.contains("another program"), "{text}");
}
