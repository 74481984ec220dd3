//! `cargo xtask test`: the levels above `cargo test`.
//!
//! `host` runs every `tests/host_*.rs` of the workspace, which are ignored otherwise. A test that
//! lacks what it needs prints `SKIPPED <name>: needs <what>`; here it is counted, and with
//! `LINECARD_REQUIRE_ALL=1` or `CI=true` it is a failure. `guest` does the same for every
//! `tests/guest_*.rs`, each in a virtual machine as its head declares.

mod guest;
mod host;
mod models;

use anyhow::Result;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Level {
    /// Tests that use this machine: root, huge pages, namespaces, programs of others
    Host(host::Host),
    /// Tests that need devices: in virtual machines of QEMU
    Guest(guest::Guest),
    /// The lock-free parts under loom and shuttle
    Models(models::Models),
}

pub(crate) fn run(level: &Level) -> Result<()> {
    match level {
        Level::Host(host) => host::run(host),
        Level::Guest(guest) => guest::run(guest),
        Level::Models(models) => models::run(models),
    }
}

/// Whether a skipped test is a failure.
pub(crate) fn all_required() -> bool {
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|set| set == value);
    is("LINECARD_REQUIRE_ALL", "1") || is("CI", "true")
}
