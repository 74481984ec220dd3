//! What a test in a guest of `cargo xtask test guest` asks of it, and of the host outside.
//!
//! This module goes by the kernel's files and by programs of others, never by our own crates:
//! it sets the stage on which those are judged.
//!
//! ```no_run
//! use linecard_testbed::{Need, guest, needs};
//!
//! # fn main() -> Result<(), guest::GuestError> {
//! if !needs(&[Need::Guest]) {
//!     return Ok(());
//! }
//! guest::bind("0000:00:05.0", "vfio-pci")?;
//! guest::monitor("set_link n0 off")?;
//! # Ok(())
//! # }
//! ```

use crate::programs::{Program, ProgramError};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The serial line that leads to the host's monitor.
const MONITOR: &str = "/dev/ttyS2";

const DEVICES: &str = "/sys/bus/pci/devices";

/// Why the guest is not as a test wants it.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// A file of the kernel refused what was written, or cannot be read.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: String,
        /// What the kernel said.
        cause: std::io::Error,
    },
    /// The driver did not take the device.
    #[error("{address} is bound to {found}, not to {driver}; is the module loaded?")]
    NotBound {
        /// The device.
        address: String,
        /// The driver that was asked for.
        driver: String,
        /// What has it now.
        found: String,
    },
    /// QEMU's monitor refused a command.
    #[error("the monitor refuses `{command}`: {said}")]
    Monitor {
        /// The command.
        command: String,
        /// What QEMU said.
        said: String,
    },
    /// A program failed.
    #[error(transparent)]
    Program(#[from] ProgramError),
}

/// Whether the test runs in a guest.
#[must_use]
pub fn is_guest() -> bool {
    std::env::var("LINECARD_GUEST").as_deref() == Ok("1")
}

/// Whether the guest counts instructions: one is a nanosecond, and a tick of the TSC.
#[must_use]
pub fn is_counting_instructions() -> bool {
    std::env::var("LINECARD_ICOUNT").as_deref() == Ok("1")
}

/// What `work` takes: instructions where the guest counts them, ticks of the TSC elsewhere, those
/// around it included. A timer of the guest's kernel may come between, so the least of several
/// is the figure.
#[cfg(target_arch = "x86_64")]
pub fn ticks<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = now();
    // Else work whose result nobody wants would not be done, or be done later.
    let done = std::hint::black_box(work());
    (done, now() - before)
}

/// The TSC, once all before it is done.
#[cfg(target_arch = "x86_64")]
fn now() -> u64 {
    use std::arch::x86_64::{_mm_lfence, _rdtsc};
    // SAFETY: every x86-64 processor has SSE2 and the TSC, and Linux lets programs read it.
    unsafe {
        _mm_lfence();
        _rdtsc()
    }
}

/// Loads a module that the file's head names under `modules` or `carried`, and what it needs.
///
/// # Errors
/// If the guest does not hold it, or the kernel refuses it.
pub fn load_module(name: &str) -> Result<(), GuestError> {
    Ok(Program::new("modprobe").arg(name).run().map(drop)?)
}

/// Takes a module out of the kernel.
///
/// # Errors
/// If it is in use or not loaded.
pub fn unload_module(name: &str) -> Result<(), GuestError> {
    Ok(Program::new("rmmod").arg(name).run().map(drop)?)
}

/// Gives the PCI device at `address` (`0000:00:05.0`) to `driver`, and to no other from now on.
///
/// # Errors
/// If there is no such device, or the driver does not take it.
pub fn bind(address: &str, driver: &str) -> Result<(), GuestError> {
    write(&device(address).join("driver_override"), driver)?;
    release(address)?;
    write(Path::new("/sys/bus/pci/drivers_probe"), address)?;
    match driver_of(address) {
        Some(found) if found == driver => Ok(()),
        found => Err(GuestError::NotBound {
            address: address.into(),
            driver: driver.into(),
            found: found.unwrap_or_else(|| "nothing".into()),
        }),
    }
}

