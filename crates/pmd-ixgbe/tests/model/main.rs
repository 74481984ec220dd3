//! The driver on the 82599 model, in this process, over the best receive path of the processor.
//! `over_scalar` and `over_sse4` are the same over the others.

mod bed;
mod conformance;
mod controls;
mod copper;
mod drops;
mod eeprom;
mod ends;
mod faults;
mod features;
mod merge;
mod mixed;
mod other_process;
mod paths;
mod ptp;
mod rules;
mod setup;
mod virtual_functions;

fn options() -> linecard_pmd_ixgbe::IxgbeOptions {
    linecard_pmd_ixgbe::IxgbeOptions::new()
}

fn function_options() -> linecard_pmd_ixgbe::IxgbeVfOptions {
    linecard_pmd_ixgbe::IxgbeVfOptions::new()
}
