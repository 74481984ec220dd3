//! Network namespaces and veth pairs that go away when they are dropped.
//!
//! A [`Netns`] is a network of its own: nothing in it touches the machine's. A [`Veth`] joins
//! two of them. [`Netns::program`] runs a program in one, [`Netns::inside`] runs a closure of
//! the test itself in one, so that the sockets and TAP devices it opens belong there.
//!
//! Names carry the test's process id, so that tests run side by side. What a test that was
//! killed left behind is removed by the next [`Netns::new`].
//!
//! ```no_run
//! use linecard_testbed::netns::{Netns, Veth};
//! use linecard_testbed::programs::ping;
//!
//! # fn main() -> Result<(), linecard_testbed::programs::ProgramError> {
//! let (left, right) = (Netns::new("left")?, Netns::new("right")?);
//! let cable = Veth::between(&left, &right)?;
//! left.address(cable.first(), "198.51.100.1/24")?;
//! right.address(cable.second(), "198.51.100.2/24")?;
//! assert!(ping(&left, "198.51.100.2", 3)?.is_lossless());
//! # Ok(())
//! # }
//! ```

use crate::programs::{Program, ProgramError};
use serde_json::Value;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

const PREFIX: &str = "lc-";

/// A network namespace of `ip netns`, removed on drop.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes a namespace with the loopback interface up and IPv6 off (its solicitations would
    /// disturb packet counts). `label` becomes part of its name.
    ///
    /// # Errors
    /// Without root, or if the kernel refuses.
    pub fn new(label: &str) -> Result<Self, ProgramError> {
        remove_orphans();
        let name = format!("{PREFIX}{label}-{}-{}", std::process::id(), serial());
        ip(&["netns", "add", &name]).run()?;
        let netns = Self { name };
        netns.inside(switch_ipv6_off)??;
        netns.up("lo")?;
        Ok(netns)
    }

    /// Its name, as `ip netns` knows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A program to be run inside. It runs under `ip netns exec` and so sees the namespace's
    /// own `/sys` too.
    #[must_use]
    pub fn program(&self, name: &str) -> Program {
        ip(&["netns", "exec", &self.name, name])
    }

    /// An `ip` command that acts on this namespace.
    #[must_use]
    pub fn ip(&self, words: &str) -> Program {
        ip(&["-n", &self.name]).words(words)
    }

    /// Runs `work` in a thread that is inside the namespace: sockets and interfaces it opens
    /// belong here and keep doing so when they are handed back. A panic of `work` goes on in
    /// the caller.
    ///
    /// # Errors
    /// If the thread may not enter the namespace.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, ProgramError> {
        let entered =
            thread::scope(|scope| scope.spawn(|| enter(&self.name).map(|()| work())).join());
        entered.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Gives `interface` an address such as `198.51.100.1/24`, and brings it up.
    ///
    /// # Errors
    /// If there is no such interface, or the address is wrong.
    pub fn address(&self, interface: &str, address: &str) -> Result<(), ProgramError> {
        self.ip(&format!("address add {address} dev {interface}")).run()?;
        self.up(interface)
    }

    /// Brings `interface` up.
    ///
    /// # Errors
    /// If there is no such interface.
    pub fn up(&self, interface: &str) -> Result<(), ProgramError> {
        self.ip(&format!("link set {interface} up")).run().map(drop)
    }

    /// Sets the MTU of `interface`.
    ///
    /// # Errors
    /// If there is no such interface, or it refuses the MTU.
    pub fn mtu(&self, interface: &str, mtu: u32) -> Result<(), ProgramError> {
        self.ip(&format!("link set {interface} mtu {mtu}")).run().map(drop)
    }

    /// Turns off the offloads of `interface` that would show a reader checksums not yet filled
    /// in, and frames longer than the wire's.
    ///
    /// # Errors
    /// If `ethtool` is missing or there is no such interface.
    pub fn plain(&self, interface: &str) -> Result<(), ProgramError> {
        let off = "rx off tx off tso off gso off gro off";
        self.program("ethtool").args(["-K", interface]).words(off).run().map(drop)
    }

    /// The MAC address of `interface`.
    ///
    /// # Errors
    /// If there is no such interface.
    pub fn mac(&self, interface: &str) -> Result<[u8; 6], ProgramError> {
        let output = self.ip(&format!("-j link show {interface}")).run()?;
        parse_mac(&output.stdout).ok_or_else(|| output.unreadable("MAC address"))
    }

    /// The kernel's counters of `interface`.
    ///
    /// # Errors
    /// If there is no such interface.
    pub fn counters(&self, interface: &str) -> Result<Counters, ProgramError> {
        let output = self.ip(&format!("-j -s link show {interface}")).run()?;
        parse_counters(&output.stdout).ok_or_else(|| output.unreadable("counters"))
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // A drop during a panic must not panic; what stays is removed by the next `new`.
        let _ = ip(&["netns", "delete", &self.name]).run();
    }
}

/// A pair of joined interfaces, removed on drop.
#[derive(Debug)]
pub struct Veth {
    first: String,
    second: String,
    /// The namespace of the first end; none for the one the test runs in.
    home: Option<String>,
}

impl Veth {
    /// A cable between two namespaces, both ends up.
    ///
    /// # Errors
    /// Without root, or if the kernel refuses.
    pub fn between(first: &Netns, second: &Netns) -> Result<Self, ProgramError> {
        let veth = Self::named(Some(first.name.clone()));
        let make = format!("link add {} type veth peer name {}", veth.first, veth.second);
        first.ip(&make).words(&format!("netns {}", second.name)).run()?;
        first.up(&veth.first)?;
        second.up(&veth.second)?;
        Ok(veth)
    }

