//! AF_PACKET ports on veth pairs.

use linecard_pmd_core::conformance::{self, Bed, Wire};
use linecard_pmd_core::{Opened, Port};
use linecard_pmd_kernel::{AfPacketOptions, AfPacketPort, RxRing};
use linecard_testbed::netns::{Netns, Veth};
use linecard_testbed::{Need, needs};

/// Has `interface` send out what it receives.
fn reflect(netns: &Netns, interface: &str) {
    let tc = |words: &str| netns.program("tc").words(words).run().expect("tc obeys");
    tc(&format!("qdisc add dev {interface} clsact"));
    tc(&format!(
        "filter add dev {interface} ingress protocol all u32 match u32 0 0 \
         action mirred egress redirect dev {interface}"
    ));
}

/// A cable at whose other end everything comes back.
struct Mirror {
    interface: String,
    ring: RxRing,
}

impl Bed for Mirror {
    fn open(&mut self) -> Port<Opened> {
        let options = AfPacketOptions::new(&self.interface).rx_ring(self.ring);
        Port::open(AfPacketPort::open(options).expect("an interface"))
    }

    fn wire(&self) -> Wire {
        Wire::Loop
    }
}

fn keeps_every_promise(ring: RxRing) {
    if !needs(&[Need::Root, Need::Tool("tc")]) {
        return;
    }
    let (near, far) = (Netns::new("near").expect("a namespace"), Netns::new("far").expect("one"));
    let cable = Veth::between(&near, &far).expect("a cable");
    reflect(&far, cable.second());
    let interface = cable.first().to_owned();
    near.inside(|| conformance::run(&mut Mirror { interface, ring })).expect("inside");
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_port_with_a_ring_of_frames_keeps_every_promise() {
    keeps_every_promise(RxRing::Frames);
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_port_with_a_ring_of_blocks_keeps_every_promise() {
    keeps_every_promise(RxRing::Blocks);
}
