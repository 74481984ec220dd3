//! NUMA nodes: which there are, which one a cpu belongs to, how far apart they are.
//!
//! A kernel without NUMA shows no nodes at all; such a machine is given one node, number 0.

use crate::{Root, cpulist};

const NODES: &str = "sys/devices/system/node";

/// The nodes of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes {
    nodes: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    id: u32,
    cpus: Vec<u32>,
    distances: Vec<u32>,
    memory: Option<u64>,
}

impl Nodes {
    /// The nodes of this machine.
    pub fn discover() -> Self {
        Self::discover_in(&Root::host())
    }

    /// The nodes that the tree at `root` describes.
    pub fn discover_in(root: &Root) -> Self {
        let online = root.text(format!("{NODES}/online")).ok().and_then(|s| cpulist::parse(&s));
        let ids = online.filter(|ids| !ids.is_empty()).unwrap_or_else(|| vec![0]);
        Self { nodes: ids.into_iter().map(|id| Entry::read(root, id)).collect() }
    }

    /// The numbers of the nodes that are online, ascending. There may be gaps.
    pub fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.nodes.iter().map(|node| node.id)
    }

    /// The only node there is, if there is only one.
    pub fn only(&self) -> Option<u32> {
        match self.nodes.as_slice() {
            [node] => Some(node.id),
            _ => None,
        }
    }

    /// Whether `node` is online.
    pub fn contains(&self, node: u32) -> bool {
        self.ids().any(|id| id == node)
    }

    /// The node that a cpu belongs to.
    pub fn of_cpu(&self, cpu: u32) -> Option<u32> {
        let listed = self.nodes.iter().find(|node| node.cpus.contains(&cpu)).map(|node| node.id);
        listed.or_else(|| self.only())
    }

    /// The cpus of a node, ascending; empty for a node that has memory only.
    pub fn cpus(&self, node: u32) -> &[u32] {
        self.entry(node).map_or(&[], |entry| &entry.cpus)
    }

    /// The memory of a node in bytes, when the kernel tells.
    pub fn memory(&self, node: u32) -> Option<u64> {
        self.entry(node)?.memory
    }

    /// The distance between two nodes in the firmware's unit (ACPI SLIT): 10 is local, 20 is
    /// twice as far. `None` when either is not online or the firmware does not tell.
    pub fn distance(&self, from: u32, to: u32) -> Option<u32> {
        let column = self.nodes.iter().position(|node| node.id == to)?;
        self.entry(from)?.distances.get(column).copied()
    }

    fn entry(&self, node: u32) -> Option<&Entry> {
        self.nodes.iter().find(|entry| entry.id == node)
    }
}

impl Entry {
    fn read(root: &Root, id: u32) -> Self {
        let dir = format!("{NODES}/node{id}");
        let cpus = root.text(format!("{dir}/cpulist")).ok().and_then(|s| cpulist::parse(&s));
        let distances = root.text(format!("{dir}/distance")).unwrap_or_default();
        Self {
            id,
            cpus: cpus.unwrap_or_default(),
            distances: distances.split_whitespace().filter_map(|d| d.parse().ok()).collect(),
            memory: root.text(format!("{dir}/meminfo")).ok().and_then(|text| total(&text)),
        }
    }
}

/// `MemTotal` of a node's meminfo, in bytes: `Node 0 MemTotal:  24683592 kB`.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.contains("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().rev().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn two_nodes() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join(NODES);
        for (node, cpus, distance) in [(0, "0-1", "10 21"), (2, "2-3", "21 10")] {
            let node = base.join(format!("node{node}"));
            fs::create_dir_all(&node).unwrap();
            fs::write(node.join("cpulist"), format!("{cpus}\n")).unwrap();
            fs::write(node.join("distance"), format!("{distance}\n")).unwrap();
            fs::write(node.join("meminfo"), "Node 0 MemTotal:  4 kB\nNode 0 MemFree: 1 kB\n")
                .unwrap();
        }
        fs::write(base.join("online"), "0,2\n").unwrap();
        let root = Root::at(dir.path());
        (dir, root)
    }

    #[test]
    fn nodes_with_a_gap_in_their_numbers_keep_their_distances() {
        let (_dir, root) = two_nodes();
        let nodes = Nodes::discover_in(&root);
        assert_eq!(nodes.ids().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(nodes.distance(0, 2), Some(21));
        assert_eq!(nodes.distance(2, 2), Some(10));
        assert_eq!(nodes.distance(0, 1), None);
        assert_eq!(nodes.memory(2), Some(4096));
    }

    #[test]
    fn a_cpu_is_found_on_its_node_and_an_unknown_cpu_is_not() {
        let (_dir, root) = two_nodes();
        let nodes = Nodes::discover_in(&root);
        assert_eq!(nodes.of_cpu(3), Some(2));
        assert_eq!(nodes.of_cpu(9), None);
        assert_eq!(nodes.cpus(0), [0, 1]);
    }

    #[test]
    fn a_kernel_without_numa_has_node_0_alone() {
        let dir = tempfile::tempdir().unwrap();
        let nodes = Nodes::discover_in(&Root::at(dir.path()));
        assert_eq!(nodes.only(), Some(0));
        assert_eq!(nodes.of_cpu(5), Some(0));
    }
}
