//! The interface that a port sits on: what is asked and set outside the hot path, however its frames
//! are moved.
//!
//! What an interface is asked for (frames to others, multicast, addresses) the kernel forgets when the
//! control socket is closed, and so when the process is killed.

use crate::netlink::Watch;
use crate::sys::{Interface, Membership, PacketSocket, refusal};
use linecard_net::MacAddr;
use linecard_pmd_core::{AllMulticast, Error, Event, Link, LinkState, Promiscuous};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// What a driver with a `station`, a `config` and its own address in `info` passes on to it, or does as the
/// others do: `$check` says whether a configuration's buffers have room for frames of an MTU.
macro_rules! pass_to_station {
    ($check:path) => {
        fn configure(&mut self, config: PortConfig) -> Result<(), Error> {
            let now = self.station.ask_mtu()?;
            let mtu = config.mtu_asked().unwrap_or(now);
            $check(&self.info.name, &config, mtu)?;
            if mtu != now {
                self.station.set_mtu(mtu)?;
            }
            self.config = Some(config);
            Ok(())
        }

        fn start(&mut self) -> Result<Queues, Error> {
            let Some(config) = self.config.clone() else {
                return Err(self.cannot("start before it is configured"));
            };
            self.launch(&config)
        }

        fn stop(&mut self) -> Result<(), Error> {
            self.queue_stats();
            self.silence();
            Ok(())
        }

        fn link(&mut self) -> Result<Link, Error> {
            self.station.link()
        }

        fn set_link(&mut self, state: LinkState) -> Result<(), Error> {
            self.station.set_link(state)
        }

        fn mtu(&self) -> usize {
            self.station.mtu()
        }

        fn set_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
            self.station.set_mac(mac)?;
            self.info.mac = mac;
            Ok(())
        }

        fn add_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
            self.station.add_mac(mac)
        }

        fn remove_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
            self.station.remove_mac(mac)
        }

        fn set_promiscuous(&mut self, promiscuous: Promiscuous) -> Result<(), Error> {
            self.station.set_promiscuous(promiscuous)
        }

        fn set_all_multicast(&mut self, all: AllMulticast) -> Result<(), Error> {
            self.station.set_all_multicast(all)
        }

        fn events(&self) -> Option<BorrowedFd<'_>> {
            Some(self.station.events())
        }

        fn next_event(&mut self) -> Result<Option<Event>, Error> {
            let event = self.station.next_event()?;
            self.info.mac = self.station.mac();
            Ok(event)
        }
    };
}

pub(crate) use pass_to_station;

/// The most addresses besides its own. The kernel has no limit; a device that has, receives all.
pub(crate) const MAX_MACS: usize = 256;

/// An interface, in the network namespace that it was opened in.
#[derive(Debug)]
pub(crate) struct Station {
    name: String,
    pub(crate) interface: Arc<Interface>,
    watch: Watch,
    /// What keeps the interface promiscuous, and the like.
    control: PacketSocket,
    mac: MacAddr,
    promiscuous: Promiscuous,
    all_multicast: AllMulticast,
    macs: Vec<MacAddr>,
}

impl Station {
    /// The Ethernet interface of this name.
    pub(crate) fn open(name: &str, promiscuous: Promiscuous) -> Result<Self, Error> {
        let told = |doing| move |error| refusal(name, doing, error);
        let interface = Interface::by_name(name).map_err(|error| missing(name, error))?;
        let control = PacketSocket::open().map_err(|error| refuse(name, error))?;
        if !interface.is_ethernet().map_err(told("asking for its type"))? {
            let what = "an interface without Ethernet headers cannot be a port".into();
            return Err(Error::Refused { port: name.into(), what });
        }
        let mac = interface.mac().map_err(told("asking for its address"))?;
        let watch = Watch::start(&interface).map_err(told("watching the interface"))?;
        let mut station = Station {
            name: name.into(),
            interface: Arc::new(interface),
            watch,
            control,
            mac,
            promiscuous: Promiscuous::Off,
            all_multicast: AllMulticast::Off,
            macs: Vec::new(),
        };
        station.set_promiscuous(promiscuous)?;
        Ok(station)
    }

