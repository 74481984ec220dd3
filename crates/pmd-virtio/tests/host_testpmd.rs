//! virtio-user ports against DPDK's `net_vhost`: a back-end that others wrote.

use linecard_mbuf::{Burst, Mbuf, MbufPool};
use linecard_pmd_core::{Port, PortConfig, Queues, RxOffloads, RxQueue, Started, TxQueue};
use linecard_pmd_virtio::{Choice, RingOptions, UserOptions, VirtioPort};
use linecard_testbed::programs::{Program, Running};
use linecard_testbed::{Need, needs};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// For programs of others, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Frames that are on their way at once: fewer than a ring has descriptors, so that none is dropped.
const WINDOW: usize = 24;

fn can() -> bool {
    needs(&[Need::Root, Need::Tool("dpdk-testpmd")])
}

/// A testpmd that sends back what it receives.
struct Testpmd {
    running: Running,
}

impl Testpmd {
    fn start(socket: &Path, queues: usize, more: &str) -> Self {
        // Left behind by one that was killed; testpmd takes it for a program that lives.
        if more.is_empty() {
            let _ = std::fs::remove_file(socket);
        }
        let device = format!("net_vhost0,iface={},queues={queues}{more}", socket.display());
        let eal = "--no-pci --no-shconf --no-telemetry --no-huge -m 512 --lcores 0@(0-1),1@(0-1)";
        let app = format!("--interactive --total-num-mbufs=8192 --rxq={queues} --txq={queues}");
        let program = Program::new("dpdk-testpmd").words(eal).args(["--vdev", &device, "--"]);
        let mut running = program.words(&app).spawn().expect("testpmd starts");
        running.wait_for("testpmd>", PATIENCE).expect("its prompt");
        running.send_line("set fwd io").expect("it listens");
        running.send_line("start").expect("it listens");
        running.wait_for("testpmd> start", PATIENCE).expect("it starts");
        Testpmd { running }
    }

    fn stop(mut self) {
        self.running.send_line("quit").expect("it listens");
        self.running.wait(PATIENCE).expect("it ends");
    }
}

fn frame(pool: &MbufPool, number: usize, len: usize) -> Mbuf {
    let mut bytes: Vec<u8> = (0..len).map(|at| (number * 31 + at * 7 + at / 256) as u8).collect();
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    let mut packet = pool.alloc().expect("a buffer");
    packet.extend(pool, &bytes).expect("buffers");
    packet
}

fn bytes(packet: &Mbuf) -> Vec<u8> {
    let mut bytes = vec![0; packet.len()];
    packet.copy_to(0, &mut bytes);
    bytes
}

/// The length of frame `number`: from 60 to the longest, in uneven steps.
fn len(number: usize, longest: usize) -> usize {
    60 + number * 397 % (longest - 59)
}

/// Sends frames over one queue, and sees that each comes back, in order and unchanged.
fn none_is_lost(
    pool: &MbufPool,
    (rx, tx): (&mut dyn RxQueue, &mut dyn TxQueue),
    frames: usize,
    longest: usize,
) {
    let (mut sent, mut back) = (0, 0);
    let mut burst = Burst::new();
    let mut last = Instant::now();
    while back < frames {
        while burst.len() < 8 && sent < frames && sent - back < WINDOW {
            burst.push(frame(pool, sent, len(sent, longest))).expect("room");
            sent += 1;
        }
        tx.send(&mut burst);
        let mut got = Burst::new();
        if rx.receive(&mut got) > 0 {
            last = Instant::now();
        }
        for packet in got.iter() {
            let expected = bytes(&frame(pool, back, len(back, longest)));
            assert!(bytes(packet) == expected, "frame {back} of {} bytes", packet.len());
            back += 1;
        }
        assert!(last.elapsed() < PATIENCE, "{back} of {frames} came back over {}", rx.path());
    }
}

struct Bench {
    port: Port<Started>,
    queues: Queues,
    pool: MbufPool,
}

