//! Ports as they are given on the command line: `KIND[:key=value,…]`.

use crate::pci::driver_for;
use linecard::eal::device::Device;
use linecard::eal::pci;
use linecard::eal::vfio_user::UserDevice;
use linecard::ixgbe::{IxgbeOptions, IxgbePort, IxgbeVfOptions, IxgbeVfPort};
use linecard::kernel::{
    AfPacketOptions, AfPacketPort, AfXdpOptions, AfXdpPort, Fanout, TapOptions, TapPort, XdpHook,
};
use linecard::net::MacAddr;
use linecard::pmd::{Driver, Error, Promiscuous};
use linecard::soft::{
    Frames, NullOptions, NullPort, Pace, PcapOptions, PcapPort, Repeat, RingOptions, RingPort,
};
use linecard::vhost::{Iommu, Mode, Shrinking, VhostOptions, VhostPort};
use linecard::virtio::{
    Choice, Interface, KernelOptions, PciOptions, RingOptions as VirtioRings, UserOptions,
    VirtioPort,
};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::str::FromStr;

/// A kind of port: its name, its keys, and what it is.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) keys: &'static [(&'static str, &'static str)],
    pub(crate) what: &'static str,
}

/// Every kind there is.
pub(crate) const KINDS: &[Kind] = &[
    Kind {
        name: "null",
        keys: &[("name", "its name"), ("size", "bytes of the frames it receives; 0 for none")],
        what: "frames out of nothing, and into it",
    },
    Kind {
        name: "ring",
        keys: &[
            ("name", "its name"),
            ("peer", "the name of the ring port at the other end; without it, a loop"),
            ("capacity", "packets that a queue holds"),
        ],
        what: "a cable to another ring port of this program, or a loop",
    },
    Kind {
        name: "pcap",
        keys: &[
            ("name", "its name"),
            ("rx", "the capture to receive"),
            ("tx", "the file to send into; pcapng if it ends so"),
            ("loop", "how often to receive it: a number, or forever"),
            ("pace", "speed (as fast as can be) or captured (with its gaps)"),
        ],
        what: "capture files",
    },
    Kind {
        name: "tap",
        keys: &[
            ("name", "the interface's name"),
            ("queues", "the most queues it may have"),
            ("mac", "the port's address"),
        ],
        what: "an interface of this machine's kernel, made for this port",
    },
    Kind {
        name: "af-packet",
        keys: &[
            ("name", "its name"),
            ("iface", "the interface to use"),
            ("queues", "the most queues it may have"),
            ("fanout", "how packets spread over queues: hash, lb, cpu, rollover, rnd, qm"),
        ],
        what: "an interface that this machine's kernel has already",
    },
    Kind {
        name: "af-xdp",
        keys: &[
            ("name", "its name"),
            ("iface", "the interface to use"),
            ("queues", "the most queues it may have; the interface has as many or more"),
            ("hook", "where frames are taken: native (in the driver), generic (behind it), best"),
        ],
        what: "an interface whose frames the kernel's stack does not see meanwhile",
    },
    Kind {
        name: "vhost",
        keys: &[
            ("name", "its name"),
            ("path", "the socket's path"),
            ("server", "1 to listen (the default), 0 to connect"),
            ("client", "1 to connect, and try again when the other end is gone"),
            ("queues", "the most queue pairs it may have"),
            ("iommu", "1 to serve guests with an IOMMU"),
            ("seals", "1 to refuse guest memory that could be cut while it is used"),
            ("mac", "the port's address"),
        ],
        what: "the device side of vhost-user: a virtual machine, or a virtio-user program",
    },
    Kind {
        name: "pci",
        keys: &[
            ("name", "its name"),
            (ADDRESS, "the device's, as in pci:0000:03:00.0; the key may be left out"),
            ("vfio-user", "the socket of a device in another process, instead of an address"),
            ("queues", "virtio: the most queue pairs it may have"),
            ("mac", "virtio: the port's address"),
            ("legacy", "virtio: 1 for the legacy interface, 0 for the modern one"),
            ("packed", "virtio: packed rings: 1, 0"),
            ("mrg_rxbuf", "virtio: frames over several buffers: 1, 0"),
            ("in_order", "virtio: buffers used in order: 1, 0"),
            ("indirect", "virtio: packets of several parts through a table: 1, 0"),
            ("event_idx", "virtio: notifications by index: 1, 0"),
        ],
        what: "a network card, given to user space with `linecard bind`",
    },
    Kind {
        name: "virtio-user",
        keys: &[
            ("name", "its name"),
            ("path", "the vhost-user socket, or the kernel's device: /dev/vhost-net"),
            ("iface", "with /dev/vhost-net: the name of the TAP behind it"),
            ("attach", "1 to attach to a TAP that is there already"),
            ("server", "1 to make the socket and wait for a back-end; 0 to connect to one"),
            ("queues", "the most queue pairs it may have"),
            ("mac", "the port's address"),
            ("packed", "packed rings: 1, 0"),
            ("mrg_rxbuf", "frames over several buffers: 1, 0"),
            ("in_order", "buffers used in order: 1, 0"),
            ("indirect", "packets of several parts through a table: 1, 0"),
            ("event_idx", "notifications by index: 1, 0"),
            ("inflight", "1 to have the back-end keep track of what it has under way"),
        ],
        what: "the driver's side of a vhost-user socket, or of the kernel's vhost with a TAP",
    },
];

