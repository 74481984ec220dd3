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
/// It does not forward: polling would keep the thread that answers from its processor, which in a guest
/// without one of its own for each is longer than Linux's driver waits.
pub(crate) fn start(functions: u32) -> Running {
    guest::load_module("vfio-pci").unwrap();
    guest::bind(PHYSICAL, "vfio-pci").unwrap();
    let devices = devices(functions);
    keep_off_its_processor();
    let mut testpmd = Program::new("taskset")
        .env("SYSFS_PCI_DEVICES", &devices)
        .words("-c 1 dpdk-testpmd --lcores (0-1)@1 --in-memory --no-telemetry --iova-mode=va -a")
        .args([PHYSICAL, "--"])
        .words("-i --rxq=2 --txq=2 --rss-udp --enable-drop-en")
        .words("--total-num-mbufs=4096 --no-mlockall --rxd=256 --txd=256")
        .within(Duration::from_secs(400))
        .spawn()
        .unwrap();
    testpmd.wait_for("testpmd>", Duration::from_secs(60)).unwrap();
    testpmd
}

/// DPDK's driver looks at nothing for four seconds after its link has changed, be it a mailbox; Linux's driver of
/// a virtual function waits for one.
pub(crate) fn listens_again() {
    std::thread::sleep(Duration::from_secs(5));
}

/// Linux's driver of a virtual function spins in the kernel while it waits for an answer: whoever is to give it
/// must not have to wait for that processor. All that this process starts, and what it starts from now on,
/// runs on the first.
fn keep_off_its_processor() {
    let words = format!("-acp 0 {}", std::process::id());
    Program::new("taskset").words(&words).run().unwrap();
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
