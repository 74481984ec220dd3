//! Interrupts go to the guest from a thread of their own: asynchronously, as on hardware.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use super::qtest::Qtest;
use super::system_memory::SystemMemory;
use super::vtd::Iommu;
use crate::bus::{Interrupts, Level, Message};

/// What the thread is asked for.
#[derive(Clone, Copy, Debug)]
enum Event {
    Message(Message),
    Pin(Level),
}

/// The device's end. The thread ends when it is dropped.
#[derive(Debug)]
pub(crate) struct ToGuest {
    sender: Sender<Event>,
}

/// What the thread has.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) qtest: Arc<Mutex<Qtest>>,
    pub(crate) memory: Arc<RwLock<SystemMemory>>,
    /// Input of the I/O APIC that the pin is led to.
    pub(crate) gsi: u32,
    pub(crate) has_iommu: bool,
}

impl ToGuest {
    pub(crate) fn start(guest: Guest) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("model-interrupts".into())
            .spawn(move || guest.run(&receiver))?;
        Ok((Self { sender }, thread))
    }
}

impl Interrupts for ToGuest {
    fn message(&mut self, message: Message) {
        // If the thread has ended, so has QEMU.
        let _ = self.sender.send(Event::Message(message));
    }

    fn pin(&mut self, level: Level) {
        let _ = self.sender.send(Event::Pin(level));
    }
}

impl Guest {
    fn run(&self, events: &Receiver<Event>) {
        while let Ok(event) = events.recv() {
            let outcome = match event {
                Event::Message(message) => self.message(message),
                Event::Pin(level) => self.pin(level),
            };
            if outcome.is_err() {
                return;
            }
        }
    }

    fn message(&self, message: Message) -> std::io::Result<()> {
        let mut qtest = self.qtest.lock().unwrap_or_else(PoisonError::into_inner);
        let message = match self.has_iommu && message.address & 1 << 4 != 0 {
            true => {
                let iommu = Iommu::look(&mut qtest)?;
                let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
                iommu.remap(&memory, message)
            }
            false => Some(message),
        };
        match message {
            Some(Message { address, data, .. }) => qtest.write_word(address, data),
            // Blocked by the remapping table.
            None => Ok(()),
        }
    }

    fn pin(&self, level: Level) -> std::io::Result<()> {
        let mut qtest = self.qtest.lock().unwrap_or_else(PoisonError::into_inner);
        qtest.set_gsi(self.gsi, u8::from(level == Level::Asserted))
    }
}