/// The key that a value without a key belongs to, where a kind has it.
const ADDRESS: &str = "address";

/// One `--port`, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    kind: &'static str,
    values: BTreeMap<String, String>,
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
            let known: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
            return Err(format!("no port kind {name:?}: there are {}", known.join(", ")));
        };
        let mut values = BTreeMap::new();
        for pair in rest.split(',').filter(|pair| !pair.is_empty()) {
            let bare = kind.keys.iter().any(|(known, _)| *known == ADDRESS);
            let given = pair.split_once('=').or(bare.then_some((ADDRESS, pair)));
            let (key, value) = given.ok_or_else(|| {
                format!("{pair:?} in {text:?} is no key=value: write {name}:key=value,key=value")
            })?;
            if !kind.keys.iter().any(|(known, _)| *known == key) {
                let known: Vec<_> = kind.keys.iter().map(|(known, _)| *known).collect();
                return Err(format!("{name} ports have no key {key:?}: {}", known.join(", ")));
            }
            if values.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(format!("{key} is given twice in {text:?}"));
            }
        }
        Ok(Spec { kind: kind.name, values })
    }
}

/// Why a port could not be opened.
pub(crate) type OpenError = Box<dyn std::error::Error + Send + Sync>;

impl Spec {
    fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// A value of another type, with an error that says what is wanted.
    fn parse<T: FromStr>(&self, key: &str, wanted: &str) -> Result<Option<T>, OpenError> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let wrong = || format!("{}: {key}={text:?}: wanted {wanted}", self.kind);
        text.parse().map(Some).map_err(|_| wrong().into())
    }

    /// 1 or 0.
    fn flag(&self, key: &str) -> Result<Option<bool>, OpenError> {
        Ok(self.parse::<u8>(key, "0 or 1")?.map(|number| number != 0))
    }

    /// Refuses keys that mean something to another driver's devices only.
    fn without(&self, keys: &[&str], name: &str, driver: &str) -> Result<(), OpenError> {
        match keys.iter().find(|key| self.values.contains_key(**key)) {
            Some(key) => {
                Err(format!("{name}: {key}= is for virtio devices, and this is an {driver}").into())
            }
            None => Ok(()),
        }
    }

    /// Of a ring port.
    fn capacity(&self) -> Result<Option<usize>, OpenError> {
        self.parse("capacity", "a number of packets")
    }

    fn name(&self, index: usize) -> String {
        let default = || format!("{}{index}", self.kind.replace('-', "_"));
        self.get("name").map_or_else(default, str::to_owned)
    }
}

/// Opens all ports, in order. Two ring ports that name each other get the two ends of one cable.
pub(crate) fn open_all(specs: &[Spec]) -> Result<Vec<Box<dyn Driver>>, OpenError> {
    let names: Vec<_> = specs.iter().enumerate().map(|(i, spec)| spec.name(i)).collect();
    if let Some(twice) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
        return Err(format!("two ports of the name {:?}: give one another name=…", twice.1).into());
    }
    let mut cables = BTreeMap::new();
    let mut ports: Vec<Box<dyn Driver>> = Vec::new();
    let all: Vec<_> = specs.iter().zip(&names).collect();
    for (spec, name) in &all {
        ports.push(match spec.kind {
            "null" => Box::new(open_null(spec, name)?),
            "ring" => Box::new(open_ring(spec, name, &all, &mut cables)?),
            "pcap" => Box::new(open_pcap(spec, name)?),
            "tap" => Box::new(open_tap(spec, name)?),
            "af-xdp" => Box::new(open_af_xdp(spec, name)?),
            "pci" => open_pci(spec, name)?,
            "vhost" => Box::new(open_vhost(spec, name)?),
            "virtio-user" => Box::new(open_virtio_user(spec, name)?),
            _ => Box::new(open_af_packet(spec, name)?),
        });
    }
    Ok(ports)
}

