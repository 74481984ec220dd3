//! TAP ports against the kernel.

mod workbench;

use linecard_mbuf::{Burst, MbufPool};
use linecard_net::MacAddr;
use linecard_pmd_core::conformance::{self, Bed, Wire};
use linecard_pmd_core::{Driver, Error, Event, LinkState, Opened, Port, PortConfig, RxOffloads};
use linecard_pmd_kernel::{
    AfPacketOptions, AfPacketPort, Existing, Interface, TapOptions, TapPort,
};
use linecard_testbed::netns::Netns;
use linecard_testbed::programs::iperf::{self, Load, Server};
use linecard_testbed::programs::ping;
use linecard_testbed::{Need, needs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use workbench::{Joined, PATIENCE, bytes, packet, pool, receive, reflect, start, with_offloads};

/// A TAP whose frames come back: from the kernel, or, if there are several queues, from a thread.
/// The kernel sends a flow back on the queue that it last came from, but learns which that was only
/// after it has received a frame, so that its own mirror would be too quick.
struct Mirror<'a> {
    netns: &'a Netns,
    queues: usize,
    echo: Option<Echo>,
}

impl Bed for Mirror<'_> {
    fn open(&mut self) -> Port<Opened> {
        self.echo = None;
        let tap = TapPort::open(TapOptions::new("lc0").queues(self.queues)).expect("a TAP");
        match self.queues {
            1 => reflect(self.netns, "lc0"),
            _ => self.echo = Some(Echo::at("lc0")),
        }
        Port::open(tap)
    }

    fn wire(&self) -> Wire {
        Wire::Loop
    }

    fn queues(&self) -> (usize, usize) {
        (self.queues, self.queues)
    }
}

/// A thread that sends out of an interface what it receives, a moment later.
struct Echo {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// At this interface, of the namespace of the calling thread.
    fn at(interface: &str) -> Self {
        let port = AfPacketPort::open(AfPacketOptions::new(interface)).expect("an interface");
        let (port, mut queues) = start(port, PortConfig::new(&pool(2047)));
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let run = move || {
            let mut burst = Burst::new();
            // Relaxed: a flag, nothing else goes with it.
            while !seen.load(Ordering::Relaxed) {
                queues.rx[0].receive(&mut burst);
                thread::sleep(Duration::from_micros(200));
                queues.tx[0].send(&mut burst);
            }
            drop(port);
        };
        Echo { stop, thread: Some(thread::spawn(run)) }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // Relaxed: as in the thread.
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(!matches!(ended, Some(Err(_))) || thread::panicking(), "the thread panicked");
    }
}

