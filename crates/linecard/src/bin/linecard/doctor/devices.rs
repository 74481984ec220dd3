//! PCI devices: can user space have them, and are they well placed?

use super::{Finding, State, capable};
use crate::pci::{Nic, USER_SPACE};
use linecard::eal::Root;
use linecard::eal::lcore::Topology;
use linecard::eal::mem::HugePages;
use linecard::eal::pci::{Function, Group};
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;

/// VFIO locks all memory that a device may reach; less than this is little for packets.
const MEMLOCK: u64 = 64 << 20;
const CAP_IPC_LOCK: u32 = 14;

/// All about the devices that linecard could drive or that are in user space's hands already.
pub(super) fn findings(root: &Root, topology: &Topology) -> Vec<Finding> {
    let mut nics = Nic::all(root);
    nics.retain(|nic| nic.ours.is_some() || nic.user_space().is_some());
    let mut findings = vec![devices(&nics), iommu(root), modules(root, &nics)];
    findings.extend(nics.iter().filter_map(|nic| group(root, nic)));
    findings.extend(permissions(root, &nics));
    findings.extend(memlock(root, &nics));
    findings.extend(nodes_of(&nics).into_iter().filter_map(|node| cpus(topology, node)));
    findings.extend(nodes_of(&nics).into_iter().filter_map(|node| huge_pages(root, node)));
    findings
}

fn devices(nics: &[Nic]) -> Finding {
    let what = "PCI devices";
    let ready = nics.iter().filter(|nic| nic.user_space().is_some()).count();
    let found =
        format!("{} that linecard could drive, {ready} in the hands of user space", nics.len());
    let waiting = nics.iter().filter(|nic| nic.user_space().is_none() && nic.needed.is_none());
    let bind =
        |nic: &Nic| format!("linecard bind {} --driver {}", nic.function.address, nic.wanted());
    let mend: Vec<String> = waiting.map(bind).collect();
    match mend.is_empty() {
        true => Finding::ok(what, found),
        false => Finding::with(what, State::Better, found, mend),
    }
}

fn iommu(root: &Root) -> Finding {
    let what = "IOMMU";
    let groups = fs::read_dir(root.path("sys/kernel/iommu_groups")).map_or(0, Iterator::count);
    if groups > 0 {
        return Finding::ok(what, format!("{groups} groups"));
    }
    let cpu = fs::read_to_string(root.path("proc/cpuinfo")).unwrap_or_default();
    let words = if cpu.contains("AuthenticAMD") { "iommu=pt" } else { "intel_iommu=on iommu=pt" };
    let mend =
        format!("sed -i 's/^GRUB_CMDLINE_LINUX=\"/&{words} /' /etc/default/grub && update-grub");
    let why = "none, or off: devices only through UIO, with all of memory open to them \
               (the firmware's setup may have to switch it on, too)";
    Finding::new(what, State::Better, why, &[&mend]).after_reboot()
}

/// One of the drivers that give devices to user space has to be in the kernel.
fn modules(root: &Root, nics: &[Nic]) -> Finding {
    let what = "VFIO and UIO";
    let is_loaded = |driver: &&&str| root.path("sys/bus/pci/drivers").join(driver).exists();
    let loaded: Vec<&str> = USER_SPACE.iter().filter(is_loaded).copied().collect();
    let has_iommu = nics.iter().any(|nic| nic.function.iommu_group.is_some());
    let wanted = if has_iommu { USER_SPACE[0] } else { USER_SPACE[1] };
    if loaded.contains(&wanted) || (nics.is_empty() && !loaded.is_empty()) {
        return Finding::ok(what, format!("{} in the kernel", loaded.join(" and ")));
    }
    // A machine whose only device is needed as it is lacks nothing.
    let is_free = |nic: &Nic| nic.needed.is_none();
    let state = if nics.iter().any(is_free) { State::Lacks } else { State::Better };
    let found = match loaded.as_slice() {
        [] => "neither vfio-pci nor uio_pci_generic is in the kernel".to_owned(),
        others => format!("{} is, but {wanted} is not in the kernel", others.join(", ")),
    };
    if exists(root, wanted) {
        return Finding::with(what, state, found, vec![format!("modprobe {wanted}")]);
    }
    Finding::new(what, state, format!("{found}, and this kernel has no module {wanted}"), &[])
}

/// Whether the running kernel has a module; where that cannot be seen, it may.
fn exists(root: &Root, module: &str) -> bool {
    let release = fs::read_to_string(root.path("proc/sys/kernel/osrelease")).unwrap_or_default();
    let folder = root.path(format!("lib/modules/{}", release.trim()));
    let Ok(list) = fs::read_to_string(folder.join("modules.dep")) else { return true };
    let list = list.replace('-', "_");
    list.contains(&format!("/{}.ko", module.replace('-', "_")))
}

/// Others in its IOMMU group keep it from user space.
fn group(root: &Root, nic: &Nic) -> Option<Finding> {
    let Function { address, iommu_group, .. } = nic.function;
    let group = Group::read_in(root, iommu_group?).ok()?;
    let itself = address.to_string();
    let mut others = group.in_the_way();
    others.retain(|member| !member.starts_with(&itself));
    if others.is_empty() {
        return None;
    }
    let found = format!(
        "group {} of {address} is shared: {}; all of it must go to user space, if this machine \
         can do without",
        group.number,
        others.join(", ")
    );
    let is_named = |member: &&Function| {
        let address = member.address.to_string();
        others.iter().any(|other| other.starts_with(&address))
    };
    let mend = group.members.iter().filter(is_named).map(out_of_the_way).collect();
    Some(Finding::with("IOMMU group", State::Lacks, found, mend))
}