fn open_null(spec: &Spec, name: &str) -> Result<NullPort, OpenError> {
    let frames = match spec.parse("size", "a number of bytes")? {
        None => Frames::Empty(64),
        Some(0) => Frames::None,
        Some(size) => Frames::Empty(size),
    };
    Ok(NullPort::open(NullOptions::new(name).frames(frames))?)
}

fn open_ring(
    spec: &Spec,
    name: &str,
    all: &[(&Spec, &String)],
    cables: &mut BTreeMap<String, RingPort>,
) -> Result<RingPort, OpenError> {
    if let Some(end) = cables.remove(name) {
        return Ok(end);
    }
    let mut capacity = spec.capacity()?;
    let Some(peer) = spec.get("peer") else {
        return Ok(RingPort::looped_with(name, ring_options(capacity))?);
    };
    let far = all.iter().find(|(far, its)| *its == peer && far.get("peer") == Some(name));
    let far = far.filter(|(far, _)| far.kind == "ring" && peer != name).ok_or_else(|| {
        format!("{name}: its peer {peer:?} is no ring port of this program with peer={name}")
    })?;
    match (capacity, far.0.capacity()?) {
        (Some(near), Some(far)) if near != far => {
            let which = format!("{near} at {name}, {far} at {peer}");
            return Err(format!("a cable has one capacity, and two are given: {which}").into());
        }
        (_, far) => capacity = capacity.or(far),
    }
    let (near, far) = RingPort::pair_with(name, peer, ring_options(capacity))?;
    cables.insert(peer.to_owned(), far);
    Ok(near)
}

fn ring_options(capacity: Option<usize>) -> RingOptions {
    let options = RingOptions::default();
    RingOptions { capacity: capacity.unwrap_or(options.capacity), ..options }
}

fn open_pcap(spec: &Spec, name: &str) -> Result<PcapPort, OpenError> {
    let mut options = PcapOptions::new(name);
    (options.rx, options.tx) = (spec.get("rx").map(Into::into), spec.get("tx").map(Into::into));
    if options.rx.is_none() && options.tx.is_none() {
        return Err(
            format!("{name}: a pcap port without files: give it rx=FILE, tx=FILE or both").into()
        );
    }
    options.repeat = match spec.get("loop") {
        Some("forever") => Repeat::Forever,
        _ => Repeat::Times(spec.parse("loop", "a number of times, or forever")?.unwrap_or(1)),
    };
    options.pace = match spec.get("pace") {
        None | Some("speed") => Pace::AtSpeed,
        Some("captured") => Pace::AsCaptured,
        Some(other) => {
            return Err(format!("{name}: pace={other:?}: wanted speed or captured").into());
        }
    };
    Ok(PcapPort::open(options)?)
}

fn open_tap(spec: &Spec, name: &str) -> Result<TapPort, OpenError> {
    let mut options = TapOptions::new(name);
    if let Some(queues) = spec.parse("queues", "a number of queues")? {
        options = options.queues(queues);
    }
    if let Some(mac) = spec.parse::<MacAddr>("mac", "an address such as 02:00:00:00:00:01")? {
        options = options.mac(mac);
    }
    Ok(TapPort::open(options)?)
}

/// A card, by the driver for its ids.
fn open_pci(spec: &Spec, name: &str) -> Result<Box<dyn Driver>, OpenError> {
    let (device, place) = open_device(spec, name)?;
    let ids = device.identity();
    let mut port: Box<dyn Driver> = match driver_for(&ids) {
        Some("ixgbe") => {
            spec.without(FOR_VIRTIO, name, "ixgbe")?;
            Box::new(IxgbePort::open(device, IxgbeOptions::new().name(name))?)
        }
        Some("ixgbe_vf") => {
            spec.without(FOR_VIRTIO, name, "ixgbe_vf")?;
            return open_virtual_function(device, name);
        }
        Some(_) => Box::new(VirtioPort::pci(device, virtio_options(spec, name)?)?),
        None => {
            let which = format!("{name}: no driver for {place} ({ids})");
            return Err(format!("{which}: `linecard ports` lists those it has").into());
        }
    };
    // A forwarder takes frames that are for others. A device that cannot be told lets all in.
    match port.set_promiscuous(Promiscuous::On) {
        Ok(()) | Err(Error::Unsupported { .. }) => Ok(port),
        Err(error) => Err(error.into()),
    }
}

