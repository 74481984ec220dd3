//! Every ring variant passes the suite that every port passes.

use crate::guest::{Guest, Manner, connect};
use linecard_pmd_core::conformance::{self, Bed, Wire};
use linecard_pmd_core::{Opened, Port};
use linecard_pmd_vhost::{VhostOptions, VhostPort};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

struct VhostBed {
    folder: tempfile::TempDir,
    manner: Manner,
    opened: usize,
    stop: Arc<AtomicBool>,
    guest: Option<JoinHandle<()>>,
}

impl VhostBed {
    fn new(manner: Manner) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        VhostBed { folder, manner, opened: 0, stop: Arc::default(), guest: None }
    }

    fn end(&mut self) {
        // Relaxed: only tells when to end.
        self.stop.store(true, Ordering::Relaxed);
        if let Some(guest) = self.guest.take() {
            guest.join().expect("the guest is sound");
        }
    }
}

/// A guest that sends back what it receives, until told to stop or its device is gone.
fn echo(path: &Path, manner: Manner, stop: &AtomicBool) {
    // Relaxed: only tells when to end.
    let Ok(socket) = connect(path, || stop.load(Ordering::Relaxed)) else { return };
    let Ok(mut guest) = Guest::new(socket, manner) else { return };
    if guest.set_up().is_err() {
        return;
    }
    let mut waiting: Vec<Vec<Vec<u8>>> = vec![Vec::new(); manner.pairs];
    // Relaxed: only tells when to end.
    while !stop.load(Ordering::Relaxed) {
        let mut idle = true;
        for (pair, waiting) in waiting.iter_mut().enumerate() {
            while let Some(frame) = guest.receive(pair) {
                waiting.push(frame);
                idle = false;
            }
            let sent = waiting.iter().take_while(|frame| guest.send(pair, frame)).count();
            waiting.drain(..sent);
        }
        if idle {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

impl Bed for VhostBed {
    fn open(&mut self) -> Port<Opened> {
        self.end();
        self.opened += 1;
        self.stop = Arc::default();
        let path: PathBuf = self.folder.path().join(format!("{}", self.opened));
        let options = VhostOptions::new("vhost0", &path).queues(self.manner.pairs);
        let port = VhostPort::open(options).expect("it opens");
        let (stop, manner) = (Arc::clone(&self.stop), self.manner);
        self.guest = Some(std::thread::spawn(move || echo(&path, manner, &stop)));
        Port::open(port)
    }

    fn wire(&self) -> Wire {
        Wire::Loop
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn queues(&self) -> (usize, usize) {
        (self.manner.pairs, self.manner.pairs)
    }
}

#[test]
fn every_ring_variant_is_a_port_like_any_other() {
    for manner in Manner::all() {
        println!("{manner:?}");
        let mut bed = VhostBed::new(manner);
        conformance::run(&mut bed);
        bed.end();
    }
}

#[test]
fn two_queues_are_a_port_like_any_other() {
    for packed in [false, true] {
        let mut bed = VhostBed::new(Manner { packed, pairs: 2, ..Manner::default() });
        conformance::run(&mut bed);
        bed.end();
    }
}
