//! Making the interface, or attaching to it.

use super::options::{Existing, TapOptions};
use super::queue::Slot;
use super::{MAX_QUEUES, TapPort};
use crate::netlink::Watch;
use crate::sys::{Interface, TunFile, TunFlags, refusal};
use linecard_net::MacAddr;
use linecard_pmd_core::{
    Capabilities, Descriptors, Error, Gate, PortInfo, QueueStats, RxOffloads, TxOffloads,
};
use std::io;

/// What every queue is attached with: Ethernet frames behind a `virtio_net_hdr`.
const KIND: TunFlags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
/// The largest MTU that the kernel gives a TAP.
const MAX_MTU: usize = 65_521;
/// What the kernel may leave undone when large TCP frames are wanted.
pub(super) const LARGE_TCP: libc::c_uint =
    libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
/// And for large UDP ones, since Linux 6.2.
pub(super) const LARGE_UDP: libc::c_uint = libc::TUN_F_CSUM | libc::TUN_F_USO4 | libc::TUN_F_USO6;

pub(super) fn open(mut options: TapOptions) -> Result<TapPort, Error> {
    check(&options)?;
    let fd = options.fd.take();
    let (name, slots) = match fd {
        Some(fd) => adopt(&options.name, fd)?,
        None => create(&options)?,
    };
    let told = |doing: &'static str| {
        let name = name.clone();
        move |error| refusal(&name, doing, error)
    };
    let interface = Interface::by_name(&name).map_err(told("looking for the interface"))?;
    let first = slots[0].file();
    first.set_header().map_err(told("setting the header's size"))?;
    let large_udp = first.set_offload(LARGE_TCP | LARGE_UDP).is_ok();
    first.set_offload(0).map_err(told("turning offloads off"))?;
    // Kernels before 5.0 do not know how: the cable is always plugged in then.
    let _ = first.set_carrier(0);
    let watch = Watch::start(&interface).map_err(told("watching the interface"))?;
    let mac = interface.mac().map_err(told("asking for its address"))?;
    let capabilities = capabilities(slots.len(), if large_udp { LARGE_UDP } else { 0 });
    let info = PortInfo { name, kind: "tap", mac, node: None, capabilities };
    let mut port = TapPort {
        info,
        stats: QueueStats::default(),
        config: None,
        gate: Gate::default(),
        interface,
        watch,
        slots,
        on_start: options.interface,
    };
    port.prepare(&options)?;
    Ok(port)
}

impl TapPort {
    fn prepare(&mut self, options: &TapOptions) -> Result<(), Error> {
        if let Some(mtu) = options.mtu {
            self.change_mtu(mtu)?;
        }
        options.mac.map_or(Ok(()), |mac| self.change_mac(mac))
    }
}

/// What can be seen to be wrong without the kernel.
fn check(options: &TapOptions) -> Result<(), Error> {
    let port = || options.name.clone();
    let range = |what, asked, min, max| {
        let hint = String::new();
        Error::Range { port: port(), what, asked, min, max, hint }
    };
    if options.name.len() >= libc::IFNAMSIZ {
        let (asked, max) = (options.name.len(), libc::IFNAMSIZ - 1);
        return Err(range("bytes in an interface's name", asked, 0, max));
    }
    if options.name.bytes().any(|b| b == b'/' || b == 0 || b.is_ascii_whitespace()) {
        let what = "an interface's name has no slash, blank or zero byte in it".into();
        return Err(Error::Refused { port: port(), what });
    }
    if !(1..=MAX_QUEUES).contains(&options.queues) {
        return Err(range("queues", options.queues, 1, MAX_QUEUES));
    }
    match (options.mtu, options.mac) {
        (Some(mtu), _) if !(68..=MAX_MTU).contains(&mtu) => Err(range("MTU", mtu, 68, MAX_MTU)),
        (_, Some(mac)) if !MacAddr::is_unicast(mac) => {
            let what = format!("{mac} is no station's address");
            Err(Error::Refused { port: port(), what })
        }
        _ => Ok(()),
    }
}

