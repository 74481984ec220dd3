//! Frames of all sizes, with checked contents; offloads; queues that come and go.

use crate::guest::{BUFFER, Guest, Manner};
use linecard_eal::event::{Epoll, EventFd, Wake};
use linecard_mbuf::{Burst, ChecksumStatus, L4Checksum, MbufPool, Segmentation, TxRequest};
use linecard_net::checksum::{Status, pseudo_sum, verify_ipv4, verify_l4};
use linecard_net::header::TcpFlags;
use linecard_net::{FrameBuilder, MacAddr, parse};
use linecard_pmd_core::{
    Direction, Event, Port, PortConfig, QueueState, Queues, RxOffloads, Started, TxOffloads,
};
use linecard_pmd_vhost::{VhostOptions, VhostPort};
use linecard_virtqueue::Features;
use linecard_virtqueue::net::{GSO_TCPV4, GSO_UDP_L4, NEEDS_CSUM, VnetHdr};
use linecard_virtqueue::vhost_user::Request;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

/// A port with a guest.
pub(crate) struct Pair {
    pub(crate) guest: Guest,
    pub(crate) queues: Queues,
    pub(crate) port: Port<Started>,
    pub(crate) pool: MbufPool,
    folder: tempfile::TempDir,
}

pub(crate) const LONG: Duration = Duration::from_secs(30);

/// Waits for something, polling.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < LONG, "{what} did not happen");
        std::thread::sleep(Duration::from_micros(20));
    }
}

impl Pair {
    pub(crate) fn new(manner: Manner) -> Self {
        let rx = RxOffloads::L4_CHECKSUM | RxOffloads::LRO | RxOffloads::LARGE_UDP;
        let tx = TxOffloads::TCP_SEGMENTATION | TxOffloads::UDP_SEGMENTATION;
        Pair::asking(manner, rx, tx)
    }

    pub(crate) fn asking(manner: Manner, rx: RxOffloads, tx: TxOffloads) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pool = MbufPool::builder("traffic").size(2047).cache(0).build().expect("a pool");
        let path = folder.path().join("socket");
        let options = VhostOptions::new("vhost0", &path).queues(manner.pairs);
        let options = options.iommu(linecard_pmd_vhost::Iommu::Offered);
        let config = PortConfig::new(&pool)
            .rx_queues(manner.pairs)
            .tx_queues(manner.pairs)
            .rx_offloads(rx | RxOffloads::SCATTER)
            .tx_offloads(tx | TxOffloads::MULTI_SEGMENT);
        let port = Port::open(VhostPort::open(options).expect("it opens"));
        let (port, queues) = port.configure(config).expect("it can").start().expect("it starts");
        let guest = Guest::start(&path, manner).expect("a guest");
        Pair { guest, queues, port, pool, folder }
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("socket")
    }

    /// Sends bytes to the guest.
    pub(crate) fn send(&mut self, queue: usize, bytes: &[u8], request: Option<TxRequest>) {
        let mut packet = self.pool.alloc().expect("a buffer");
        packet.extend(&self.pool, bytes).expect("buffers");
        if let Some(request) = request {
            packet.request(request);
        }
        let mut burst = Burst::new();
        burst.push(packet).expect("room");
        until("sending", || (self.queues.tx[queue].send(&mut burst) == 1).then_some(()));
    }

    /// The next packet from the guest: its bytes, and what was said of it.
    pub(crate) fn receive(&mut self, queue: usize) -> Burst {
        let mut burst = Burst::with_limit(1);
        until("a packet", || (self.queues.rx[queue].receive(&mut burst) == 1).then_some(()));
        burst
    }

    /// Waits until the guest has a frame.
    pub(crate) fn at_guest(&mut self, pair: usize) -> (VnetHdr, Vec<u8>) {
        let (header, frame) = until("a frame", || self.guest.receive_with(pair));
        self.guest.refill(pair);
        (VnetHdr::read(&header), frame)
    }

    pub(crate) fn event(&mut self, wanted: Event) {
        until(&format!("the event that {wanted}"), || {
            let event = self.port.next_event().expect("events can be asked for");
            event.filter(|event| *event == wanted)
        });
    }

    /// Ends it, and checks that no buffer is left behind.
    pub(crate) fn end(self) {
        drop((self.queues, self.port, self.guest));
        assert_eq!(self.pool.in_use(), 0, "buffers left behind");
    }
}

/// Some bytes, all different.
fn bytes(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251 + seed * 31) as u8).collect()
}

