//! The driver's control side over vfio-pci and an IOMMU, with Linux's `ixgbe` at the other end of the
//! cable: interrupts, restarts, rules, and what the card shows of itself. The first access that the
//! IOMMU refuses ends the model, and with it this file.
//!
//! guest: iommu=intel, nodes=1, cpus=2, memory=768, hugepages=64, limit=200
//! guest: modules=ixgbe, carried=vfio-pci, programs=ethtool+ip+ptp4l
//! guest: qtest=unix:{run}/qtest,server=on,wait=off
//! guest: device=x-pci-proxy-dev,id=nic0,fd={socket:one},addr=5
//! guest: device=x-pci-proxy-dev,id=nic1,fd={socket:two},addr=6
//! host: linecard-ixgbe-model/bin/ixgbe-model qemu --strict --iommu --qtest {run}/qtest --wire cable --card {socket:one}:5 --card {socket:two}:6

#[path = "guest_control/ptp.rs"]
mod ptp;

use linecard_eal::event::{Epoll, Wake};
use linecard_eal::pci;
use linecard_mbuf::{Burst, MbufPool};
use linecard_net::rule::{Action, Ipv4Item, Match, QueueIndex, Rule};
use linecard_pmd_core::{
    Adjust, Configured, Event, FlowControl, LinkState, Pause, Port, PortConfig, Queues, RxOffloads,
    Started, TimeSync, TxOffloads,
};
use linecard_pmd_ixgbe::{EepromAccess, IxgbeOptions, IxgbePort};
use linecard_testbed::netns::Netns;
use linecard_testbed::programs::Program;
use linecard_testbed::{Need, guest, needs};
use std::net::UdpSocket;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The kernel's card, and ours.
const THEIRS: &str = "0000:00:05.0";
const OURS: &str = "0000:00:06.0";

const PATIENCE: Duration = Duration::from_secs(60);

/// The kernel's end, in a namespace, with an address and a neighbour that does not answer.
struct Kernel {
    netns: Netns,
    name: String,
    /// What `ethtool` has read of our card while the kernel had it: EEPROM and module.
    eeprom: Vec<u8>,
    module: Vec<u8>,
}

static KERNEL: LazyLock<Kernel> = LazyLock::new(|| {
    std::fs::create_dir_all("/var/run/netns").unwrap();
    let ours = guest::interface_of(OURS).unwrap();
    let raw = |words: &str, file: &str| {
        let command = format!("ethtool {words} > /tmp/{file}");
        // The kernel's driver says that it is busy while it still looks at the module itself.
        eventually(|| Program::new("sh").args(["-c", &command]).finish().unwrap().status.success());
        std::fs::read(format!("/tmp/{file}")).unwrap()
    };
    Program::new("ip").words(&format!("link set {ours} up")).run().unwrap();
    let eeprom = raw(&format!("-e {ours} raw on offset 0 length 128"), "eeprom");
    let module = raw(&format!("-m {ours} raw on"), "module");
    guest::load_module("vfio-pci").unwrap();
    guest::bind(OURS, "vfio-pci").unwrap();
    let name = guest::interface_of(THEIRS).unwrap();
    let netns = Netns::new("kernel").unwrap();
    let words = format!("link set {name} netns {}", netns.name());
    Program::new("ip").words(&words).run().unwrap();
    netns.address(&name, "198.51.100.1/24").unwrap();
    Kernel { netns, name, eeprom, module }
});

impl Kernel {
    fn set(&self, state: &str) {
        self.netns.ip(&format!("link set {} {state}", self.name)).run().unwrap();
    }

    /// Who the neighbour is: setting an interface down makes the kernel forget it.
    fn meet(&self) {
        let words =
            format!("neigh replace 198.51.100.2 lladdr 02:00:00:00:00:02 dev {}", self.name);
        self.netns.ip(&words).run().unwrap();
    }

    /// A datagram to the neighbour, from one of the kernel's addresses.
    fn send(&self, from: &str) {
        let socket = self.netns.inside(|| UdpSocket::bind((from, 0))).unwrap().unwrap();
        socket.send_to(&[7; 1000], ("198.51.100.2", 7777)).unwrap();
    }

    fn wait_for_link(&self) {
        let file = format!("/sys/class/net/{}/carrier", self.name);
        let carrier = || self.netns.program("cat").arg(&file).finish().unwrap().stdout;
        eventually(|| carrier().trim() == "1");
    }
}

fn eventually(mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "still not so after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct Ours {
    port: Port<Started>,
    queues: Queues,
}

fn open(ask: impl FnOnce(PortConfig) -> PortConfig) -> Port<Configured> {
    LazyLock::force(&KERNEL);
    let device = pci::open(OURS.parse().unwrap()).unwrap();
    let port = Port::open(IxgbePort::open(device, IxgbeOptions::new()).unwrap());
    let pool = MbufPool::builder("packets").size(2047);
    let pool = match port.info().capabilities.iova {
        Some(mode) => pool.iova(mode),
        None => pool,
    };
    let mut port = port.configure(ask(PortConfig::new(&pool.build().unwrap()))).unwrap();
    port.set_promiscuous(linecard_pmd_core::Promiscuous::On).unwrap();
    port
}

