//! An interface's flags, MTU and address, by `ioctl`.

use super::check;
use libc::{c_char, c_int, ifreq};
use linecard_net::MacAddr;
use linecard_pmd_core::{Duplex, LinkState};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The type of a link layer that has Ethernet headers.
const ARPHRD_ETHER: u16 = 1;
/// `ethtool`: the settings in their older form, which every driver's answer is translated to.
const ETHTOOL_GSET: u32 = 1;

/// `struct ethtool_cmd` of `linux/ethtool.h`.
#[repr(C)]
#[derive(Default)]
struct EthtoolCmd {
    cmd: u32,
    supported: u32,
    advertising: u32,
    speed: u16,
    duplex: u8,
    port_to_mdio: [u8; 5],
    most: [u32; 2],
    speed_hi: u16,
    mdix: [u8; 2],
    lp_advertising: u32,
    reserved: [u32; 2],
}

const _: () = assert!(size_of::<EthtoolCmd>() == 44);

/// `ethtool`: how many queues of each kind there are.
const ETHTOOL_GCHANNELS: u32 = 0x3C;

/// `struct ethtool_channels` of `linux/ethtool.h`.
#[repr(C)]
#[derive(Default)]
struct EthtoolChannels {
    cmd: u32,
    most: [u32; 4],
    rx: u32,
    tx: u32,
    other: u32,
    combined: u32,
}

const _: () = assert!(size_of::<EthtoolChannels>() == 36);

/// An interface, by its number, in the network namespace that this was made in.
#[derive(Debug)]
pub(crate) struct Interface {
    socket: OwnedFd,
    index: c_int,
}

