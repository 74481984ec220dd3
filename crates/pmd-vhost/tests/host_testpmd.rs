//! vhost ports against DPDK's `net_virtio_user`: a driver that others wrote.

use linecard_mbuf::{Burst, ChecksumStatus, Mbuf, MbufPool, Segmentation};
use linecard_net::header::TcpFlags;
use linecard_net::{FrameBuilder, MacAddr, parse};
use linecard_pmd_core::{
    Event, Link, Port, PortConfig, Queues, RxOffloads, RxQueue, Started, TxOffloads, TxQueue,
};
use linecard_pmd_vhost::{VhostOptions, VhostPort};
use linecard_testbed::programs::{Program, Running};
use linecard_testbed::{Need, needs};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// For programs of others, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Frames that are on their way at once: fewer than testpmd's rings have descriptors for.
const WINDOW: usize = 24;
const LONGEST: usize = 9000;

fn can() -> bool {
    needs(&[Need::Root, Need::Tool("dpdk-testpmd"), Need::HugePages(100)])
}

/// A testpmd that sends back what it receives.
struct Testpmd {
    running: Running,
}

impl Testpmd {
    /// With a virtio-user device of these options, told `lines` before it starts.
    fn start(socket: &Path, options: &str, queues: usize, lines: &[&str]) -> Self {
        let device =
            format!("net_virtio_user0,path={},queues={queues},{options}", socket.display());
        let eal = "--no-pci --in-memory --single-file-segments --no-telemetry -m 160";
        // Mergeable buffers are shorter than the frames.
        let buffers =
            if options.contains("mrg_rxbuf=1") { "--enable-scatter" } else { "--mbuf-size=10240" };
        let app = format!(
            "--interactive --total-num-mbufs=4096 --max-pkt-len=9200 {buffers} --rxq={queues} \
             --txq={queues} --rxd=256 --txd=256"
        );
        let program = Program::new("dpdk-testpmd").words(eal).words("--lcores 0@(0-1),1@(0-1)");
        let mut running =
            program.args(["--vdev", &device, "--"]).words(&app).spawn().expect("testpmd starts");
        running.wait_for("testpmd>", PATIENCE).expect("its prompt");
        let plain = ["set fwd io", "start"];
        for line in if lines.is_empty() { &plain } else { lines } {
            running.send_line(line).expect("it listens");
        }
        // The next prompt: it has started, and dropped what had come before.
        running.wait_for("testpmd> start\r\ntestpmd>", PATIENCE).expect("it starts");
        Testpmd { running }
    }

    fn stop(mut self) {
        self.running.send_line("quit").expect("it listens");
        self.running.wait(PATIENCE).expect("it ends");
    }
}

struct Bench {
    port: Port<Started>,
    queues: Queues,
    pool: MbufPool,
}

impl Bench {
    fn new(options: VhostOptions, queues: usize, rx: RxOffloads) -> Self {
        let pool = MbufPool::builder("frames").size(4095).cache(0).build().expect("a pool");
        let port = Port::open(VhostPort::open(options.queues(queues)).expect("a port"));
        let config = PortConfig::new(&pool)
            .rx_queues(queues)
            .tx_queues(queues)
            .mtu(LONGEST)
            .rx_offloads(rx | RxOffloads::SCATTER)
            .tx_offloads(TxOffloads::MULTI_SEGMENT);
        let (port, queues) = port.configure(config).expect("it can").start().expect("it starts");
        Bench { port, queues, pool }
    }

    fn pass(&mut self, frames: usize) {
        let Queues { rx, tx } = &mut self.queues;
        for (rx, tx) in rx.iter_mut().zip(tx) {
            none_is_lost(&self.pool, (&mut **rx, &mut **tx), frames);
        }
    }

