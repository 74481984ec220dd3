//! Opening a port on an interface, and starting its queues.

use super::buffers::{self, BEFORE, Umem, Unfit};
use super::options::{AfXdpOptions, XdpHook};
use super::ring::{Desc, FromKernel, ToKernel};
use super::rx::XdpRx;
use super::tx::XdpTx;
use super::{AfXdpPort, Socket};
use crate::OVERHEAD;
use crate::station::{MAX_MACS, Station};
use crate::sys::{Hook, Redirection, SocketMap, Which, XdpSocket};
use linecard_pmd_core::{
    Capabilities, Descriptors, Error, Gate, Path, PortConfig, PortInfo, QueueStats, Queues, Step,
};
use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most bytes of a frame, its headers and tags included.
const LONGEST: usize = 4096 - BEFORE;

/// How long a queue may take to become free.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a socket is made of.
struct Rings {
    umem: Arc<Umem>,
    rx: (FromKernel<Desc>, ToKernel<u64>),
    tx: (ToKernel<Desc>, FromKernel<u64>),
}

pub(super) fn open(options: AfXdpOptions) -> Result<AfXdpPort, Error> {
    let name = options.interface.clone();
    let station = Station::open(&name, options.promiscuous)?;
    check_queues(&options, &station)?;
    let (mac, capabilities) = (station.mac(), capabilities(options.queues));
    let info = PortInfo { name, kind: "af-xdp", mac, node: None, capabilities };
    Ok(AfXdpPort {
        info,
        stats: QueueStats::default(),
        config: None,
        gate: Gate::default(),
        redirection: None,
        sockets: Vec::new(),
        longest: Arc::default(),
        station,
        options,
    })
}

/// No more queues than the interface has: nothing would ever arrive at the others.
fn check_queues(options: &AfXdpOptions, station: &Station) -> Result<(), Error> {
    let (port, asked) = (options.interface.clone(), options.queues);
    let max = station.interface.queues();
    if (1..=max).contains(&asked) {
        return Ok(());
    }
    let hint = format!("; the interface has as many: ethtool -L {port} combined N changes that");
    Err(Error::Range { port, what: "queues", asked, min: 1, max, hint })
}

fn capabilities(queues: usize) -> Capabilities {
    let descriptors = Descriptors { min: 64, max: 32_768, step: Step::PowerOfTwo, default: 1024 };
    Capabilities {
        rx_queues: queues,
        tx_queues: queues,
        rx_descriptors: descriptors,
        tx_descriptors: descriptors,
        mtu: 68..=LONGEST - OVERHEAD,
        extra_macs: MAX_MACS,
        rx_wake_up: true,
        events: true,
        ..Capabilities::default()
    }
}

/// Every buffer holds a frame of this MTU, behind what the kernel leaves free.
pub(super) fn check_buffers(port: &str, config: &PortConfig, mtu: usize) -> Result<(), Error> {
    let frame = mtu + OVERHEAD;
    let rooms = (0..config.rx_queue_count().max(config.tx_queue_count()))
        .map(|queue| buffers::room(config.pool(queue)));
    match rooms.min().filter(|room| *room < frame) {
        Some(room) => Err(Error::Buffers { port: port.into(), room, frame, needed: frame }),
        None => Ok(()),
    }
}

impl AfXdpPort {
    /// Makes the queues; nothing is received before all of them are there.
    pub(super) fn launch(&mut self, config: &PortConfig) -> Result<Queues, Error> {
        if self.sockets.iter().any(|socket| socket.umem.strong_count() > 0) {
            let what = "drop the queues of a stopped port before it is started again";
            return Err(self.station.refused(what.into()));
        }
        self.station.same_namespace()?;
        self.send_up_to(self.station.ask_mtu()?);
        let (rx_count, tx_count) = (config.rx_queue_count(), config.tx_queue_count());
        let map = SocketMap::new(rx_count.max(1)).map_err(|error| self.refuse(error))?;
        let rings: Result<Vec<_>, _> =
            (0..rx_count.max(tx_count)).map(|queue| self.rings(config, queue)).collect();
        let rings = rings?;
        for (queue, rings) in rings.iter().take(rx_count).enumerate() {
            let set = map.set(queue as u32, &rings.umem.socket);
            set.map_err(self.station.told("giving a queue to its socket"))?;
        }
        let (redirection, path) = self.attach(map)?;
        let (stats, gate) = (QueueStats::new(rx_count, tx_count), Gate::new());
        let seen =
            |rings: &Rings| Socket { umem: Arc::downgrade(&rings.umem), missed: Cell::default() };
        self.sockets = rings.iter().map(seen).collect();
        self.redirection = Some(redirection);
        let mut queues = Queues { rx: Vec::new(), tx: Vec::new() };
        for (queue, Rings { umem, rx, tx }) in rings.into_iter().enumerate() {
            if let Some(counters) = stats.rx.get(queue) {
                let most = config.rx_descriptor_count(&self.info.capabilities);
                let told = (config.number(), path.clone(), gate.clone());
                let rx = XdpRx::new(Arc::clone(&umem), rx, most, Arc::clone(counters), told);
                queues.rx.push(Box::new(rx));
            }
            if let Some(counters) = stats.tx.get(queue) {
                let told = (path.clone(), gate.clone());
                let longest = Arc::clone(&self.longest);
                let tx = XdpTx::new(umem, tx, longest, Arc::clone(counters), told);
                queues.tx.push(Box::new(tx));
            }
        }
        (self.stats, self.gate) = (stats, gate);
        Ok(queues)
    }

