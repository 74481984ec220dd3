//! What the device does wrong when it is asked to.

use std::collections::BTreeMap;

use linecard_ixgbe_regs::Register;

use crate::device::Device;

/// A descriptor write-back that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deferred {
    /// Whose it is.
    pub(crate) queue: u32,
    pub(crate) address: u64,
    pub(crate) words: [u64; 2],
    /// Accesses of registers, or ticks, until it is written.
    pub(crate) left: u32,
}

/// Whether the device is still in its slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// It answers.
    #[default]
    Present,
    /// Reads give all ones, writes go nowhere, and it touches no memory.
    Removed,
}

/// What a write-back has instead of what it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Garbage {
    /// A length beyond the buffer.
    HugeLength,
    /// A length of 0.
    ZeroLength,
    /// Never the end of a packet.
    NoEnd,
    /// All bits set.
    AllOnes,
    /// Of merged segments: that the packet goes on in a descriptor that there is not.
    WrongNext,
}

/// Asked-for misbehaviour. By default there is none.
#[derive(Debug, Default)]
pub struct Faults {
    /// Bits that clear or set themselves do so only after as many reads of their register.
    pub late_bits: u32,
    /// Write-backs wait for as many accesses of registers, or ticks.
    pub write_back_delay: u32,
    /// Write-backs that wait are done last first.
    pub reorder_write_backs: bool,
    /// Every received frame's last write-back has this.
    pub garbage: Option<Garbage>,
    /// Accesses of memory that fail from now on, counted down.
    pub dma_faults: u32,
    /// Whether it is there at all.
    pub presence: Presence,
    /// Queues do not acknowledge that they have been disabled.
    pub stuck_queues: bool,
    /// Requests as a bus master are under way for ever: STATUS says so until a reset, and after it.
    pub endless_requests: bool,
    /// What an X550's firmware does with every command.
    pub mailbox: Option<MailboxFault>,
    pub(crate) deferred: Vec<Deferred>,
}

/// What a firmware does instead of what it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailboxFault {
    /// Nothing, ever.
    Silent,
    /// It takes commands, and says that they failed.
    Refuses,
}

impl Faults {
    pub(crate) fn is_removed(&self) -> bool {
        self.presence == Presence::Removed
    }

    /// Write-backs whose time has come, in the order in which they are done.
    fn due(&mut self) -> Vec<Deferred> {
        for deferred in &mut self.deferred {
            deferred.left = deferred.left.saturating_sub(1);
        }
        let mut due: Vec<_> = self.deferred.extract_if(.., |deferred| deferred.left == 0).collect();
        if self.reorder_write_backs {
            due.reverse();
        }
        due
    }
}

#[derive(Clone, Copy, Debug)]
struct Late {
    mask: u32,
    shown: u32,
    reads: u32,
}

/// Registers that show old bits for a while.
#[derive(Debug, Default)]
pub(crate) struct Lateness {
    registers: BTreeMap<u32, Late>,
}

impl Lateness {
    /// What a read of `home` shows while its word is `value`.
    pub(crate) fn seen(&mut self, home: u32, value: u32) -> u32 {
        let Some(late) = self.registers.get_mut(&home) else { return value };
        if late.reads == 0 {
            self.registers.remove(&home);
            return value;
        }
        late.reads -= 1;
        (value & !late.mask) | (late.shown & late.mask)
    }
}

impl Device {
    /// Bits `mask` of a register show `shown` for as many reads as the faults say.
    pub(crate) fn late(&mut self, register: &Register, index: u32, mask: u32, shown: u32) {
        let reads = self.faults.late_bits;
        if let Some(home) = register.at(index).filter(|_| reads > 0) {
            self.lateness.registers.insert(home, Late { mask, shown, reads });
        }
    }

    /// Does the write-backs whose time has come.
    pub(crate) fn settle(&mut self) {
        if self.faults.deferred.is_empty() {
            return;
        }
        for Deferred { queue, address, words, .. } in self.faults.due() {
            self.dma_descriptor(queue, address, words);
        }
    }
}