pub(crate) fn all(burst: &Burst) -> Vec<u8> {
    burst[0].segments().flatten().copied().collect()
}

#[test]
fn frames_of_all_sizes_pass_both_ways_unchanged() {
    for manner in Manner::all() {
        let mut pair = Pair::new(manner);
        let sizes = [14, 60, 61, 64, 1514, BUFFER - 12, BUFFER - 11, BUFFER, 4096, 9000];
        for (seed, size) in sizes.into_iter().enumerate() {
            let frame = bytes(size, seed);
            until("room", || pair.guest.send(0, &frame).then_some(()));
            assert!(all(&pair.receive(0)) == frame, "{manner:?}: {size} bytes from the guest");
            pair.send(0, &frame, None);
            assert!(pair.at_guest(0).1 == frame, "{manner:?}: {size} bytes to the guest");
        }
        pair.end();
    }
}

#[test]
fn a_frame_too_long_for_a_guest_without_merging_is_counted_and_blocks_nobody() {
    let mut pair = Pair::new(Manner { mergeable: false, ..Manner::default() });
    pair.send(0, &bytes(20_000, 0), None);
    pair.send(0, &bytes(100, 1), None);
    assert_eq!(pair.at_guest(0).1, bytes(100, 1));
    assert_eq!(pair.port.stats().tx_errors, 1);
    pair.end();
}

#[test]
fn a_frame_that_is_none_is_counted_and_its_descriptor_goes_home() {
    let mut pair = Pair::new(Manner::default());
    for len in [0, 1, 13] {
        assert!(pair.guest.send(0, &bytes(len, 0)));
    }
    assert!(pair.guest.send(0, &bytes(60, 5)));
    assert_eq!(all(&pair.receive(0)), bytes(60, 5));
    until("all come home", || {
        pair.guest.reclaim(0);
        (pair.guest.rings[1].outstanding() == 0).then_some(())
    });
    assert_eq!(pair.port.stats().rx_errors, 3);
    pair.end();
}

#[test]
fn queues_come_and_go_while_packets_pass() {
    let mut pair = Pair::new(Manner { pairs: 2, ..Manner::default() });
    for queue in [0, 1] {
        pair.send(queue, &bytes(100, queue), None);
        assert_eq!(pair.at_guest(queue).1, bytes(100, queue));
    }
    for _ in 0..3 {
        pair.guest.front.number(Request::SetVringEnable, 2, 0).expect("told");
        let (direction, queue) = (Direction::Transmit, 1);
        pair.event(Event::Queue { direction, queue, state: QueueState::Disabled });
        let mut burst = Burst::new();
        assert!(pair.pool.alloc_bulk(&mut burst, 1));
        assert_eq!(pair.queues.tx[1].send(&mut burst), 0, "it is out of use");
        pair.send(0, &bytes(100, 7), None);
        assert_eq!(pair.at_guest(0).1, bytes(100, 7));
        pair.guest.front.number(Request::SetVringEnable, 2, 1).expect("told");
        pair.event(Event::Queue { direction, queue, state: QueueState::Enabled });
        pair.send(1, &bytes(100, 8), None);
        assert_eq!(pair.at_guest(1).1, bytes(100, 8));
    }
    pair.end();
}

/// A TCP or UDP frame whose checksum is left open, and what asks for it.
fn open_frame(tcp: bool, payload: usize) -> (Vec<u8>, TxRequest) {
    let (from, to) = (Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 19, 0, 1));
    let builder = FrameBuilder::new(MacAddr([2, 0, 0, 0, 0, 2]), MacAddr([2, 0, 0, 0, 0, 1]));
    let builder = builder.ipv4(from, to);
    let builder =
        if tcp { builder.tcp(1000, 2000, TcpFlags::ACK) } else { builder.udp(1000, 2000) };
    let mut frame = builder.payload(&bytes(payload, 3)).to_vec().expect("a frame");
    let flow = parse(&frame).outer.flow.expect("a flow");
    let (l4, at) = (frame.len() - 34, if tcp { 50 } else { 40 });
    frame[at..at + 2].copy_from_slice(&pseudo_sum(&flow, l4 as u32).to_be_bytes());
    let l4_checksum = if tcp { L4Checksum::Tcp } else { L4Checksum::Udp };
    let l4_len = if tcp { 20 } else { 8 };
    let request = TxRequest { l2_len: 14, l3_len: 20, l4_len, l4_checksum, ..TxRequest::default() };
    (frame, request)
}

