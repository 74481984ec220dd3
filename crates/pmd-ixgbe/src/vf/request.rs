//! What can be asked of the physical function's driver. The numbers are those that the kernel's and DPDK's
//! drivers use; the datasheet leaves them to software (§7.10.2.9.1).

use super::mailbox::{FAILURE, Mailbox, Message, News, Outcome, SUCCESS, outcome};
use crate::trouble::Trouble;
use linecard_net::MacAddr;
use linecard_pmd_core::VlanFilter;

const RESET: u32 = 0x01;
const SET_MAC: u32 = 0x02;
const SET_MULTICAST: u32 = 0x03;
const SET_VLAN: u32 = 0x04;
const SET_FRAME: u32 = 0x05;
const SET_MORE_MACS: u32 = 0x06;
const NEGOTIATE: u32 = 0x08;
const GET_QUEUES: u32 = 0x09;
const SET_MODE: u32 = 0x0C;

/// Where a message's first word has an argument.
const ARGUMENT: u32 = 16;

/// Hashes of multicast addresses, two to a word, behind the first word.
pub(super) const MOST_HASHES: usize = 30;

/// Versions of the interface, the newest first, by the numbers that they have on the wire: 1.3, 1.2,
/// 1.1, 1.0. Later ones bring IPsec, and a register that is read in another way.
const VERSIONS: [(u32, Version); 4] =
    [(4, Version::V1_3), (3, Version::V1_2), (2, Version::V1_1), (0, Version::V1_0)];

/// What the two sides have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    /// One queue each way.
    V1_0,
    /// Queues are told of; jumbo frames.
    V1_1,
    /// All multicast.
    V1_2,
    /// Promiscuous.
    V1_3,
}

/// Which frames are received besides those for known addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Multicast by hash.
    Multicast = 1,
    AllMulticast = 2,
    Promiscuous = 3,
}

/// Queues that the function has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pool {
    pub(super) rx: usize,
    pub(super) tx: usize,
}

/// What a reset gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Introduced {
    /// The address that the physical function's driver wants us to have, if it wants one.
    pub(super) mac: Option<MacAddr>,
    /// Which twelve bits of a multicast address are its hash (MCSTCTRL.MO).
    pub(super) hash: u32,
}

/// The driver of the physical function, to be asked.
#[derive(Debug)]
pub(super) struct Agent {
    mailbox: Mailbox,
    version: Version,
}

impl Agent {
    pub(super) fn new(mailbox: Mailbox) -> Self {
        Agent { mailbox, version: Version::V1_0 }
    }

    fn ask(&mut self, what: &'static str, message: &[u32]) -> Result<Message, Trouble> {
        let answer = self.mailbox.ask(message)?;
        match outcome(&answer) {
            Outcome::Done => Ok(answer),
            Outcome::Refused => Err(Trouble::Denied { what }),
            Outcome::Unknown => Err(Trouble::Forgotten),
        }
    }

    /// Introduces the function, which has just been reset.
    pub(super) fn introduce(&mut self) -> Result<Introduced, Trouble> {
        self.mailbox.wait_for_physical()?;
        let answer = self.mailbox.ask(&[RESET])?;
        let given = unpack(&answer[1..]);
        let mac = match answer[0] & (SUCCESS | FAILURE) {
            SUCCESS if !given.is_multicast() && given.0 != [0; 6] => Some(given),
            // The kernel's driver says so if it leaves the address to us.
            _ => None,
        };
        self.version = Version::V1_0;
        for (number, version) in VERSIONS {
            let answer = self.mailbox.ask(&[NEGOTIATE, number])?;
            if outcome(&answer) == Outcome::Done {
                self.version = version;
                break;
            }
        }
        Ok(Introduced { mac, hash: answer[3] & 3 })
    }

    pub(super) fn queues(&mut self) -> Result<Pool, Trouble> {
        if self.version < Version::V1_1 {
            return Ok(Pool { rx: 1, tx: 1 });
        }
        let answer = self.ask("to tell of its queues", &[GET_QUEUES, 0, 0, 0, 0])?;
        let most = linecard_ixgbe_regs::VF_QUEUES as usize;
        let within = |word: u32| (word as usize).clamp(1, most);
        Ok(Pool { tx: within(answer[1]), rx: within(answer[2]) })
    }

