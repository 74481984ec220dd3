//! Link, addresses, tags: what is set and asked outside the hot path.

use core::fmt;

/// Whether the link carries packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkState {
    /// It does.
    Up,
    /// It does not.
    Down,
}

/// Whether both ends may send at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Duplex {
    /// They may.
    Full,
    /// They take turns.
    Half,
    /// Not known.
    Unknown,
}

/// The state of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// Whether it carries packets.
    pub state: LinkState,
    /// Megabits a second; `None` if not known or without meaning.
    pub speed: Option<u32>,
    /// Whether both ends may send at once.
    pub duplex: Duplex,
}

impl Link {
    /// A link without a wire: always up, of no particular speed.
    pub const UP: Link = Link { state: LinkState::Up, speed: None, duplex: Duplex::Full };
    /// A link that carries nothing.
    pub const DOWN: Link = Link { state: LinkState::Down, speed: None, duplex: Duplex::Unknown };

    /// Whether it carries packets.
    pub fn is_up(&self) -> bool {
        self.state == LinkState::Up
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.state, self.speed) {
            (LinkState::Down, _) => f.write_str("down"),
            (LinkState::Up, None) => f.write_str("up"),
            (LinkState::Up, Some(speed)) => write!(f, "up, {speed} Mb/s"),
        }
    }
}

/// Something that happened to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The link went up or down, or changed its speed.
    Link(Link),
    /// The other side changed the MTU.
    Mtu(usize),
    /// The other side changed the address.
    Mac(linecard_net::MacAddr),
    /// The other side asks for all frames, or no longer does.
    Promiscuous(Promiscuous),
    /// A queue came into use, or went out of it, by the other side's doing.
    Queue {
        /// Receive or transmit.
        direction: Direction,
        /// Its number.
        queue: u16,
        /// What it is now.
        state: QueueState,
    },
    /// The other side asks the port to make itself known, as after a move to another machine: send a
    /// gratuitous ARP reply, or whatever tells switches where its addresses are.
    Announce,
    /// The other side has reset the device, as the driver of a physical function may: no queue moves
    /// anything until the port has been stopped and started again.
    Reset,
    /// The device is gone.
    Gone,
}

/// Receive or transmit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the other side to us.
    Receive,
    /// From us to the other side.
    Transmit,
}

/// Whether the other side uses a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueState {
    /// Packets pass.
    Enabled,
    /// The other side does not use it.
    Disabled,
    /// The other side wrote what it may not, as is said here: out of use until it sets the queue up
    /// anew.
    Broken(&'static str),
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Receive => "receive",
            Direction::Transmit => "transmit",
        })
    }
}

impl fmt::Display for QueueState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueueState::Enabled => f.write_str("in use"),
            QueueState::Disabled => f.write_str("not in use"),
            QueueState::Broken(why) => write!(f, "broken: {why}"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Link(link) => write!(f, "the link is {link}"),
            Event::Mtu(mtu) => write!(f, "the MTU is {mtu}"),
            Event::Mac(mac) => write!(f, "the address is {mac}"),
            Event::Promiscuous(Promiscuous::On) => f.write_str("all frames are wanted"),
            Event::Promiscuous(Promiscuous::Off) => f.write_str("only its own frames are wanted"),
            Event::Queue { direction, queue, state } => {
                write!(f, "{direction} queue {queue} is {state}")
            }
            Event::Announce => f.write_str("an announcement is asked for"),
            Event::Reset => {
                f.write_str("the other side has reset the device: stop the port and start it")
            }
            Event::Gone => f.write_str("the device is gone"),
        }
    }
}

/// Whether frames for other addresses are received too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Promiscuous {
    /// They are.
    On,
    /// They are not.
    Off,
}

/// Whether all multicast frames are received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AllMulticast {
    /// All.
    On,
    /// Only those joined.
    Off,
}

/// Whether frames of a VLAN are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VlanFilter {
    /// They are.
    Pass,
    /// They are not.
    Drop,
}

/// Whether tags are taken off received frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VlanStrip {
    /// They are.
    On,
    /// They stay.
    Off,
}
