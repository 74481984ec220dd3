//! The embedded bench: two vhost-user ports, and at the other ends of their sockets two virtio-user
//! ports of the same process, with a thread that sends frames into the one and takes them out of the
//! other. Two real rings in shared memory, between two threads, on any machine: no privilege, no huge
//! pages.

use crate::port::OpenError;
use linecard::eal::lcore::{Launcher, LcoreMap, StopFlag, Topology, WorkerContext, Workers};
use linecard::mbuf::{Burst, MbufPool};
use linecard::net::{FrameBuilder, MacAddr};
use linecard::pmd::{Driver, Port, PortConfig, Queues, Started};
use linecard::vhost::{VhostOptions, VhostPort};
use linecard::virtio::{UserOptions, VirtioPort};
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Frames on the way at once.
const IN_FLIGHT: usize = 1024;

/// What the bench is, for whoever runs it.
pub(crate) const WHAT: &str = "no ports given: the embedded bench, vhost-user here and virtio-user \
                               on a thread of its own, two split rings in shared memory";

/// The near ends, for `fwd`, and where to find the far ends.
pub(crate) type Cables = (Vec<Box<dyn Driver>>, Option<Sockets>);

/// The sockets of both cables, gone once both ends hold them.
pub(crate) struct Sockets {
    folder: PathBuf,
}

impl Sockets {
    /// A folder that only this user can enter.
    fn new() -> Result<Self, OpenError> {
        let mut folder = std::env::temp_dir();
        folder.push(format!("linecard-bench-{}", std::process::id()));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|error| format!("{}: {error}; set TMPDIR to a folder", folder.display()))?;
        Ok(Sockets { folder })
    }

    fn path(&self, cable: usize) -> PathBuf {
        Path::join(&self.folder, cable.to_string())
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        // Nothing to be done about it if not.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Two cables.
pub(crate) fn ports() -> Result<Cables, OpenError> {
    let sockets = Sockets::new()?;
    let open = |cable: usize| {
        VhostPort::open(VhostOptions::new(format!("vhost{cable}"), sockets.path(cable)))
    };
    let near: Vec<Box<dyn Driver>> = vec![Box::new(open(0)?), Box::new(open(1)?)];
    Ok((near, Some(sockets)))
}

/// The far ends at work.
pub(crate) struct FarEnds {
    workers: Workers<Result<(), String>>,
    ports: Vec<Port<Started>>,
    pool: MbufPool,
}

impl FarEnds {
    /// Starts the thread at the far ends: on a CPU that does not forward, if there is one.
    pub(crate) fn start(
        sockets: Sockets,
        topology: &Topology,
        map: &LcoreMap,
    ) -> Result<Self, OpenError> {
        let pool = MbufPool::builder("bench").size(4 * IN_FLIGHT - 1).cache(256).build()?;
        let (mut ports, mut queues) = (Vec::new(), Vec::new());
        for cable in 0..2 {
            let options = UserOptions::new(format!("virtio_user{cable}"), sockets.path(cable));
            let port = Port::open(VirtioPort::user(options)?)
                .configure(PortConfig::new(&pool))
                .map_err(|r| r.error)?;
            let (port, its) = port.start().map_err(|r| r.error)?;
            ports.push(port);
            queues.push(its);
        }
        drop(sockets);
        let busy: Vec<_> = map.lcores().iter().flat_map(|l| &l.cpus).collect();
        let free = topology.allowed().map(|cpu| cpu.id).find(|id| !busy.contains(&id));
        let cpu = free.or(topology.allowed().map(|cpu| cpu.id).next());
        let own = LcoreMap::of_cpus(cpu).ok_or("no CPU is allowed for this process")?;
        let mut launcher = Launcher::new(topology).name("bench").stop_flag(StopFlag::default());
        let packets = pool.clone();
        launcher.add(own.lcores()[0].clone(), move |context| circulate(context, queues, &packets));
        Ok(FarEnds { workers: launcher.start()?, ports, pool })
    }

    /// Stops the thread, and checks that all frames came back intact.
    pub(crate) fn stop(self) -> Result<(), OpenError> {
        self.workers.stop();
        for outcome in self.workers.join() {
            outcome.result.map_err(|panicked| panicked.to_string())??;
        }
        drop(self.ports);
        match self.pool.in_use() {
            0 => Ok(()),
            n => Err(format!("the bench lost {n} buffers").into()),
        }
    }
}

/// Sends frames into both cables and takes out what was forwarded, keeping a number of them on the
/// way.
fn circulate(
    context: &WorkerContext,
    mut queues: Vec<Queues>,
    pool: &MbufPool,
) -> Result<(), String> {
    let frame = FrameBuilder::new(MacAddr([2, 0, 0, 0, 0, 2]), MacAddr([2, 0, 0, 0, 0, 1]))
        .ipv4(Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 19, 0, 1))
        .udp(9, 9)
        .frame_len(60)
        .to_vec()
        .map_err(|error| error.to_string())?;
    let mut waiting = [fill(pool, &frame)?, fill(pool, &frame)?];
    let mut back = Burst::new();
    while !context.is_stopped() {
        for (side, queues) in queues.iter_mut().enumerate() {
            queues.rx[0].receive(&mut back);
            let wrong = back.iter().find(|packet| packet.data() != frame);
            if let Some(packet) = wrong {
                return Err(format!("a frame was changed on its way: {packet:?}"));
            }
            waiting[1 - side].extend(back.drain(usize::MAX));
            let mut out = Burst::new();
            let n = waiting[side].len();
            waiting[side].drain(n.saturating_sub(out.limit())..).for_each(|packet| {
                // As many as the burst holds.
                let _ = out.push(packet);
            });
            queues.tx[0].send(&mut out);
            waiting[side].extend(out.drain(usize::MAX));
        }
    }
    Ok(())
}

fn fill(pool: &MbufPool, frame: &[u8]) -> Result<Vec<linecard::mbuf::Mbuf>, String> {
    let mut packets = Vec::with_capacity(2 * IN_FLIGHT);
    for _ in 0..IN_FLIGHT / 2 {
        let mut packet = pool.alloc().ok_or("the bench's pool is empty")?;
        let room = packet.append(frame.len()).map_err(|error| error.to_string())?;
        room.copy_from_slice(frame);
        packets.push(packet);
    }
    Ok(packets)
}
