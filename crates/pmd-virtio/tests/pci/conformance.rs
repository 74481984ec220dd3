//! The suite that every driver passes, over each kind of ring and either interface.

use crate::bed::options;
use crate::device::{Fake, Offer, everything};
use linecard_pmd_core::conformance::{self, Bed, Wire};
use linecard_pmd_core::{Opened, Port};
use linecard_pmd_virtio::{Choice, RingOptions, VirtioPort};
use linecard_virtqueue::Features;

struct PciBed {
    offer: Offer,
    rings: RingOptions,
    queues: usize,
    opened: Vec<Fake>,
}

impl Bed for PciBed {
    fn open(&mut self) -> Port<Opened> {
        let fake = Fake::new(self.offer.clone());
        self.opened.push(fake.clone());
        let port = VirtioPort::pci(Box::new(fake), options().rings(self.rings));
        Port::open(port.expect("it can be driven"))
    }

    fn wire(&self) -> Wire {
        Wire::Loop
    }

    fn queues(&self) -> (usize, usize) {
        (self.queues, self.queues)
    }
}

fn conforms(offer: Offer, rings: RingOptions, queues: usize) {
    let mut bed = PciBed { offer, rings, queues, opened: Vec::new() };
    conformance::run(&mut bed);
    bed.opened.iter().for_each(Fake::assert_clean);
}

/// A device of the time before version 1.
pub(crate) fn legacy() -> Offer {
    let old = Features::MAC | Features::STATUS | Features::CTRL_VQ | Features::CTRL_RX;
    let rings = Features::MRG_RXBUF | Features::INDIRECT_DESC | Features::ANY_LAYOUT;
    let features = old | rings | Features::CTRL_VLAN;
    Offer { features, modern: false, legacy: true, sizes: [128, 256, 64], ..everything() }
}

#[test]
fn a_modern_device_conforms_over_every_kind_of_ring() {
    use Choice::{Off, On};
    for (packed, in_order) in [(Off, Off), (Off, On), (On, Off), (On, On)] {
        for (mergeable, queues) in [(On, 1), (Off, 2)] {
            let rings = RingOptions { packed, in_order, mergeable, ..RingOptions::default() };
            conforms(everything(), rings, queues);
        }
    }
}

#[test]
fn a_device_that_wants_plain_notifications_by_number_conforms() {
    conforms(everything().without(Features::NOTIFICATION_DATA), RingOptions::default(), 1);
}

#[test]
fn a_device_with_a_line_and_no_messages_conforms() {
    conforms(Offer { vectors: 0, ..everything() }, RingOptions::default(), 1);
}

#[test]
fn a_device_whose_bar_cannot_be_mapped_conforms_through_configuration_space() {
    let offer = everything().with(crate::device::Fault::NoBar);
    conforms(offer, RingOptions::default(), 1);
}