/// A file that somebody else has attached.
fn adopt(name: &str, fd: std::os::fd::OwnedFd) -> Result<(String, Vec<Slot>), Error> {
    let told = |error| Error::system(name, "taking over the TAP's file", error);
    let file = TunFile::handed_over(fd).map_err(told)?;
    let (name, flags) = file.attached().map_err(told)?;
    if flags & KIND != KIND {
        let what = "the file handed over must be attached with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR";
        return Err(Error::Refused { port: name, what: what.into() });
    }
    Ok((name, vec![Slot::attached(file)]))
}

/// Makes the interface with its first queue; the files of the others are opened, and attached when
/// they are configured, which may be from another network namespace.
fn create(options: &TapOptions) -> Result<(String, Vec<Slot>), Error> {
    let told = |error| refuse(options, error);
    let first = TunFile::open().map_err(told)?;
    let many = if options.queues > 1 { libc::IFF_MULTI_QUEUE } else { 0 };
    let exclusive = if options.existing == Existing::Refuse { libc::IFF_TUN_EXCL } else { 0 };
    let name = match first.attach(&options.name, KIND | many | exclusive) {
        // An interface that was made for several queues takes nobody who knows of one only.
        Err(error) if is_mismatch(&error) && options.queues == 1 && exclusive == 0 => {
            first.attach(&options.name, KIND | libc::IFF_MULTI_QUEUE)
        }
        result => result,
    }
    .map_err(told)?;
    let mut slots = vec![Slot::attached(first)];
    for _ in 1..options.queues {
        slots.push(Slot::fresh(TunFile::open().map_err(told)?, KIND | many));
    }
    Ok((name, slots))
}

fn is_mismatch(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
}

/// Why there is no TAP, and what to do.
fn refuse(options: &TapOptions, error: io::Error) -> Error {
    let name = &options.name;
    let hint = match error.raw_os_error() {
        Some(libc::ENOENT) => "load the module: modprobe tun".into(),
        Some(libc::ENODEV | libc::ENXIO) => {
            "the kernel has no TAP: build it with CONFIG_TUN".into()
        }
        Some(libc::EPERM | libc::EACCES) => format!(
            "take root or CAP_NET_ADMIN, or make it beforehand, as root, for this user: \
             ip tuntap add {name} mode tap vnet_hdr{} user $USER, and attach to it",
            if options.queues > 1 { " multi_queue" } else { "" }
        ),
        Some(libc::EBUSY) if options.existing == Existing::Refuse => {
            "there is one of this name: take another name, or attach to it".into()
        }
        Some(libc::EBUSY) => "another process has it and it is made for one queue".into(),
        Some(libc::EINVAL) => {
            "an interface of this name is no TAP, or not made for several queues".into()
        }
        Some(libc::E2BIG) => format!("the kernel gives a TAP {MAX_QUEUES} queues"),
        _ => return Error::system(name, "making the TAP", error),
    };
    Error::system_hint(name, "making the TAP", error, hint)
}

fn capabilities(queues: usize, large_udp: libc::c_uint) -> Capabilities {
    let mut tx_offloads = TxOffloads::IP_CHECKSUM
        | TxOffloads::TCP_CHECKSUM
        | TxOffloads::UDP_CHECKSUM
        | TxOffloads::TCP_SEGMENTATION
        | TxOffloads::VLAN_INSERT
        | TxOffloads::MULTI_SEGMENT;
    let mut rx_offloads = RxOffloads::L4_CHECKSUM | RxOffloads::SCATTER | RxOffloads::LRO;
    if large_udp != 0 {
        tx_offloads |= TxOffloads::UDP_SEGMENTATION;
        rx_offloads |= RxOffloads::LARGE_UDP;
    }
    Capabilities {
        rx_queues: queues,
        tx_queues: queues,
        rx_descriptors: Descriptors::up_to(65_536, 1024),
        mtu: 68..=MAX_MTU,
        rx_offloads,
        tx_offloads,
        rx_wake_up: true,
        events: true,
        ..Capabilities::default()
    }
}
