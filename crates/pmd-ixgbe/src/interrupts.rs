//! Interrupts (§7.3): a vector a receive queue, and one for the rest.

use crate::hardware::Hardware;
use crate::trouble::Trouble;
use linecard_eal::device::{BarRegister, InterruptKind, Vector};
use linecard_ixgbe_regs::registers::*;
use linecard_pmd_core::WakeUp;
use std::os::fd::AsFd;
use std::time::Duration;

/// With one cause a bit, EICR and EIMS tell of 16 queues; beyond that vectors share bits (§7.3.4).
pub(crate) const MOST_QUEUES: usize = 63;

/// EITR counts up to 511 times 2 µs (§8.2.3.5.12).
pub(crate) const MOST_INTERVAL: Duration = Duration::from_micros(1022);

/// What EITR holds for the least time between two interrupts.
pub(crate) fn units(interval: Duration) -> u32 {
    (interval.min(MOST_INTERVAL).as_micros() / 2) as u32
}

/// That an interval is one that the card can keep.
pub(crate) fn check(interval: Duration) -> Result<(), Trouble> {
    match interval > MOST_INTERVAL {
        true => Err(Trouble::Interval { asked: interval }),
        false => Ok(()),
    }
}

/// The bell of a receive queue: what to sleep on.
#[derive(Debug)]
pub(crate) struct Bell {
    vector: Vector,
    /// Enables the vector's interrupt: a bit of EIMS_EX, or of VTEIMS.
    enable: BarRegister<u32>,
    bit: u32,
}

impl Bell {
    pub(crate) fn new(vector: Vector, enable: BarRegister<u32>, bit: u32) -> Self {
        Bell { vector, enable, bit }
    }

    /// Empties it and lets it ring once: EIAM masks it again by itself.
    pub(crate) fn arm(&self) -> WakeUp<'_> {
        // Nothing to take is what it should be.
        let _ = self.vector.take();
        self.enable.write(self.bit);
        WakeUp(self.vector.as_fd())
    }
}

/// The interrupts of a port that runs.
#[derive(Debug)]
pub(crate) struct Interrupts {
    /// Of everything but queues: the link, above all.
    other: Vector,
}

impl Interrupts {
    /// Enables a vector for each of `queues`, and one more; with less than MSI-X, one for all, and
    /// no bells. `None` if the device cannot interrupt at all.
    pub(crate) fn start(
        hardware: &Hardware,
        queues: usize,
        interval: Duration,
    ) -> Result<(Option<Self>, Vec<Bell>), Trouble> {
        let interrupts = hardware.function.device.interrupts();
        let count = queues as u32 + 1;
        let kind = match interrupts.best(count) {
            Some(InterruptKind::MsiX) => InterruptKind::MsiX,
            _ => match interrupts.best(1) {
                Some(kind) => kind,
                None => return Ok((None, Vec::new())),
            },
        };
        let many = kind == InterruptKind::MsiX;
        let mut vectors = interrupts.enable(kind, if many { count } else { 1 })?;
        let Some(other) = vectors.pop() else { return Ok((None, Vec::new())) };
        let bells = vectors.into_iter().enumerate();
        let bells = bells.map(|(i, vector)| bell(hardware, i, vector)).collect::<Result<_, _>>()?;
        route(hardware, queues as u32, many, interval);
        interrupts.unmask()?;
        Ok((Some(Interrupts { other }), bells))
    }

    /// The file that is readable when something happened.
    pub(crate) fn file(&self) -> std::os::fd::BorrowedFd<'_> {
        self.other.as_fd()
    }

    /// Whether something but a queue asked for attention since the last call; lets it ask again.
    pub(crate) fn take(&self, hardware: &Hardware) -> Result<bool, Trouble> {
        if !self.other.take()? {
            return Ok(false);
        }
        let registers = &hardware.registers;
        // EICS tells causes and clears none. Those of queues are left for their own vectors: one that waits
        // for its moderation would be lost, and with it whoever sleeps on the queue.
        let causes = registers.read(&EICS) & !eicr::RTXQ.mask();
        registers.write(&EICR, causes);
        registers.write(&EIMS, eicr::LSC.mask() | eicr::OTHER.mask());
        hardware.function.device.interrupts().unmask()?;
        Ok(true)
    }

    /// Ends them.
    pub(crate) fn stop(self, hardware: &Hardware) -> Result<(), Trouble> {
        hardware.function.silence();
        Ok(hardware.function.device.interrupts().disable()?)
    }
}

fn bell(hardware: &Hardware, index: usize, vector: Vector) -> Result<Bell, Trouble> {
    let index = index as u32;
    let enable = hardware.registers.bind(&EIMS_EX, index / 32)?;
    Ok(Bell::new(vector, enable, 1 << (index % 32)))
}

/// §7.3.4: queue `i` to vector `i`, the rest to the vector behind them. §7.3.1.4: vectors of queues
/// clear and mask themselves.
fn route(hardware: &Hardware, queues: u32, many: bool, interval: Duration) {
    let registers = &hardware.registers;
    let other = if many { queues } else { 0 };
    if many {
        let mode = gpie::MULTIPLE_MSIX.mask() | gpie::PBA_SUPPORT.mask() | gpie::EIAME.mask();
        registers.write(&GPIE, mode | gpie::OCD.mask());
        registers.write(&EIAC, eicr::RTXQ.mask());
        registers.fill(&EIAM_EX, u32::MAX);
        (0..queues).for_each(|queue| point(hardware, queue));
        let word = eitr::INTERVAL.put(0, units(interval));
        (0..queues).for_each(|queue| registers.write_at(&EITR, queue, word));
    } else {
        registers.write(&GPIE, 0);
        registers.write(&EIAC, 0);
        registers.fill(&EIAM_EX, 0);
    }
    let word = ivar_misc::OTHER.put(ivar_misc::OTHER_VALID.mask(), other);
    registers.write(&IVAR_MISC, word);
    if other >= 32 {
        registers.write_at(&EIMS_EX, other / 32, 1 << (other % 32));
    }
    registers.write(&EIMS, eicr::LSC.mask() | eicr::OTHER.mask());
}

/// Routes a receive queue's cause to the vector of its number.
fn point(hardware: &Hardware, queue: u32) {
    let (entry, valid) = match queue % 2 {
        0 => (ivar::RX_EVEN, ivar::RX_EVEN_VALID),
        _ => (ivar::RX_ODD, ivar::RX_ODD_VALID),
    };
    let word = hardware.registers.read_at(&IVAR, queue / 2);
    let word = valid.put(entry.put(word, queue), 1);
    hardware.registers.write_at(&IVAR, queue / 2, word);
}
