//! What goes wrong between the driver and the card.

use crate::interrupts::MOST_INTERVAL;
use linecard_eal::device::DeviceError;
use linecard_pmd_core::Error;
use std::io;
use std::time::Duration;

/// Why the card did not do what it should. Becomes the port's [`Error`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The device behind it refused.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A register did not become what it should in time.
    #[error(
        "{register} (datasheet §{section}) was to become {wanted} within {within:?}, and is {word:#010x}: \
         reset the device, or power it off and on"
    )]
    Late { register: String, section: &'static str, wanted: String, word: u32, within: Duration },
    /// All ones where there cannot be.
    #[error("{register} reads as all ones: the device does not answer")]
    Silent { register: &'static str },
    /// No card of this family.
    #[error("{id} is not {wanted}: bind a device that `linecard ports` lists as {kind}")]
    Stranger { id: String, wanted: &'static str, kind: &'static str },
    /// A path that was asked for and cannot be run.
    #[error(
        "this processor does not run the receive path {path}: ask for none, and the best is taken"
    )]
    Processor { path: &'static str },
    /// More than EITR holds.
    #[error("an interrupt interval of {asked:?}: the card counts up to {MOST_INTERVAL:?}")]
    Interval { asked: Duration },
    /// The EEPROM's checksum is wrong.
    #[error(
        "the EEPROM's words, those behind pointers included, sum up to {sum:#06x} and not to 0xbaba: the card's settings are damaged"
    )]
    Eeprom { sum: u16 },
    /// A word of the EEPROM that did not take what was written.
    #[error(
        "word {at:#x} of the EEPROM is {there:#06x} and not {word:#06x}, which was written: it may be protected"
    )]
    Unwritten { at: u32, word: u16, there: u16 },
    /// The part on an 82599's SPI bus.
    #[error("the EEPROM is busy with a write, and does not end: power the card off and on")]
    Busy,
    /// The firmware, behind its mailbox.
    #[error("the card's firmware {what}: update it, or power the card off and on")]
    Firmware { what: &'static str },
    /// No usable address in the EEPROM.
    #[error("the card's own address is {address}: no station can have it, set one in the EEPROM")]
    Address { address: String },
    /// Nothing, or not enough, in the cage.
    #[error("the SFP+ module {what}")]
    Module { what: &'static str },
    /// The driver of the physical function does not want to.
    #[error("the driver of the physical function refuses {what}")]
    Denied { what: &'static str },
    /// The driver of the physical function, or the card, has been reset.
    #[error("the physical function has been reset: stop the port, and start it again")]
    Forgotten,
    /// Answers to what was not asked.
    #[error(
        "the driver of the physical function does not answer message {asked:#x} but others: update it"
    )]
    Babble { asked: u32 },
    /// The physical function's driver has changed its mind.
    #[error(
        "the virtual function has {rx} receive and {tx} transmit queues now: configure the port for so many"
    )]
    Fewer { rx: usize, tx: usize },
    /// It was asked of a port that does not run.
    #[error("the port does not run: start it")]
    Stopped,
    /// A ring's memory lies in pieces.
    #[error(
        "descriptor rings of {bytes} bytes are not contiguous for the device: reserve huge pages"
    )]
    Scattered { bytes: usize },
    /// The kernel refused.
    #[error("{0}")]
    System(#[from] io::Error),
}

impl Trouble {
    /// As the port's error, while `doing` something.
    pub(crate) fn at(self, port: &str, doing: &str) -> Error {
        match self {
            Trouble::Silent { .. } | Trouble::Device(DeviceError::Removed { .. }) => {
                Error::Gone { port: port.into() }
            }
            Trouble::Late { .. } => {
                let late = io::Error::new(io::ErrorKind::TimedOut, self.to_string());
                Error::system(port, doing, late)
            }
            Trouble::System(error) => Error::system(port, doing, error),
            other => Error::Refused { port: port.into(), what: format!("{doing}: {other}") },
        }
    }
}