/// What takes a member of a group from the kernel. No driver for user space takes a bridge, and none
/// has to: it may be nobody's.
fn out_of_the_way(function: &Function) -> String {
    let address = function.address;
    match &function.driver {
        Some(driver) if function.identity.class.is_bridge() => {
            format!("echo {address} > /sys/bus/pci/drivers/{driver}/unbind")
        }
        _ => format!("linecard bind {address} --driver vfio-pci"),
    }
}

/// May this process open what belongs to the devices that user space has?
fn permissions(root: &Root, nics: &[Nic]) -> Vec<Finding> {
    let of_vfio = nics.iter().filter(|nic| nic.user_space() == Some("vfio-pci"));
    let groups: BTreeSet<u32> = of_vfio.filter_map(|nic| nic.function.iommu_group).collect();
    if groups.is_empty() {
        return Vec::new();
    }
    let files = groups.iter().map(|group| format!("dev/vfio/{group}"));
    let closed: Vec<String> = files
        .chain(["dev/vfio/vfio".to_owned()])
        .filter(|file| {
            let opened = OpenOptions::new().read(true).write(true).open(root.path(file));
            // Busy is somebody at work, which is no lack of permission.
            opened.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
        })
        .collect();
    if closed.is_empty() {
        return vec![Finding::ok("VFIO permissions", "this user may open the devices")];
    }
    let user = user();
    let mend = closed.iter().map(|file| format!("chown {user} /{file}")).collect();
    let found = format!("this user may not open {}", closed.join(", "));
    vec![Finding::with("VFIO permissions", State::Lacks, found, mend)]
}

/// The user's number.
fn user() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    ids.and_then(|ids| ids.split_whitespace().next()).unwrap_or("$USER").to_owned()
}

fn memlock(root: &Root, nics: &[Nic]) -> Option<Finding> {
    let limit = HugePages::discover_in(root).memlock?;
    let has_vfio = nics.iter().any(|nic| nic.user_space() == Some("vfio-pci"));
    if !has_vfio || limit >= MEMLOCK || capable(CAP_IPC_LOCK) {
        return None;
    }
    let found = format!(
        "{} KiB may be locked (RLIMIT_MEMLOCK), and VFIO locks all that a device may reach",
        limit >> 10
    );
    let user = user();
    let mend = format!("echo '{user} - memlock unlimited' > /etc/security/limits.d/linecard.conf");
    let again = "# then log in again";
    Some(Finding::new("locked memory", State::Lacks, found, &[&mend, again]))
}

fn nodes_of(nics: &[Nic]) -> BTreeSet<u32> {
    nics.iter().filter_map(|nic| nic.function.node).collect()
}

/// A device's queues want CPUs of its own node.
fn cpus(topology: &Topology, node: u32) -> Option<Finding> {
    let of_node = |cpu: &&linecard::eal::lcore::Cpu| cpu.node == Some(node);
    if topology.allowed().any(|cpu| of_node(&cpu)) {
        return None;
    }
    let there: Vec<String> =
        topology.cpus().iter().filter(of_node).map(|cpu| cpu.id.to_string()).collect();
    let found = format!(
        "a device is on node {node}, and no CPU that this process may use is: every packet crosses"
    );
    let mend = match there.is_empty() {
        true => Vec::new(),
        false => vec![format!("taskset -pc {} $$", there.join(","))],
    };
    Some(Finding::with("node of CPUs", State::Better, found, mend))
}

/// And so does its memory.
fn huge_pages(root: &Root, node: u32) -> Option<Finding> {
    let pages = HugePages::discover_in(root);
    let on_node =
        |node| pages.sizes.iter().filter_map(|size| size.on_node(node)).any(|c| c.free > 0);
    if on_node(node) || pages.sizes.iter().all(|size| size.nodes.is_empty()) {
        return None;
    }
    let found = format!("a device is on node {node}, and no free huge page is");
    let mend = format!(
        "echo 256 > /sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/nr_hugepages"
    );
    Some(Finding::new("node of huge pages", State::Better, found, &[&mend]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_pci_lacks_nothing_for_devices() {
        let empty = tempfile::tempdir().unwrap();
        let root = Root::at(empty.path());
        let findings = findings(&root, &Topology::discover_in(&root));
        assert!(findings.iter().all(|finding| finding.state != State::Lacks), "{findings:?}");
        assert_eq!(findings.len(), 3, "{findings:?}");
    }

    #[test]
    fn a_module_that_the_kernel_does_not_have_is_told_from_one_that_is_not_loaded() {
        let made = tempfile::tempdir().unwrap();
        let root = Root::at(made.path());
        let write = |path: &str, text: &str| {
            fs::create_dir_all(root.path(path).parent().unwrap()).unwrap();
            fs::write(root.path(path), text).unwrap();
        };
        write("proc/sys/kernel/osrelease", "6.1\n");
        write("lib/modules/6.1/modules.dep", "kernel/vfio/pci/vfio-pci.ko: kernel/vfio/vfio.ko\n");
        assert!(exists(&root, "vfio-pci"));
        assert!(!exists(&root, "uio_pci_generic"));
        assert!(modules(&root, &[]).found.contains("no module uio_pci_generic"));
    }
}
