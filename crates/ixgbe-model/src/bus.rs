//! What the device reaches outside of itself: memory, interrupts, and the wire.

/// The device's access was refused: nothing is mapped there, or not for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory for {what:?} of {len} bytes at {address:#x}: the host has not mapped it")]
pub struct DmaFault {
    /// Where, as the device says it (an IOVA, if there is an IOMMU).
    pub address: u64,
    /// How many bytes.
    pub len: usize,
    /// Which way.
    pub what: Direction,
}

/// Seen from the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From memory to the device.
    Read,
    /// From the device to memory.
    Write,
}

/// Memory as the device sees it.
pub trait Dma: Send {
    /// Reads `into.len()` bytes.
    ///
    /// # Errors
    ///
    /// Where nothing is mapped; then nothing was read.
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), DmaFault>;

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// Where nothing is mapped; then nothing was written.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), DmaFault>;

    /// Writes a descriptor such that whoever sees its second quadword sees the first, and all that
    /// was written before.
    ///
    /// # Errors
    ///
    /// As for `write`.
    fn write_descriptor(&mut self, address: u64, words: [u64; 2]) -> Result<(), DmaFault> {
        self.write(address, &words[0].to_le_bytes())?;
        self.write(address + 8, &words[1].to_le_bytes())
    }

    /// Tells that the driver has reset the device or its function: a good time to look at tables
    /// anew that were kept.
    fn forget(&mut self) {}
}

/// The level of the interrupt pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// No interrupt.
    Idle,
    /// Asserted.
    Asserted,
}

/// A message signalled interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which vector of the device.
    pub vector: u16,
    /// Where the message is written to. 0 if the host keeps the table itself.
    pub address: u64,
    /// What is written.
    pub data: u32,
}

/// The way of interrupts to the host.
pub trait Interrupts: Send {
    /// Sends a message.
    fn message(&mut self, message: Message);

    /// Changes the level of the pin.
    fn pin(&mut self, level: Level);
}

/// Where frames go to. Frames have no frame check sequence here.
pub trait Wire: Send {
    /// Sends a frame. What cannot be sent is lost, as on a wire.
    fn transmit(&mut self, frame: &[u8]);

    /// The same, with when its first bit goes out: nanoseconds of the clock that the device is told of.
    fn transmit_at(&mut self, frame: &[u8], time: u64) {
        let _ = time;
        self.transmit(frame);
    }

    /// The card's laser goes on or off: the other end sees it.
    fn light(&mut self, light: Light) {
        let _ = light;
    }
}

/// What comes out of a card's laser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Light {
    /// It shines.
    On,
    /// It does not.
    Off,
}

/// A wire that leads nowhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unplugged;

impl Wire for Unplugged {
    fn transmit(&mut self, _frame: &[u8]) {}
}

/// Everything outside of the device.
pub struct Host {
    /// Memory.
    pub dma: Box<dyn Dma>,
    /// Interrupts.
    pub interrupts: Box<dyn Interrupts>,
    /// The wire.
    pub wire: Box<dyn Wire>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Host")
    }
}