fn start(ask: impl FnOnce(PortConfig) -> PortConfig) -> Ours {
    let (port, queues) = open(ask).start().unwrap();
    KERNEL.set("up");
    KERNEL.wait_for_link();
    KERNEL.meet();
    Ours { port, queues }
}

impl Ours {
    /// Sleeps until the port has something to tell, and says what it is.
    fn event(&mut self) -> Event {
        let epoll = Epoll::new().unwrap();
        epoll.add(self.port.events().unwrap(), 1).unwrap();
        let begin = Instant::now();
        loop {
            assert!(begin.elapsed() < PATIENCE, "no event");
            if let Some(event) = self.port.next_event().unwrap() {
                return event;
            }
            let mut wakes = [Wake::default()];
            epoll.wait(&mut wakes, Some(PATIENCE)).unwrap();
        }
    }

    /// IPv4 that has come on a queue: the network of the source, and the mark.
    fn received(&mut self, queue: usize) -> Vec<([u8; 3], Option<u32>)> {
        let mut burst = Burst::with_limit(64);
        self.queues.rx[queue].receive(&mut burst);
        let ipv4 = burst.iter().filter(|one| one.data()[12..14] == [8, 0]);
        ipv4.map(|one| ([one.data()[26], one.data()[27], one.data()[28]], one.mark())).collect()
    }

    /// Whether something of the kernel's own network has come.
    fn has_received(&mut self) -> bool {
        self.received(0).iter().any(|(net, _)| *net == [198, 51, 100])
    }
}

/// What Linux has read from the same card with its own driver.
#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn eeprom_and_module_are_what_ethtool_read_of_the_same_card() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let mut port = open(|config| config);
    assert_eq!(port.read_eeprom(0..128).unwrap(), KERNEL.eeprom);
    assert_eq!(port.module().unwrap().bytes, KERNEL.module);
    assert!(port.firmware().unwrap().starts_with("0x"));
}

