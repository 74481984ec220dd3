//! What is legal but will disappoint.

use std::fmt;

use super::map::{Lcore, LcoreMap};
use super::topology::{CpuState, Topology};

/// Something about a map of lcores that costs performance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// Two lcores on one cpu.
    Shared {
        /// The cpu.
        cpu: u32,
        /// The lcores.
        lcores: [u32; 2],
    },
    /// Two lcores on threads of one core.
    Siblings {
        /// The lcores.
        lcores: [u32; 2],
        /// Their cpus.
        cpus: [u32; 2],
    },
    /// An lcore that may wander between cpus.
    Floating {
        /// The lcore.
        lcore: u32,
        /// Between how many.
        cpus: usize,
    },
    /// The scheduler may put other work on the cpu.
    NotIsolated {
        /// The lcore.
        lcore: u32,
        /// Its cpu.
        cpu: u32,
    },
    /// The kernel interrupts the cpu with its tick, isolated or not.
    Ticking {
        /// The lcore.
        lcore: u32,
        /// Its cpu.
        cpu: u32,
    },
    /// The cpu that boots and that the kernel prefers for its own work.
    CpuZero {
        /// The lcore.
        lcore: u32,
    },
    /// An lcore whose port is on another node.
    OtherNode {
        /// The lcore.
        lcore: u32,
        /// Its node.
        node: u32,
        /// The port.
        port: String,
        /// The port's node.
        port_node: u32,
    },
}

impl Warning {
    /// Everything that is worth a warning about a map on this machine.
    pub fn of(topology: &Topology, map: &LcoreMap) -> Vec<Self> {
        let each = map.lcores().iter().flat_map(|lcore| Self::of_one(topology, lcore));
        each.chain(Self::of_pairs(topology, map)).collect()
    }

    /// Whether an lcore is far from a port that it is to poll; `port_node` as the device has it.
    pub fn distance(
        topology: &Topology,
        lcore: &Lcore,
        port: &str,
        port_node: Option<u32>,
    ) -> Option<Self> {
        let port_node = port_node?;
        let nodes = lcore.cpus.iter().filter_map(|cpu| topology.cpu(*cpu)?.node);
        let node = nodes.into_iter().find(|node| *node != port_node)?;
        Some(Self::OtherNode { lcore: lcore.id, node, port: port.into(), port_node })
    }

    fn of_one(topology: &Topology, lcore: &Lcore) -> Vec<Self> {
        let id = lcore.id;
        let mut warnings = Vec::new();
        if lcore.cpus.len() > 1 {
            warnings.push(Self::Floating { lcore: id, cpus: lcore.cpus.len() });
        }
        for cpu in lcore.cpus.iter().filter_map(|cpu| topology.cpu(*cpu)) {
            match cpu.state {
                _ if cpu.id == 0 => warnings.push(Self::CpuZero { lcore: id }),
                state if !state.contains(CpuState::ISOLATED) => {
                    warnings.push(Self::NotIsolated { lcore: id, cpu: cpu.id });
                }
                state if !state.contains(CpuState::TICKLESS) => {
                    warnings.push(Self::Ticking { lcore: id, cpu: cpu.id });
                }
                _ => {}
            }
        }
        warnings
    }

    /// Cpus that two lcores share, and cores that they do.
    fn of_pairs(topology: &Topology, map: &LcoreMap) -> Vec<Self> {
        let fixed: Vec<(u32, u32)> = map
            .lcores()
            .iter()
            .filter_map(|lcore| {
                Some((lcore.id, *lcore.cpus.first()?)).filter(|_| lcore.cpus.len() == 1)
            })
            .collect();
        let mut warnings = Vec::new();
        for (index, &(one, cpu)) in fixed.iter().enumerate() {
            let siblings = topology.cpu(cpu).map_or(&[][..], |cpu| &cpu.siblings);
            for &(other, beside) in &fixed[index + 1..] {
                let lcores = [one, other];
                if cpu == beside {
                    warnings.push(Self::Shared { cpu, lcores });
                } else if siblings.contains(&beside) {
                    warnings.push(Self::Siblings { lcores, cpus: [cpu, beside] });
                }
            }
        }
        warnings
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared { cpu, lcores: [a, b] } => {
                write!(f, "lcores {a} and {b} share cpu {cpu}: each stops while the other runs")
            }
            Self::Siblings { lcores: [a, b], cpus: [c, d] } => write!(
                f,
                "lcores {a} and {b} are on cpus {c} and {d}, two threads of one core: \
                 each is slower than alone"
            ),
            Self::Floating { lcore, cpus } => write!(
                f,
                "lcore {lcore} may run on any of {cpus} cpus: its caches stay behind when it moves"
            ),
            Self::NotIsolated { lcore, cpu } => write!(
                f,
                "cpu {cpu} of lcore {lcore} is not isolated: other work may take it away; \
                 boot with isolcpus={cpu} nohz_full={cpu}"
            ),
            Self::Ticking { lcore, cpu } => write!(
                f,
                "cpu {cpu} of lcore {lcore} is isolated but ticks; boot with nohz_full={cpu}"
            ),
            Self::CpuZero { lcore } => {
                write!(f, "lcore {lcore} is on cpu 0, where the kernel does its own work")
            }
            Self::OtherNode { lcore, node, port, port_node } => write!(
                f,
                "lcore {lcore} is on node {node}, its port {port} on node {port_node}: \
                 every packet crosses between them"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::topology::tests::eight_cpus;
    use super::*;

    fn warnings(map: &str) -> Vec<Warning> {
        let (_dir, topology) = eight_cpus();
        Warning::of(&topology, &map.parse().unwrap())
    }

    #[test]
    fn an_ordinary_cpu_is_not_isolated_and_cpu_0_is_worse() {
        assert_eq!(warnings("1"), [Warning::NotIsolated { lcore: 1, cpu: 1 }]);
        assert_eq!(warnings("7@0"), [Warning::CpuZero { lcore: 7 }]);
        assert_eq!(warnings("2"), [Warning::Ticking { lcore: 2, cpu: 2 }]);
    }

    #[test]
    fn lcores_that_share_a_cpu_or_a_core_are_named() {
        let shared = Warning::Shared { cpu: 1, lcores: [0, 1] };
        assert_eq!(warnings("(0-1)@1").last(), Some(&shared));
        let siblings = Warning::Siblings { lcores: [2, 6], cpus: [2, 6] };
        assert_eq!(warnings("2,6").last(), Some(&siblings));
        assert!(siblings.to_string().contains("two threads of one core"));
    }

    #[test]
    fn an_lcore_with_a_choice_of_cpus_floats() {
        assert_eq!(warnings("2@(2,6)")[0], Warning::Floating { lcore: 2, cpus: 2 });
    }

    #[test]
    fn a_port_on_another_node_is_far_and_one_of_unknown_node_is_not() {
        let (_dir, topology) = eight_cpus();
        let lcore = Lcore { id: 1, cpus: vec![1] };
        let far = Warning::distance(&topology, &lcore, "eth1", Some(1)).unwrap();
        assert!(far.to_string().contains("its port eth1 on node 1"));
        assert_eq!(Warning::distance(&topology, &lcore, "eth1", Some(0)), None);
        assert_eq!(Warning::distance(&topology, &lcore, "eth1", None), None);
    }
}
