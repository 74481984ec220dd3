//! BAR 0 of a virtual function (§8.3): mostly a window onto the physical function's registers of its
//! queues, with the same effects.

use std::sync::LazyLock;

use linecard_ixgbe_regs::registers::virtual_function::*;
use linecard_ixgbe_regs::registers::*;
use linecard_ixgbe_regs::{Access, Register, VF_BAR_BYTES, all_of_virtual_function};

use super::{VirtualFunction, mailbox};
use crate::device::Device;

/// Registers of queues, and the physical function's that they are.
pub(super) const QUEUE_REGISTERS: &[(Register, Register)] = &[
    (VFRDBAL, RDBAL),
    (VFRDBAH, RDBAH),
    (VFRDLEN, RDLEN),
    (VFDCA_RXCTRL, DCA_RXCTRL),
    (VFRDH, RDH),
    (VFSRRCTL, SRRCTL),
    (VFRDT, RDT),
    (VFRXDCTL, RXDCTL),
    (VFRSCCTL, RSCCTL),
    (VFTDBAL, TDBAL),
    (VFTDBAH, TDBAH),
    (VFTDLEN, TDLEN),
    (VFDCA_TXCTRL, DCA_TXCTRL),
    (VFTDH, TDH),
    (VFTDT, TDT),
    (VFTXDCTL, TXDCTL),
    (VFTDWBAL, TDWBAL),
    (VFTDWBAH, TDWBAH),
];

/// What happens at a register.
#[derive(Clone, Copy, Debug)]
enum Effect {
    /// Reads give what was written.
    Plain,
    /// Writes change nothing.
    Constant,
    /// The physical function's register of this queue.
    Queue(Register),
    /// PSRTYPE of the pool.
    PacketSplit,
    /// The mailbox's memory.
    Memory,
    Mailbox,
    Control,
    Links,
    Timer,
    Causes,
    SetCauses,
    Enable,
    Disable,
}

const EFFECTS: &[(Register, Effect)] = &[
    (VFCTRL, Effect::Control),
    (VFLINKS, Effect::Links),
    (VFFRTIMER, Effect::Timer),
    (VTEICR, Effect::Causes),
    (VTEICS, Effect::SetCauses),
    (VTEIMS, Effect::Enable),
    (VTEIMC, Effect::Disable),
    (VFMBMEM, Effect::Memory),
    (VFMAILBOX, Effect::Mailbox),
    (VFPSRTYPE, Effect::PacketSplit),
];

#[derive(Clone, Copy, Debug)]
struct Slot {
    effect: Effect,
    /// Which element of the array.
    index: u32,
}

static SLOTS: LazyLock<Box<[Option<Slot>]>> = LazyLock::new(slots);

fn slots() -> Box<[Option<Slot>]> {
    let mut slots: Box<[Option<Slot>]> = vec![None; (VF_BAR_BYTES / 4) as usize].into();
    for register in all_of_virtual_function() {
        let effect = effect_of(register);
        for (index, offset) in (0..).zip(register.offsets()) {
            slots[(offset / 4) as usize] = Some(Slot { effect, index });
        }
    }
    slots
}

fn effect_of(register: &Register) -> Effect {
    let queue = QUEUE_REGISTERS.iter().find(|(known, _)| known.name == register.name);
    let special = EFFECTS.iter().find(|(known, _)| known.name == register.name);
    match (queue, special, register.access) {
        (Some((_, queue)), _, _) => Effect::Queue(*queue),
        (_, Some((_, effect)), _) => *effect,
        (_, _, Access::ReadOnly) => Effect::Constant,
        _ => Effect::Plain,
    }
}

/// The registers that a reset of the function leaves.
const COUNTERS: &[Register] =
    &[VFGPRC, VFGPTC, VFGORC_LSB, VFGORC_MSB, VFGOTC_LSB, VFGOTC_MSB, VFMPRC];

impl VirtualFunction {
    /// All but the counters.
    pub(super) fn forget_registers(&mut self) {
        let kept: Vec<_> =
            COUNTERS.iter().map(|register| (register, self.at(register, 0))).collect();
        self.words.fill(0);
        kept.into_iter().for_each(|(register, value)| self.set(register, 0, value));
    }

    /// Adds to a counter, which wraps.
    fn count(&mut self, register: &Register, amount: u32) {
        self.set(register, 0, self.at(register, 0).wrapping_add(amount));
    }

