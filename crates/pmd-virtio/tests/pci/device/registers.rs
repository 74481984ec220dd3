//! Registers: the modern structures, all in BAR 4, and the legacy ports in BAR 0.

use super::model::Model;
use linecard_eal::device::{Registers, Width};
use std::sync::Arc;

/// Where in BAR 4 the structures are.
pub(super) const COMMON: usize = 0x0000;
pub(super) const ISR: usize = 0x1000;
pub(super) const OWN: usize = 0x2000;
pub(super) const NOTIFY: usize = 0x3000;
pub(super) const BAR_LEN: usize = 0x4000;
/// Bytes between two notification registers.
pub(super) const MULTIPLIER: usize = 4;
/// Bytes of BAR 0.
pub(super) const PORTS_LEN: usize = 64;

/// BAR 4.
pub(super) struct Modern(pub(super) Arc<Model>);

impl Registers for Modern {
    fn read(&self, offset: usize, width: Width) -> u64 {
        let model = &self.0;
        if model.is_pulled() {
            return u64::MAX;
        }
        let mut inside = model.lock();
        match offset {
            ISR => u64::from(std::mem::take(&mut inside.isr)),
            OWN..NOTIFY => inside.own(offset - OWN, width.bytes()),
            COMMON..ISR => inside.common(offset, width),
            _ => 0,
        }
    }

    fn write(&self, offset: usize, width: Width, value: u64) {
        let model = &self.0;
        if model.is_pulled() {
            return;
        }
        let mut inside = model.lock();
        match offset {
            COMMON..ISR => inside.set_common(offset, width, value),
            OWN..NOTIFY => inside.complain(format!("the configuration was written at {offset:#x}")),
            NOTIFY.. => {
                let index = ((offset - NOTIFY) / MULTIPLIER) as u16;
                inside.notified(index, width, value);
            }
            _ => inside.complain(format!("{offset:#x} was written")),
        }
    }
}

/// BAR 0.
pub(super) struct Legacy(pub(super) Arc<Model>);

impl Registers for Legacy {
    fn read(&self, offset: usize, width: Width) -> u64 {
        if self.0.is_pulled() {
            return u64::MAX;
        }
        let mut inside = self.0.lock();
        let own = inside.legacy_own();
        match offset {
            0x00 => inside.offer.features.bits() & 0xFFFF_FFFF,
            0x04 => inside.accepted.bits(),
            0x08 => inside.selected().map_or(0, |queue| queue.addresses[0] / 4096),
            0x0C => inside.selected().map_or(0, |queue| u64::from(queue.size)),
            0x0E => u64::from(inside.queue_select),
            0x12 => u64::from(inside.status()),
            0x13 => u64::from(std::mem::take(&mut inside.isr)),
            0x14 if own > 0x14 => u64::from(inside.config_vector),
            0x16 if own > 0x14 => inside.selected().map_or(0xFFFF, |queue| u64::from(queue.vector)),
            offset if offset >= own => inside.own(offset - own, width.bytes()),
            _ => 0,
        }
    }

    fn write(&self, offset: usize, width: Width, value: u64) {
        if self.0.is_pulled() {
            return;
        }
        let mut inside = self.0.lock();
        let own = inside.legacy_own();
        match offset {
            0x04 => inside.accept(value, 0),
            0x08 => inside.set_page(value),
            0x0E => inside.queue_select = value as u16,
            0x10 => inside.notified(value as u16, width, value),
            0x12 => inside.set_status(value as u8),
            0x14 if own > 0x14 => inside.set_config_vector(value as u16),
            0x16 if own > 0x14 => inside.set_queue_vector(value as u16),
            offset if (own..own + 6).contains(&offset) => {
                inside.offer.config.mac[offset - own] = value as u8;
            }
            _ => inside.complain(format!("{offset:#x} was written")),
        }
    }
}
