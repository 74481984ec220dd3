//! What processors there are, and which of them this process may use.

use crate::{Root, cpulist, numa::Nodes};

use super::cgroup;

const CPUS: &str = "sys/devices/system/cpu";

bitflags::bitflags! {
    /// What is true of a cpu.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct CpuState: u8 {
        /// It runs.
        const ONLINE = 1;
        /// The scheduler puts nothing on it by itself (`isolcpus`).
        const ISOLATED = 2;
        /// It has no periodic tick while one thread runs (`nohz_full`).
        const TICKLESS = 4;
        /// This process's affinity mask has it (`taskset`).
        const IN_AFFINITY = 8;
        /// This process's cpuset has it (cgroup version 1 or 2).
        const IN_CPUSET = 16;
    }
}

/// One logical cpu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// The kernel's number.
    pub id: u32,
    /// The physical package, if it is online.
    pub package: Option<u32>,
    /// The core within the package, if it is online.
    pub core: Option<u32>,
    /// The cpus that share its core, itself included (SMT).
    pub siblings: Vec<u32>,
    /// Its NUMA node.
    pub node: Option<u32>,
    /// What is true of it.
    pub state: CpuState,
}

impl Cpu {
    /// Whether this process may run a thread on it.
    pub fn is_allowed(&self) -> bool {
        self.state.contains(CpuState::ONLINE | CpuState::IN_AFFINITY | CpuState::IN_CPUSET)
    }

    /// Whether it is kept free of other work.
    pub fn is_isolated(&self) -> bool {
        self.state.contains(CpuState::ISOLATED)
    }
}

/// All cpus of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    cpus: Vec<Cpu>,
}

impl Topology {
    /// The cpus of this machine, and what the calling thread's process may use.
    pub fn discover() -> Self {
        Self::discover_in(&Root::host())
    }

    /// What the tree at `root` describes, including the affinity in its `proc/self/status`.
    pub fn discover_in(root: &Root) -> Self {
        let lists = Lists::read(root);
        let nodes = Nodes::discover_in(root);
        let ids = lists.present.iter().copied();
        Self { cpus: ids.map(|id| lists.cpu(root, &nodes, id)).collect() }
    }

    /// Every cpu, by number.
    pub fn cpus(&self) -> &[Cpu] {
        &self.cpus
    }

    /// One cpu.
    pub fn cpu(&self, id: u32) -> Option<&Cpu> {
        self.cpus.iter().find(|cpu| cpu.id == id)
    }

    /// The cpus that this process may use.
    pub fn allowed(&self) -> impl Iterator<Item = &Cpu> {
        self.cpus.iter().filter(|cpu| cpu.is_allowed())
    }

    /// The numbers of the allowed cpus in the kernel's list format, for messages.
    pub fn allowed_list(&self) -> String {
        cpulist::format(&self.allowed().map(|cpu| cpu.id).collect::<Vec<_>>())
    }
}

/// The lists of cpus that the kernel keeps.
struct Lists {
    present: Vec<u32>,
    sets: [(CpuState, Vec<u32>); 5],
}

impl Lists {
    fn read(root: &Root) -> Self {
        let list = |file| read_list(root, &format!("{CPUS}/{file}"));
        let affinity = affinity(root);
        // A tree without these files is a kernel without hotplug, or a sandbox: what the
        // affinity mask has is then there, and runs.
        let present = list("present").or_else(|| affinity.clone()).unwrap_or_else(|| vec![0]);
        let all = || present.clone();
        let sets = [
            (CpuState::ONLINE, list("online").unwrap_or_else(all)),
            (CpuState::ISOLATED, list("isolated").unwrap_or_default()),
            (CpuState::TICKLESS, list("nohz_full").unwrap_or_default()),
            (CpuState::IN_AFFINITY, affinity.unwrap_or_else(all)),
            (CpuState::IN_CPUSET, cgroup::cpuset(root).unwrap_or_else(all)),
        ];
        Self { present, sets }
    }