    /// Turns the system's refusal into the port's.
    pub(crate) fn told<'a>(&self, doing: &'a str) -> impl Fn(io::Error) -> Error + use<'a> {
        let name = self.name.clone();
        move |error| refusal(&name, doing, error)
    }

    pub(crate) fn refused(&self, what: String) -> Error {
        Error::Refused { port: self.name.clone(), what }
    }

    /// Sockets belong to the network namespace of the thread that makes them.
    pub(crate) fn same_namespace(&self) -> Result<(), Error> {
        let here = PacketSocket::open().map_err(|error| refuse(&self.name, error))?;
        if here.namespace() == self.control.namespace() {
            return Ok(());
        }
        Err(self.refused("start it in the network namespace that it was opened in".into()))
    }

    /// Its own address.
    pub(crate) fn mac(&self) -> MacAddr {
        self.mac
    }

    /// The MTU now, asked of the kernel.
    pub(crate) fn ask_mtu(&self) -> Result<usize, Error> {
        self.interface.mtu().map_err(self.told("asking for its MTU"))
    }

    /// The MTU now, or as it was last heard of.
    pub(crate) fn mtu(&self) -> usize {
        self.interface.mtu().unwrap_or(self.watch.mtu())
    }

    pub(crate) fn set_mtu(&mut self, mtu: usize) -> Result<(), Error> {
        // What was heard before is older than this.
        let heard = self.watch.hear(&self.interface);
        let set = heard.and_then(|()| self.interface.set_mtu(mtu));
        set.map_err(self.told("setting the MTU"))?;
        self.watch.changed_mtu(mtu);
        Ok(())
    }

    pub(crate) fn link(&self) -> Result<Link, Error> {
        self.watch.link(&self.interface).map_err(self.told("asking for its link"))
    }

    pub(crate) fn set_link(&mut self, state: LinkState) -> Result<(), Error> {
        let heard = self.watch.hear(&self.interface);
        let set = heard.and_then(|()| self.interface.set_state(state));
        set.map_err(self.told("setting its link"))?;
        self.watch.changed_link(&self.interface).map_err(self.told("asking for its link"))
    }

    pub(crate) fn set_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        let heard = self.watch.hear(&self.interface);
        let set = heard.and_then(|()| self.interface.set_mac(mac));
        set.map_err(self.told("setting its address"))?;
        self.watch.changed_mac(mac);
        self.mac = mac;
        Ok(())
    }

    pub(crate) fn counters(&self) -> Vec<(String, u64)> {
        self.watch.counters()
    }

    pub(crate) fn events(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }

    pub(crate) fn next_event(&mut self) -> Result<Option<Event>, Error> {
        let next = self.watch.next(&self.interface);
        let event = next.map_err(self.told("listening for events"))?;
        if let Some(Event::Mac(mac)) = event {
            self.mac = mac;
        }
        Ok(event)
    }

    pub(crate) fn set_promiscuous(&mut self, wanted: Promiscuous) -> Result<(), Error> {
        const WHAT: Membership = Membership::Promiscuous;
        match (self.promiscuous, wanted) {
            (Promiscuous::Off, Promiscuous::On) => self.join(WHAT, "asking for all frames")?,
            (Promiscuous::On, Promiscuous::Off) => self.leave(WHAT, "asking for own frames")?,
            _ => {}
        }
        self.promiscuous = wanted;
        Ok(())
    }

    pub(crate) fn set_all_multicast(&mut self, wanted: AllMulticast) -> Result<(), Error> {
        const WHAT: Membership = Membership::AllMulticast;
        match (self.all_multicast, wanted) {
            (AllMulticast::Off, AllMulticast::On) => self.join(WHAT, "asking for all multicast")?,
            (AllMulticast::On, AllMulticast::Off) => {
                self.leave(WHAT, "asking for less multicast")?
            }
            _ => {}
        }
        self.all_multicast = wanted;
        Ok(())
    }

    pub(crate) fn add_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        if self.macs.contains(&mac) || mac == self.mac {
            return Err(self.refused(format!("{mac} is accepted already")));
        }
        if self.macs.len() == MAX_MACS {
            return Err(self.refused(format!("{MAX_MACS} further addresses are accepted already")));
        }
        self.join(Membership::Unicast(mac), "accepting an address")?;
        self.macs.push(mac);
        Ok(())
    }

    pub(crate) fn remove_mac(&mut self, mac: MacAddr) -> Result<(), Error> {
        let Some(at) = self.macs.iter().position(|m| *m == mac) else {
            return Err(self.refused(format!("{mac} was not accepted")));
        };
        self.leave(Membership::Unicast(mac), "dropping an address")?;
        self.macs.swap_remove(at);
        Ok(())
    }

    fn join(&self, what: Membership, doing: &'static str) -> Result<(), Error> {
        self.control.join(self.interface.index(), what).map_err(self.told(doing))
    }

    fn leave(&self, what: Membership, doing: &'static str) -> Result<(), Error> {
        self.control.leave(self.interface.index(), what).map_err(self.told(doing))
    }
}

fn missing(port: &str, error: io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::ENODEV) => {
            let hint = "there is no such interface in this network namespace: see ip link";
            Error::system_hint(port, "looking for the interface", error, hint)
        }
        Some(libc::ENAMETOOLONG) => {
            let hint = "an interface's name has up to 15 bytes";
            Error::system_hint(port, "looking for the interface", error, hint)
        }
        _ => Error::system(port, "looking for the interface", error),
    }
}

fn refuse(port: &str, error: io::Error) -> Error {
    let hint = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "take root or CAP_NET_RAW: setcap cap_net_raw,cap_net_admin+ep PROGRAM"
        }
        Some(libc::EAFNOSUPPORT) => "the kernel has no packet sockets: CONFIG_PACKET",
        _ => return Error::system(port, "opening a packet socket", error),
    };
    Error::system_hint(port, "opening a packet socket", error, hint)
}
