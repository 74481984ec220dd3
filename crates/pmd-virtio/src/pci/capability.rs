//! Where a modern device's structures are (§4.1.4).

use super::trouble::Trouble;
use super::window::{Access, Window};
use linecard_eal::device::{Bar, Capability, CapabilityId, ConfigSpace, Device};
use std::sync::Arc;

/// A kind of structure (§4.1.4: `cfg_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    number: u8,
    what: &'static str,
    section: &'static str,
    /// Its offset is a multiple of this.
    align: usize,
    /// Bytes that it has at least.
    needed: usize,
}

const COMMON: Kind =
    Kind { number: 1, what: "common configuration", section: "4.1.4.3", align: 4, needed: 0x38 };
const NOTIFY: Kind =
    Kind { number: 2, what: "notification", section: "4.1.4.4", align: 2, needed: 2 };
const ISR: Kind =
    Kind { number: 3, what: "interrupt status", section: "4.1.4.5", align: 1, needed: 1 };
const OWN: Kind =
    Kind { number: 4, what: "device configuration", section: "4.1.4.6", align: 4, needed: 6 };
/// Access to the others through configuration space (§4.1.4.9).
const ACCESS: u8 = 5;

/// `struct virtio_pci_cap` (§4.1.4): where its fields are.
mod field {
    pub(super) const KIND: u16 = 3;
    pub(super) const BAR: u16 = 4;
    pub(super) const OFFSET: u16 = 8;
    pub(super) const LENGTH: u16 = 12;
    pub(super) const MULTIPLIER: u16 = 16;
}

/// The structures of a device.
#[derive(Debug)]
pub(super) struct Structures {
    pub(super) common: Bar,
    pub(super) notify: Bar,
    /// Bytes between the notification registers of two queues.
    pub(super) multiplier: usize,
    pub(super) isr: Bar,
    pub(super) own: Bar,
}

/// Virtio's capabilities, in the order of the list: kind and place.
fn listed(config: &dyn ConfigSpace) -> Result<Vec<(u8, u16)>, Trouble> {
    let mut all = Vec::new();
    for found in config.capabilities()? {
        let Capability { id, offset, .. } = found?;
        if id == CapabilityId::VENDOR {
            all.push((config.read8(offset + field::KIND)?, offset));
        }
    }
    Ok(all)
}

impl Structures {
    /// Whether a device has a modern interface at all.
    pub(super) fn are_there(config: &dyn ConfigSpace) -> Result<bool, Trouble> {
        Ok(listed(config)?.iter().any(|(kind, _)| *kind == COMMON.number))
    }

    /// Finds them all.
    pub(super) fn find(device: &Arc<dyn Device>) -> Result<Self, Trouble> {
        let listed = listed(device.config())?;
        let access = listed.iter().find(|(kind, _)| *kind == ACCESS);
        let access = access.map(|(_, at)| Arc::new(Access::new(device, *at)));
        let search = Search { device, listed, access };
        let (notify, at) = search.find(NOTIFY)?;
        Ok(Structures {
            common: search.find(COMMON)?.0,
            multiplier: device.config().read32(at + field::MULTIPLIER)? as usize,
            notify,
            isr: search.find(ISR)?.0,
            own: search.find(OWN)?.0,
        })
    }
}

/// Where structures are looked for.
struct Search<'a> {
    device: &'a Arc<dyn Device>,
    listed: Vec<(u8, u16)>,
    access: Option<Arc<Access>>,
}

impl Search<'_> {
    /// The first structure of a kind that can be used, and its capability: devices list the ones
    /// that they like better first (§4.1.4.1).
    fn find(&self, kind: Kind) -> Result<(Bar, u16), Trouble> {
        let Kind { what, section, .. } = kind;
        let mut trouble = None;
        for (_, at) in self.listed.iter().filter(|(number, _)| *number == kind.number) {
            match self.open(kind, *at) {
                Ok(bar) => return Ok((bar, *at)),
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        Err(trouble.unwrap_or(Trouble::Absent { what, section, kind: "modern virtio" }))
    }

    fn open(&self, kind: Kind, at: u16) -> Result<Bar, Trouble> {
        let config = self.device.config();
        let bar = config.read8(at + field::BAR)?;
        let offset = config.read32(at + field::OFFSET)? as usize;
        let len = config.read32(at + field::LENGTH)? as usize;
        let Kind { what, align, needed, .. } = kind;
        if !offset.is_multiple_of(align) {
            return Err(Trouble::Crooked { what, offset, align });
        }
        if len < needed {
            return Err(Trouble::Small { what, len, needed });
        }
        match (self.device.bar(bar), &self.access) {
            (Ok(bar), _) => Ok(bar.part(offset, len)?),
            // Numbers above 5 are reserved: such a structure is not for us.
            (Err(_), Some(access)) if bar <= 5 => {
                let access = Arc::clone(access);
                Ok(Bar::called(len, Arc::new(Window { access, bar, start: offset })))
            }
            (Err(error), _) => Err(error.into()),
        }
    }
}
