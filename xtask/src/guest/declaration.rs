//! What a test file asks of its guest, in the `//! guest:` lines of its head and their like.

use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// The virtual IOMMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Iommu {
    Intel,
    None,
}

/// What the guest's clock counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Time as it passes.
    Wall,
    /// Instructions: one is a nanosecond, and a tick of the TSC.
    Instructions,
}

/// How the test and its programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Profile {
    /// With debug assertions.
    Checked,
    /// As users run it.
    Optimized,
}

impl Profile {
    /// Its name, for Cargo.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Profile::Checked => "guest",
            Profile::Optimized => "release",
        }
    }
}

/// The guest as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declaration {
    pub(crate) iommu: Iommu,
    pub(crate) clock: Clock,
    pub(crate) profile: Profile,
    pub(crate) nodes: u32,
    pub(crate) cpus: u32,
    /// Of each node, in MiB.
    pub(crate) memory: u32,
    /// Of 2 MiB, on each node.
    pub(crate) hugepages: u32,
    pub(crate) limit: Duration,
    /// Kernel modules that are loaded before the tests.
    pub(crate) modules: Vec<String>,
    /// Kernel modules that are there to be loaded.
    pub(crate) carried: Vec<String>,
    /// Programs of this machine.
    pub(crate) programs: Vec<String>,
    /// Programs of the workspace, as `PACKAGE/bin/NAME` or `PACKAGE/example/NAME`.
    pub(crate) built: Vec<Built>,
    /// Added to the kernel's command line.
    pub(crate) append: Vec<String>,
    /// Options for QEMU, without their dash, and their values.
    pub(crate) options: Vec<(String, String)>,
    /// Commands that make a network of the guest's own, for a shell.
    pub(crate) network: Vec<String>,
    /// Commands that run on the host beside the guest.
    pub(crate) helpers: Vec<String>,
    /// A second guest beside it.
    pub(crate) peer: Option<Peer>,
}

/// A second guest, of the same kernel and root: 256 MiB, two CPUs, no IOMMU. It may reboot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Options for QEMU, without their dash, and their values.
    pub(crate) options: Vec<(String, String)>,
    /// What it runs, for a shell.
    pub(crate) script: Vec<String>,
    pub(crate) home: Home,
}

/// Where a peer lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Home {
    /// In one QEMU.
    #[default]
    Fixed,
    /// There is a second one that waits for it to move in.
    Moves,
}

/// A program of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Built {
    pub(crate) package: String,
    /// `bin` or `example`.
    pub(crate) kind: String,
    pub(crate) name: String,
}

impl FromStr for Built {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let &[package, kind @ ("bin" | "example"), name] = parts.as_slice() else {
            bail!("`{text}` is neither PACKAGE/bin/NAME nor PACKAGE/example/NAME");
        };
        Ok(Self { package: package.into(), kind: kind.into(), name: name.into() })
    }
}

impl Default for Declaration {
    fn default() -> Self {
        Self {
            iommu: Iommu::Intel,
            clock: Clock::Wall,
            profile: Profile::Checked,
            nodes: 2,
            cpus: 2,
            memory: 512,
            hugepages: 64,
            limit: Duration::from_secs(90),
            modules: Vec::new(),
            carried: Vec::new(),
            programs: Vec::new(),
            built: Vec::new(),
            append: Vec::new(),
            options: Vec::new(),
            network: Vec::new(),
            helpers: Vec::new(),
            peer: None,
        }
    }
}

/// Options of QEMU that a declaration may use as keys.
const OPTIONS: &[&str] = &["device", "netdev", "chardev", "object", "qtest", "global"];

/// The other keys, for the message about one that is unknown.
const KEYS: &str = "iommu, icount, profile, nodes, cpus, memory, hugepages, limit, modules, carried, \
                    programs, built, append";

