//! Which frames the interface is asked for: promiscuous, multicast, addresses. The kernel forgets it
//! all when the port's socket is closed, and so when the process is killed.

use super::AfPacketPort;
use crate::sys::Membership;
use linecard_net::MacAddr;
use linecard_pmd_core::{AllMulticast, Error, Promiscuous};

/// The most addresses besides its own. The kernel has no limit; a device that has, receives all.
pub(super) const MAX_MACS: usize = 256;

/// What is asked for, beside the interface's own address.
#[derive(Debug)]
pub(super) struct Filters {
    promiscuous: Promiscuous,
    all_multicast: AllMulticast,
    macs: Vec<MacAddr>,
}

impl Default for Filters {
    fn default() -> Self {
        let (promiscuous, all_multicast) = (Promiscuous::Off, AllMulticast::Off);
        Filters { promiscuous, all_multicast, macs: Vec::new() }
    }
}

impl AfPacketPort {
    pub(super) fn ask_promiscuous(&mut self, wanted: Promiscuous) -> Result<(), Error> {
        const WHAT: Membership = Membership::Promiscuous;
        match (self.filters.promiscuous, wanted) {
            (Promiscuous::Off, Promiscuous::On) => self.join(WHAT, "asking for all frames")?,
            (Promiscuous::On, Promiscuous::Off) => self.leave(WHAT, "asking for own frames")?,
            _ => {}
        }
        self.filters.promiscuous = wanted;
        Ok(())
    }

    pub(super) fn ask_all_multicast(&mut self, wanted: AllMulticast) -> Result<(), Error> {
        const WHAT: Membership = Membership::AllMulticast;
        match (self.filters.all_multicast, wanted) {
            (AllMulticast::Off, AllMulticast::On) => self.join(WHAT, "asking for all multicast")?,
            (AllMulticast::On, AllMulticast::Off) => {
                self.leave(WHAT, "asking for less multicast")?
            }
            _ => {}
        }
        self.filters.all_multicast = wanted;
        Ok(())
    }

    pub(super) fn accept(&mut self, mac: MacAddr) -> Result<(), Error> {
        if self.filters.macs.contains(&mac) || mac == self.info.mac {
            return Err(self.refused(format!("{mac} is accepted already")));
        }
        if self.filters.macs.len() == MAX_MACS {
            return Err(self.refused(format!("{MAX_MACS} further addresses are accepted already")));
        }
        self.join(Membership::Unicast(mac), "accepting an address")?;
        self.filters.macs.push(mac);
        Ok(())
    }

    pub(super) fn accept_no_longer(&mut self, mac: MacAddr) -> Result<(), Error> {
        let Some(at) = self.filters.macs.iter().position(|m| *m == mac) else {
            return Err(self.refused(format!("{mac} was not accepted")));
        };
        self.leave(Membership::Unicast(mac), "dropping an address")?;
        self.filters.macs.swap_remove(at);
        Ok(())
    }

    fn join(&self, what: Membership, doing: &'static str) -> Result<(), Error> {
        self.control.join(self.interface.index(), what).map_err(self.told(doing))
    }

    fn leave(&self, what: Membership, doing: &'static str) -> Result<(), Error> {
        self.control.leave(self.interface.index(), what).map_err(self.told(doing))
    }

    fn refused(&self, what: String) -> Error {
        Error::Refused { port: self.info.name.clone(), what }
    }
}
