//! The promises of every port, kept on the model.

use crate::bed::Modelled;
use crate::options;
use linecard_pmd_core::conformance::{self, Bed, Wire};
use linecard_pmd_core::{Opened, Port};
use linecard_pmd_ixgbe::IxgbePort;

/// A card whose frames come back.
struct Looped(Vec<Modelled>);

impl Bed for Looped {
    fn open(&mut self) -> Port<Opened> {
        let card = Modelled::looped();
        self.0.push(card.clone());
        Port::open(IxgbePort::open(Box::new(card), options()).expect("an 82599"))
    }

    fn wire(&self) -> Wire {
        Wire::Loop
    }
}

#[test]
fn an_82599_keeps_every_promise() {
    let mut bed = Looped(Vec::new());
    conformance::run(&mut bed);
    bed.0.iter().for_each(Modelled::assert_clean);
}
