//! Everything a contributor runs beyond `cargo build` and `cargo test`: `cargo xtask <command>`.
//!
//! CI (`.ci/run`) runs exactly these commands.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its user")]

mod bind;
mod compare;
mod guest;
mod hugepages;
mod test;
mod tidy;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "What a contributor to linecard runs")]
struct Xtask {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the floors, the proofs beside `unsafe` and atomics, sizes, and stray files
    Tidy,
    /// Reserve huge pages, say what changed, and undo it on request
    SetupHugepages(hugepages::Setup),
    /// Run the tests that need more than `cargo test`: host (root), guest (QEMU), models (loom,
    /// shuttle)
    #[command(subcommand)]
    Test(test::Level),
    /// The virtual machines of the guest tests
    #[command(subcommand)]
    Guest(guest::Guest),
    /// Say who drives which network device, and give devices to user space and back
    #[command(subcommand)]
    Bind(bind::Bind),
    /// Our figures beside DPDK's, in one run
    Compare(compare::Compare),
}

fn main() -> ExitCode {
    let done = match Xtask::parse().command {
        Command::Tidy => tidy::run(),
        Command::SetupHugepages(setup) => hugepages::run(&setup),
        Command::Test(level) => test::run(&level),
        Command::Guest(guest) => guest::run(&guest),
        Command::Bind(bind) => bind::run(&bind),
        Command::Compare(compare) => compare::run(&compare),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