    /// A cable between the namespace that the test runs in (first end) and `other`
    /// (second end), both ends up.
    ///
    /// # Errors
    /// Without root, or if the kernel refuses.
    pub fn into(other: &Netns) -> Result<Self, ProgramError> {
        let veth = Self::named(None);
        let make = format!("link add {} type veth peer name {}", veth.first, veth.second);
        ip(&[]).words(&make).words(&format!("netns {}", other.name)).run()?;
        ip(&["link", "set", &veth.first, "up"]).run()?;
        other.up(&veth.second)?;
        Ok(veth)
    }

    /// The name of the first end.
    #[must_use]
    pub fn first(&self) -> &str {
        &self.first
    }

    /// The name of the second end.
    #[must_use]
    pub fn second(&self) -> &str {
        &self.second
    }

    fn named(home: Option<String>) -> Self {
        let stem = stem(std::process::id(), serial());
        Self { first: format!("{stem}a"), second: format!("{stem}b"), home }
    }
}

impl Drop for Veth {
    fn drop(&mut self) {
        let there: &[&str] = match &self.home {
            Some(netns) => &["-n", netns],
            None => &[],
        };
        // It fails only when a namespace took its end along, and so the cable is gone already.
        let _ = ip(there).args(["link", "delete", &self.first]).run();
    }
}

/// What the kernel counted at an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Received packets that were dropped.
    pub rx_dropped: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets to be sent that were dropped.
    pub tx_dropped: u64,
}

fn ip(args: &[&str]) -> Program {
    Program::new("ip").args(args)
}

fn serial() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Relaxed: only the number's uniqueness matters, it publishes nothing.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What the names of a pair begin with. Interface names have at most 15 bytes: a process id in
/// hexadecimal takes 6 of them.
fn stem(process: u32, serial: u32) -> String {
    format!("lc{process:x}v{serial}")
}

/// Moves the calling thread into a namespace, for the rest of its life.
fn enter(name: &str) -> Result<(), ProgramError> {
    let path = Path::new("/run/netns").join(name);
    let refused = |cause| ProgramError::System { what: format!("cannot enter {name}"), cause };
    let file = File::open(path).map_err(refused)?;
    // SAFETY: setns takes an open descriptor, which `file` keeps open, and a constant; it
    // changes only the calling thread.
    match unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(refused(std::io::Error::last_os_error())),
    }
}

/// Runs inside the namespace: `/proc/sys/net` shows the reader's own.
fn switch_ipv6_off() -> Result<(), ProgramError> {
    for scope in ["all", "default"] {
        let path = format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6");
        // A kernel without IPv6 has no such file, and nothing to switch off.
        if Path::new(&path).exists() {
            std::fs::write(&path, "1").map_err(|cause| ProgramError::System {
                what: format!("cannot write {path}"),
                cause,
            })?;
        }
    }
    Ok(())
}

/// Removes namespaces whose process is gone.
fn remove_orphans() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if owner(&name).is_some_and(|id| !Path::new("/proc").join(id.to_string()).exists()) {
            // Another test may have been quicker.
            let _ = ip(&["netns", "delete", &name]).run();
        }
    }
}

/// The process id in `lc-label-PID-SERIAL`.
fn owner(name: &str) -> Option<u32> {
    let (rest, serial) = name.strip_prefix(PREFIX)?.rsplit_once('-')?;
    serial.parse::<u32>().ok()?;
    rest.rsplit_once('-')?.1.parse().ok()
}

fn parse_mac(json: &str) -> Option<[u8; 6]> {
    let links: Value = serde_json::from_str(json).ok()?;
    let mut mac = [0; 6];
    let mut parts = links[0]["address"].as_str()?.split(':');
    for byte in &mut mac {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    Some(mac)
}

fn parse_counters(json: &str) -> Option<Counters> {
    let links: Value = serde_json::from_str(json).ok()?;
    let count = |direction: &str, what: &str| links[0]["stats64"][direction][what].as_u64();
    Some(Counters {
        rx_packets: count("rx", "packets")?,
        rx_bytes: count("rx", "bytes")?,
        rx_dropped: count("rx", "dropped")?,
        tx_packets: count("tx", "packets")?,
        tx_bytes: count("tx", "bytes")?,
        tx_dropped: count("tx", "dropped")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_owner() {
        assert_eq!(owner("lc-left-side-4711-0"), Some(4711));
        assert_eq!(owner("lc-left"), None);
        assert_eq!(owner("someone-elses-1-2"), None);
    }

    #[test]
    fn interface_names_fit_the_kernels_limit() {
        let largest_process_id = 1 << 22;
        assert!(stem(largest_process_id, 9999).len() + "a".len() <= 15);
    }

    #[test]
    fn counters_and_addresses_are_read_from_ips_json() {
        let json = r#"[{"address":"02:00:00:00:00:0a","stats64":
            {"rx":{"bytes":10,"packets":1,"dropped":0},"tx":{"bytes":20,"packets":2,"dropped":3}}}]"#;
        let expected = Counters {
            rx_packets: 1,
            rx_bytes: 10,
            rx_dropped: 0,
            tx_packets: 2,
            tx_bytes: 20,
            tx_dropped: 3,
        };
        assert_eq!(parse_counters(json), Some(expected));
        assert_eq!(parse_mac(json), Some([2, 0, 0, 0, 0, 10]));
        assert_eq!(parse_mac("[]"), None);
    }
}