/// The kernel's driver takes no card whose checksum is wrong.
#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn an_eeprom_that_was_written_is_right_to_the_kernel() {
    const AT: usize = 0x2A;
    if !needs(&[Need::Guest]) {
        return;
    }
    LazyLock::force(&KERNEL);
    let write = |byte: u8| {
        let device = pci::open(OURS.parse().unwrap()).unwrap();
        let options = IxgbeOptions::new().eeprom(EepromAccess::Write);
        let mut port = Port::open(IxgbePort::open(device, options).unwrap());
        port.write_eeprom(AT, &[byte]).unwrap();
    };
    let before = KERNEL.eeprom[AT];
    write(!before);
    guest::bind(OURS, "ixgbe").unwrap();
    let name = guest::interface_of(OURS).unwrap();
    let words = format!("-e {name} offset {AT:#x} length 1");
    let said = Program::new("ethtool").words(&words).run().unwrap().stdout;
    guest::bind(OURS, "vfio-pci").unwrap();
    write(before);
    assert!(said.trim_end().ends_with(&format!("{:02x}", !before)), "{said}");
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_link_that_flaps_is_told_of_by_an_interrupt() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let mut ours = start(|config| config);
    while ours.port.next_event().unwrap().is_some() {}
    for (word, state) in [("down", LinkState::Down), ("up", LinkState::Up)] {
        KERNEL.set(word);
        let told = loop {
            match ours.event() {
                Event::Link(link) if link.state == state => break link,
                other => println!("{word}: {other}"),
            }
        };
        assert_eq!(told.is_up(), word == "up");
    }
    KERNEL.wait_for_link();
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_queue_that_is_slept_on_wakes_for_a_frame_of_the_kernels() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let mut ours = start(|config| config);
    let epoll = Epoll::new().unwrap();
    epoll.add(ours.queues.rx[0].arm().unwrap().0, 1).unwrap();
    let mut wakes = [Wake::default()];
    KERNEL.send("198.51.100.1");
    let begin = Instant::now();
    // Other frames of the kernel's may wake it first.
    while !ours.has_received() {
        assert!(begin.elapsed() < PATIENCE, "no frame");
        assert!(!epoll.wait(&mut wakes, Some(PATIENCE)).unwrap().is_empty(), "nobody rang");
        ours.queues.rx[0].arm();
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_port_stops_and_starts_and_receives_again() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let mut ours = start(|config| config);
    for _ in 0..3 {
        KERNEL.wait_for_link();
        eventually(|| {
            KERNEL.send("198.51.100.1");
            ours.has_received()
        });
        let Ours { port, queues } = ours;
        drop(queues);
        let (port, queues) = port.stop().unwrap().start().unwrap();
        ours = Ours { port, queues };
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn networks_of_the_kernels_are_directed_dropped_and_marked() {
    if !needs(&[Need::Guest]) {
        return;
    }
    for net in [10, 11, 12] {
        let words = format!("addr add 10.{net}.0.1/16 dev {}", KERNEL.name);
        KERNEL.netns.ip(&words).run().unwrap();
    }
    let mut ours = start(|config| config.rx_queues(2).rx_offloads(RxOffloads::MARK));
    let net = |second: u8| Ipv4Item {
        src: Match::prefix([10, second, 0, 0].into(), 16),
        ..Default::default()
    };
    let rule = |second, action| Rule::builder().item(net(second)).action(action);
    let marks = rule(10, Action::Queue(QueueIndex(1))).action(Action::Mark(77)).build();
    let drops = rule(11, Action::Drop).build();
    ours.port.create_flow(&marks.unwrap()).unwrap();
    let drops = ours.port.create_flow(&drops.unwrap()).unwrap();
    for from in ["10.10.0.1", "10.11.0.1", "10.12.0.1"] {
        KERNEL.send(from);
    }
    // They come in order: once the last is there, the one before it will not come.
    let mut seen = Vec::new();
    eventually(|| {
        seen.extend(ours.received(0));
        seen.contains(&([10, 12, 0], None))
    });
    seen.extend(ours.received(1));
    assert!(seen.contains(&([10, 10, 0], Some(77))), "{seen:?}");
    assert!(seen.iter().all(|(net, _)| *net != [10, 11, 0]), "{seen:?}");
    ours.port.destroy_flow(drops).unwrap();
    KERNEL.send("10.11.0.1");
    eventually(|| ours.received(0).contains(&([10, 11, 0], None)));
}

/// Nanoseconds: what a cable takes, and how far from it a measurement may be, as clocks tick every 6.4 ns.
const CABLE: i128 = 50;
const TICKS: i128 = 15;

/// How far apart two clocks may drift, of which each counts ticks of 6.4 ns in its own 2,097,152nds: one in ten million.
fn drift(nanoseconds: i128) -> i128 {
    nanoseconds / 10_000_000
}

/// `ptp4l` is master with the kernel's card, by its driver's stamps; ours stamps the other ends of both ways.
#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_clock_is_set_right_by_exchanges_with_ptp4l() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let mut pool = None;
    let Ours { mut port, mut queues } = start(|config| {
        pool = Some(config.pool(0).clone());
        config.tx_offloads(TxOffloads::TIMESTAMP)
    });
    port.set_time_sync(TimeSync::On).unwrap();
    let words = "-2 -H -m -q --logSyncInterval=-3 --logAnnounceInterval=-3 \
        --tx_timestamp_timeout=5000 --fault_reset_interval=0 -i";
    let master = KERNEL.netns.program("ptp4l").words(words).arg(&KERNEL.name).spawn().unwrap();
    let mut slave = ptp::Slave::new(&mut port, &mut queues, pool.unwrap());
    let first = slave.exchange();
    let by = Duration::from_nanos(first.offset().unsigned_abs() as u64);
    let by = if first.offset() > 0 { Adjust::Back(by) } else { Adjust::Forward(by) };
    slave.port.adjust_clock(by).unwrap();
    let all: Vec<_> = (0..8).map(|_| slave.exchange()).collect();
    for exchange in &all {
        let off = exchange.offset().abs();
        // By our clock as it is now.
        let since = exchange.since(&first) + first.offset();
        assert!(
            off <= TICKS + drift(since + first.gap() + exchange.gap()),
            "{off} ns off: {exchange:?}, {}",
            master.printed()
        );
    }
    for exchange in [first].iter().chain(&all) {
        let wrong = (exchange.delay() - CABLE).abs();
        assert!(wrong <= TICKS + drift(exchange.gap()), "{exchange:?}, {}", master.printed());
    }
}

/// The kernel's driver counts the pause frames that ours sends while it does not poll.
#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn the_kernel_counts_our_pauses() {
    if !needs(&[Need::Guest]) {
        return;
    }
    let mut ours = start(|config| config.rx_descriptors(64));
    let asked = FlowControl { high: Some(4096), low: Some(2048), ..FlowControl::new(Pause::Sent) };
    ours.port.set_flow_control(&asked).unwrap();
    let words = format!("-A {} autoneg off rx on tx on", KERNEL.name);
    // It says so if they are on already.
    KERNEL.netns.program("ethtool").words(&words).finish().unwrap();
    KERNEL.wait_for_link();
    (0..200).for_each(|_| KERNEL.send("198.51.100.1"));
    let counted = || {
        let said = KERNEL.netns.program("ethtool").args(["-S", &KERNEL.name]).run().unwrap().stdout;
        let line = said.lines().find_map(|line| line.trim().strip_prefix("rx_flow_control_xoff: "));
        line.unwrap().parse::<u64>().unwrap()
    };
    eventually(|| counted() > 0);
    let mut burst = Burst::with_limit(64);
    eventually(|| {
        burst.clear();
        ours.queues.rx[0].receive(&mut burst) == 0
    });
}