/// A virtual function: whether it gets frames for others says the driver of the physical one.
fn open_virtual_function(
    device: Box<dyn Device>,
    name: &str,
) -> Result<Box<dyn Driver>, OpenError> {
    let mut port = IxgbeVfPort::open(device, IxgbeVfOptions::new().name(name))?;
    match port.set_promiscuous(Promiscuous::On) {
        Ok(()) => {}
        Err(error @ Error::Refused { .. }) => {
            // Not on standard output, which may be JSON.
            let what = "only frames for its own address come in";
            let _ = writeln!(std::io::stderr(), "note: {error}; {what}");
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Box::new(port))
}

/// Keys that only virtio devices have a use for.
const FOR_VIRTIO: &[&str] =
    &["queues", "mac", "legacy", "packed", "mrg_rxbuf", "in_order", "indirect", "event_idx"];

/// How a virtio device is to be driven.
fn virtio_options(spec: &Spec, name: &str) -> Result<PciOptions, OpenError> {
    let mut options = PciOptions::new().name(name).rings(virtio_rings(spec)?);
    if let Some(queues) = spec.parse("queues", "a number of queue pairs")? {
        options = options.queues(queues);
    }
    if let Some(mac) = spec.parse::<MacAddr>("mac", "an address such as 02:00:00:00:00:01")? {
        options = options.mac(mac);
    }
    match spec.flag("legacy")? {
        Some(true) => options = options.interface(Interface::Legacy),
        Some(false) => options = options.interface(Interface::Modern),
        None => {}
    }
    Ok(options)
}

/// The device of a pci port, and where it is.
fn open_device(spec: &Spec, name: &str) -> Result<(Box<dyn Device>, String), OpenError> {
    let wanted = "a device's address, as in pci:0000:03:00.0 (see `linecard ports`)";
    let address = spec.parse::<pci::Address>(ADDRESS, wanted)?;
    match (address, spec.get("vfio-user")) {
        (Some(address), None) => Ok((pci::open(address)?, address.to_string())),
        (None, Some(path)) => Ok((Box::new(UserDevice::open(path)?), path.to_owned())),
        (None, None) => Err(format!("{name}: which device? Wanted {wanted}").into()),
        (Some(_), Some(_)) => {
            Err(format!("{name}: an address and vfio-user=: a port is on one device").into())
        }
    }
}

fn open_vhost(spec: &Spec, name: &str) -> Result<VhostPort, OpenError> {
    let path = spec.get("path").ok_or_else(|| {
        OpenError::from(format!("{name}: which socket? give it path=FILE; it is made if need be"))
    })?;
    let mut options = VhostOptions::new(name, path);
    let (server, client) = (spec.flag("server")?, spec.flag("client")?);
    options = options.mode(match (server, client) {
        (Some(true), Some(true)) | (Some(false), Some(false)) => {
            return Err(format!("{name}: server or client: one of the two").into());
        }
        (Some(false), _) | (_, Some(true)) => Mode::Client,
        _ => Mode::Server,
    });
    if let Some(queues) = spec.parse("queues", "a number of queue pairs")? {
        options = options.queues(queues);
    }
    if let Some(mac) = spec.parse::<MacAddr>("mac", "an address such as 02:00:00:00:00:01")? {
        options = options.mac(mac);
    }
    if spec.flag("iommu")? == Some(true) {
        options = options.iommu(Iommu::Offered);
    }
    if spec.flag("seals")? == Some(true) {
        options = options.shrinking(Shrinking::Refuse);
    }
    Ok(VhostPort::open(options)?)
}

/// How packets may spread over queues, as `packet(7)` calls it.
const FANOUTS: &[(&str, Fanout)] = &[
    ("hash", Fanout::Hash),
    ("lb", Fanout::LoadBalance),
    ("cpu", Fanout::Cpu),
    ("rollover", Fanout::Rollover),
    ("rnd", Fanout::Random),
    ("qm", Fanout::QueueMapping),
];

fn open_af_packet(spec: &Spec, name: &str) -> Result<AfPacketPort, OpenError> {
    // A forwarder takes frames that are for others.
    let mut options = AfPacketOptions::new(interface(spec, name)?).promiscuous(Promiscuous::On);
    if let Some(queues) = spec.parse("queues", "a number of queues")? {
        options = options.queues(queues);
    }
    if let Some(word) = spec.get("fanout") {
        let known = FANOUTS.iter().find(|(name, _)| *name == word);
        let wrong =
            || format!("{name}: fanout={word:?}: wanted hash, lb, cpu, rollover, rnd or qm");
        options = options.fanout(known.ok_or_else(wrong)?.1);
    }
    Ok(AfPacketPort::open(options)?)
}

fn open_af_xdp(spec: &Spec, name: &str) -> Result<AfXdpPort, OpenError> {
    let mut options = AfXdpOptions::new(interface(spec, name)?);
    if let Some(queues) = spec.parse("queues", "a number of queues")? {
        options = options.queues(queues);
    }
    options = options.hook(match spec.get("hook") {
        None | Some("best") => XdpHook::Best,
        Some("native") => XdpHook::Native,
        Some("generic") => XdpHook::Generic,
        Some(other) => {
            return Err(format!("{name}: hook={other:?}: wanted native, generic or best").into());
        }
    });
    // A forwarder takes frames that are for others.
    Ok(AfXdpPort::open(options.promiscuous(Promiscuous::On))?)
}

/// The interface that a port sits on.
fn interface<'a>(spec: &'a Spec, name: &str) -> Result<&'a str, OpenError> {
    spec.get("iface").ok_or_else(|| {
        OpenError::from(format!("{name}: which interface? give it iface=NAME (see `ip link`)"))
    })
}

