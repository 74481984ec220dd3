//! Interrupts, as descriptors to sleep on.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::error::DeviceError;
use crate::event::EventFd;

/// How a device asks for attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InterruptKind {
    /// By a line that it may share with others; masked by each interrupt.
    Intx,
    /// By messages, up to 32 of them.
    Msi,
    /// By messages from a table, up to 2048.
    MsiX,
}

impl fmt::Display for InterruptKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Intx => "INTx",
            Self::Msi => "MSI",
            Self::MsiX => "MSI-X",
        })
    }
}

/// A device's interrupts. One kind is enabled at a time.
pub trait Interrupts: fmt::Debug + Send + Sync {
    /// How many vectors of a kind there are; 0 if the device, or the way to it, has none.
    fn vectors(&self, kind: InterruptKind) -> u32;

    /// Enables the first `count` vectors of a kind, and gives each as something to sleep on. What
    /// was enabled before is disabled first, and its vectors stay silent from then on.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Vectors`] if there are not so many, or `count` is 0; what the kernel says.
    fn enable(&self, kind: InterruptKind, count: u32) -> Result<Vec<Vector>, DeviceError>;

    /// Lets an INTx come again. Each that comes masks itself, as long as the device has not been
    /// told (through its own registers) that it was heard. Messages are not masked: for them it
    /// does nothing.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    fn unmask(&self) -> Result<(), DeviceError>;

    /// Keeps an INTx from coming. Messages are masked in the device's own registers; for them it
    /// is [`DeviceError::Unsupported`].
    ///
    /// # Errors
    ///
    /// What the kernel says.
    fn mask(&self) -> Result<(), DeviceError>;

    /// Disables all of them.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    fn disable(&self) -> Result<(), DeviceError>;
}

impl dyn Interrupts + '_ {
    /// The best kind of which there are `count` vectors: MSI-X before MSI before INTx.
    pub fn best(&self, count: u32) -> Option<InterruptKind> {
        let kinds = [InterruptKind::MsiX, InterruptKind::Msi, InterruptKind::Intx];
        kinds.into_iter().find(|&kind| self.vectors(kind) >= count)
    }

    /// An error unless there are `count` vectors of a kind: for whoever implements the trait.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Vectors`].
    pub fn check(&self, kind: InterruptKind, count: u32) -> Result<(), DeviceError> {
        let limit = self.vectors(kind);
        match (1..=limit).contains(&count) {
            true => Ok(()),
            false => Err(DeviceError::Vectors { kind, asked: count, limit }),
        }
    }
}

/// One vector: readable once it has fired. Never blocks.
#[derive(Debug)]
pub struct Vector(Source);

#[derive(Debug)]
enum Source {
    Event(EventFd),
    /// A UIO device: a read gives the count of all interrupts so far, in 4 bytes.
    Uio(OwnedFd),
}

impl From<EventFd> for Vector {
    fn from(event: EventFd) -> Self {
        Self(Source::Event(event))
    }
}

impl Vector {
    /// A UIO device's descriptor, which must not block.
    pub(crate) fn uio(fd: OwnedFd) -> Self {
        Self(Source::Uio(fd))
    }

    /// Whether it has fired since the last time; from then on it has not.
    ///
    /// # Errors
    ///
    /// The kernel's: of a UIO device that is gone, say.
    pub fn take(&self) -> io::Result<bool> {
        match &self.0 {
            Source::Event(event) => event.take().map(|count| count > 0),
            Source::Uio(fd) => fired(fd.as_fd()),
        }
    }
}

/// Reads a UIO device's count, which says that there was an interrupt since the last read.
fn fired(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut count = [0u8; size_of::<i32>()];
    // SAFETY: `count` has room for the 4 bytes that are asked for, and is borrowed for the call.
    let got = unsafe { libc::read(fd.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    match (got, io::Error::last_os_error()) {
        (0.., _) => Ok(true),
        (_, error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        (_, error) => Err(error),
    }
}

impl AsFd for Vector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Source::Event(event) => event.as_fd(),
            Source::Uio(fd) => fd.as_fd(),
        }
    }
}
