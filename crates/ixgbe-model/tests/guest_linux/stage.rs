//! The stage: a namespace for each card, with an address and a link.

use linecard_testbed::guest;
use linecard_testbed::netns::Netns;
use linecard_testbed::programs::Output;
use std::net::UdpSocket;
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Two cards that see each other.
pub(crate) struct Stage {
    pub(crate) near: End,
    pub(crate) far: End,
}

/// A card in its namespace.
pub(crate) struct End {
    pub(crate) netns: Netns,
    pub(crate) name: String,
}

/// The stage of a guest with two cards, made by whoever comes first.
pub(crate) fn stage() -> &'static Stage {
    static STAGE: LazyLock<Stage> =
        LazyLock::new(|| Stage::between("0000:00:05.0", "0000:00:06.0"));
    &STAGE
}

/// Waits until something is so.
pub(crate) fn eventually(is_so: impl FnMut() -> bool) {
    eventually_or(is_so, String::new);
}

/// The same, with what there is to say if it does not become so.
pub(crate) fn eventually_or(mut is_so: impl FnMut() -> bool, say: impl Fn() -> String) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "still not so after {PATIENCE:?} {}", say());
        sleep(Duration::from_millis(50));
    }
}

impl Stage {
    /// Two cards of which the kernel's driver has both.
    pub(crate) fn between(near: &str, far: &str) -> Self {
        std::fs::create_dir_all("/var/run/netns").unwrap();
        let near = End::new("near", near, "198.51.100.1/24");
        let far = End::new("far", far, "198.51.100.2/24");
        near.wait_for_link();
        far.wait_for_link();
        // The first frames, before anything is changed: it is then that a model looks at how its card was
        // set up.
        let words = "-n -q -c 1 198.51.100.2";
        near.netns.program("ping").words(words).run().unwrap();
        Self { near, far }
    }

    pub(crate) fn set_mtu(&self, mtu: u32) {
        for end in [&self.near, &self.far] {
            end.netns.mtu(&end.name, mtu).unwrap();
        }
        self.near.wait_for_link();
        self.far.wait_for_link();
    }
}

impl End {
    /// The kernel's card, in a namespace of its own.
    pub(crate) fn new(label: &str, card: &str, address: &str) -> Self {
        let name = guest::interface_of(card).unwrap_or_else(|| panic!("{card} has no interface"));
        let netns = Netns::new(label).unwrap();
        let words = format!("link set {name} netns {}", netns.name());
        linecard_testbed::programs::Program::new("ip").words(&words).run().unwrap();
        netns.address(&name, address).unwrap();
        Self { netns, name }
    }

    pub(crate) fn wait_for_link(&self) {
        let file = format!("/sys/class/net/{}/carrier", self.name);
        let carrier = || self.netns.program("cat").arg(&file).finish().unwrap().stdout;
        eventually(|| carrier().trim() == "1");
    }

    /// `ethtool OPTION INTERFACE`.
    pub(crate) fn ethtool(&self, option: &str) -> Output {
        self.netns.program("ethtool").words(option).arg(&self.name).run().unwrap()
    }

    /// `ethtool OPTION INTERFACE WORDS`.
    pub(crate) fn ethtool_with(&self, option: &str, words: &str) -> Output {
        self.netns.program("ethtool").args([option, &self.name]).words(words).run().unwrap()
    }

    /// Writes a byte of the EEPROM, which the driver does with the word around it, and the checksum; says what is there
    /// then.
    pub(crate) fn write_eeprom(&self, at: u32, byte: u8) -> String {
        let device = format!("/sys/class/net/{}/device/device", self.name);
        let id = self.netns.program("cat").arg(&device).run().unwrap().stdout;
        let words = format!("magic {}8086 offset {at:#x} value {byte:#x}", id.trim());
        self.ethtool_with("-E", &words);
        self.ethtool_with("-e", &format!("offset {at:#x} length 1")).stdout
    }

    /// A number of `ethtool -S`.
    pub(crate) fn statistic(&self, name: &str) -> u64 {
        let said = self.ethtool("-S").stdout;
        let line = said.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {name} in {said}")).parse().unwrap()
    }

    /// `InCsumErrors` of TCP, which stands last in its line.
    pub(crate) fn tcp_checksum_errors(&self) -> u64 {
        let said = self.netns.program("cat").arg("/proc/net/snmp").run().unwrap().stdout;
        let numbers = said.lines().filter(|line| line.starts_with("Tcp:")).nth(1).unwrap();
        numbers.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// The redirection table and the key, as `ethtool -x` tells them.
    pub(crate) fn rss(&self) -> (Vec<usize>, Vec<u8>) {
        let said = self.ethtool("-x").stdout;
        let (table, rest) = said.split_once("RSS hash key:").unwrap();
        let rows = table.lines().skip(1).filter_map(|line| line.split_once(':'));
        let entries = rows.flat_map(|(_, row)| row.split_whitespace());
        let key = rest.trim().lines().next().unwrap().split(':');
        (
            entries.map(|entry| entry.parse().unwrap()).collect(),
            key.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect(),
        )
    }

    /// Sends a datagram from `port`.
    pub(crate) fn send_datagram(&self, port: u16, to: (&str, u16)) {
        let socket = self.netns.inside(|| UdpSocket::bind(("0.0.0.0", port))).unwrap().unwrap();
        socket.send_to(b"datagram", to).unwrap();
    }
}

/// The Toeplitz hash, bit by bit.
pub(crate) fn toeplitz(key: &[u8], input: &[u8]) -> u32 {
    let bit = |bytes: &[u8], at: usize| bytes[at / 8] >> (7 - at % 8) & 1;
    let window =
        |from: usize| (0..32).fold(0u32, |word, at| word << 1 | u32::from(bit(key, from + at)));
    let ones = (0..input.len() * 8).filter(|&at| bit(input, at) != 0);
    ones.fold(0, |hash, at| hash ^ window(at))
}