fn open(options: UserOptions, queues: usize, mergeable: bool) -> Bench {
    let room = if mergeable { 2048 } else { 9216 };
    let pool = MbufPool::builder("frames").size(4095).cache(0).data_room(room);
    let pool = pool.build().expect("a pool");
    let port = Port::open(VirtioPort::user(options.queues(queues)).expect("a port"));
    let mut config = PortConfig::new(&pool).rx_queues(queues).tx_queues(queues).mtu(9000);
    if mergeable {
        config = config.rx_offloads(RxOffloads::SCATTER);
    }
    let (port, queues) = port.configure(config).expect("it can").start().expect("it starts");
    Bench { port, queues, pool }
}

impl Bench {
    fn pass(&mut self, frames: usize, longest: usize) {
        let Queues { rx, tx } = &mut self.queues;
        for (rx, tx) in rx.iter_mut().zip(tx) {
            none_is_lost(&self.pool, (&mut **rx, &mut **tx), frames, longest);
        }
    }

    fn end(self) {
        drop((self.queues, self.port));
        assert_eq!(self.pool.in_use(), 0);
    }
}

fn every_variant(queues: usize) {
    let dir = TempDir::new().expect("a folder");
    let socket = dir.path().join("vhost");
    let testpmd = Testpmd::start(&socket, queues, "");
    let both = [Choice::Off, Choice::On];
    for packed in both {
        for mergeable in both {
            for in_order in both {
                let rings = RingOptions { packed, mergeable, in_order, ..RingOptions::default() };
                let options = UserOptions::new("virtio0", &socket).rings(rings);
                let mut port = open(options, queues, mergeable == Choice::On);
                port.pass(2000, 9000);
                port.end();
            }
        }
    }
    testpmd.stop();
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

/// Sends without end until `until` is true; what comes back is dropped.
fn flood(port: &mut Bench, mut until: impl FnMut(&mut Bench, u64) -> bool) {
    let end = Instant::now() + PATIENCE;
    let (mut received, mut number) = (0, 0);
    loop {
        let mut burst = Burst::new();
        while burst.len() < 8 && port.pool.in_use() < 3000 {
            burst.push(frame(&port.pool, number, 60)).expect("room");
            number += 1;
        }
        port.queues.tx[0].send(&mut burst);
        burst.clear();
        received += port.queues.rx[0].receive(&mut burst) as u64;
        if until(port, received) {
            return;
        }
        assert!(Instant::now() < end, "{received} received over {}", port.queues.rx[0].path());
    }
}

fn survives(options: impl Fn(&PathBuf) -> UserOptions, more: &str) {
    for packed in [Choice::Off, Choice::On] {
        let dir = TempDir::new().expect("a folder");
        let socket = dir.path().join("vhost");
        let mut testpmd = None;
        let first = std::thread::scope(|scope| {
            let theirs = scope.spawn(|| Testpmd::start(&socket, 1, more));
            while more.is_empty() && !socket.exists() {
                std::thread::sleep(Duration::from_millis(20));
            }
            let rings = RingOptions { packed, ..RingOptions::default() };
            let options = options(&socket).rings(rings).patience(PATIENCE);
            let port = open(options, 1, true);
            testpmd = Some(theirs.join().expect("testpmd"));
            port
        });
        let mut port = first;
        for _ in 0..2 {
            flood(&mut port, |_, received| received > 50_000);
            // Killed, not asked: dropping it does that.
            drop(testpmd.take());
            flood(&mut port, |port, _| port.port.link().is_ok_and(|link| !link.is_up()));
            testpmd = Some(Testpmd::start(&socket, 1, more));
            flood(&mut port, |port, _| port.port.link().is_ok_and(|link| link.is_up()));
            flood(&mut port, |_, received| received > 50_000);
        }
        port.end();
        testpmd.expect("it runs").stop();
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_killed_testpmd_that_is_started_again_is_found_again() {
    if can() {
        survives(|socket| UserOptions::new("virtio0", socket), "");
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_server_takes_a_testpmd_that_was_killed_and_started_again() {
    if can() {
        survives(|socket| UserOptions::new("virtio0", socket).server(), ",client=1");
    }
}