    /// A socket of a queue, bound, with its rings.
    fn rings(&self, config: &PortConfig, queue: usize) -> Result<Rings, Error> {
        let umem = Umem::open(config.pool(queue)).map_err(|unfit| match unfit {
            Unfit::Pool(what) => self.station.refused(what),
            Unfit::System(error) => self.refuse(error),
        })?;
        let can = &self.info.capabilities;
        let sizes = (config.rx_descriptor_count(can), config.tx_descriptor_count(can));
        let made = self.bound(umem, queue, sizes);
        made.map_err(|error| self.refuse(error))
    }

    fn bound(&self, umem: Umem, queue: usize, (rx, tx): (usize, usize)) -> io::Result<Rings> {
        let (rx, tx) = (rx as u32, tx as u32);
        let (desc, addr) = (size_of::<Desc>(), size_of::<u64>());
        let socket = &umem.socket;
        let fill = ToKernel::new(socket.ring(Which::Fill, rx, addr)?, rx);
        let completion = FromKernel::new(socket.ring(Which::Completion, tx, addr)?, tx);
        let receive = FromKernel::new(socket.ring(Which::Rx, rx, desc)?, rx);
        let transmit = ToKernel::new(socket.ring(Which::Tx, tx, desc)?, tx);
        self.bind(socket, queue as u32)?;
        let umem = Arc::new(umem);
        Ok(Rings { umem, rx: (receive, fill), tx: (transmit, completion) })
    }

    /// Binds a socket to its queue. The kernel lets go of a queue only a while after its last socket
    /// was closed.
    fn bind(&self, socket: &XdpSocket, queue: u32) -> io::Result<()> {
        let start = Instant::now();
        loop {
            match socket.bind(self.station.interface.index(), queue) {
                Err(error) if is_busy(&error) && start.elapsed() < PATIENCE => {
                    std::thread::sleep(PATIENCE / 500);
                }
                result => return result,
            }
        }
    }

    /// Has the interface hand its frames over, where the options say; says where that is, and why.
    fn attach(&self, map: SocketMap) -> Result<(Redirection, Path), Error> {
        let index = self.station.interface.index();
        let path = |reason: String| Path { name: "af-xdp", reason };
        let (first, why) = match self.options.hook {
            XdpHook::Generic => (Hook::Generic, "behind the driver, as asked"),
            _ => (Hook::Native, "in the driver; the kernel copies"),
        };
        match Redirection::attach(map, index, first) {
            Ok(redirection) => Ok((redirection, path(why.into()))),
            Err((error, map)) if self.options.hook == XdpHook::Best && helps(&error) => {
                let second = Redirection::attach(map, index, Hook::Generic);
                let redirection = second.map_err(|(error, _)| self.refuse(error))?;
                let why = format!("behind the driver, which takes no program itself: {error}");
                Ok((redirection, path(why)))
            }
            Err((error, _)) => Err(self.refuse(error)),
        }
    }

    /// The port's refusal, with what to do.
    fn refuse(&self, error: io::Error) -> Error {
        let hint = match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => {
                "take root, or CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF"
            }
            Some(libc::ENOBUFS | libc::ENOMEM) => {
                "the pool's memory is locked: raise RLIMIT_MEMLOCK (ulimit -l) or take CAP_IPC_LOCK"
            }
            Some(libc::EBUSY | libc::EEXIST) => {
                "another program runs on the interface (ip link shows xdp), or has its queue"
            }
            Some(libc::EOPNOTSUPP) => "the driver has no place for a program: take hook=generic",
            Some(libc::ERANGE) => "the MTU is too large for a program in this driver: lower it",
            Some(libc::EAFNOSUPPORT | libc::ENOSYS) => {
                "the kernel has no AF_XDP: CONFIG_XDP_SOCKETS, from 5.9 on"
            }
            _ => return self.station.told("handing frames to AF_XDP sockets")(error),
        };
        Error::system_hint(&self.info.name, "handing frames to AF_XDP sockets", error, hint)
    }
}

/// Whether somebody has the queue.
fn is_busy(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EBUSY)
}

/// Whether another place for the program may help: not where one is in the way, or none is allowed.
fn helps(error: &io::Error) -> bool {
    !matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST | libc::EPERM | libc::EACCES))
}
