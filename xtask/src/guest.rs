//! Guests: small virtual machines with devices that the machine itself does not have.
//!
//! `cargo xtask test guest` runs tests in them, `cargo xtask guest shell` opens one for a look.

mod boot;
mod cpio;
pub(crate) mod declaration;
mod initramfs;
mod kernel;
mod modules;
mod monitor;
mod network;
mod payload;
mod programs;
mod qemu;
mod results;
mod suite_run;
mod suites;

pub(crate) use boot::Outcome;
pub(crate) use results::Tally;
pub(crate) use suite_run::{SuiteRun, log_file};
pub(crate) use suites::{Suite, Workshop, names};

use crate::workspace::has_tool;
use anyhow::{Context, Result, ensure};
use boot::Programs;
use clap::{Args, Subcommand};
use declaration::{Built, Declaration};
use initramfs::{Task, pack};
use kernel::Kernel;
use std::path::PathBuf;
use std::process::{Command, Stdio};

#[derive(Debug, Subcommand)]
pub(crate) enum Guest {
    /// An interactive guest: the usual one, or the one of a test file
    Shell(Shell),
    /// Fetch Debian's kernel of today, even if there is one already
    Fetch,
}

#[derive(Debug, Args)]
pub(crate) struct Shell {
    /// The test file whose guest it shall be, such as `guest_bench`; its tests are /test
    file: Option<String>,
    /// Count instructions: one CPU, a tick of the TSC is an instruction
    #[arg(long)]
    icount: bool,
}

pub(crate) fn run(guest: &Guest) -> Result<()> {
    match guest {
        Guest::Shell(arguments) => shell(arguments),
        Guest::Fetch => {
            let kernel = Kernel::fetch()?;
            say(&format!("kernel {} in {}", kernel.version(), kernel.image().display()));
            Ok(())
        }
    }
}

#[expect(clippy::print_stdout, reason = "a program talks to its user")]
fn say(line: &str) {
    println!("{line}");
}

/// Programs without which there is no guest, and the Debian packages they come in.
const TOOLS: &[(&str, &str)] = &[
    (qemu::PROGRAM, "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("depmod", "kmod"),
    ("setpriv", "util-linux"),
    ("xz", "xz-utils"),
    ("dpkg-deb", "dpkg"),
];

/// Programs without which there is no network of a guest's own.
const NETWORK_TOOLS: &[(&str, &str)] =
    &[("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2")];

/// What this machine lacks for the guest of `declaration`, with the command that mends it.
pub(crate) fn missing(declaration: &Declaration) -> Vec<String> {
    let network = if declaration.network.is_empty() { &[][..] } else { NETWORK_TOOLS };
    let absent = TOOLS.iter().chain(network).filter(|(tool, _)| !has_tool(tool));
    let tools = absent.map(|(tool, package)| format!("{tool} (apt-get install {package})"));
    tools.chain(programs::missing(&declaration.programs)).collect()
}

/// The programs of the workspace that the guest shall hold.
fn build_for_guest(declaration: &Declaration, workshop: &mut Workshop) -> Result<Vec<PathBuf>> {
    let build = |built: &Built| workshop.program(built, declaration.profile);
    declaration.built.iter().map(build).collect()
}

/// The programs of the workspace that run beside the guest.
fn build_for_host(declaration: &Declaration, workshop: &mut Workshop) -> Result<Programs> {
    let mut programs = Programs::new();
    for command in &declaration.helpers {
        let word = command.split_whitespace().next().unwrap_or_default();
        if word.contains("/bin/") && !word.starts_with('/') || word.contains("/example/") {
            let path = workshop.program(&word.parse()?, declaration.profile)?;
            programs.insert(word.into(), path);
        }
    }
    Ok(programs)
}

fn shell(shell: &Shell) -> Result<()> {
    let mut workshop = Workshop::default();
    let (declaration, program) = guest_of(shell.file.as_deref(), &mut workshop)?;
    let declaration = if shell.icount { declaration.counting_instructions() } else { declaration };
    let lacks = missing(&declaration);
    ensure!(lacks.is_empty(), "there is no {}", lacks.join(", no "));
    let kernel = Kernel::cached()?;
    let built = build_for_guest(&declaration, &mut workshop)?;
    let programs = build_for_host(&declaration, &mut workshop)?;
    let task = Task::Shell { program: program.as_deref() };
    let root = pack(&declaration, &kernel, &built, &task)?;
    let mut bench = boot::Bench::new(&declaration, &root)?;
    let mut helpers = boot::Children::default();
    for command in &declaration.helpers {
        helpers.start(bench.helper(command, &programs)?)?;
    }
    let mut launch = qemu::machine(&declaration, &kernel, &bench.root(), bench.network());
    bench.options(&declaration.options, "0", &mut launch)?;
    launch.command().args(["-serial", "mon:stdio", "-serial", "null", "-serial", "null"]);
    let mut command = launch.finish()?;
    let status = command.stdin(Stdio::inherit()).status().context("cannot start QEMU")?;
    ensure!(status.success(), "QEMU ended with {status}");
    Ok(())
}

/// The declared guest and the test program of a file; the usual guest without one.
fn guest_of(file: Option<&str>, workshop: &mut Workshop) -> Result<(Declaration, Option<PathBuf>)> {
    let Some(file) = file else { return Ok((Declaration::default(), None)) };
    let suites = Suite::all()?;
    let suite = suites.iter().find(|suite| suite.is_meant_by(file));
    let suite = suite.with_context(|| format!("there is no test file {file} for guests"))?;
    let program = workshop.tests(&[suite])?.pop();
    Ok((suite.declaration.clone(), program))
}

/// Runs a command and gives what it printed; its complaints are part of the error.
fn quiet(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} ended with {}: {}", output.status, said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
