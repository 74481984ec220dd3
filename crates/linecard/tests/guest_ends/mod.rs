//! An interface in a namespace: one of the two ends that `linecard fwd` joins.

use linecard_testbed::netns::{Counters, Netns};
use linecard_testbed::programs::iperf::{self, Load, Throughput};
use linecard_testbed::programs::{Program, ping};
use std::thread::sleep;
use std::time::{Duration, Instant};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}: still not so after {PATIENCE:?}");
        sleep(Duration::from_millis(50));
    }
}

/// An interface in a namespace of its own.
pub(crate) struct End {
    pub(crate) netns: Netns,
    pub(crate) name: String,
}

impl End {
    /// Moves the interface `name` into a new namespace, and gives it an address.
    pub(crate) fn new(name: &str, address: &str) -> Self {
        std::fs::create_dir_all("/var/run/netns").unwrap();
        let netns = Netns::new("end").unwrap();
        let end = Self { netns, name: name.into() };
        end.adopt(address);
        end
    }

    /// Moves an interface of this name, which has just been made, into the namespace.
    pub(crate) fn adopt(&self, address: &str) {
        // The kernel shows an interface in /sys before it finds it by its name.
        let there = || Program::new("ip").args(["link", "show", &self.name]).finish().unwrap();
        eventually("the interface is there", || there().status.success());
        let words = format!("link set {} netns {}", self.name, self.netns.name());
        Program::new("ip").words(&words).run().unwrap();
        self.netns.address(&self.name, address).unwrap();
    }

    /// The first answer may take: addresses are asked for, links come up in their own time.
    pub(crate) fn wait_for_answer(&self, from: &str) {
        eventually("an answer", || ping(&self.netns, from, 1).unwrap().received > 0);
    }

    pub(crate) fn assert_answered(&self, from: &str) {
        self.wait_for_answer(from);
        let found = ping(&self.netns, from, 10).unwrap();
        assert!(found.is_lossless(), "{found:?}");
    }

    /// A TCP stream to a server that runs there already.
    pub(crate) fn send_to(&self, to: &str, bytes: u64) -> Throughput {
        iperf::send(&self.netns, to, Load::TcpBytes { bytes }, 10).unwrap()
    }

    pub(crate) fn ethtool(&self, option: &str, words: &str) -> String {
        let program = self.netns.program("ethtool").args([option, &self.name]).words(words);
        program.run().unwrap().stdout
    }

    pub(crate) fn counters(&self) -> Counters {
        self.netns.counters(&self.name).unwrap()
    }

    /// What the stack dropped for a wrong checksum of TCP.
    pub(crate) fn checksum_errors(&self) -> u64 {
        let said = self.netns.program("cat").arg("/proc/net/snmp").run().unwrap().stdout;
        tcp_checksum_errors(&said)
    }
}

/// `InCsumErrors` of TCP in `/proc/net/snmp`, which stands last in its line.
pub(crate) fn tcp_checksum_errors(snmp: &str) -> u64 {
    let numbers = snmp.lines().filter(|line| line.starts_with("Tcp:")).nth(1);
    let numbers = numbers.unwrap_or_else(|| panic!("no counters of TCP in {snmp}"));
    numbers.rsplit(' ').next().unwrap().trim().parse().unwrap()
}