    /// Adds to a counter of 36 bits.
    fn count_wide(&mut self, low: &Register, high: &Register, amount: u32) {
        let sum = u64::from(self.at(low, 0)) + u64::from(amount);
        self.set(low, 0, sum as u32);
        self.set(high, 0, (self.at(high, 0) + (sum >> 32) as u32) & 0xF);
    }
}

impl Device {
    fn slot_of_function(&mut self, offset: u32) -> Option<Slot> {
        let slot = SLOTS[((offset % VF_BAR_BYTES) / 4) as usize];
        if slot.is_none() {
            self.journal.unknown_of_function(offset);
        }
        slot
    }

    /// An element of a register of the physical function, by a virtual function's window.
    fn element(&self, number: usize, slot: Slot) -> Option<u32> {
        match slot.effect {
            Effect::Queue(register) => register.at(self.queue_of_function(number, slot.index)?),
            Effect::PacketSplit => PSRTYPE.at(number as u32),
            Effect::Memory => PFMBMEM.at(number as u32 * mailbox::WORDS + slot.index),
            _ => None,
        }
    }

    pub(super) fn read_of_function(&mut self, number: usize, offset: u32) -> u32 {
        let Some(slot) = self.slot_of_function(offset) else { return 0 };
        let element = self.element(number, slot);
        let timer = self.free_running_timer();
        let function = &mut self.virtualization.functions[number];
        match slot.effect {
            Effect::Queue(_) | Effect::PacketSplit | Effect::Memory => {
                element.map_or(0, |offset| self.read_register(offset))
            }
            Effect::Mailbox => function.read_mailbox(),
            Effect::Links => self.link.links(self.family),
            Effect::Timer => timer,
            Effect::Causes => function.causes.take(),
            Effect::SetCauses => function.causes.causes(),
            Effect::Enable | Effect::Disable => function.causes.mask(),
            Effect::Control => 0,
            Effect::Plain | Effect::Constant => {
                function.words[((offset % VF_BAR_BYTES) / 4) as usize]
            }
        }
    }

    /// Microseconds in bits 9:0, milliseconds in 19:10, seconds above.
    fn free_running_timer(&self) -> u32 {
        let micros = self.now / 1_000;
        let parts = [micros % 1_000, micros / 1_000 % 1_000, micros / 1_000_000 % 4_096];
        (parts[0] | parts[1] << 10 | parts[2] << 20) as u32
    }

    pub(super) fn write_of_function(&mut self, number: usize, offset: u32, value: u32) {
        let Some(slot) = self.slot_of_function(offset) else { return };
        let element = self.element(number, slot);
        let now = self.now;
        let function = &mut self.virtualization.functions[number];
        match slot.effect {
            Effect::Queue(_) | Effect::PacketSplit | Effect::Memory => {
                if let Some(offset) = element {
                    self.write_slot(crate::effect::slot(offset), value);
                }
            }
            Effect::Mailbox => self.write_mailbox_of_function(number, value),
            Effect::Control if vfctrl::RST.is_set(value) => self.reset_virtual(number),
            Effect::Causes => drop(function.causes.clear(value)),
            Effect::SetCauses => function.add_causes(value, now),
            Effect::Enable => function.enable_causes(value, now),
            Effect::Disable => function.causes.disable(value),
            Effect::Plain => function.words[((offset % VF_BAR_BYTES) / 4) as usize] = value,
            Effect::Control | Effect::Links | Effect::Timer | Effect::Constant => {}
        }
    }

    fn counted(&mut self, queue: u32) -> Option<&mut VirtualFunction> {
        self.owner(queue).map(|number| &mut self.virtualization.functions[number])
    }

    pub(crate) fn count_received_of_function(&mut self, queue: u32, len: u32) {
        if let Some(function) = self.counted(queue) {
            function.count(&VFGPRC, 1);
            function.count_wide(&VFGORC_LSB, &VFGORC_MSB, len);
        }
    }

    pub(crate) fn count_multicast_of_function(&mut self, queue: u32) {
        if let Some(function) = self.counted(queue) {
            function.count(&VFMPRC, 1);
        }
    }

    pub(crate) fn count_sent_of_function(&mut self, queue: u32, len: u32) {
        if let Some(function) = self.counted(queue) {
            function.count(&VFGPTC, 1);
            function.count_wide(&VFGOTC_LSB, &VFGOTC_MSB, len);
        }
    }
}