/// A feature that is insisted on with 1, and done without with 0.
fn choice(spec: &Spec, key: &str) -> Result<Choice, OpenError> {
    match spec.parse::<u8>(key, "1 or 0")? {
        None => Ok(Choice::Auto),
        Some(0) => Ok(Choice::Off),
        Some(1) => Ok(Choice::On),
        Some(other) => Err(format!("{}: {key}={other}: wanted 1 or 0", spec.kind).into()),
    }
}

fn virtio_rings(spec: &Spec) -> Result<VirtioRings, OpenError> {
    Ok(VirtioRings {
        packed: choice(spec, "packed")?,
        mergeable: choice(spec, "mrg_rxbuf")?,
        in_order: choice(spec, "in_order")?,
        indirect: choice(spec, "indirect")?,
        event_index: choice(spec, "event_idx")?,
    })
}

fn open_virtio_user(spec: &Spec, name: &str) -> Result<VirtioPort, OpenError> {
    let path = spec
        .get("path")
        .ok_or_else(|| OpenError::from(format!("{name}: which socket? give it path=FILE")))?;
    if path.starts_with("/dev/") || spec.get("iface").is_some() {
        return open_vhost_kernel(spec, name, path);
    }
    let mut options = UserOptions::new(name, path).rings(virtio_rings(spec)?);
    options = options.inflight(choice(spec, "inflight")?);
    if choice(spec, "server")? == Choice::On {
        options = options.server();
    }
    if let Some(queues) = spec.parse("queues", "a number of queue pairs")? {
        options = options.queues(queues);
    }
    if let Some(mac) = spec.parse::<MacAddr>("mac", "an address such as 02:00:00:00:00:01")? {
        options = options.mac(mac);
    }
    Ok(VirtioPort::user(options)?)
}

/// The kernel's own device, with a TAP behind it.
fn open_vhost_kernel(spec: &Spec, name: &str, path: &str) -> Result<VirtioPort, OpenError> {
    let iface = spec.get("iface").ok_or_else(|| {
        OpenError::from(format!("{name}: {path} wants a TAP behind it: give it iface=NAME"))
    })?;
    let mut options = KernelOptions::new(name, iface).device(path).rings(virtio_rings(spec)?);
    if spec.flag("attach")? == Some(true) {
        options = options.attach();
    }
    if let Some(queues) = spec.parse("queues", "a number of queue pairs")? {
        options = options.queues(queues);
    }
    if let Some(mac) = spec.parse::<MacAddr>("mac", "an address such as 02:00:00:00:00:01")? {
        options = options.mac(mac);
    }
    Ok(VirtioPort::kernel(options)?)
}