    fn await_link(&mut self, link: Link) {
        let start = Instant::now();
        while self.port.next_event().expect("events can be asked for") != Some(Event::Link(link)) {
            assert!(start.elapsed() < PATIENCE, "the link is not {link}");
            // What the other side sent last is taken meanwhile.
            self.queues.rx.iter_mut().for_each(|rx| {
                rx.receive(&mut Burst::new());
            });
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn end(self) {
        drop((self.queues, self.port));
        assert_eq!(self.pool.in_use(), 0, "buffers left behind");
    }
}

fn frame(pool: &MbufPool, number: usize) -> Mbuf {
    // From the shortest to the longest, in uneven steps.
    let len = 60 + number * 397 % (LONGEST - 59);
    let mut bytes: Vec<u8> = (0..len).map(|at| (number * 31 + at * 7 + at / 256) as u8).collect();
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    let mut packet = pool.alloc().expect("a buffer");
    packet.extend(pool, &bytes).expect("buffers");
    packet
}

fn bytes(packet: &Mbuf) -> Vec<u8> {
    packet.segments().flatten().copied().collect()
}

/// Sends frames over one queue, and sees that each comes back, in order and unchanged.
fn none_is_lost(pool: &MbufPool, (rx, tx): (&mut dyn RxQueue, &mut dyn TxQueue), frames: usize) {
    let (mut sent, mut back) = (0, 0);
    let (mut burst, mut last) = (Burst::new(), Instant::now());
    while back < frames {
        while burst.len() < 8 && sent < frames && sent - back < WINDOW {
            burst.push(frame(pool, sent)).expect("room");
            sent += 1;
        }
        tx.send(&mut burst);
        let mut got = Burst::new();
        if rx.receive(&mut got) > 0 {
            last = Instant::now();
        } else {
            std::thread::yield_now();
        }
        for packet in got.iter() {
            let same = bytes(packet) == bytes(&frame(pool, back));
            assert!(same, "frame {back} of {} bytes over {}", packet.len(), rx.path());
            back += 1;
        }
        assert!(last.elapsed() < PATIENCE, "{back} of {frames} came back over {}", rx.path());
    }
}

fn every_variant(queues: usize) {
    let dir = TempDir::new().expect("a folder");
    let socket = dir.path().join("socket");
    let mut bench = Bench::new(VhostOptions::new("vhost0", &socket), queues, RxOffloads::empty());
    for packed in [0, 1] {
        for mergeable in [0, 1] {
            for in_order in [0, 1] {
                let options =
                    format!("packed_vq={packed},mrg_rxbuf={mergeable},in_order={in_order}");
                let testpmd = Testpmd::start(&socket, &options, queues, &[]);
                bench.await_link(Link::UP);
                bench.pass(1000);
                testpmd.stop();
                bench.await_link(Link::DOWN);
            }
        }
    }
    bench.end();
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn testpmd_gives_all_frames_back_over_one_queue_of_every_kind() {
    if can() {
        every_variant(1);
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn testpmd_gives_all_frames_back_over_two_queues_of_every_kind() {
    if can() {
        every_variant(2);
    }
}

/// Sends without end until `enough`; what comes back is dropped.
fn flood(bench: &mut Bench, mut enough: impl FnMut(&mut Bench, u64) -> bool) {
    let (start, mut received, mut number) = (Instant::now(), 0, 0);
    while !enough(bench, received) {
        let mut burst = Burst::new();
        while burst.len() < 8 {
            burst.push(frame(&bench.pool, number % 3)).expect("room");
            number += 1;
        }
        bench.queues.tx[0].send(&mut burst);
        burst.clear();
        received += bench.queues.rx[0].receive(&mut burst) as u64;
        assert!(start.elapsed() < PATIENCE, "{received} received");
    }
}

fn is_up(bench: &mut Bench) -> bool {
    bench.port.link().expect("it can be asked for").is_up()
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_testpmd_that_is_killed_under_traffic_and_started_again_is_served_again() {
    if !can() {
        return;
    }
    for packed in [0, 1] {
        let dir = TempDir::new().expect("a folder");
        let socket = dir.path().join("socket");
        let mut bench = Bench::new(VhostOptions::new("vhost0", &socket), 1, RxOffloads::empty());
        for _ in 0..2 {
            let testpmd = Testpmd::start(&socket, &format!("packed_vq={packed}"), 1, &[]);
            flood(&mut bench, |_, received| received > 20_000);
            // Killed, not asked: dropping it does that.
            drop(testpmd);
            flood(&mut bench, |bench, _| !is_up(bench));
        }
        bench.end();
    }
}

/// A whole TCP segment of 7,000 bytes.
fn large(pool: &MbufPool) -> Mbuf {
    let payload: Vec<u8> = (0..7000u32).map(|i| (i * 7) as u8).collect();
    let (from, to) = (Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 19, 0, 1));
    let frame = FrameBuilder::new(MacAddr([2, 0, 0, 0, 0, 2]), MacAddr([2, 0, 0, 0, 0, 1]))
        .ipv4(from, to)
        .tcp(1000, 2000, TcpFlags::ACK)
        .payload(&payload)
        .to_vec()
        .expect("a frame");
    let mut packet = pool.alloc().expect("a buffer");
    packet.extend(pool, &frame).expect("buffers");
    packet
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn what_testpmd_leaves_undone_is_told_and_can_be_passed_on() {
    if !can() {
        return;
    }
    let set = "csum set ip hw 0|csum set tcp hw 0|csum set udp hw 0|tso set 1000 0|set fwd csum";
    let lines: Vec<_> = ["port stop 0"].into_iter().chain(set.split('|')).collect();
    let lines = [lines, vec!["port start 0", "start"]].concat();
    let dir = TempDir::new().expect("a folder");
    let socket = dir.path().join("socket");
    let both = RxOffloads::L4_CHECKSUM | RxOffloads::LRO;
    let mut bench = Bench::new(VhostOptions::new("vhost0", &socket), 1, both);
    let mut testpmd = Testpmd::start(&socket, "mrg_rxbuf=1", 1, &lines);
    let (start, mut out, mut got) = (Instant::now(), Burst::new(), Burst::with_limit(1));
    let whole = bytes(&large(&bench.pool));
    while got.is_empty() {
        if out.is_empty() {
            out.push(large(&bench.pool)).expect("room");
        }
        bench.queues.tx[0].send(&mut out);
        bench.queues.rx[0].receive(&mut got);
        std::thread::sleep(Duration::from_millis(10));
        let said = testpmd.running.is_running();
        assert!(said && start.elapsed() < PATIENCE, "{}", testpmd.running.printed());
    }
    let request = got[0].tx_request().expect("something is left undone");
    assert_eq!(request.segmentation, Segmentation::Tcp(1000));
    assert_eq!(got[0].l4_checksum(), ChecksumStatus::Intact);
    let there = bytes(&got[0]);
    assert_eq!(parse(&there).outer.l4_offset, parse(&whole).outer.l4_offset);
    assert!(there[54..] == whole[54..], "the payload is another");
    drop((out, got));
    testpmd.stop();
    bench.end();
}