impl Interface {
    /// The interface of this name.
    pub(crate) fn by_name(name: &str) -> io::Result<Self> {
        // SAFETY: `socket` takes no pointers.
        let fd = check(unsafe {
            libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)
        })?;
        // SAFETY: just made, and ours alone.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut interface = Interface { socket, index: 0 };
        let mut request = named(name)?;
        interface.ioctl(libc::SIOCGIFINDEX, &mut request)?;
        // SAFETY: the kernel has filled in the member that goes with the request.
        interface.index = unsafe { request.ifr_ifru.ifru_ifindex };
        Ok(interface)
    }

    /// Its number.
    pub(crate) fn index(&self) -> c_int {
        self.index
    }

    /// Its name now.
    pub(crate) fn name(&self) -> io::Result<String> {
        Ok(name_of(&self.request()?))
    }

    /// Whether it has Ethernet headers.
    pub(crate) fn is_ethernet(&self) -> io::Result<bool> {
        let mut request = self.request()?;
        self.ioctl(libc::SIOCGIFHWADDR, &mut request)?;
        // SAFETY: the kernel has filled in the member that goes with the request.
        Ok(unsafe { request.ifr_ifru.ifru_hwaddr.sa_family } == ARPHRD_ETHER)
    }

    /// `IFF_UP` and the like: the lower 16.
    pub(crate) fn flags(&self) -> io::Result<c_int> {
        let mut request = self.request()?;
        self.ioctl(libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: the kernel has filled in the member that goes with the request.
        Ok(c_int::from(unsafe { request.ifr_ifru.ifru_flags } as u16))
    }

    /// Brings it up or takes it down.
    pub(crate) fn set_state(&self, state: LinkState) -> io::Result<()> {
        let flags = self.flags()?;
        let wanted = match state {
            LinkState::Up => flags | libc::IFF_UP,
            LinkState::Down => flags & !libc::IFF_UP,
        };
        let mut request = self.request()?;
        request.ifr_ifru.ifru_flags = wanted as libc::c_short;
        if wanted == flags { Ok(()) } else { self.ioctl(libc::SIOCSIFFLAGS, &mut request) }
    }

    /// Bytes behind the Ethernet header.
    pub(crate) fn mtu(&self) -> io::Result<usize> {
        let mut request = self.request()?;
        self.ioctl(libc::SIOCGIFMTU, &mut request)?;
        // SAFETY: the kernel has filled in the member that goes with the request.
        Ok(unsafe { request.ifr_ifru.ifru_mtu } as usize)
    }

    pub(crate) fn set_mtu(&self, mtu: usize) -> io::Result<()> {
        let mut request = self.request()?;
        request.ifr_ifru.ifru_mtu = mtu as c_int;
        self.ioctl(libc::SIOCSIFMTU, &mut request)
    }

    /// Frames that may wait in each of its queues.
    pub(crate) fn set_queue_length(&self, frames: usize) -> io::Result<()> {
        let mut request = self.request()?;
        request.ifr_ifru.ifru_metric = frames as c_int;
        self.ioctl(libc::SIOCSIFTXQLEN, &mut request)
    }

    pub(crate) fn mac(&self) -> io::Result<MacAddr> {
        let mut request = self.request()?;
        self.ioctl(libc::SIOCGIFHWADDR, &mut request)?;
        // SAFETY: the kernel has filled in the member that goes with the request.
        let data = unsafe { request.ifr_ifru.ifru_hwaddr.sa_data };
        Ok(MacAddr(std::array::from_fn(|i| data[i] as u8)))
    }

    pub(crate) fn set_mac(&self, mac: MacAddr) -> io::Result<()> {
        let mut request = self.request()?;
        let mut sa_data = [0; 14];
        sa_data.iter_mut().zip(mac.octets()).for_each(|(to, byte)| *to = byte as c_char);
        request.ifr_ifru.ifru_hwaddr = libc::sockaddr { sa_family: ARPHRD_ETHER, sa_data };
        self.ioctl(libc::SIOCSIFHWADDR, &mut request)
    }

    /// Megabits a second, if the device has a speed, and its duplex.
    pub(crate) fn speed(&self) -> (Option<u32>, Duplex) {
        let mut command = EthtoolCmd { cmd: ETHTOOL_GSET, ..EthtoolCmd::default() };
        let Ok(mut request) = self.request() else { return (None, Duplex::Unknown) };
        request.ifr_ifru.ifru_data = (&raw mut command).cast();
        if self.ioctl(libc::SIOCETHTOOL, &mut request).is_err() {
            return (None, Duplex::Unknown);
        }
        let speed = u32::from(command.speed_hi) << 16 | u32::from(command.speed);
        let duplex = match command.duplex {
            0 => Duplex::Half,
            1 => Duplex::Full,
            _ => Duplex::Unknown,
        };
        (Some(speed).filter(|s| !matches!(*s, 0 | 0xFFFF | u32::MAX)), duplex)
    }

    /// Queues that frames arrive on; 1 if the driver does not tell.
    pub(crate) fn queues(&self) -> usize {
        let mut channels = EthtoolChannels { cmd: ETHTOOL_GCHANNELS, ..EthtoolChannels::default() };
        let Ok(mut request) = self.request() else { return 1 };
        request.ifr_ifru.ifru_data = (&raw mut channels).cast();
        let told = self.ioctl(libc::SIOCETHTOOL, &mut request).is_ok();
        if told { (channels.rx + channels.combined).max(1) as usize } else { 1 }
    }

    /// A request about this interface, by the name that it has now.
    fn request(&self) -> io::Result<ifreq> {
        let mut request = empty();
        request.ifr_ifru.ifru_ifindex = self.index;
        self.ioctl(libc::SIOCGIFNAME, &mut request)?;
        Ok(request)
    }

    fn ioctl(&self, number: libc::c_ulong, request: &mut ifreq) -> io::Result<()> {
        // SAFETY: every request of this module takes an `ifreq`, which is borrowed for the call;
        // the one that follows a pointer in it (SIOCETHTOOL) finds the command of `speed` or `queues`.
        check(unsafe { libc::ioctl(self.socket.as_raw_fd(), number as _, request) }).map(drop)
    }
}

/// Whether flags (of `rtnetlink`: all 32) are those of an interface that carries packets.
pub(crate) fn link_state(flags: u32) -> LinkState {
    let both = (libc::IFF_UP | libc::IFF_LOWER_UP) as u32;
    if flags & both == both { LinkState::Up } else { LinkState::Down }
}

/// A request without a name.
pub(super) fn empty() -> ifreq {
    // SAFETY: an `ifreq` is plain data, valid when all zero.
    unsafe { std::mem::zeroed() }
}

/// A request about the interface of this name.
pub(super) fn named(name: &str) -> io::Result<ifreq> {
    let mut request = empty();
    if name.len() >= request.ifr_name.len() || name.contains('\0') {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    request.ifr_name.iter_mut().zip(name.bytes()).for_each(|(to, byte)| *to = byte as c_char);
    Ok(request)
}

/// The name in a request.
pub(super) fn name_of(request: &ifreq) -> String {
    let bytes = request.ifr_name.iter().map(|c| *c as u8).take_while(|b| *b != 0);
    String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
}
