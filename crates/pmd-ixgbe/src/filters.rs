//! Which frames are let in: addresses (§7.1.1.1), VLANs (§7.1.1.2).

use crate::registers::Registers;
use linecard_ixgbe_regs::registers::*;
use linecard_net::MacAddr;
use linecard_pmd_core::{AllMulticast, Promiscuous, VlanFilter};
use std::collections::BTreeSet;

/// RAL and RAH: the card's own address, and so many more.
const MORE_ADDRESSES: usize = 127;

/// Addresses besides the card's own: those, and as many as the tables of hashes have bits.
pub(crate) const EXTRA_ADDRESSES: usize = MORE_ADDRESSES + 4096;

/// What the user has said, to be said again after a reset.
#[derive(Clone, Debug)]
pub(crate) struct Filters {
    pub(crate) own: MacAddr,
    /// By their place in RAL/RAH, less one.
    more: Vec<MacAddr>,
    /// Those that RAL/RAH had no room for: into tables of hashes, of multicast (MTA) and unicast (UTA)
    /// addresses, which let others in as well that have the same twelve bits.
    hashed: Vec<MacAddr>,
    pub(crate) promiscuous: Promiscuous,
    pub(crate) all_multicast: AllMulticast,
    /// VLANs let through, if any has ever been named.
    pub(crate) vlans: Option<BTreeSet<u16>>,
}

impl Filters {
    pub(crate) fn new(own: MacAddr) -> Self {
        Filters {
            own,
            more: Vec::new(),
            hashed: Vec::new(),
            promiscuous: Promiscuous::Off,
            all_multicast: AllMulticast::Off,
            vlans: None,
        }
    }

    /// Says all of it.
    pub(crate) fn apply(&self, registers: &Registers) {
        (0..).zip(self.exact()).for_each(|(at, address)| set_address(registers, at, address));
        self.apply_addresses(registers);
        self.apply_modes(registers);
        self.apply_vlans(registers);
    }

    /// By their place in RAL/RAH.
    fn exact(&self) -> impl Iterator<Item = Option<MacAddr>> {
        let more = (0..MORE_ADDRESSES).map(|at| self.more.get(at).copied());
        std::iter::once(Some(self.own)).chain(more)
    }

    /// Says which addresses have changed: no filter is off for a moment whose address stays.
    pub(crate) fn apply_addresses(&self, registers: &Registers) {
        (0..)
            .zip(self.exact())
            .filter(|(at, address)| read_address(registers, *at) != *address)
            .for_each(|(at, address)| set_address(registers, at, address));
        let mut tables = [[0u32; 128]; 2];
        for address in &self.hashed {
            let hash = hash(*address);
            tables[usize::from(address.is_multicast())][hash >> 5] |= 1 << (hash & 31);
        }
        for (register, table) in [&PFUTA, &MTA].into_iter().zip(tables) {
            (0..).zip(table).for_each(|(index, word)| registers.write_at(register, index, word));
        }
        registers.write(&MCSTCTRL, mcstctrl::MFE.put(0, u32::from(!self.hashed.is_empty())));
    }

    /// Accepts another address. The text of an error says why not.
    pub(crate) fn add(&mut self, address: MacAddr) -> Result<(), String> {
        let mut known = self.more.iter().chain(&self.hashed);
        if address == self.own || known.any(|other| *other == address) {
            return Err(format!("{address} is accepted already"));
        }
        if self.more.len() < MORE_ADDRESSES {
            self.more.push(address);
        } else if self.hashed.len() < EXTRA_ADDRESSES - MORE_ADDRESSES {
            self.hashed.push(address);
        } else {
            let all = "places for further addresses are taken: remove one";
            return Err(format!("all {EXTRA_ADDRESSES} {all}"));
        }
        Ok(())
    }

    /// Accepts an address no longer; one that had no place of its own gets that. `false` if it was not
    /// accepted.
    pub(crate) fn remove(&mut self, address: MacAddr) -> bool {
        if let Some(at) = self.hashed.iter().position(|other| *other == address) {
            self.hashed.swap_remove(at);
        } else if let Some(at) = self.more.iter().position(|other| *other == address) {
            self.more.swap_remove(at);
            self.more.extend(self.hashed.pop());
        } else {
            return false;
        }
        true
    }

    pub(crate) fn apply_modes(&self, registers: &Registers) {
        let all = self.promiscuous == Promiscuous::On;
        let multicast = all || self.all_multicast == AllMulticast::On;
        let word = fctrl::UPE.put(registers.read(&FCTRL), u32::from(all));
        registers.write(&FCTRL, fctrl::MPE.put(word, u32::from(multicast)));
        self.apply_vlan_switch(registers);
    }

    pub(crate) fn apply_vlans(&self, registers: &Registers) {
        let vlans = self.vlans.iter().flatten();
        let mut table = [0u32; 128];
        vlans.for_each(|vlan| table[usize::from(vlan >> 5)] |= 1 << (vlan & 31));
        table.iter().zip(0..).for_each(|(word, index)| registers.write_at(&VFTA, index, *word));
        self.apply_vlan_switch(registers);
    }

    /// The filter is on once a VLAN has been named, and never in promiscuous mode.
    fn apply_vlan_switch(&self, registers: &Registers) {
        let on = self.vlans.is_some() && self.promiscuous == Promiscuous::Off;
        registers.put(&VLNCTRL, vlnctrl::VFE, u32::from(on));
    }

    /// Lets a VLAN through, or not.
    pub(crate) fn vlan(&mut self, vlan: u16, filter: VlanFilter) {
        let vlans = self.vlans.get_or_insert_default();
        match filter {
            VlanFilter::Pass => vlans.insert(vlan),
            VlanFilter::Drop => vlans.remove(&vlan),
        };
    }
}

/// Bits 47:36 of an address, of which the first byte is the lowest (§8.2.3.7.7, MO 0).
fn hash(MacAddr([.., e, f]): MacAddr) -> usize {
    usize::from(u16::from_le_bytes([e, f]) >> 4)
}

/// §8.2.3.7.8: the address's first byte is the lowest.
fn set_address(registers: &Registers, index: u32, address: Option<MacAddr>) {
    let [a, b, c, d, e, f] = address.map_or([0; 6], |address| address.0);
    let high = rah::ADDR.put(0, u32::from(u16::from_le_bytes([e, f])));
    // The low half while the filter is off, so that no other address is ever let in.
    registers.write_at(&RAH, index, 0);
    registers.write_at(&RAL, index, u32::from_le_bytes([a, b, c, d]));
    registers.write_at(&RAH, index, rah::AV.put(high, u32::from(address.is_some())));
    // Pool 0 (§8.2.3.7.10).
    registers.write_at(&MPSAR, 2 * index, u32::from(address.is_some()));
}

fn address(registers: &Registers, index: u32) -> MacAddr {
    let [a, b, c, d] = registers.read_at(&RAL, index).to_le_bytes();
    let [e, f, ..] = registers.read_at(&RAH, index).to_le_bytes();
    MacAddr([a, b, c, d, e, f])
}

/// The address that a filter lets in, if it is on.
fn read_address(registers: &Registers, index: u32) -> Option<MacAddr> {
    let is_on = rah::AV.is_set(registers.read_at(&RAH, index));
    is_on.then(|| address(registers, index))
}

/// The card's own address, as the EEPROM gave it.
pub(crate) fn own_address(registers: &Registers) -> MacAddr {
    address(registers, 0)
}
