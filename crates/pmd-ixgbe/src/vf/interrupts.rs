//! Interrupts of a virtual function (§7.3, §8.3.5.2): a vector for each of the first receive queues, and one
//! for the mailbox.

use crate::function::Function;
use crate::interrupts::{Bell, units};
use crate::trouble::Trouble;
use linecard_eal::device::{InterruptKind, Vector};
use linecard_ixgbe_regs::registers::virtual_function::*;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// The interrupts of a port that runs.
#[derive(Debug)]
pub(super) struct Interrupts {
    mailbox: Vector,
    bit: u32,
}

/// How many receive queues of so many can be slept on.
pub(super) fn bells(function: &Function, queues: usize) -> usize {
    let vectors = function.device.interrupts().vectors(InterruptKind::MsiX);
    queues.min((vectors as usize).min(MOST).saturating_sub(1))
}

/// Vectors of a virtual function.
const MOST: usize = linecard_ixgbe_regs::VF_MSIX_VECTORS as usize;

impl Interrupts {
    /// Enables them. `None` if the device cannot interrupt at all.
    pub(super) fn start(
        function: &Function,
        queues: usize,
        interval: Duration,
    ) -> Result<(Option<Self>, Vec<Bell>), Trouble> {
        let interrupts = function.device.interrupts();
        if interrupts.vectors(InterruptKind::MsiX) == 0 {
            return Ok((None, Vec::new()));
        }
        let bells = bells(function, queues);
        let mut vectors = interrupts.enable(InterruptKind::MsiX, bells as u32 + 1)?;
        let Some(mailbox) = vectors.pop() else { return Ok((None, Vec::new())) };
        let enable = || function.registers.bind(&VTEIMS, 0);
        let bells = (0..).zip(vectors).map(|(i, vector)| Ok(Bell::new(vector, enable()?, 1 << i)));
        let bells: Vec<_> = bells.collect::<Result<_, Trouble>>()?;
        let ours = Interrupts { mailbox, bit: 1 << bells.len() };
        route(function, bells.len() as u32, interval);
        interrupts.unmask()?;
        Ok((Some(ours), bells))
    }

    /// The file that is readable when the mailbox has something to tell.
    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.mailbox.as_fd()
    }

    /// Whether the mailbox asked for attention since the last call; lets it ask again.
    pub(super) fn take(&self, function: &Function) -> Result<bool, Trouble> {
        if !self.mailbox.take()? {
            return Ok(false);
        }
        function.registers.write(&VTEIMS, self.bit);
        function.device.interrupts().unmask()?;
        Ok(true)
    }

    /// Ends them.
    pub(super) fn stop(self, function: &Function) -> Result<(), Trouble> {
        function.silence();
        Ok(function.device.interrupts().disable()?)
    }
}

/// Queue `i` to vector `i`, the mailbox to the vector behind them; all of them clear and mask themselves.
fn route(function: &Function, bells: u32, interval: Duration) {
    let registers = &function.registers;
    registers.write(&VTEIAC, vteiac::VECTORS.mask());
    registers.write(&VTEIAM, vteiam::VECTORS.mask());
    registers.fill(&VTIVAR, 0);
    for queue in 0..bells {
        let (entry, valid) = match queue % 2 {
            0 => (vtivar::RX_EVEN, vtivar::RX_EVEN_VALID),
            _ => (vtivar::RX_ODD, vtivar::RX_ODD_VALID),
        };
        let word = registers.read_at(&VTIVAR, queue / 2);
        registers.write_at(&VTIVAR, queue / 2, valid.put(entry.put(word, queue), 1));
        registers.write_at(&VTEITR, queue, vteitr::INTERVAL.put(0, units(interval)));
    }
    let word = vtivar_misc::MAILBOX.put(vtivar_misc::MAILBOX_VALID.mask(), bells);
    registers.write(&VTIVAR_MISC, word);
    registers.write(&VTEIMS, 1 << bells);
}