fn keeps_every_promise(queues: usize) {
    if !needs(&[Need::Root, Need::Tool("tc")]) {
        return;
    }
    let netns = Netns::new("tap").expect("a namespace");
    netns
        .inside(|| conformance::run(&mut Mirror { netns: &netns, queues, echo: None }))
        .expect("inside");
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_tap_keeps_every_promise_of_a_port() {
    keeps_every_promise(1);
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_tap_of_two_queues_keeps_every_promise_of_a_port() {
    keeps_every_promise(2);
}

/// Two namespaces, joined by two TAPs and a thread that forwards.
fn joined(configure: fn(&MbufPool) -> PortConfig) -> Option<(Netns, Netns, Joined)> {
    if !needs(&[Need::Root, Need::Tool("ping"), Need::Tool("iperf3")]) {
        return None;
    }
    let pool = pool(8191);
    let side = |label, address: &str| {
        let netns = Netns::new(label).expect("a namespace");
        let open = || TapPort::open(TapOptions::new("lc0").mtu(1500)).expect("a TAP");
        let tap = netns.inside(open).expect("inside");
        let port = start(tap, configure(&pool));
        netns.address("lc0", address).expect("an address");
        (netns, port)
    };
    let (left, a) = side("left", "198.51.100.1/24");
    let (right, b) = side("right", "198.51.100.2/24");
    Some((left, right, Joined::new([a, b])))
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn ping_and_tcp_pass_through_two_taps() {
    let Some((left, right, joined)) = joined(PortConfig::new) else { return };
    assert!(ping(&left, "198.51.100.2", 5).expect("ping runs").is_lossless());
    let _server = Server::start(&right).expect("iperf3 serves");
    let sent = iperf::send(&left, "198.51.100.2", Load::Tcp, 1).expect("iperf3 sends");
    assert!(sent.bits_per_second > 1e6, "{sent:?}");
    let stats = joined.ports[0].stats();
    assert_eq!((stats.rx_errors, stats.tx_errors), (0, 0), "{stats:?}");
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn large_tcp_frames_pass_through_two_taps_that_were_asked_for_them() {
    let Some((left, right, joined)) = joined(|pool| with_offloads(PortConfig::new(pool))) else {
        return;
    };
    assert!(ping(&left, "198.51.100.2", 5).expect("ping runs").is_lossless());
    let _server = Server::start(&right).expect("iperf3 serves");
    let sent = iperf::send(&left, "198.51.100.2", Load::Tcp, 1).expect("iperf3 sends");
    assert!(sent.bits_per_second > 1e6, "{sent:?}");
    let stats = joined.ports[0].stats();
    assert_eq!((stats.rx_errors, stats.tx_errors), (0, 0), "{stats:?}");
    assert!(stats.rx_bytes / stats.rx_packets > 3000, "frames were large: {stats:?}");
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn what_the_kernel_side_changes_is_an_event_and_what_we_change_is_none() {
    if !needs(&[Need::Root]) {
        return;
    }
    let netns = Netns::new("events").expect("a namespace");
    let tap = netns.inside(|| TapPort::open(TapOptions::new("lc0"))).expect("inside");
    let (mut port, _queues) = start(tap.expect("a TAP"), PortConfig::new(&pool(255)));
    assert!(port.link().expect("a link").is_up());
    port.set_mtu(1400).expect("an MTU");
    port.set_mac(MacAddr([2, 0, 0, 0, 0, 7])).expect("an address");
    assert_eq!((port.mtu(), netns.mac("lc0").expect("an address")), (1400, [2, 0, 0, 0, 0, 7]));
    let quiet = Instant::now();
    while quiet.elapsed().as_millis() < 100 {
        assert_eq!(port.next_event().expect("events"), None);
    }
    netns.mtu("lc0", 1300).expect("ip sets the MTU");
    assert_eq!(next_event(&mut port), Event::Mtu(1300));
    let ip = |words: &str| netns.ip(words).run().expect("ip obeys");
    ip("link set lc0 address 02:00:00:00:00:09");
    assert_eq!(next_event(&mut port), Event::Mac(MacAddr([2, 0, 0, 0, 0, 9])));
    assert_eq!(port.mac(), MacAddr([2, 0, 0, 0, 0, 9]));
    ip("link set lc0 down");
    assert!(matches!(next_event(&mut port), Event::Link(link) if !link.is_up()));
    ip("link set lc0 up");
    assert!(matches!(next_event(&mut port), Event::Link(link) if link.is_up()));
    port.set_link(LinkState::Down).expect("a carrier");
    assert!(!port.link().expect("a link").is_up());
    ip("link delete lc0");
    assert_eq!(next_event(&mut port), Event::Gone);
    assert!(matches!(port.set_mtu(1400), Err(Error::Gone { .. })));
}

fn next_event(port: &mut Port<linecard_pmd_core::Started>) -> Event {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(event) = port.next_event().expect("events") {
            return event;
        }
    }
    panic!("no event came");
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn an_interface_that_is_removed_stops_its_queues_and_nothing_else() {
    if !needs(&[Need::Root]) {
        return;
    }
    let (netns, pool) = (Netns::new("gone").expect("a namespace"), pool(255));
    let tap = netns.inside(|| TapPort::open(TapOptions::new("lc0"))).expect("inside");
    let (port, mut queues) = start(tap.expect("a TAP"), PortConfig::new(&pool));
    netns.ip("link delete lc0").run().expect("ip obeys");
    let mut burst = Burst::new();
    assert_eq!(queues.rx[0].receive(&mut burst), 0);
    assert!(queues.rx[0].is_finished());
    burst.push(packet(&pool, &[0; 60])).expect("room");
    assert_eq!((queues.tx[0].send(&mut burst), burst.len()), (0, 1));
    port.stop().expect("a port that is gone stops");
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn tags_are_kept_and_large_frames_scattered() {
    if !needs(&[Need::Root, Need::Tool("tc")]) {
        return;
    }
    let (netns, pool) = (Netns::new("jumbo").expect("a namespace"), pool(1023));
    let open = || {
        let tap = TapPort::open(TapOptions::new("lc0").mtu(9000)).expect("a TAP");
        reflect(&netns, "lc0");
        tap
    };
    let tap = netns.inside(open).expect("inside");
    let refused = Port::open(tap).configure(PortConfig::new(&pool)).expect_err("buffers of 2 KiB");
    assert!(matches!(refused.error, Error::Buffers { .. }), "{}", refused.error);
    let config = PortConfig::new(&pool).rx_offloads(RxOffloads::SCATTER);
    let port = refused.port.configure(config).expect("scattered");
    let (port, mut queues) = port.start().expect("it starts");
    for len in [60usize, 2000, 2037, 2038, 2048, 4096, 9018] {
        let mut frame: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
        frame[..14].copy_from_slice(b"\xFF\xFF\xFF\xFF\xFF\xFF\x02lc\0\0\x01\x81\x00");
        frame[14..18].copy_from_slice(b"\x00\x05\x88\xB5");
        let mut burst = Burst::new();
        burst.push(packet(&pool, &frame)).expect("room");
        assert_eq!(queues.tx[0].send(&mut burst), 1);
        let tagged = |p: &linecard_mbuf::Mbuf| p.data().get(12..14) == Some(&[0x81, 0]);
        let back = receive(&mut *queues.rx[0], tagged).expect("it comes back");
        assert_eq!(bytes(&back), frame, "a tagged frame of {len} bytes");
        assert_eq!(back.segment_count(), len.div_ceil(2048), "{len}");
    }
    drop((port, queues));
    assert_eq!(pool.in_use(), 0);
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn wrong_options_are_refused_with_what_to_do() {
    if !needs(&[Need::Root]) {
        return;
    }
    let netns = Netns::new("wrong").expect("a namespace");
    netns.ip("tuntap add taken mode tap vnet_hdr").run().expect("ip obeys");
    let refusal = |options| {
        let opened = netns.inside(|| TapPort::open(options)).expect("inside");
        opened.expect_err("a refusal").to_string()
    };
    let too_long = refusal(TapOptions::new("sixteen-bytes-xx"));
    assert!(too_long.contains("16") && too_long.contains("15"), "{too_long}");
    assert!(refusal(TapOptions::new("a b")).contains("blank"));
    assert!(refusal(TapOptions::new("lc0").queues(257)).contains("256"));
    assert!(refusal(TapOptions::new("lc0").mtu(67)).contains("68"));
    assert!(refusal(TapOptions::new("lc0").mac(MacAddr::BROADCAST)).contains("ff:ff"));
    assert!(refusal(TapOptions::new("taken")).contains("attach to it"));
    assert!(refusal(TapOptions::new("lo").existing(Existing::Attach)).contains("no TAP"));
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_persistent_tap_is_attached_to_if_asked_and_stays() {
    if !needs(&[Need::Root]) {
        return;
    }
    let netns = Netns::new("persistent").expect("a namespace");
    netns.ip("tuntap add kept mode tap vnet_hdr").run().expect("ip obeys");
    let options = TapOptions::new("kept").existing(Existing::Attach).interface(Interface::Leave);
    let tap = netns.inside(|| TapPort::open(options)).expect("inside").expect("it attaches");
    assert_eq!(tap.info().name, "kept");
    let (mut port, queues) = start(tap, PortConfig::new(&pool(255)));
    assert!(!port.link().expect("a link").is_up(), "it was left as it is: down");
    drop((port, queues));
    netns.mac("kept").expect("it is still there");
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_tap_made_for_a_user_needs_no_privilege() {
    const CHILD: &str = "LINECARD_TEST_TAP_USER";
    if std::env::var_os(CHILD).is_some() {
        return without_privilege();
    }
    if !needs(&[Need::Root, Need::Tool("setpriv"), Need::Tool("tc")]) {
        return;
    }
    let netns = Netns::new("user").expect("a namespace");
    netns.ip("tuntap add mine mode tap vnet_hdr user 65534").run().expect("ip obeys");
    netns.up("mine").expect("it goes up");
    reflect(&netns, "mine");
    // Where the user may read it.
    let folder = tempfile::tempdir().expect("a folder");
    let (this, copy) = (std::env::current_exe().expect("this program"), folder.path().join("test"));
    std::fs::copy(this, &copy).expect("a copy");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).expect("it is ours");
    let user = "--reuid 65534 --regid 65534 --clear-groups";
    let child = netns.program("setpriv").env(CHILD, "1").words(user).arg(&copy);
    let name = "a_tap_made_for_a_user_needs_no_privilege";
    child.args(["--ignored", "--exact", name]).run().expect("it passes as the user");
}

fn without_privilege() {
    let pool = pool(255);
    let made = TapPort::open(TapOptions::new("other0")).expect_err("a TAP of its own");
    assert!(made.to_string().contains("ip tuntap add other0 mode tap vnet_hdr"), "{made}");
    let tap = TapPort::open(TapOptions::new("mine").existing(Existing::Attach)).expect("its TAP");
    let (mut port, mut queues) = start(tap, PortConfig::new(&pool));
    workbench::wakes(&mut queues, &pool);
    let refused = port.set_mtu(1400).expect_err("that takes root");
    assert!(refused.to_string().contains("CAP_NET_ADMIN"), "{refused}");
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_killed_process_leaves_no_tap() {
    const CHILD: &str = "LINECARD_TEST_TAP_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let _tap = TapPort::open(TapOptions::new("lc0").queues(2)).expect("a TAP");
        loop {
            thread::park();
        }
    }
    if !needs(&[Need::Root]) {
        return;
    }
    let netns = Netns::new("killed").expect("a namespace");
    let this = std::env::current_exe().expect("this program");
    let child = netns.program(&this.to_string_lossy()).env(CHILD, "1");
    let name = "a_killed_process_leaves_no_tap";
    let child = child.args(["--ignored", "--exact", name]).spawn().expect("it starts");
    let there = || netns.ip("link show lc0").finish().expect("ip runs").status.success();
    let start = Instant::now();
    while !there() {
        assert!(start.elapsed() < PATIENCE, "no TAP came: {}", child.printed());
    }
    // Dropping it kills it with SIGKILL.
    drop(child);
    let start = Instant::now();
    while there() {
        assert!(start.elapsed() < PATIENCE, "the TAP stayed");
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_sleeper_is_woken_by_a_frame() {
    if !needs(&[Need::Root, Need::Tool("tc")]) {
        return;
    }
    let (netns, pool) = (Netns::new("sleep").expect("a namespace"), pool(255));
    let tap = netns.inside(|| TapPort::open(TapOptions::new("lc0"))).expect("inside");
    let (_port, mut queues) = start(tap.expect("a TAP"), PortConfig::new(&pool));
    reflect(&netns, "lc0");
    workbench::wakes(&mut queues, &pool);
}
