//! Receive side scaling: the hash, and what of a packet it is of (§7.1.2.8).

use linecard_ixgbe_regs::registers::*;

use crate::device::Device;
use crate::family::Family;
use crate::parse::{Network, Parsed, Transport};

/// A hash with its type, as in the descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hash {
    pub(super) value: u32,
    pub(super) kind: u64,
}

/// The Toeplitz hash.
fn toeplitz(key: &[u8; 40], input: &[u8]) -> u32 {
    let mut window = u64::from_be_bytes(std::array::from_fn(|at| key[at]));
    let mut hash = 0;
    for (at, byte) in input.iter().enumerate() {
        for bit in (0..8).rev() {
            if byte >> bit & 1 != 0 {
                hash ^= (window >> 32) as u32;
            }
            window <<= 1;
        }
        window |= u64::from(key.get(at + 8).copied().unwrap_or(0));
    }
    hash
}

impl Device {
    /// The hash of a packet, if its kind is one that MRQC asks for.
    pub(super) fn rss(&self, frame: &[u8], parsed: &Parsed) -> Option<Hash> {
        let control = self.file.get(&MRQC);
        if !self.rss_is_on() {
            return None;
        }
        let with_ports = match (parsed.network, parsed.transport) {
            (Network::Ipv4, Transport::Tcp) => Some((mrqc::TCP_IPV4, 1)),
            (Network::Ipv6, Transport::Tcp) => Some((mrqc::TCP_IPV6, 3)),
            (Network::Ipv4, Transport::Udp) => Some((mrqc::UDP_IPV4, 7)),
            (Network::Ipv6, Transport::Udp) => Some((mrqc::UDP_IPV6, 8)),
            _ => None,
        };
        let addresses = match parsed.network {
            Network::Ipv4 => (mrqc::IPV4, 2),
            Network::Ipv6 => (mrqc::IPV6, 5),
            Network::None => return None,
        };
        let (source, destination) = parsed.addresses(frame);
        let mut input = [source, destination].concat();
        let kind = match with_ports.filter(|(enabled, _)| enabled.is_set(control)) {
            Some((_, kind)) => {
                input.extend(&frame[parsed.l4..parsed.l4 + 4]);
                kind
            }
            None if addresses.0.is_set(control) => addresses.1,
            None => return None,
        };
        Some(Hash { value: toeplitz(&self.rss_key(), &input), kind })
    }

    /// Modes with RSS, in pools or classes or without.
    fn rss_is_on(&self) -> bool {
        matches!(mrqc::MRQE.of(self.file.get(&MRQC)), 1 | 4 | 5 | 10 | 11)
    }

    fn rss_key(&self) -> [u8; 40] {
        let mut key = [0; 40];
        for (index, bytes) in key.chunks_mut(4).enumerate() {
            bytes.copy_from_slice(&self.file.at(&RSSRK, index as u32).to_le_bytes());
        }
        key
    }

    /// The queue that the redirection table gives.
    pub(super) fn redirect(&self, hash: u32) -> u32 {
        let most = if self.family == Family::X550 { 0x1FF } else { 0x7F };
        let entry = hash & most;
        let word = match entry / 4 {
            at @ 0..32 => self.file.at(&RETA, at),
            beyond => self.file.at(&ERETA, beyond - 32),
        };
        word >> (8 * (entry % 4)) & 0xF
    }
}

#[cfg(test)]
mod tests {
    use super::toeplitz;

    /// From Microsoft's "Verifying the RSS hash calculation".
    #[test]
    fn published_values_come_out() {
        let key = [
            0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
            0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
            0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
        ];
        let addresses = [66, 9, 149, 187, 161, 142, 100, 80];
        assert_eq!(toeplitz(&key, &addresses), 0x323e_8fc2);
        let with_ports = [&addresses[..], &[0x0A, 0xEA, 0x06, 0xE6]].concat();
        assert_eq!(toeplitz(&key, &with_ports), 0x51cc_c178);
    }
}
