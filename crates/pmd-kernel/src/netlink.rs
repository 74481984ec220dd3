//! What happens to an interface, as `rtnetlink` tells it.

use crate::sys::{Interface, Netlink, link_state};
use linecard_net::MacAddr;
use linecard_pmd_core::{Event, Link, LinkState};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Bytes of `struct ifinfomsg`.
const INFO: usize = 16;
const IFLA_ADDRESS: u16 = 1;
const IFLA_MTU: u16 = 4;
const IFLA_STATS64: u16 = 23;
/// Room for one read: a message about an interface has one to four kilobytes.
const ROOM: usize = 32 * 1024;

/// The first of the kernel's counters, in its order.
const COUNTERS: [&str; 8] = [
    "rx_packets",
    "tx_packets",
    "rx_bytes",
    "tx_bytes",
    "rx_errors",
    "tx_errors",
    "rx_dropped",
    "tx_dropped",
];

/// What a message says of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It is, or has become, so.
    Is {
        /// Its number.
        index: i32,
        /// `IFF_UP` and the like.
        flags: u32,
        /// Its MTU, if the message says.
        mtu: Option<u32>,
        /// Its own address, if it has one of six bytes.
        mac: Option<MacAddr>,
        /// The kernel's counters (`struct rtnl_link_stats64`), as many as it has.
        counters: Vec<u64>,
    },
    /// It is no longer.
    Removed {
        /// Its number.
        index: i32,
    },
}

/// The news in what a socket gave; whatever is cut short or about something else is left out.
pub(crate) fn news(mut bytes: &[u8]) -> Vec<News> {
    let mut all = Vec::new();
    while let Some((kind, body, rest)) = split_message(bytes) {
        all.extend(message(kind, body));
        bytes = rest;
    }
    all
}

/// The first message's type and body, and what follows it.
fn split_message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let len = word(bytes, 0)? as usize;
    let kind = half(bytes, 4)?;
    let body = bytes.get(HEADER..len)?;
    Some((kind, body, bytes.get(aligned(len)..).unwrap_or_default()))
}

fn message(kind: u16, body: &[u8]) -> Option<News> {
    let index = word(body, 4)? as i32;
    match kind {
        libc::RTM_DELLINK => Some(News::Removed { index }),
        libc::RTM_NEWLINK => {
            let flags = word(body, 8)?;
            let attributes = body.get(INFO..)?;
            let find = |kind| Attributes(attributes).find(|(k, _)| *k == kind).map(|(_, v)| v);
            let mac = find(IFLA_ADDRESS).and_then(|v| v.try_into().ok()).map(MacAddr);
            let counters = find(IFLA_STATS64).unwrap_or_default().chunks_exact(8);
            let counters = counters.filter_map(|c| c.try_into().ok().map(u64::from_ne_bytes));
            let mtu = find(IFLA_MTU).and_then(|v| word(v, 0));
            Some(News::Is { index, flags, mtu, mac, counters: counters.collect() })
        }
        _ => None,
    }
}

/// The attributes of a message: type and value.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let len = usize::from(half(self.0, 0)?);
        let kind = half(self.0, 2)?;
        let value = self.0.get(4..len)?;
        self.0 = self.0.get(aligned(len)..).unwrap_or_default();
        Some((kind, value))
    }
}

fn aligned(len: usize) -> usize {
    len.next_multiple_of(4)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_ne_bytes(*b))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_ne_bytes(*b))
}

/// A message that asks for the state of one interface.
fn question(index: i32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + INFO);
    bytes.extend(((HEADER + INFO) as u32).to_ne_bytes());
    bytes.extend(libc::RTM_GETLINK.to_ne_bytes());
    bytes.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
    bytes.extend([0; 8 + 4]);
    bytes.extend(index.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes
}

/// Watches an interface for changes that others make.
#[derive(Debug)]
pub(crate) struct Watch {
    socket: Netlink,
    questions: Netlink,
    index: i32,
    mtu: usize,
    mac: MacAddr,
    link: LinkState,
    events: VecDeque<Event>,
    gone: Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    No,
    Yes,
}

impl Watch {
    /// Watches `interface`, whose state now is no news.
    pub(crate) fn start(interface: &Interface) -> io::Result<Self> {
        let mut watch = Watch {
            socket: Netlink::open(libc::RTMGRP_LINK as u32)?,
            questions: Netlink::open(0)?,
            index: interface.index(),
            mtu: interface.mtu()?,
            mac: interface.mac()?,
            link: LinkState::Down,
            events: VecDeque::new(),
            gone: Gone::No,
        };
        watch.changed_link(interface)?;
        Ok(watch)
    }

