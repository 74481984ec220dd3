//! What a device has besides packets: pauses, rates, memories, lamps, a clock.

use core::fmt;
use std::time::Duration;

/// In which directions a link pauses its other end (IEEE 802.3 annex 31B).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pause {
    /// In none.
    #[default]
    Off,
    /// Transmit waits when the other end asks for it.
    Heeded,
    /// The other end is asked to wait when receive runs out of room.
    Sent,
    /// Both.
    Both,
}

impl Pause {
    /// Whether transmit waits when the other end asks for it.
    pub fn is_heeded(self) -> bool {
        matches!(self, Pause::Heeded | Pause::Both)
    }

    /// Whether the other end is asked to wait.
    pub fn is_sent(self) -> bool {
        matches!(self, Pause::Sent | Pause::Both)
    }
}

/// How a link is paused. It is set, not negotiated: both ends have to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowControl {
    /// In which directions.
    pub pause: Pause,
    /// Bytes waiting in the device from which on the other end is asked to wait; `None` for the
    /// port's own choice.
    pub high: Option<u32>,
    /// Bytes below which it may go on; `None` for the port's own choice.
    pub low: Option<u32>,
    /// For how long it is asked to wait, in units of 512 bit times; it is asked again in time.
    pub quanta: u16,
}

impl FlowControl {
    /// In these directions, with the port's own marks, for as long as can be asked.
    pub const fn new(pause: Pause) -> Self {
        FlowControl { pause, high: None, low: None, quanta: u16::MAX }
    }
}

/// How fast a transmit queue may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TxRate {
    /// As fast as the link.
    Unlimited,
    /// Megabits a second, frames as they are on the wire.
    Megabits(u32),
}

/// What kind of memory a transceiver module has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModuleKind {
    /// SFF-8079: 256 bytes of identification.
    Sff8079,
    /// SFF-8472: those, and 256 bytes of diagnostics.
    Sff8472,
}

/// The memory of the transceiver module in a port's cage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// How the bytes are laid out.
    pub kind: ModuleKind,
    /// All of them.
    pub bytes: Vec<u8>,
}

/// A register of a device, as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterValue {
    /// As its datasheet calls it.
    pub name: &'static str,
    /// Which element, if it is an array.
    pub index: u32,
    /// Where it lies in the device's window, in bytes.
    pub offset: u32,
    /// What it read.
    pub value: u32,
}

impl fmt::Display for RegisterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RegisterValue { name, index, offset, value } = self;
        write!(f, "{offset:#07x} {name}({index}) {value:#010x}")
    }
}

/// What a port's lamp does: to find the card, or the cable's end, that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Led {
    /// It is lit.
    On,
    /// It is dark.
    Off,
    /// What it does by itself.
    Normal,
}

/// Whether frames of IEEE 1588 (PTP) are time-stamped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeSync {
    /// They are.
    On,
    /// They are not.
    Off,
}

/// By how much a clock is set right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Adjust {
    /// It is put forward.
    Forward(Duration),
    /// It is put back.
    Back(Duration),
}