/// The same for segmentation, where the open sum has no length.
fn large_frame(tcp: bool, payload: usize, size: u16) -> (Vec<u8>, TxRequest) {
    let (mut frame, request) = open_frame(tcp, payload);
    let flow = parse(&frame).outer.flow.expect("a flow");
    let at = if tcp { 50 } else { 40 };
    frame[at..at + 2].copy_from_slice(&pseudo_sum(&flow, 0).to_be_bytes());
    let segmentation = if tcp { Segmentation::Tcp(size) } else { Segmentation::Udp(size) };
    (frame, TxRequest { segmentation, ip_checksum: true, ..request })
}

#[test]
fn an_open_checksum_is_left_to_a_guest_that_takes_it_and_computed_for_others() {
    for tcp in [true, false] {
        let (frame, request) = open_frame(tcp, 500);
        let mut pair = Pair::new(Manner { more: Features::GUEST_CSUM, ..Manner::default() });
        pair.send(0, &frame, Some(request));
        let (header, got) = pair.at_guest(0);
        let offset = if tcp { 16 } else { 6 };
        assert_eq!((header.flags, header.csum_start), (NEEDS_CSUM, 34));
        assert_eq!((header.csum_offset, got == frame), (offset, true));
        pair.end();

        let mut pair = Pair::new(Manner::default());
        pair.send(0, &frame, Some(request));
        let (header, got) = pair.at_guest(0);
        assert!(header.is_plain());
        assert_eq!(verify_l4(&got, &parse(&got).outer), Status::Good);
        pair.end();
    }
}

#[test]
fn a_large_frame_is_left_to_a_guest_that_takes_it_and_cut_for_others() {
    for tcp in [true, false] {
        let (frame, request) = large_frame(tcp, 20_000, 1400);
        let takes = Features::GUEST_CSUM
            | Features::GUEST_TSO4
            | Features::GUEST_USO4
            | Features::GUEST_USO6;
        let mut pair = Pair::new(Manner { more: takes, ..Manner::default() });
        pair.send(0, &frame, Some(request));
        let (header, got) = pair.at_guest(0);
        let gso_type = if tcp { GSO_TCPV4 } else { GSO_UDP_L4 };
        assert_eq!((header.gso_type, header.gso_size, got.len()), (gso_type, 1400, frame.len()));
        assert_eq!(verify_ipv4(&got, &parse(&got).outer), Status::Good);
        assert!(got[60..] == frame[60..]);
        pair.end();

        for mergeable in [true, false] {
            let mut pair = Pair::new(Manner { mergeable, ..Manner::default() });
            pair.send(0, &frame, Some(request));
            let mut payload = Vec::new();
            let headers = if tcp { 54 } else { 42 };
            while payload.len() < 20_000 {
                let (header, got) = pair.at_guest(0);
                assert!(header.is_plain());
                assert_eq!(verify_l4(&got, &parse(&got).outer), Status::Good);
                payload.extend_from_slice(&got[headers..]);
            }
            assert!(payload == frame[headers..]);
            pair.end();
        }
    }
}

#[test]
fn what_a_guest_leaves_open_is_told_or_made_good() {
    let (frame, _) = open_frame(true, 300);
    let header =
        VnetHdr { flags: NEEDS_CSUM, csum_start: 34, csum_offset: 16, ..VnetHdr::default() };
    let header = [header.as_bytes(), &[0, 0]].concat();
    let manner = Manner { more: Features::CSUM, ..Manner::default() };
    let mut pair = Pair::new(manner);
    assert!(pair.guest.send_with(0, &header, &frame));
    let got = pair.receive(0);
    assert_eq!(got[0].l4_checksum(), ChecksumStatus::Intact);
    assert_eq!(got[0].tx_request().map(|r| r.l4_checksum), Some(L4Checksum::Tcp));
    drop(got);
    pair.end();

    // Nobody asked, so that the guest was not offered it: its header is not read at all.
    let mut pair = Pair::asking(Manner::default(), RxOffloads::empty(), TxOffloads::empty());
    assert!(pair.guest.send_with(0, &header, &frame));
    assert!(all(&pair.receive(0)) == frame);
    pair.end();
}

