//! Virtual functions (§7.10, §8.3): pools of queues that have a window, a requester and interrupts of their
//! own.
//!
//! On the bus, virtual functions come and go with the SR-IOV capability of the physical one. Here they are
//! there from [`Device::attach`] on: the extended configuration space that the capability lives in is not
//! modelled.

mod function;
mod interrupt;
mod mailbox;
mod pools;
mod reset;
mod switch;
mod window;

use linecard_ixgbe_regs::registers::*;
use linecard_ixgbe_regs::{QUEUES, Register, VF_BAR_BYTES, VF_MSIX_VECTORS};

use crate::bus::{Dma, Interrupts};
use crate::config_space::ConfigSpace;
use crate::device::Device;
use crate::vectors::Vectors;
use interrupt::Causes;
use mailbox::Mailbox;

pub use function::Function;
pub(crate) use pools::Pools;
pub(crate) use switch::Way;

/// The most virtual functions of a card.
const FUNCTIONS: usize = 64;

/// What is outside of a virtual function. Frames go over the card's wire.
pub struct FunctionHost {
    /// Memory, as this function reaches it.
    pub dma: Box<dyn Dma>,
    /// Interrupts of this function.
    pub interrupts: Box<dyn Interrupts>,
}

impl std::fmt::Debug for FunctionHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FunctionHost")
    }
}

/// What a card has for its pools beside the registers.
#[derive(Debug, Default)]
pub(crate) struct Virtualization {
    pub(crate) functions: Vec<VirtualFunction>,
    /// The physical function's driver has said that its reset is done.
    is_ready: bool,
    /// Queues that drop what they have no descriptor for, by PFQDE.
    drops: u128,
}

/// A virtual function.
#[derive(Debug)]
pub(crate) struct VirtualFunction {
    pub(crate) host: FunctionHost,
    pub(crate) config: ConfigSpace,
    /// Its own registers: those that are no window onto others.
    words: Box<[u32]>,
    causes: Causes,
    vectors: Vectors,
    mailbox: Mailbox,
}

impl VirtualFunction {
    fn new(card: u16, host: FunctionHost) -> Self {
        Self {
            host,
            config: ConfigSpace::of_function(card),
            words: vec![0; (VF_BAR_BYTES / 4) as usize].into(),
            causes: Causes::default(),
            vectors: Vectors::new(VF_MSIX_VECTORS),
            mailbox: Mailbox::default(),
        }
    }

    fn at(&self, register: &Register, index: u32) -> u32 {
        register.at(index).map_or(0, |offset| self.words[(offset / 4) as usize])
    }

    fn set(&mut self, register: &Register, index: u32, value: u32) {
        if let Some(offset) = register.at(index) {
            self.words[(offset / 4) as usize] = value;
        }
    }

    pub(crate) fn deadline(&self, now: u64) -> Option<u64> {
        self.vectors.deadline(now)
    }
}

impl Device {
    /// Adds a virtual function, and gives its number: 0, 1, and so on. It has the pool of this number once
    /// the physical function's driver has made pools.
    ///
    /// # Panics
    ///
    /// If there are 64 already.
    pub fn attach(&mut self, outside: FunctionHost) -> u32 {
        let count = self.virtualization.functions.len();
        assert!(count < FUNCTIONS, "a card has {FUNCTIONS} virtual functions at most");
        let mut function = VirtualFunction::new(self.identity.device_id, outside);
        if !self.virtualization.is_ready {
            function.mailbox.physical_is_reset();
        }
        self.virtualization.functions.push(function);
        count as u32
    }

    /// A virtual function, as its driver sees it.
    ///
    /// # Panics
    ///
    /// If none of this number is attached.
    pub fn function(&mut self, number: u32) -> Function<'_> {
        let count = self.virtualization.functions.len();
        assert!((number as usize) < count, "virtual function {number} of {count}");
        Function::new(self, number as usize)
    }

    /// Queues of each pool, if there are pools.
    fn queues_per_pool(&self) -> Option<u32> {
        match gcr_ext::VT_MODE.of(self.file.get(&GCR_EXT)) {
            1 => Some(QUEUES / 16),
            2 => Some(QUEUES / 32),
            3 => Some(QUEUES / 64),
            _ => None,
        }
    }

    /// The pool of a queue, if there are pools.
    pub(crate) fn pool_of(&self, queue: u32) -> Option<u32> {
        Some(queue / self.queues_per_pool()?)
    }

    /// The virtual function that has a queue. All others are the physical function's.
    pub(crate) fn owner(&self, queue: u32) -> Option<usize> {
        if self.virtualization.functions.is_empty() {
            return None;
        }
        let pool = self.pool_of(queue)? as usize;
        (pool < self.virtualization.functions.len()).then_some(pool)
    }

    /// Queue `index` of a virtual function, if its pool has as many.
    fn queue_of_function(&self, number: usize, index: u32) -> Option<u32> {
        let count = self.queues_per_pool()?;
        let queue = number as u32 * count + index;
        (index < count && queue < QUEUES).then_some(queue)
    }
}
