//! What a device's interface is asked, whichever it is.

use super::trouble::Trouble;
use crate::bell::Bell;
use crate::transport::RingPlan;
use linecard_eal::device::Bar;
use linecard_net::MacAddr;
use linecard_virtqueue::net::NetConfig;
use linecard_virtqueue::{Features, Status};

/// No vector: the device does not interrupt for it (§4.1.5.1.2).
pub(super) const NO_VECTOR: u16 = 0xFFFF;

/// How often the configuration is read again because it has changed meanwhile.
const TRIES: usize = 100;

/// A device's registers, modern or legacy. Queues are selected and described by one side at a time:
/// the control side.
pub(super) trait Interface: Send + Sync {
    /// Features that it offers.
    fn offered(&self) -> Features;
    /// Says which are accepted.
    fn accept(&self, features: Features);
    /// Device status (§2.1), as it is.
    fn status(&self) -> u8;
    /// Sets it; nothing at all is a reset.
    fn set_status(&self, status: Status);
    /// Queues that there may be at most.
    fn queues(&self) -> u16;
    /// Descriptors of a queue: the most, or what it has. 0 if there is no such queue.
    fn size(&self, index: u16) -> u16;
    /// Whether a size is what a queue has, and not only the most.
    fn sizes_are_fixed(&self) -> bool;
    /// Describes a queue and lets it go, interrupting by a vector.
    fn start_queue(&self, ring: &RingPlan, vector: u16) -> Result<(), Trouble>;
    /// Stops one queue (`RING_RESET`), until `is_queue_reset`; says whether it can.
    fn reset_queue(&self, index: u16) -> bool;
    /// Whether a queue that was told to stop has.
    fn is_queue_reset(&self, index: u16) -> bool;
    /// The vector of configuration changes.
    fn set_config_vector(&self, vector: u16) -> Result<(), Trouble>;
    /// Whether MSI-X is on, which moves things about in a legacy device (§4.1.4.10).
    fn set_msix(&self, on: bool);
    /// How the device is told of a queue.
    fn bell(&self, index: u16, features: Features) -> Result<Bell, Trouble>;
    /// Why it interrupts by its line: bit 0 a queue, bit 1 the configuration. Reading clears (§4.1.4.5).
    fn take_cause(&self) -> u8;
    /// Counts changes of the configuration, if it does.
    fn generation(&self) -> u8;
    /// The part of the registers that is the network device's own.
    fn own(&self) -> Result<Bar, Trouble>;
    /// Sets the address in the configuration, where that can be written.
    fn set_mac(&self, mac: MacAddr) -> bool;
}

/// The configuration, read between two changes of it (§2.5.1).
pub(super) fn net_config(of: &dyn Interface) -> Result<NetConfig, Trouble> {
    let own = of.own()?;
    let (mut generation, mut seen) = (of.generation(), read(&own));
    for _ in 0..TRIES {
        // Legacy devices count nothing: twice the same is as good as it gets (§2.5.4).
        let (now, again) = (of.generation(), read(&own));
        if (now, again) == (generation, seen) {
            return Ok(again);
        }
        (generation, seen) = (now, again);
    }
    Err(Trouble::Restless)
}

/// Each field by its own width (§4.1.3.1); one that is not there as nothing.
fn read(own: &Bar) -> NetConfig {
    let has = |end: usize| own.len() >= end;
    let mut config = NetConfig::default();
    if has(6) {
        config.mac = std::array::from_fn(|at| own.read8(at));
    }
    let half = |at: usize| if has(at + 2) { own.read16(at) } else { 0 };
    config.status = half(6);
    config.max_virtqueue_pairs = half(8);
    config.mtu = half(10);
    if has(17) {
        config.speed = own.read32(12);
        config.duplex = own.read8(16);
    }
    if has(24) {
        config.rss_max_key_size = own.read8(17);
        config.rss_max_indirection_table_length = own.read16(18);
        config.supported_hash_types = own.read32(20);
    }
    config
}
