//! The front end for tests in one process: memory as a byte vector, and interrupts in a list.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bus::{Direction, Dma, DmaFault, Interrupts, Level, Light, Message, Wire};

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Memory from address 0 on. Clones share it.
#[derive(Clone, Debug)]
pub struct Memory {
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Memory {
    /// Memory of `len` bytes, all 0.
    pub fn new(len: usize) -> Self {
        Self { bytes: Arc::new(Mutex::new(vec![0; len])) }
    }

    /// Reads `len` bytes.
    ///
    /// # Panics
    ///
    /// Beyond the end.
    pub fn bytes(&self, address: u64, len: usize) -> Vec<u8> {
        locked(&self.bytes)[address as usize..][..len].to_vec()
    }

    /// Writes bytes.
    ///
    /// # Panics
    ///
    /// Beyond the end.
    pub fn put(&self, address: u64, bytes: &[u8]) {
        locked(&self.bytes)[address as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    /// Reads a quadword.
    ///
    /// # Panics
    ///
    /// Beyond the end.
    pub fn word(&self, address: u64) -> u64 {
        let bytes = self.bytes(address, 8);
        u64::from_le_bytes(std::array::from_fn(|at| bytes[at]))
    }

    /// Writes a quadword.
    ///
    /// # Panics
    ///
    /// Beyond the end.
    pub fn put_word(&self, address: u64, word: u64) {
        self.put(address, &word.to_le_bytes());
    }
}

fn range(address: u64, len: usize, size: usize) -> Option<std::ops::Range<usize>> {
    let from = usize::try_from(address).ok()?;
    let until = from.checked_add(len)?;
    (until <= size).then_some(from..until)
}

impl Dma for Memory {
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), DmaFault> {
        let bytes = locked(&self.bytes);
        let fault = DmaFault { address, len: into.len(), what: Direction::Read };
        let range = range(address, into.len(), bytes.len()).ok_or(fault)?;
        into.copy_from_slice(&bytes[range]);
        Ok(())
    }

    fn write(&mut self, address: u64, from: &[u8]) -> Result<(), DmaFault> {
        let mut bytes = locked(&self.bytes);
        let fault = DmaFault { address, len: from.len(), what: Direction::Write };
        let range = range(address, from.len(), bytes.len()).ok_or(fault)?;
        bytes[range].copy_from_slice(from);
        Ok(())
    }
}

/// Keeps interrupts in the order in which they came. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    messages: Vec<Message>,
    levels: Vec<Level>,
}

impl Recorder {
    /// Messages since the last call.
    pub fn take_messages(&self) -> Vec<Message> {
        std::mem::take(&mut locked(&self.kept).messages)
    }

    /// Changes of the pin since the last call.
    pub fn take_levels(&self) -> Vec<Level> {
        std::mem::take(&mut locked(&self.kept).levels)
    }
}

impl Interrupts for Recorder {
    fn message(&mut self, message: Message) {
        locked(&self.kept).messages.push(message);
    }

    fn pin(&mut self, level: Level) {
        locked(&self.kept).levels.push(level);
    }
}

/// Keeps frames that were sent. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Sink {
    frames: Arc<Mutex<VecDeque<Vec<u8>>>>,
    is_dark: Arc<Mutex<bool>>,
}

impl Sink {
    /// The oldest frame that was sent and not taken yet.
    pub fn take(&self) -> Option<Vec<u8>> {
        locked(&self.frames).pop_front()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        locked(&self.frames).len()
    }

    /// Whether the card's laser shines.
    pub fn light(&self) -> Light {
        if *locked(&self.is_dark) { Light::Off } else { Light::On }
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Wire for Sink {
    fn transmit(&mut self, frame: &[u8]) {
        locked(&self.frames).push_back(frame.to_vec());
    }

    fn light(&mut self, light: Light) {
        *locked(&self.is_dark) = light == Light::Off;
    }
}