/// Takes the PCI device at `address` from its driver, if it has one.
///
/// # Errors
/// If there is no such device.
pub fn release(address: &str) -> Result<(), GuestError> {
    match driver_of(address) {
        Some(_) => write(&device(address).join("driver/unbind"), address),
        None => Ok(()),
    }
}

/// The driver of the PCI device at `address`, if it has one.
#[must_use]
pub fn driver_of(address: &str) -> Option<String> {
    let link = std::fs::read_link(device(address).join("driver")).ok()?;
    Some(link.file_name()?.to_str()?.to_owned())
}

/// The network interface that the PCI device at `address` is, once its driver has made it.
/// Waits for at most ten seconds.
#[must_use]
pub fn interface_of(address: &str) -> Option<String> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        let below = Program::new("find").arg(device(address).join("")).words("-path */net/*").run();
        let found = below.ok().and_then(|output| interface_in(&output.stdout));
        if found.is_some() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

/// The name after `/net/` of the first path that has one.
fn interface_in(paths: &str) -> Option<String> {
    let (_, after) = paths.lines().find_map(|path| path.split_once("/net/"))?;
    Some(after.split('/').next()?.to_owned())
}

/// Free and all huge pages of 2 MiB of a NUMA node.
///
/// # Errors
/// If there is no such node.
pub fn huge_pages(node: u32) -> Result<(u64, u64), GuestError> {
    let folder = format!("/sys/devices/system/node/node{node}/hugepages/hugepages-2048kB");
    let number = |file: &str| read_number(&Path::new(&folder).join(file));
    Ok((number("free_hugepages")?, number("nr_hugepages")?))
}

/// Has QEMU's human monitor, outside, carry out a command such as `set_link n0 off`,
/// `device_del nic0` or `info pci`, and gives what it says.
///
/// # Errors
/// If QEMU refuses it, or there is no host that listens.
pub fn monitor(command: &str) -> Result<String, GuestError> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let line = Path::new(MONITOR);
    let answer = ask(line, command).map_err(|cause| file_error(line, cause))?;
    read_answer(&answer).map_err(|said| GuestError::Monitor { command: command.into(), said })
}

fn ask(line: &Path, command: &str) -> std::io::Result<String> {
    let mut file = OpenOptions::new().read(true).write(true).open(line)?;
    file.write_all(format!("{command}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(file).read_line(&mut answer)?;
    Ok(answer)
}

/// `{"ok": text}` or `{"error": text}`.
fn read_answer(line: &str) -> Result<String, String> {
    let answer: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
    match (text("ok"), text("error")) {
        (Some(said), _) => Ok(said),
        (None, Some(said)) => Err(said),
        (None, None) => Err(format!("an answer that is none: {line}")),
    }
}

fn device(address: &str) -> PathBuf {
    Path::new(DEVICES).join(address)
}

fn write(path: &Path, text: &str) -> Result<(), GuestError> {
    let written =
        File::options().write(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|cause| file_error(path, cause))
}

fn read_number(path: &Path) -> Result<u64, GuestError> {
    let text = std::fs::read_to_string(path).map_err(|cause| file_error(path, cause))?;
    let not_a_number = |_| file_error(path, std::io::ErrorKind::InvalidData.into());
    text.trim().parse().map_err(not_a_number)
}

fn file_error(path: &Path, cause: std::io::Error) -> GuestError {
    GuestError::File { path: path.display().to_string(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_host_are_read() {
        assert_eq!(read_answer("{\"ok\":\"running\"}\n"), Ok("running".into()));
        assert_eq!(read_answer("{\"error\":\"no such device\"}\n"), Err("no such device".into()));
        assert!(read_answer("").is_err());
        assert!(read_answer("{}").unwrap_err().contains("none"));
    }

    #[test]
    fn an_interface_is_found_below_a_virtio_device_too() {
        let paths =
            "/sys/x/0000:00:05.0/virtio0/net/eth0\n/sys/x/0000:00:05.0/virtio0/net/eth0/mtu\n";
        assert_eq!(interface_in(paths).as_deref(), Some("eth0"));
        assert_eq!(interface_in(""), None);
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        let error = huge_pages(4096).unwrap_err().to_string();
        assert!(error.contains("node4096/hugepages"), "{error}");
    }
}
