//! The `linecard` program: forward packets, look at ports, give devices to user space, see what a
//! machine lacks.
#![expect(clippy::print_stderr, reason = "a program prints")]

/// Prints a line for whoever listens: a reader that has gone away is no reason to fail.
macro_rules! tell {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($words)*);
    }};
}
use tell;

mod bind;
mod doctor;
mod fwd;
mod pci;
mod port;
mod ports;
mod table;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Packets at line rate in user space.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Forward packets between ports; without any port, run an embedded bench.
    Fwd(Box<fwd::Options>),
    /// Say which ports there are and what they can do.
    Ports(ports::Options),
    /// Give PCI devices to user space, and back.
    Bind(bind::Options),
    /// Say what this machine lacks, and the commands that mend it.
    Doctor(doctor::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Fwd(options) => fwd::run(*options),
        Command::Ports(options) => ports::run(&options),
        Command::Bind(options) => bind::run(&options),
        Command::Doctor(options) => doctor::run(&options),
    };
    result.unwrap_or_else(|error| {
        eprintln!("linecard: {error}");
        ExitCode::FAILURE
    })
}
