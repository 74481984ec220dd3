//! `linecard bind`: give PCI devices to user space, and back.

use crate::pci::{self, Nic};
use crate::port::OpenError;
use clap::{Args, Parser, Subcommand};
use linecard::eal::Root;
use linecard::eal::pci::{Address, Bound, Function, Group, InUse, PciError, Scan, bind, unbind};
use serde_json::json;
use std::process::ExitCode;

/// Give PCI devices to another driver, such as one for user space, and back.
#[derive(Parser, Debug)]
#[command(
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    give: Give,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Say who drives which network device.
    Status(Status),
    /// Give devices back to the kernel's own drivers.
    Unbind(Unbind),
}

#[derive(Args, Debug)]
struct Status {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct Unbind {
    /// Addresses such as 0000:03:00.0.
    #[arg(value_name = "DEVICE", required = true)]
    devices: Vec<String>,
}

#[derive(Args, Debug)]
struct Give {
    /// Addresses such as 0000:03:00.0, or names of interfaces.
    #[arg(value_name = "DEVICE", required = true)]
    devices: Vec<String>,
    /// The driver that shall have them: vfio-pci, uio_pci_generic, or one of the kernel.
    #[arg(long, required = true)]
    driver: Option<String>,
    /// Take devices whose interface carries an address or the default route, too.
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, OpenError> {
    match &options.command {
        Some(Command::Status(status)) => show(status),
        Some(Command::Unbind(back)) => give_back(&back.devices)?,
        None => give(&options.give)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(status: &Status) {
    let nics = Nic::all(&Root::host());
    match status.json {
        true => crate::tell!("{}", json!({ "devices": devices(&nics) })),
        false => pci::print(&nics),
    }
}

fn devices(nics: &[Nic]) -> Vec<serde_json::Value> {
    nics.iter().map(Nic::describe).collect()
}

/// All of them, or none: those given before one that fails get their drivers back.
fn give(give: &Give) -> Result<(), OpenError> {
    let driver = give.driver.as_deref().unwrap_or_default();
    let in_use = if give.force { InUse::Force } else { InUse::Refuse };
    let addresses = addresses(&give.devices)?;
    let mut done: Vec<Bound> = Vec::new();
    for address in addresses {
        match bind(address, driver, in_use) {
            Ok(bound) => done.push(bound),
            Err(error) => return Err(put_back(&done, error).into()),
        }
    }
    for bound in &done {
        tell_of(bound, driver);
    }
    Ok(())
}

fn put_back(done: &[Bound], error: PciError) -> String {
    let mut text = error.to_string();
    for bound in done {
        let before = bound.before().unwrap_or("no driver");
        match bound.restore() {
            Ok(()) => text += &format!("\n{} is back at {before}", bound.address()),
            Err(error) => text += &format!("\n{error}"),
        }
    }
    text
}

fn tell_of(bound: &Bound, driver: &str) {
    let address = bound.address();
    let before = bound.before().unwrap_or("nothing");
    crate::tell!("{address}: {before} -> {driver}");
    if driver == "vfio-pci"
        && let Some(problem) = not_viable(address)
    {
        crate::tell!("{address} cannot be opened yet: {problem}");
    }
}

/// Why the group cannot be opened although the device is in the right hands.
fn not_viable(address: Address) -> Option<PciError> {
    let group = Function::find(address).ok()?.iommu_group?;
    Group::read_in(&Root::host(), group).ok()?.viable().err()
}

fn give_back(devices: &[String]) -> Result<(), OpenError> {
    for address in addresses(devices)? {
        let before = Function::find(address)?.driver;
        let now = unbind(address)?;
        let name = |driver: &Option<String>| driver.clone().unwrap_or_else(|| "nothing".into());
        crate::tell!("{address}: {} -> {}", name(&before), name(&now));
    }
    Ok(())
}

/// Of addresses, or of interfaces.
fn addresses(devices: &[String]) -> Result<Vec<Address>, PciError> {
    let scan = Scan::discover();
    devices.iter().map(|device| address(&scan, device)).collect()
}

fn address(scan: &Scan, device: &str) -> Result<Address, PciError> {
    let has = |function: &&Function| function.interfaces.iter().any(|name| name == device);
    match scan.functions.iter().find(has) {
        Some(function) => Ok(function.address),
        None => device.parse(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn a_device_is_an_address_or_a_name() {
        let error = address(&Scan::default(), "eth7").unwrap_err().to_string();
        assert!(error.contains("eth7") && error.contains("0000:03:00.0"), "{error}");
        assert_eq!(address(&Scan::default(), "3:0.1").unwrap().to_string(), "0000:03:00.1");
    }

    #[test]
    fn giving_needs_a_driver_and_the_subcommands_do_not() {
        Options::command().debug_assert();
        let parse = |words: &str| Options::try_parse_from(words.split_whitespace());
        assert!(parse("bind 3:0.0").is_err());
        assert!(parse("bind 3:0.0 --driver vfio-pci").unwrap().command.is_none());
        assert!(matches!(parse("bind status").unwrap().command, Some(Command::Status(_))));
        assert!(parse("bind unbind").is_err());
    }
}
