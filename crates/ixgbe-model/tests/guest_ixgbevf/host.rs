//! testpmd as the host of virtual functions: it has the physical function, and answers their mailboxes.
//!
//! There is no SR-IOV capability behind QEMU's link, so that the kernel does not know of virtual functions.
//! DPDK asks sysfs for their number, and can be told where sysfs is: in a folder with the real entries of
//! this one card, and the number.

use linecard_testbed::guest;
use linecard_testbed::programs::{Program, Running};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the physical function is.
pub(crate) const PHYSICAL: &str = "0000:00:05.0";

/// testpmd on the physical function, up, with `functions` virtual ones. Queues are two a pool, with RSS
/// by the ports of UDP.
///
/// Linux's driver of a virtual function spins in the kernel, on whichever processor it is, while it waits for an
/// answer, and not for long. Whoever gives it must find another one: the guest has three, and testpmd is bound to
/// none and polls on none, as it does not forward.
pub(crate) fn start(functions: u32) -> Running {
    guest::load_module("vfio-pci").unwrap();
    guest::bind(PHYSICAL, "vfio-pci").unwrap();
    let devices = devices(functions);
    let mut testpmd = Program::new("dpdk-testpmd")
        .env("SYSFS_PCI_DEVICES", &devices)
        .words("--lcores (0-1)@(0-2) --in-memory --no-telemetry --iova-mode=va -a")
        .args([PHYSICAL, "--"])
        .words("-i --rxq=2 --txq=2 --rss-udp --enable-drop-en --enable-hw-vlan-filter")
        .words("--total-num-mbufs=4096 --no-mlockall --rxd=256 --txd=256")
        .within(Duration::from_secs(400))
        .spawn()
        .unwrap();
    testpmd.wait_for("testpmd>", Duration::from_secs(60)).unwrap();
    testpmd
}

/// A folder like `/sys/bus/pci/devices` with one card in it, that has virtual functions.
fn devices(functions: u32) -> PathBuf {
    let devices = std::env::temp_dir().join("devices");
    let card = devices.join(PHYSICAL);
    std::fs::create_dir_all(&card).unwrap();
    let real = Path::new("/sys/bus/pci/devices").join(PHYSICAL);
    for entry in std::fs::read_dir(&real).unwrap() {
        let entry = entry.unwrap();
        let target = entry.path().canonicalize().unwrap();
        if !entry.file_type().unwrap().is_dir() && !card.join(entry.file_name()).exists() {
            symlink(target, card.join(entry.file_name())).unwrap();
        }
    }
    std::fs::write(card.join("max_vfs"), format!("{functions}\n")).unwrap();
    devices
}
