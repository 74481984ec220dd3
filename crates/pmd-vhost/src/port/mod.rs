//! The port.

mod copy;
mod init;
mod rx;
mod tx;

use crate::control::{Control, Meeting};
use crate::device::{Device, Offer};
use crate::options::{Mode, VhostOptions};
use crate::ring::Driven;
use linecard_pmd_core::{
    Driver, Error, Event, Gate, Link, PortConfig, PortInfo, QueueStats, Queues, RxQueue, TxQueue,
};
use rx::VhostRx;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use tx::VhostTx;

/// A vhost-user port: the device that a guest, or a virtio-user program, drives.
#[derive(Debug)]
pub struct VhostPort {
    info: PortInfo,
    options: VhostOptions,
    listener: Option<Arc<UnixListener>>,
    device: Arc<Device>,
    config: Option<PortConfig>,
    stats: QueueStats,
    gate: Gate,
    control: Option<Control>,
    mtu: usize,
}

impl VhostPort {
    /// Takes the socket's path, in server mode; front-ends are answered from the first start on.
    ///
    /// # Errors
    /// What is wrong with the options, or the path, and what to do.
    pub fn open(options: VhostOptions) -> Result<VhostPort, Error> {
        let listener = init::listen(&options)?;
        let device = Device::new(options.queues, options.shrinking)
            .map_err(|error| Error::system(&options.name, "making its event descriptors", error))?;
        let info = PortInfo {
            name: options.name.clone(),
            kind: "vhost",
            mac: options.mac.unwrap_or_else(init::random_mac),
            node: None,
            capabilities: init::capabilities(&options),
        };
        Ok(VhostPort {
            info,
            options,
            listener,
            device: Arc::new(device),
            config: None,
            stats: QueueStats::default(),
            gate: Gate::default(),
            control: None,
            mtu: 1500,
        })
    }

    /// Every ring that a queue is to drive, if none of them is driven.
    fn drive(&self, config: &PortConfig) -> Result<(Vec<Driven>, Vec<Driven>), Error> {
        let busy = || Error::Refused {
            port: self.info.name.clone(),
            what: "drop the queues of a stopped port before it is started again".into(),
        };
        if self.device.vrings.iter().any(|vring| vring.is_driven()) {
            return Err(busy());
        }
        let ring = |i: usize| self.device.vrings[i].drive().ok_or_else(busy);
        let rx = (0..config.rx_queue_count()).map(|i| ring(2 * i + 1)).collect::<Result<_, _>>()?;
        let tx = (0..config.tx_queue_count()).map(|i| ring(2 * i)).collect::<Result<_, _>>()?;
        Ok((rx, tx))
    }

    /// Has the control thread offer what is asked; whoever is connected and was offered something
    /// else must connect again.
    fn offer(&mut self, offer: Offer) -> Result<(), Error> {
        if self.control.as_ref().is_some_and(|control| control.offer == offer) {
            return Ok(());
        }
        self.control = None;
        let options = &self.options;
        let meeting = Meeting::of(options.mode, &options.path, self.listener.as_ref());
        let control = Control::start(&options.name, Arc::clone(&self.device), offer, meeting);
        let doing = "starting its control thread";
        self.control = Some(control.map_err(|e| Error::system(&options.name, doing, e))?);
        Ok(())
    }
}

/// Receive queues, and transmit queues.
type Halves = (Vec<Box<dyn RxQueue>>, Vec<Box<dyn TxQueue>>);

/// The queues that drive these rings.
pub(crate) fn queues(
    device: &Device,
    config: &PortConfig,
    stats: &QueueStats,
    gate: &Gate,
    (rx, tx): (Vec<Driven>, Vec<Driven>),
) -> Halves {
    let mut halves: Halves = (Vec::new(), Vec::new());
    for (i, driven) in rx.into_iter().enumerate() {
        let (counters, bell) = (Arc::clone(&stats.rx[i]), Arc::clone(&device.bells[i]));
        halves.0.push(Box::new(VhostRx::new(driven, config, i, counters, gate.clone(), bell)));
    }
    for (i, driven) in tx.into_iter().enumerate() {
        let counters = Arc::clone(&stats.tx[i]);
        halves.1.push(Box::new(VhostTx::new(driven, counters, gate.clone())));
    }
    halves
}

/// All that could be offered with this configuration.
#[cfg(any(test, feature = "harness"))]
pub(crate) fn everything(config: &PortConfig) -> Offer {
    init::offer(&VhostOptions::new("all", "").iommu(crate::options::Iommu::Offered), config)
}

impl Driver for VhostPort {
    fn info(&self) -> &PortInfo {
        &self.info
    }

    fn configure(&mut self, config: PortConfig) -> Result<(), Error> {
        self.mtu = config.mtu_asked().unwrap_or(1500);
        self.config = Some(config);
        Ok(())
    }

    fn start(&mut self) -> Result<Queues, Error> {
        let Some(config) = self.config.clone() else {
            return Err(self.cannot("start unconfigured"));
        };
        let (rx, tx) = self.drive(&config)?;
        self.offer(init::offer(&self.options, &config))?;
        self.stats = QueueStats::new(rx.len(), tx.len());
        self.gate = Gate::new();
        let (rx, tx) = queues(&self.device, &config, &self.stats, &self.gate, (rx, tx));
        let queues = Queues { rx, tx };
        Ok(queues)
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.gate.close();
        Ok(())
    }

    fn queue_stats(&self) -> &QueueStats {
        &self.stats
    }

    fn device_stats(&self) -> Vec<(String, u64)> {
        self.device.counters()
    }

    fn link(&mut self) -> Result<Link, Error> {
        Ok(if self.device.is_up() { Link::UP } else { Link::DOWN })
    }

    fn mtu(&self) -> usize {
        self.mtu
    }

    fn set_mtu(&mut self, mtu: usize) -> Result<(), Error> {
        self.mtu = mtu;
        Ok(())
    }

    fn set_mac(&mut self, mac: linecard_net::MacAddr) -> Result<(), Error> {
        self.info.mac = mac;
        Ok(())
    }

    fn events(&self) -> Option<BorrowedFd<'_>> {
        Some(self.device.events.bell().as_fd())
    }

    fn next_event(&mut self) -> Result<Option<Event>, Error> {
        let next = self.device.events.next();
        next.map_err(|error| Error::system(&self.info.name, "reading its events", error))
    }
}

impl Drop for VhostPort {
    fn drop(&mut self) {
        self.gate.close();
        // Ends the connection, and with it every use of the guest's memory.
        self.control = None;
        if self.options.mode == Mode::Server {
            // Ours: nobody else could take it while we listened.
            let _ = std::fs::remove_file(&self.options.path);
        }
    }
}