impl Declaration {
    /// Reads the head of a test file: all of its `//!` lines.
    pub(crate) fn of_file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("the head of {}", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut declaration = Self::default();
        let head = text.lines().zip(1..).take_while(|(line, _)| line.starts_with("//!"));
        for (line, number) in head {
            let line = line.trim_start_matches("//!").trim();
            declaration.line(line).with_context(|| format!("line {number}"))?;
        }
        declaration.check()?;
        Ok(declaration)
    }

    /// A line of the head: most are about something else.
    fn line(&mut self, line: &str) -> Result<()> {
        let Some((about, text)) = line.split_once(':') else { return Ok(()) };
        let text = text.trim();
        match about {
            "guest" => entries(text, |key, value| self.set(key, value)),
            "network" => {
                self.network.push(text.into());
                Ok(())
            }
            "host" => self.helper(text),
            "peer" => entries(text, |key, value| self.set_of_peer(key, value)),
            "peer runs" => {
                self.peer.get_or_insert_default().script.push(text.into());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn helper(&mut self, command: &str) -> Result<()> {
        ensure!(!command.is_empty(), "`host:` without a command");
        self.helpers.push(command.into());
        Ok(())
    }

    fn set_of_peer(&mut self, key: &str, value: &str) -> Result<()> {
        if key == "moves" {
            let home = one_of(value, &[("on", Home::Moves), ("off", Home::Fixed)])?;
            self.peer.get_or_insert_default().home = home;
            return Ok(());
        }
        ensure!(
            OPTIONS.contains(&key),
            "no key `{key}` for a peer: it has moves, and QEMU's {}",
            OPTIONS.join(", ")
        );
        self.peer.get_or_insert_default().options.push((key.into(), value.into()));
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "iommu" => {
                self.iommu = one_of(value, &[("intel", Iommu::Intel), ("none", Iommu::None)])?
            }
            "icount" => {
                self.clock = one_of(value, &[("on", Clock::Instructions), ("off", Clock::Wall)])?;
            }
            "profile" => {
                let known = [Profile::Checked, Profile::Optimized].map(|each| (each.name(), each));
                self.profile = one_of(value, &known)?;
            }
            "nodes" => self.nodes = number(value, 1, 8)?,
            "cpus" => self.cpus = number(value, 1, 8)?,
            "memory" => self.memory = number(value, 128, 4096)?,
            "hugepages" => self.hugepages = number(value, 0, 1024)?,
            "limit" => self.limit = Duration::from_secs(number(value, 5, 600)?.into()),
            "modules" => self.modules.extend(list(value)),
            "carried" => self.carried.extend(list(value)),
            "programs" => self.programs.extend(list(value)),
            "append" => self.append.push(value.into()),
            "built" => {
                let built: Result<Vec<Built>> = value.split('+').map(str::parse).collect();
                self.built.extend(built?);
            }
            option if OPTIONS.contains(&option) => self.options.push((option.into(), value.into())),
            _ => bail!("no key `{key}`; there are {KEYS}, and QEMU's {}", OPTIONS.join(", ")),
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        let (pages, memory) = (self.hugepages * 2, self.memory);
        ensure!(
            pages <= memory / 2,
            "{} huge pages are {pages} MiB, more than half of a node's memory={memory}",
            self.hugepages
        );
        ensure!(
            self.clock == Clock::Wall || self.cpus == 1,
            "icount=on needs cpus=1: QEMU does not boot otherwise"
        );
        Ok(())
    }

    /// The same guest with a clock that counts instructions, and so with one CPU.
    pub(crate) fn counting_instructions(self) -> Self {
        Self { clock: Clock::Instructions, cpus: 1, limit: self.limit * 2, ..self }
    }

    /// QEMU's proxy for a device in another process loses accesses when two CPUs really run
    /// side by side.
    pub(crate) fn has_proxy_device(&self) -> bool {
        self.options.iter().any(|(_, value)| value.starts_with("x-pci-proxy-dev"))
    }
}

/// `key=value` entries with a comma *and a blank* between them; values keep their commas.
fn entries(text: &str, mut set: impl FnMut(&str, &str) -> Result<()>) -> Result<()> {
    for entry in text.split(", ").map(str::trim) {
        let (key, value) = entry.split_once('=').with_context(|| {
            format!("`{entry}` is not KEY=VALUE (entries end with a comma and a blank)")
        })?;
        set(key.trim(), value.trim()).with_context(|| format!("`{entry}`"))?;
    }
    Ok(())
}

fn one_of<T: Copy>(value: &str, known: &[(&str, T)]) -> Result<T> {
    let found = known.iter().find(|(name, _)| *name == value).map(|(_, value)| *value);
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    found.with_context(|| format!("`{value}` is not one of {}", names.join(", ")))
}

fn number(value: &str, least: u32, most: u32) -> Result<u32> {
    let number = value.parse().ok().filter(|number| (least..=most).contains(number));
    number.with_context(|| format!("`{value}` is not a number from {least} to {most}"))
}

fn list(value: &str) -> impl Iterator<Item = String> {
    value.split('+').map(str::trim).filter(|name| !name.is_empty()).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", Declaration::parse(text).unwrap_err())
    }

    #[test]
    fn a_head_without_a_word_about_the_guest_means_the_usual_one() {
        let parsed = Declaration::parse("//! Ports in a guest.\n\nuse std::fs;\n").unwrap();
        assert_eq!(parsed, Declaration::default());
    }

    #[test]
    fn entries_end_with_a_comma_and_a_blank_and_devices_keep_their_commas() {
        let head = "//! About.\n//! guest: nodes=1, iommu=none, modules=vfio-pci+virtio_net\n\
                    //! guest: device=virtio-net-pci,netdev=n0,addr=6, netdev=hubport,id=n0,hubid=0\n\
                    //! host: vhost --path {run}/a, b\n//! network: ip link set lo up\n";
        let parsed = Declaration::parse(head).unwrap();
        assert_eq!((parsed.nodes, parsed.iommu), (1, Iommu::None));
        assert_eq!(parsed.modules, ["vfio-pci", "virtio_net"]);
        let device = ("device".into(), "virtio-net-pci,netdev=n0,addr=6".into());
        assert_eq!(parsed.options, [device, ("netdev".into(), "hubport,id=n0,hubid=0".into())]);
        assert_eq!(parsed.helpers, ["vhost --path {run}/a, b"]);
        assert_eq!(parsed.network, ["ip link set lo up"]);
    }

    #[test]
    fn a_wrong_entry_is_named_with_its_line() {
        let text = error("//! About.\n//! guest: nodes=nine\n");
        assert!(text.contains("line 2") && text.contains("from 1 to 8"), "{text}");
        assert!(error("//! guest: colour=red\n").contains("no key `colour`"));
        assert!(error("//! guest: nodes\n").contains("not KEY=VALUE"));
        assert!(error("//! guest: iommu=amd\n").contains("intel, none"));
        assert!(error("//! guest: built=linecard\n").contains("PACKAGE/bin/NAME"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(error("//! guest: hugepages=400\n").contains("more than half"));
        assert!(error("//! guest: icount=on\n").contains("cpus=1"));
    }

    #[test]
    fn a_peer_has_options_and_a_script() {
        let head = "//! About: a thing.\n//! peer: netdev=hubport,id=n0,hubid=0, moves=on\n\
                    //! peer runs: ip link set eth0 up; sleep 1\n";
        let parsed = Declaration::parse(head).unwrap();
        let peer = parsed.peer.unwrap();
        assert_eq!(peer.options, [("netdev".into(), "hubport,id=n0,hubid=0".into())]);
        assert_eq!(peer.script, ["ip link set eth0 up; sleep 1"]);
        assert_eq!(peer.home, Home::Moves);
        assert!(error("//! peer: memory=9\n").contains("for a peer"));
    }

    #[test]
    fn lines_after_the_head_do_not_count() {
        let parsed = Declaration::parse("//! Head.\n\n//! guest: nodes=1\n").unwrap();
        assert_eq!(parsed.nodes, 2);
    }
}
