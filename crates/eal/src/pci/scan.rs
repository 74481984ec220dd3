//! What is on the buses.

use super::address::Address;
use super::error::PciError;
use super::function::{DEVICES, Function};
use crate::Root;

/// All functions of a machine.
#[derive(Debug, Default)]
pub struct Scan {
    /// Those whose description makes sense, by address.
    pub functions: Vec<Function>,
    /// Those whose description does not, with the reason.
    pub unreadable: Vec<(String, PciError)>,
}

impl Scan {
    /// Of this machine.
    pub fn discover() -> Self {
        Self::discover_in(&Root::host())
    }

    /// Of the machine that the tree at `root` describes. One without PCI has no functions.
    pub fn discover_in(root: &Root) -> Self {
        let mut scan = Self::default();
        for name in root.names(DEVICES) {
            let found = name.parse::<Address>().and_then(|at| Function::find_in(root, at));
            match found {
                Ok(function) => scan.functions.push(function),
                // It was unplugged meanwhile.
                Err(PciError::Absent { .. }) => {}
                Err(error) => scan.unreadable.push((name, error)),
            }
        }
        scan.functions.sort_by_key(|function| function.address);
        scan
    }

    /// The network controllers among them.
    pub fn network(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(|function| function.identity.class.is_network())
    }
}
