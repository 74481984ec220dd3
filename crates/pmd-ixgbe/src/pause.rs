//! Flow control of the link (§3.7.7): pauses that are heeded, and pauses that are sent.

use crate::registers::Registers;
use linecard_ixgbe_regs::registers::*;
use linecard_pmd_core::{Error, FlowControl};

/// Marks count in units of 32 bytes (§8.2.3.3.4).
const UNIT: u32 = 32;

/// What may still come in after a pause was sent: bytes that are on a long wire, in the other end's
/// pipeline and in this one's (§3.7.7.5.1 has a formula of this order), besides two frames.
const UNDER_WAY: u32 = 32 << 10;

/// The marks of a receive packet buffer of `buffer` bytes, where frames have up to `frame` bytes: what
/// was asked for, or room above the high mark for all that is under way, and the low one at half of it.
///
/// # Errors
/// A mark without room above it, or below the other.
pub(crate) fn marks(
    port: &str,
    control: &FlowControl,
    buffer: u32,
    frame: u32,
) -> Result<(u32, u32), Error> {
    let most = buffer - frame;
    let own = buffer.saturating_sub(2 * frame + UNDER_WAY);
    let high = control.high.unwrap_or(own);
    let low = control.low.unwrap_or(high / 2);
    let range = |what, asked: u32, min: u32, max: u32, hint: &str| match asked {
        asked if (min..=max).contains(&asked) => Ok(()),
        _ => Err(Error::Range {
            port: port.into(),
            what,
            asked: asked as usize,
            min: min as usize,
            max: max as usize,
            hint: hint.into(),
        }),
    };
    range("high mark", high, 2 * UNIT, most, "; in bytes, with room for a frame above it")?;
    range("low mark", low, UNIT, high - UNIT, "; in bytes, below the high one")?;
    Ok((high / UNIT * UNIT, low / UNIT * UNIT))
}

/// Tells the card; `marks` are high and low.
pub(crate) fn apply(registers: &Registers, control: &FlowControl, (high, low): (u32, u32)) {
    let (heeds, sends) = (control.pause.is_heeded(), control.pause.is_sent());
    // Pause frames are for the MAC, whether it heeds them or not.
    let word = mflcn::DPF.put(registers.read(&MFLCN), 1);
    registers.write(&MFLCN, mflcn::RFCE.put(word, u32::from(heeds)));
    // Without flow control these are to be 0 (§4.6.3.2).
    let quanta = if sends { u32::from(control.quanta) } else { 0 };
    registers.fill(&FCTTV, quanta << 16 | quanta);
    // Asked again when half of the time is over.
    registers.write(&FCRTV, quanta / 2);
    registers.write(&FCRTL, if sends { low | fcrtl::XONE.mask() } else { 0 });
    // The high mark stays without FCEN as well (§4.6.3.2).
    registers.write(&FCRTH, fcrth::FCEN.put(high, u32::from(sends)));
    registers.write(&FCCFG, fccfg::TFCE.put(0, u32::from(sends)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use linecard_pmd_core::Pause;

    fn ask(high: Option<u32>, low: Option<u32>) -> Result<(u32, u32), String> {
        let control = FlowControl { high, low, ..FlowControl::new(Pause::Both) };
        marks("p", &control, 448 << 10, 1518).map_err(|error| error.to_string())
    }

    #[test]
    fn marks_leave_room_above() {
        let (high, low) = ask(None, None).expect("its own");
        assert!(high + 2 * 1518 + UNDER_WAY <= 448 << 10 && high > 400 << 10, "{high}");
        assert!(low < high && low % UNIT == 0);
        assert_eq!(ask(Some(100_000), Some(50_001)), Ok((100_000, 49_984)));
    }

    #[test]
    fn marks_that_make_no_sense_are_refused_with_their_limits() {
        let text = ask(Some(458_000), None).expect_err("no frame fits above");
        assert!(text.contains("high mark 458000") && text.contains("457234"), "{text}");
        let text = ask(Some(1000), Some(1000)).expect_err("no room between");
        assert!(text.contains("low mark 1000") && text.contains("968"), "{text}");
    }
}
