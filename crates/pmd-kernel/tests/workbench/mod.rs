//! What the host tests of this crate share: mirrors in the kernel, and ports joined by a thread.

use linecard_mbuf::{Burst, Mbuf, MbufPool};
use linecard_pmd_core::{
    Driver, Port, PortConfig, Queues, RxOffloads, RxQueue, Started, TxOffloads, TxQueue,
};
use linecard_testbed::netns::Netns;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long anything may take to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Has `interface` send out what it receives.
pub(crate) fn reflect(netns: &Netns, interface: &str) {
    let tc = |words: &str| netns.program("tc").words(words).run().expect("tc obeys");
    tc(&format!("qdisc add dev {interface} clsact"));
    tc(&format!(
        "filter add dev {interface} ingress protocol all u32 match u32 0 0 \
         action mirred egress redirect dev {interface}"
    ));
}

/// A pool for the tests: buffers of 2 KiB.
pub(crate) fn pool(size: usize) -> MbufPool {
    MbufPool::builder("host").size(size).build().expect("a pool")
}

/// What large frames need of both sides.
pub(crate) fn with_offloads(config: PortConfig) -> PortConfig {
    let rx = RxOffloads::LRO | RxOffloads::L4_CHECKSUM | RxOffloads::SCATTER;
    let tx = TxOffloads::TCP_SEGMENTATION
        | TxOffloads::TCP_CHECKSUM
        | TxOffloads::UDP_CHECKSUM
        | TxOffloads::MULTI_SEGMENT;
    config.rx_offloads(rx).tx_offloads(tx)
}

/// Starts a port.
pub(crate) fn start(driver: impl Driver + 'static, config: PortConfig) -> (Port<Started>, Queues) {
    let port = Port::open(driver).configure(config).expect("a configuration it can do");
    port.start().expect("it starts")
}

/// A frame of these bytes.
pub(crate) fn packet(pool: &MbufPool, bytes: &[u8]) -> Mbuf {
    let mut packet = pool.alloc().expect("a buffer");
    packet.extend(pool, bytes).expect("buffers");
    packet
}

/// The next frame that `wanted` wants.
pub(crate) fn receive(rx: &mut dyn RxQueue, wanted: impl Fn(&Mbuf) -> bool) -> Option<Mbuf> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let mut burst = Burst::with_limit(1);
        rx.receive(&mut burst);
        if let Some(packet) = burst.pop().filter(&wanted) {
            return Some(packet);
        }
    }
    None
}

/// All bytes of a packet.
pub(crate) fn bytes(packet: &Mbuf) -> Vec<u8> {
    let mut bytes = vec![0; packet.len()];
    packet.copy_to(0, &mut bytes);
    bytes
}

/// Ports, and a thread that passes on what they receive.
pub(crate) struct Joined<const N: usize = 2> {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// The ports.
    pub(crate) ports: [Port<Started>; N],
}

impl Joined<2> {
    /// Joins the first queues of two ports: each sends what the other receives.
    pub(crate) fn new(
        [(left, mut lefts), (right, mut rights)]: [(Port<Started>, Queues); 2],
    ) -> Self {
        Joined::turning([left, right], move || {
            forward(&mut *lefts.rx[0], &mut *rights.tx[0]);
            forward(&mut *rights.rx[0], &mut *lefts.tx[0]);
        })
    }
}

impl<const N: usize> Joined<N> {
    /// Ports whose queues `turn` has, which is called again and again.
    pub(crate) fn turning(
        ports: [Port<Started>; N],
        mut turn: impl FnMut() + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let run = move || {
            // Relaxed: a flag, nothing else goes with it.
            while !seen.load(Ordering::Relaxed) {
                turn();
            }
        };
        Joined { stop, thread: Some(thread::spawn(run)), ports }
    }
}

/// Passes a burst on.
pub(crate) fn forward(from: &mut dyn RxQueue, to: &mut dyn TxQueue) {
    let mut burst = Burst::new();
    from.receive(&mut burst);
    let start = Instant::now();
    while !burst.is_empty() && start.elapsed() < Duration::from_millis(100) {
        to.send(&mut burst);
    }
    to.reclaim();
}

impl<const N: usize> Drop for Joined<N> {
    fn drop(&mut self) {
        // Relaxed: as in the thread.
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(!matches!(ended, Some(Err(_))) || thread::panicking(), "the thread panicked");
    }
}

/// A frame that comes back wakes whoever sleeps on the first queue, and nothing else does.
pub(crate) fn wakes(queues: &mut Queues, pool: &MbufPool) {
    use linecard_eal::event::{Epoll, Wake};
    let mut frame = [0xFF; 60];
    frame[6..14].copy_from_slice(b"\x02lc\0\0\x01\x88\xB5");
    let (mut burst, mut none) = (Burst::new(), Burst::with_limit(64));
    while queues.rx[0].receive(&mut none) > 0 {
        none.clear();
    }
    let epoll = Epoll::new().expect("an epoll");
    epoll.add(queues.rx[0].arm().expect("it can be slept on").0, 1).expect("it is a file");
    let mut wakes = [Wake::default()];
    let woken = |wakes: &mut [Wake], millis| {
        epoll.wait(wakes, Some(Duration::from_millis(millis))).expect("a wait").len()
    };
    assert_eq!(woken(&mut wakes, 50), 0, "woken by nothing");
    burst.push(packet(pool, &frame)).expect("room");
    assert_eq!(queues.tx[0].send(&mut burst), 1);
    assert_eq!(woken(&mut wakes, 5000), 1, "not woken by a frame");
    let back = receive(&mut *queues.rx[0], |p| p.data() == frame);
    assert!(back.is_some(), "the frame that woke");
}
