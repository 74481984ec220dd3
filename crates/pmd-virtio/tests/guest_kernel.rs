//! Ports of `/dev/vhost-net`, whose TAP sends back what it receives.
//!
//! guest: iommu=none, nodes=1, cpus=2, memory=768, hugepages=64, limit=120
//! guest: modules=vhost_net+tun+sch_ingress+cls_matchall+act_mirred, programs=ip+tc

use linecard_mbuf::{Burst, MbufPool};
use linecard_pmd_core::conformance::{self, Bed, Wire};
use linecard_pmd_core::{Opened, Port, PortConfig};
use linecard_pmd_virtio::{Choice, KernelOptions, RingOptions, VirtioPort};
use linecard_testbed::programs::Program;
use linecard_testbed::{Need, needs};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

struct Mirror {
    rings: RingOptions,
}

impl Bed for Mirror {
    fn open(&mut self) -> Port<Opened> {
        // What the kernel says by itself on a new interface would disturb counts. Without IPv6 there
        // is no such file.
        let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        let options = KernelOptions::new("vhost0", "lc0").rings(self.rings);
        let port = VirtioPort::kernel(options).expect("a port");
        let tc = |words: &str| drop(Program::new("tc").words(words).run().expect("tc obeys"));
        tc("qdisc add dev lc0 clsact");
        tc(
            "filter add dev lc0 ingress protocol all matchall action mirred egress redirect dev lc0",
        );
        Port::open(port)
    }

    fn wire(&self) -> Wire {
        Wire::Loop
    }
}

#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn ports_of_the_kernels_vhost_keep_every_promise_over_every_ring_that_it_has() {
    if !needs(&[Need::Guest, Need::Tool("tc")]) {
        return;
    }
    for (mergeable, event_index) in [(Choice::On, Choice::Off), (Choice::Off, Choice::On)] {
        let rings = RingOptions { mergeable, event_index, ..RingOptions::default() };
        conformance::run(&mut Mirror { rings });
    }
}

fn frame(pool: &MbufPool, number: u8) -> Burst {
    let mut packet = pool.alloc().expect("a buffer");
    packet.extend(pool, &[number; 100]).expect("room");
    let mut burst = Burst::new();
    burst.push(packet).expect("room");
    burst
}

/// Where the kernel has the interface, and whether it may be reached, changes under a port at work.
#[test]
#[ignore = "guest level: cargo xtask test guest"]
fn a_link_is_up_while_its_interface_is_and_a_queue_can_be_slept_on() {
    use linecard_eal::event::{Epoll, Wake};
    if !needs(&[Need::Guest, Need::Tool("tc")]) {
        return;
    }
    let pool = MbufPool::builder("p").size(2047).cache(0).build().expect("a pool");
    let mut mirror = Mirror { rings: RingOptions::default() };
    let port = mirror.open().configure(PortConfig::new(&pool)).expect("it can");
    let (mut port, mut queues) = port.start().expect("it starts");
    assert!(port.link().expect("it can be told").is_up());
    let ip = |words: &str| drop(Program::new("ip").words(words).run().expect("it obeys"));
    ip("link set lc0 down");
    assert!(!port.link().expect("it can be told").is_up());
    ip("link set lc0 up");
    assert!(port.link().expect("it can be told").is_up());
    let epoll = Epoll::new().expect("a set");
    epoll.add(queues.rx[0].arm().expect("it can be slept on").0, 1).expect("it can be waited for");
    for number in 0..3 {
        let mut burst = frame(&pool, number);
        queues.tx[0].send(&mut burst);
        let (start, mut got) = (Instant::now(), Burst::new());
        // The kernel has things of its own to say on a new interface.
        while !got.iter().any(|packet| packet.data().starts_with(&[number; 100])) {
            assert!(start.elapsed() < PATIENCE, "{number} does not come back");
            got.clear();
            let _ = queues.rx[0].arm();
            if queues.rx[0].receive(&mut got) == 0 {
                let mut wakes = [Wake::default()];
                let woken = epoll.wait(&mut wakes, Some(PATIENCE)).expect("it waits").len();
                assert_eq!(woken, 1, "nothing has come within {PATIENCE:?}");
            }
        }
    }
    // A port that was stopped starts again, with queues of its own.
    drop(queues);
    let port = port.stop().expect("it stops");
    let (port, queues) = port.start().expect("it starts again");
    drop((port, queues));
    assert_eq!(pool.in_use(), 0);
}