#[test]
fn a_large_frame_of_a_guest_goes_to_another_as_it_is() {
    let (frame, request) = large_frame(true, 30_000, 1448);
    let more = Features::CSUM | Features::HOST_TSO4;
    let mut pair = Pair::new(Manner { more, ..Manner::default() });
    let vnet = VnetHdr {
        flags: NEEDS_CSUM,
        gso_type: GSO_TCPV4,
        hdr_len: 54,
        gso_size: 1448,
        csum_start: 34,
        csum_offset: 16,
    };
    let header = [vnet.as_bytes(), &[0, 0]].concat();
    assert!(pair.guest.send_with(0, &header, &frame));
    let mut burst = pair.receive(0);
    assert_eq!(burst[0].tx_request().map(|r| r.segmentation), Some(request.segmentation));
    let more = Features::GUEST_CSUM | Features::GUEST_TSO4;
    let mut other = Pair::new(Manner { more, ..Manner::default() });
    until("sending", || (other.queues.tx[0].send(&mut burst) == 1).then_some(()));
    let (header, got) = other.at_guest(0);
    assert_eq!((header.gso_type, header.gso_size), (GSO_TCPV4, 1448));
    assert!(got[54..] == frame[54..]);
    pair.end();
    other.end();
}

/// Whoever sleeps on the first receive queue.
pub(crate) struct Sleeper {
    epoll: Epoll,
    kick: EventFd,
}

impl Pair {
    /// The first receive queue armed, with a kick that its guest gives.
    pub(crate) fn sleeper(&mut self) -> Sleeper {
        let (epoll, kick) = (Epoll::new().expect("a set"), EventFd::new().expect("an eventfd"));
        self.guest.front.tell(Request::SetVringKick, &1u64, &[kick.as_fd()]).expect("told");
        assert!(self.guest.is_connected());
        let wake = self.queues.rx[0].arm().expect("it can be slept on");
        epoll.add(wake.0, 1).expect("added");
        // What was rung on the way here is over after another arming.
        self.queues.rx[0].arm().expect("again");
        Sleeper { epoll, kick }
    }
}

impl Sleeper {
    fn is_rung_within(&mut self, limit: Duration) -> bool {
        let mut wakes = [Wake::default()];
        !self.epoll.wait(&mut wakes, Some(limit)).expect("it waits").is_empty()
    }

    pub(crate) fn is_rung(&mut self) -> bool {
        self.is_rung_within(Duration::ZERO)
    }
}

#[test]
fn a_queue_that_sleeps_is_woken_by_the_guest() {
    for packed in [false, true] {
        let mut pair = Pair::new(Manner { packed, ..Manner::default() });
        let mut sleeper = pair.sleeper();
        assert!(!sleeper.is_rung());
        for round in 0..3 {
            assert!(pair.guest.wants_kick(0), "the device sleeps");
            assert!(pair.guest.send(0, &bytes(60, round)));
            sleeper.kick.signal().expect("it counts");
            assert!(sleeper.is_rung_within(LONG));
            assert_eq!(all(&pair.receive(0)), bytes(60, round));
            assert!(!pair.guest.wants_kick(0), "the device polls");
            pair.queues.rx[0].arm().expect("again");
            assert!(!sleeper.is_rung());
        }
        pair.end();
    }
}

#[test]
fn a_queue_does_not_sleep_over_frames_that_its_pool_has_no_buffer_for() {
    for packed in [false, true] {
        let mut pair = Pair::new(Manner { packed, ..Manner::default() });
        let mut sleeper = pair.sleeper();
        let held: Vec<_> = std::iter::from_fn(|| pair.pool.alloc()).collect();
        assert!(pair.guest.send(0, &bytes(60, 1)));
        let mut burst = Burst::new();
        for _ in 0..2 {
            pair.queues.rx[0].arm().expect("it sleeps");
            assert_eq!(pair.queues.rx[0].receive(&mut burst), 0, "no buffer");
            assert!(sleeper.is_rung(), "a frame waits");
        }
        drop(held);
        assert_eq!(all(&pair.receive(0)), bytes(60, 1));
        // A frame that is none is gone, and the queue still wants to be told of the next.
        pair.queues.rx[0].arm().expect("again");
        assert!(pair.guest.send(0, &[1, 2, 3]));
        assert_eq!(pair.queues.rx[0].receive(&mut burst), 0);
        assert!(sleeper.is_rung(), "whoever is about to sleep looks again");
        pair.queues.rx[0].arm().expect("again");
        assert!(!sleeper.is_rung() && pair.guest.wants_kick(0));
        assert_eq!(pair.port.stats().rx_errors, 1);
        pair.end();
    }
}
