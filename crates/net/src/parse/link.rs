//! The link layer: Ethernet, VLAN tags, MPLS labels.

use super::{Layers, Stop};
use crate::header::{Ethernet, MplsLabel, MplsStack, Vlan, ethertype};
use crate::packet_type::L2;

/// How a set of headers begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Start {
    /// With an Ethernet header.
    Ethernet,
    /// With what an EtherType announces, the EtherType itself being elsewhere.
    EtherType(u16),
    /// With something that neither says.
    Unknown,
}

impl Start {
    /// IPv4 or IPv6 by the version field of the first byte.
    pub(super) fn by_version(bytes: &[u8]) -> Self {
        match bytes.first().map(|byte| byte >> 4) {
            Some(4) => Self::EtherType(ethertype::IPV4),
            Some(6) => Self::EtherType(ethertype::IPV6),
            _ => Self::Unknown,
        }
    }
}

impl Layers {
    /// Reads the link layer and gives the EtherType of what follows.
    #[inline]
    pub(super) fn read_link(&mut self, frame: &[u8], start: Start) -> Result<u16, Stop> {
        let at = usize::from(self.l2_offset);
        let (ether_type, at) = match start {
            Start::Ethernet => {
                let (eth, _) = Ethernet::ref_from_prefix(&frame[at..]).ok_or(Stop::Truncated)?;
                (self.l2, self.has_ethernet) = (L2::Ethernet, true);
                (eth.ether_type.get(), at + Ethernet::LEN)
            }
            Start::EtherType(ether_type) => (ether_type, at),
            Start::Unknown => return Err(Stop::UnknownProtocol),
        };
        self.put_l3(at);
        if Vlan::announced_by(ether_type) {
            let (ether_type, at) = self.read_vlans(frame, ether_type, at)?;
            return self.read_labels(frame, ether_type, at);
        }
        self.read_labels(frame, ether_type, at)
    }

    fn read_vlans(
        &mut self,
        frame: &[u8],
        mut ether_type: u16,
        mut at: usize,
    ) -> Result<(u16, usize), Stop> {
        while Vlan::announced_by(ether_type) {
            let (vlan, _) = Vlan::ref_from_prefix(&frame[at..]).ok_or(Stop::Truncated)?;
            self.vlans.push(vlan.tci.get())?;
            (ether_type, at) = (vlan.ether_type.get(), at + Vlan::LEN);
            self.l2 = if self.vlans.len == 1 { L2::Vlan } else { L2::Qinq };
            self.put_l3(at);
        }
        Ok((ether_type, at))
    }

    #[inline]
    fn read_labels(&mut self, frame: &[u8], ether_type: u16, at: usize) -> Result<u16, Stop> {
        if !matches!(ether_type, ethertype::MPLS | ethertype::MPLS_UPSTREAM) {
            return Ok(ether_type);
        }
        self.l2 = L2::Mpls;
        let mut stack = MplsStack::new(&frame[at..]);
        let labels = stack.by_ref().count();
        self.put_l3(at + labels * MplsLabel::LEN);
        if !stack.is_complete() {
            return Err(if stack.rest().len() < 4 { Stop::Truncated } else { Stop::TooDeep });
        }
        match Start::by_version(stack.rest()) {
            Start::EtherType(ether_type) => Ok(ether_type),
            _ => Err(Stop::UnknownProtocol),
        }
    }
}
