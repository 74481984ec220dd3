//! TAP ports against the kernel.

use linecard_mbuf::{Burst, Mbuf, MbufPool};
use linecard_pmd_core::conformance::{self, Bed, Wire};
use linecard_pmd_core::{
    Error, Event, Link, Opened, Port, PortConfig, Queues, RxOffloads, Started, TxOffloads,
};
use linecard_pmd_kernel::{Existing, TapOptions, TapPort};
use linecard_testbed::netns::Netns;
use linecard_testbed::programs::ping;
use linecard_testbed::{Need, needs};
use std::time::{Duration, Instant};

/// A TAP whose frames the kernel sends back, on the queue that they came from.
struct Mirror<'a> {
    netns: &'a Netns,
    queues: usize,
    mtu: usize,
}

/// Has `interface` send out what it receives.
fn reflect(netns: &Netns, interface: &str) {
    let tc = |words: &str| netns.program("tc").words(words).run().expect("tc obeys");
    tc(&format!("qdisc add dev {interface} clsact"));
    tc(&format!(
        "filter add dev {interface} ingress protocol all u32 match u32 0 0 \
         action mirred egress redirect dev {interface}"
    ));
}

impl Bed for Mirror<'_> {
    fn open(&mut self) -> Port<Opened> {
        let options = TapOptions::new("lc0").queues(self.queues).mtu(self.mtu);
        let tap = TapPort::open(options).expect("a TAP");
        reflect(self.netns, "lc0");
        Port::open(tap)
    }

    fn wire(&self) -> Wire {
        Wire::Loop
    }

    fn queues(&self) -> (usize, usize) {
        (self.queues, self.queues)
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_tap_keeps_every_promise_of_a_port() {
    if !needs(&[Need::Root, Need::Tool("tc")]) {
        return;
    }
    let netns = Netns::new("tap").expect("a namespace");
    let run = || conformance::run(&mut Mirror { netns: &netns, queues: 1, mtu: 1500 });
    netns.inside(run).expect("inside");
}
