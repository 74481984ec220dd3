//! The suite that every driver passes, over each kind of ring, against a device in this process.

use crate::device::{Device, everything};
use linecard_pmd_core::conformance::{self, Bed, Wire};
use linecard_pmd_core::{Opened, Port};
use linecard_pmd_virtio::{Choice, RingOptions, UserOptions, VirtioPort};
use std::path::PathBuf;
use tempfile::TempDir;

struct UserBed {
    device: Option<Device>,
    dir: TempDir,
    rings: RingOptions,
    queues: usize,
    opened: usize,
}

impl UserBed {
    fn new(rings: RingOptions, queues: usize) -> Self {
        UserBed { device: None, dir: TempDir::new().unwrap(), rings, queues, opened: 0 }
    }
}

impl Bed for UserBed {
    fn open(&mut self) -> Port<Opened> {
        self.opened += 1;
        let path: PathBuf = self.dir.path().join(format!("{}", self.opened));
        self.device = Some(Device::listen(&path, everything()));
        let options = UserOptions::new("virtio0", path).rings(self.rings).queues(self.queues);
        Port::open(VirtioPort::user(options).unwrap())
    }

    fn wire(&self) -> Wire {
        Wire::Loop
    }

    fn queues(&self) -> (usize, usize) {
        (self.queues, self.queues)
    }
}

fn rings(packed: Choice, mergeable: Choice, in_order: Choice) -> RingOptions {
    RingOptions { packed, mergeable, in_order, ..RingOptions::default() }
}

use Choice::{Off, On};

#[test]
fn split_rings_conform() {
    conformance::run(&mut UserBed::new(rings(Off, On, Off), 1));
    conformance::run(&mut UserBed::new(rings(Off, Off, Off), 2));
}

#[test]
fn split_rings_in_order_conform() {
    conformance::run(&mut UserBed::new(rings(Off, On, On), 2));
    conformance::run(&mut UserBed::new(rings(Off, Off, On), 1));
}

#[test]
fn packed_rings_conform() {
    conformance::run(&mut UserBed::new(rings(On, On, Off), 1));
    conformance::run(&mut UserBed::new(rings(On, Off, Off), 2));
}

#[test]
fn packed_rings_in_order_conform() {
    conformance::run(&mut UserBed::new(rings(On, On, On), 2));
    conformance::run(&mut UserBed::new(rings(On, Off, On), 1));
}
