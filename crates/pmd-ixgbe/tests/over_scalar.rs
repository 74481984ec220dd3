//! Conformance, features and faults of the driver over the path that any processor runs.

#[path = "model/bed/mod.rs"]
mod bed;
#[path = "model/conformance.rs"]
mod conformance;
#[path = "model/controls.rs"]
mod controls;
#[path = "model/copper.rs"]
mod copper;
#[path = "model/ends.rs"]
mod ends;
#[path = "model/faults.rs"]
mod faults;
#[path = "model/features.rs"]
mod features;
#[path = "model/merge.rs"]
mod merge;
#[path = "model/rules.rs"]
mod rules;
#[path = "model/virtual_functions.rs"]
mod virtual_functions;

use linecard_pmd_ixgbe::{IxgbeOptions, IxgbeVfOptions, ReceivePath};

fn path() -> ReceivePath {
    let path = ReceivePath::Scalar;
    if path.is_supported() { path } else { ReceivePath::best() }
}

fn options() -> IxgbeOptions {
    IxgbeOptions::new().receive_path(path())
}

fn function_options() -> IxgbeVfOptions {
    IxgbeVfOptions::new().receive_path(path())
}
