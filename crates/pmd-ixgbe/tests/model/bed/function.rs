//! A virtual function of a modelled card, as a device of this process.

use super::memory::Memory;
use super::{Card, Host, Modelled, Vectors, lock};
use linecard_eal::device::{
    Bar, ConfigSpace, Device, DeviceError, Dma, Identity, Interrupts, Presence, Registers, State,
    Width,
};
use linecard_ixgbe_model as model;
use linecard_ixgbe_regs::{VF_BAR_BYTES, VF_MSIX_VECTORS};
use std::sync::{Arc, MutexGuard};

/// The device as the driver gets it, and as the test keeps it.
#[derive(Clone)]
pub(crate) struct ModelledFunction {
    card: Arc<Card>,
    number: u32,
    memory: Memory,
    vectors: Vectors,
    presence: Arc<Presence>,
}

impl std::fmt::Debug for ModelledFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "virtual function {}", self.number)
    }
}

impl Modelled {
    /// A virtual function, and a driver of the physical one that looks after it.
    pub(crate) fn function(&self, host: Host) -> ModelledFunction {
        let (memory, vectors) = (Memory::default(), Vectors::new(VF_MSIX_VECTORS));
        let outside = model::FunctionHost {
            dma: Box::new(memory.clone()),
            interrupts: Box::new(vectors.clone()),
        };
        let number = {
            let mut device = self.model();
            let number = device.attach(outside);
            device.function(number).place_table(model::Table::AtHost);
            host.bring_up(&mut device);
            number
        };
        *lock(&self.card.host) = Some(host);
        let (card, presence) = (self.card.clone(), Arc::new(Presence::new()));
        ModelledFunction { card, number, memory, vectors, presence }
    }

    /// What the driver of the physical function is, to ask it or to change its mind.
    pub(crate) fn host<R>(&self, ask: impl FnOnce(&mut Host, &mut model::Device) -> R) -> R {
        let mut host = lock(&self.card.host);
        ask(host.as_mut().expect("there is one"), &mut self.model())
    }
}

impl ModelledFunction {
    pub(crate) fn model(&self) -> MutexGuard<'_, model::Device> {
        lock(&self.card.model)
    }

    /// Where nothing was mapped for the function, it has reached nothing.
    pub(crate) fn assert_clean(&self) {
        let model = self.model();
        let journal = model.journal();
        assert!(journal.dma_faults.is_empty(), "DMA faults: {:?}", journal.dma_faults);
        assert!(journal.breaches.is_empty(), "breaches: {:?}", journal.breaches);
        assert!(journal.unknown.is_empty(), "unknown registers: {:x?}", journal.unknown);
    }
}

impl Registers for ModelledFunction {
    fn read(&self, offset: usize, width: Width) -> u64 {
        self.card.tick();
        let mut model = self.model();
        let bytes = width.bytes() as u8;
        model.function(self.number).read(model::Bar::Registers, offset as u64, bytes)
    }

    fn write(&self, offset: usize, width: Width, value: u64) {
        let bytes = width.bytes() as u8;
        let bar = model::Bar::Registers;
        self.model().function(self.number).write(bar, offset as u64, value, bytes);
        self.card.serve();
        self.card.carry();
    }
}

impl ConfigSpace for ModelledFunction {
    fn size(&self) -> usize {
        256
    }

    fn read(&self, offset: u16, bytes: &mut [u8]) -> Result<(), DeviceError> {
        <dyn ConfigSpace>::check_range(256, offset, bytes.len())?;
        let word = self.model().function(self.number).read_config(offset as u8, bytes.len() as u8);
        bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
        Ok(())
    }

    fn write(&self, offset: u16, bytes: &[u8]) -> Result<(), DeviceError> {
        <dyn ConfigSpace>::check_range(256, offset, bytes.len())?;
        let mut word = [0; 4];
        word[..bytes.len()].copy_from_slice(bytes);
        let (word, size) = (u32::from_le_bytes(word), bytes.len() as u8);
        self.model().function(self.number).write_config(offset as u8, word, size);
        Ok(())
    }
}

impl Device for ModelledFunction {
    fn name(&self) -> &str {
        "function"
    }

    fn identity(&self) -> Identity {
        Identity::read(self).unwrap_or_default()
    }

    fn config(&self) -> &dyn ConfigSpace {
        self
    }

    fn bar(&self, index: u8) -> Result<Bar, DeviceError> {
        match index {
            0 => Ok(Bar::called(VF_BAR_BYTES as usize, Arc::new(self.clone()))),
            _ => Err(DeviceError::NoBar { name: "function".into(), index }),
        }
    }

    fn dma(&self) -> Arc<dyn Dma> {
        Arc::new(self.memory.clone())
    }

    fn interrupts(&self) -> &dyn Interrupts {
        &self.vectors
    }

    fn reset(&self) -> Result<(), DeviceError> {
        self.model().function(self.number).reset_function();
        Ok(())
    }

    fn state(&self) -> State {
        self.presence.state()
    }

    fn is_gone(&self) -> bool {
        self.presence.is_gone(self)
    }
}