    pub(super) fn set_mac(&mut self, mac: MacAddr) -> Result<(), Trouble> {
        let [low, high] = pack(mac);
        self.ask("this address: it may have fixed another", &[SET_MAC, low, high]).map(drop)
    }

    /// The unicast addresses besides its own, all of them.
    pub(super) fn set_more_macs(&mut self, macs: &[MacAddr]) -> Result<(), Trouble> {
        const WHAT: &str =
            "further addresses: it has no room for more, or does not trust the function";
        if macs.is_empty() {
            return self.ask(WHAT, &[SET_MORE_MACS, 0, 0]).map(drop);
        }
        for (index, mac) in (1..).zip(macs) {
            let [low, high] = pack(*mac);
            self.ask(WHAT, &[SET_MORE_MACS | index << ARGUMENT, low, high])?;
        }
        Ok(())
    }

    /// The multicast addresses, all of them, at most [`MOST_HASHES`].
    pub(super) fn set_multicast(&mut self, macs: &[MacAddr], bits: u32) -> Result<(), Trouble> {
        let mut message = [0u32; 16];
        message[0] = SET_MULTICAST | (macs.len() as u32) << ARGUMENT;
        for (at, mac) in macs.iter().enumerate().take(MOST_HASHES) {
            message[1 + at / 2] |= hash(*mac, bits) << (16 * (at % 2));
        }
        self.ask("these multicast addresses", &message).map(drop)
    }

    pub(super) fn set_vlan(&mut self, vlan: u16, filter: VlanFilter) -> Result<(), Trouble> {
        let on = u32::from(filter == VlanFilter::Pass);
        let message = [SET_VLAN | on << ARGUMENT, vlan.into()];
        self.ask("this VLAN: it may have fixed one, or have no room for more", &message).map(drop)
    }

    /// The largest frame, check sequence included.
    pub(super) fn set_frame(&mut self, bytes: usize) -> Result<(), Trouble> {
        self.ask(
            "frames of this size: raise the physical function's MTU first",
            &[SET_FRAME, bytes as u32],
        )
        .map(drop)
    }

    /// Which frames are received.
    pub(super) fn set_mode(&mut self, mode: Mode) -> Result<(), Trouble> {
        let needs = match mode {
            Mode::Promiscuous => Version::V1_3,
            Mode::AllMulticast | Mode::Multicast => Version::V1_2,
        };
        match self.version >= needs {
            true => {
                let what = "frames for others: it has to trust the function (`ip link set DEVICE vf N trust on`)";
                self.ask(what, &[SET_MODE, mode as u32]).map(drop)
            }
            // What all functions have before that.
            false if mode == Mode::Multicast => Ok(()),
            false => Err(Trouble::Denied { what: "frames for others: it is too old for that" }),
        }
    }

    /// What it has said without being asked.
    pub(super) fn look(&mut self) -> Result<News, Trouble> {
        self.mailbox.look()
    }
}

fn pack(MacAddr([a, b, c, d, e, f]): MacAddr) -> [u32; 2] {
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, 0, 0])]
}

fn unpack(words: &[u32]) -> MacAddr {
    let [a, b, c, d] = words[0].to_le_bytes();
    let [e, f, ..] = words[1].to_le_bytes();
    MacAddr([a, b, c, d, e, f])
}

/// Bits 47:36, 46:35, 45:34 or 43:32 of an address.
const SHIFTS: [u32; 4] = [4, 3, 2, 0];

/// Twelve bits of an address: which, says MCSTCTRL.MO of the physical function (§8.2.3.7.7).
fn hash(MacAddr([.., e, f]): MacAddr, bits: u32) -> u32 {
    let last = u32::from(u16::from_le_bytes([e, f]));
    last >> SHIFTS[(bits & 3) as usize] & 0xFFF
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_through_words_unchanged() {
        let mac = MacAddr([1, 2, 3, 4, 5, 6]);
        assert_eq!(pack(mac), [0x0403_0201, 0x0605]);
        assert_eq!(unpack(&pack(mac)), mac);
    }

    #[test]
    fn hashes_are_the_bits_that_the_physical_function_looks_at() {
        let mac = MacAddr([1, 0, 0x5E, 0, 0x34, 0x12]);
        assert_eq!([0, 1, 2, 3].map(|bits| hash(mac, bits)), [0x123, 0x246, 0x48D, 0x234]);
    }
}