    fn cpu(&self, root: &Root, nodes: &Nodes, id: u32) -> Cpu {
        let dir = format!("{CPUS}/cpu{id}/topology");
        let siblings = read_list(root, &format!("{dir}/thread_siblings_list"));
        let sets = self.sets.iter().filter(|(_, list)| list.contains(&id));
        Cpu {
            id,
            package: root.value(format!("{dir}/physical_package_id")),
            core: root.value(format!("{dir}/core_id")),
            siblings: siblings.unwrap_or_else(|| vec![id]),
            node: nodes.of_cpu(id),
            state: sets.fold(CpuState::empty(), |state, (flag, _)| state | *flag),
        }
    }
}

fn read_list(root: &Root, path: &str) -> Option<Vec<u32>> {
    cpulist::parse(&root.text(path).ok()?)
}

/// `Cpus_allowed_list` of this process.
fn affinity(root: &Root) -> Option<Vec<u32>> {
    let status = root.text("proc/self/status").ok()?;
    cpulist::parse(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    pub(in crate::lcore) fn write(dir: &Path, file: &str, text: &str) {
        let path = dir.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    /// Two packages of two cores with two threads each; cpu 7 is offline, 2 and 6 are isolated.
    pub(in crate::lcore) fn eight_cpus() -> (tempfile::TempDir, Topology) {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path();
        for (file, list) in
            [("present", "0-7"), ("online", "0-6"), ("isolated", "2,6"), ("nohz_full", " (null)")]
        {
            write(base, &format!("{CPUS}/{file}"), list);
        }
        for cpu in 0..7 {
            let core = cpu % 4;
            let topology = format!("{CPUS}/cpu{cpu}/topology");
            write(base, &format!("{topology}/core_id"), &core.to_string());
            write(base, &format!("{topology}/physical_package_id"), &(core / 2).to_string());
            let siblings = format!("{core},{}", core + 4);
            write(base, &format!("{topology}/thread_siblings_list"), &siblings);
        }
        write(base, "sys/devices/system/node/online", "0-1");
        write(base, "sys/devices/system/node/node0/cpulist", "0-1,4-5");
        write(base, "sys/devices/system/node/node1/cpulist", "2-3,6-7");
        write(base, "proc/self/status", "Name:\tx\nCpus_allowed:\tfe\nCpus_allowed_list:\t1-7");
        write(base, "proc/self/cgroup", "3:cpuset:/pods\n0::/");
        write(base, "sys/fs/cgroup/cpuset/pods/cpuset.effective_cpus", "0-5,7");
        let topology = Topology::discover_in(&Root::at(base));
        (dir, topology)
    }

    #[test]
    fn packages_cores_siblings_and_nodes_are_found() {
        let (_dir, topology) = eight_cpus();
        let cpu = topology.cpu(6).unwrap();
        assert_eq!((cpu.package, cpu.core, cpu.node), (Some(1), Some(2), Some(1)));
        assert_eq!(cpu.siblings, [2, 6]);
        assert!(cpu.is_isolated() && !cpu.state.contains(CpuState::TICKLESS));
    }

    #[test]
    fn a_cpu_is_allowed_if_online_and_in_both_masks() {
        let (_dir, topology) = eight_cpus();
        assert_eq!(topology.allowed_list(), "1-5");
        let offline = topology.cpu(7).unwrap();
        assert_eq!((offline.package, offline.node), (None, Some(1)));
        assert!(!offline.state.contains(CpuState::ONLINE));
    }

    #[test]
    fn an_empty_tree_is_a_machine_with_one_cpu() {
        let dir = tempfile::tempdir().unwrap();
        let topology = Topology::discover_in(&Root::at(dir.path()));
        assert_eq!(topology.allowed_list(), "0");
    }

    #[test]
    fn this_machine_allows_at_least_one_cpu() {
        assert!(Topology::discover().allowed().count() > 0);
    }
}
