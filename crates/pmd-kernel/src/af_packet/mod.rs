//! AF_PACKET: a port on an interface of the kernel's.

mod options;

pub use options::{AfPacketOptions, Fanout, Qdisc, RxRing};

use linecard_pmd_core::{Driver, Error, PortConfig, PortInfo, QueueStats, Queues};

/// An AF_PACKET port.
#[derive(Debug)]
pub struct AfPacketPort {
    info: PortInfo,
    stats: QueueStats,
}

impl AfPacketPort {
    /// Opens a port on an interface.
    ///
    /// # Errors
    /// Why it cannot be opened, and what to do.
    pub fn open(options: AfPacketOptions) -> Result<AfPacketPort, Error> {
        Err(Error::Refused { port: options.interface, what: "under construction".into() })
    }
}

impl Driver for AfPacketPort {
    fn info(&self) -> &PortInfo {
        &self.info
    }

    fn configure(&mut self, _: PortConfig) -> Result<(), Error> {
        Ok(())
    }

    fn start(&mut self) -> Result<Queues, Error> {
        Err(self.cannot("start"))
    }

    fn stop(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn queue_stats(&self) -> &QueueStats {
        &self.stats
    }
}
