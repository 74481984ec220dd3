//! TAP: an interface of the kernel's whose other end is a port.

mod options;

pub use options::{Existing, Interface, TapOptions};

use linecard_pmd_core::{Driver, Error, PortConfig, PortInfo, QueueStats, Queues};

/// A TAP port.
#[derive(Debug)]
pub struct TapPort {
    info: PortInfo,
    stats: QueueStats,
}

impl TapPort {
    /// Makes the interface.
    ///
    /// # Errors
    /// Why it cannot be made, and what to do.
    pub fn open(options: TapOptions) -> Result<TapPort, Error> {
        Err(Error::Refused { port: options.name, what: "under construction".into() })
    }
}

impl Driver for TapPort {
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