    /// The kernel's counters of the interface, by name; empty if it does not tell.
    pub(crate) fn counters(&self) -> Vec<(String, u64)> {
        let Ok(News::Is { counters, .. }) = self.ask() else { return Vec::new() };
        let named = COUNTERS.iter().zip(counters);
        named.map(|(name, n)| (format!("interface_{name}"), n)).collect()
    }

    /// The link: up if the interface is and has a carrier.
    pub(crate) fn link(&self, interface: &Interface) -> io::Result<Link> {
        let News::Is { flags, .. } = self.ask()? else { return Ok(Link::DOWN) };
        Ok(link_of(link_state(flags), interface))
    }

    fn ask(&self) -> io::Result<News> {
        self.questions.send(&question(self.index))?;
        let mut room = vec![0; ROOM];
        let answers = self.questions.receive(&mut room)?.map(news).unwrap_or_default();
        // An answer without news is a refusal, and there is one reason.
        answers.into_iter().next().ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))
    }

    /// The MTU, as last heard.
    pub(crate) fn mtu(&self) -> usize {
        self.mtu
    }

    /// The MTU has been changed by us: no news when it is heard.
    pub(crate) fn changed_mtu(&mut self, mtu: usize) {
        self.mtu = mtu;
    }

    /// The address has been changed by us.
    pub(crate) fn changed_mac(&mut self, mac: MacAddr) {
        self.mac = mac;
    }

    /// The link has been changed by us, since [`hear`](Self::hear) was last called.
    pub(crate) fn changed_link(&mut self, interface: &Interface) -> io::Result<()> {
        let told = self.events.len();
        self.hear(interface)?;
        let mut at = 0;
        // What was heard of the link just now is what we did, in steps.
        self.events.retain(|event| {
            at += 1;
            at <= told || !matches!(event, Event::Link(_))
        });
        if let News::Is { flags, .. } = self.ask()? {
            self.link = link_state(flags);
        }
        Ok(())
    }

    /// Hears what there is to hear.
    pub(crate) fn hear(&mut self, interface: &Interface) -> io::Result<()> {
        let mut room = vec![0; ROOM];
        loop {
            match self.socket.receive(&mut room) {
                Ok(Some(bytes)) => news(bytes).into_iter().for_each(|n| self.take(n, interface)),
                Ok(None) => return Ok(()),
                // Messages were lost: look for ourselves.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.look(interface);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The oldest event that has not been told.
    pub(crate) fn next(&mut self, interface: &Interface) -> io::Result<Option<Event>> {
        if self.events.is_empty() {
            self.hear(interface)?;
        }
        Ok(self.events.pop_front())
    }

    fn take(&mut self, news: News, interface: &Interface) {
        match news {
            News::Removed { index } if index == self.index => self.lost(),
            News::Is { index, flags, mtu, mac, .. } if index == self.index => {
                self.saw_mtu(mtu.map_or(self.mtu, |mtu| mtu as usize));
                self.saw_mac(mac.unwrap_or(self.mac));
                self.saw_link(link_state(flags), interface);
            }
            _ => {}
        }
    }

    fn look(&mut self, interface: &Interface) {
        match self.ask() {
            Ok(news) => self.take(news, interface),
            Err(_) => self.lost(),
        }
    }

    fn lost(&mut self) {
        if std::mem::replace(&mut self.gone, Gone::Yes) == Gone::No {
            self.events.push_back(Event::Gone);
        }
    }

    fn saw_mtu(&mut self, mtu: usize) {
        if std::mem::replace(&mut self.mtu, mtu) != mtu {
            self.events.push_back(Event::Mtu(mtu));
        }
    }

    fn saw_mac(&mut self, mac: MacAddr) {
        if std::mem::replace(&mut self.mac, mac) != mac {
            self.events.push_back(Event::Mac(mac));
        }
    }

    fn saw_link(&mut self, state: LinkState, interface: &Interface) {
        if std::mem::replace(&mut self.link, state) != state {
            self.events.push_back(Event::Link(link_of(state, interface)));
        }
    }
}

fn link_of(state: LinkState, interface: &Interface) -> Link {
    if state == LinkState::Down {
        return Link::DOWN;
    }
    let (speed, duplex) = interface.speed();
    Link { state, speed, duplex }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests;
