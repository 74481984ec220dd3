//! What is measured, and how each side is told to do it.

/// A case: the same work for both sides.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) burst: usize,
    /// What `forward_loop` is told: work, and receive path.
    pub(crate) ours: [&'static str; 2],
    /// What testpmd is told: of the EAL, and its own options.
    pub(crate) testpmd: [&'static str; 2],
    /// How testpmd counts.
    pub(crate) rate: Rate,
}

/// Which of testpmd's rates is the figure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rate {
    /// What is received of what was sent: testpmd sends a burst first.
    Round,
    Received,
    Sent,
}

impl Case {
    /// Whether frames go round between cards with mirrors; else cards always have some.
    pub(crate) fn goes_round(&self) -> bool {
        self.rate == Rate::Round
    }
}

const IO: &str = "--forward-mode=io";

const fn io(name: &'static str, burst: usize, path: &'static str, eal: &'static str) -> Case {
    Case { name, burst, ours: ["io", path], testpmd: [eal, IO], rate: Rate::Round }
}

const fn other(name: &'static str, work: &'static str, testpmd: &'static str, rate: Rate) -> Case {
    Case { name, burst: 32, ours: [work, "best"], testpmd: ["", testpmd], rate }
}

/// `--tx-offloads` has DPDK's bits: 0 inserts tags, 1 to 3 fill in checksums of IPv4, UDP, TCP.
pub(crate) const CASES: [Case; 10] = [
    io("io loop burst 32", 32, "best", ""),
    io("io loop burst 8", 8, "best", ""),
    io("io loop burst 4", 4, "best", ""),
    io("io loop burst 32, SSE", 32, "sse4", "--force-max-simd-bitwidth=128"),
    io("io loop burst 32, scalar", 32, "scalar", "--force-max-simd-bitwidth=64"),
    other(
        "io loop burst 32, checksum and VLAN offloads on",
        "io-offloads",
        "--forward-mode=io --enable-rx-cksum --enable-hw-vlan-strip --tx-offloads=0xf",
        Rate::Round,
    ),
    other(
        "mac loop burst 32, tags asked for and stripped",
        "tags",
        "--forward-mode=mac --enable-hw-vlan-strip --tx-offloads=0x1",
        Rate::Round,
    ),
    other(
        "csum loop burst 32, checksums asked for and checked",
        "sums",
        "--forward-mode=csum --enable-rx-cksum --tx-offloads=0xe",
        Rate::Round,
    ),
    other("receive only burst 32", "receive", "--forward-mode=rxonly", Rate::Received),
    other("send only burst 32", "send", "--forward-mode=txonly", Rate::Sent),
];
