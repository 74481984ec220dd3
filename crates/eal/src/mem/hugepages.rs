//! What the machine has to offer: huge pages by size and node, mounts, limits.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::{Root, numa::Nodes};

/// A machine's huge pages. All sizes are in bytes, all counts in pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HugePages {
    /// The sizes that the kernel supports, largest first.
    pub sizes: Vec<HugeSize>,
    /// The size that is meant when none is named.
    pub default_size: Option<u64>,
    /// Where hugetlbfs is mounted.
    pub mounts: Vec<HugeMount>,
    /// Transparent huge pages for anonymous memory.
    pub transparent: ThpMode,
    /// Transparent huge pages for memfds and other shared memory.
    pub transparent_shared: ThpMode,
    /// How much this process may lock (`RLIMIT_MEMLOCK`); `None` for no limit.
    pub memlock: Option<u64>,
}

/// The pages of one size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HugeSize {
    /// The size of one page.
    pub bytes: u64,
    /// On the whole machine.
    pub counts: Counts,
    /// Promised to mappings that have not touched them yet (the kernel does not tell by node).
    pub reserved: u64,
    /// How many surplus pages the kernel may make when the pool is empty.
    pub overcommit: u64,
    /// Node by node.
    pub nodes: Vec<(u32, Counts)>,
}

/// Pages of one size, on the machine or on one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the pool.
    pub total: u64,
    /// In the pool and not in use; reserved ones are still among them.
    pub free: u64,
    /// Beyond the configured pool.
    pub surplus: u64,
}

/// A mounted hugetlbfs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HugeMount {
    /// Where.
    pub path: PathBuf,
    /// The page size of its files.
    pub page_size: Option<u64>,
    /// Whether this process may create files in it.
    pub access: Access,
}

/// What this process may do in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Create files.
    Writable,
    /// At most read.
    ReadOnly,
}

/// When the kernel uses transparent huge pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThpMode {
    /// Wherever they fit.
    Always,
    /// Where a process advises it, as this crate does.
    OnAdvice,
    /// Not at all.
    Never,
    /// The kernel has none, or does not tell.
    #[default]
    Unknown,
}

impl HugePages {
    /// What this machine has.
    pub fn discover() -> Self {
        Self::discover_in(&Root::host())
    }

    /// What the tree at `root` describes; the memlock limit is this process's own.
    pub fn discover_in(root: &Root) -> Self {
        let thp = |file| ThpMode::read(root, &format!("sys/kernel/mm/transparent_hugepage/{file}"));
        let default_size = default_size(root);
        Self {
            sizes: sizes(root),
            default_size,
            mounts: mounts(root, default_size),
            transparent: thp("enabled"),
            transparent_shared: thp("shmem_enabled"),
            memlock: memlock(),
        }
    }

    /// The pages of one size, if the kernel supports it.
    pub fn of_size(&self, bytes: u64) -> Option<&HugeSize> {
        self.sizes.iter().find(|size| size.bytes == bytes)
    }
}

impl HugeSize {
    /// The pages that a new mapping can still have.
    pub fn available(&self) -> u64 {
        let idle = self.counts.free.saturating_sub(self.reserved);
        idle + self.overcommit.saturating_sub(self.counts.surplus)
    }

    /// The counts of one node.
    pub fn on_node(&self, node: u32) -> Option<Counts> {
        self.nodes.iter().find(|(id, _)| *id == node).map(|(_, counts)| *counts)
    }

    /// The directory under `/sys/kernel/mm/hugepages` for a size.
    pub fn directory(bytes: u64) -> String {
        format!("hugepages-{}kB", bytes / 1024)
    }

    fn read(root: &Root, name: &str) -> Option<Self> {
        let kib: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        let dir = format!("sys/kernel/mm/hugepages/{name}");
        let number = |file| root.value(format!("{dir}/{file}")).unwrap_or(0);
        let node = |id| {
            (id, Counts::read(root, &format!("sys/devices/system/node/node{id}/hugepages/{name}")))
        };
        Some(Self {
            bytes: kib.checked_mul(1024)?,
            counts: Counts::read(root, &dir),
            reserved: number("resv_hugepages"),
            overcommit: number("nr_overcommit_hugepages"),
            nodes: Nodes::discover_in(root).ids().map(node).collect(),
        })
    }
}

impl Counts {
    fn read(root: &Root, dir: &str) -> Self {
        let number = |file| root.value(format!("{dir}/{file}")).unwrap_or(0);
        Self {
            total: number("nr_hugepages"),
            free: number("free_hugepages"),
            surplus: number("surplus_hugepages"),
        }
    }
}

impl ThpMode {
    /// The word in brackets: `always [madvise] never`.
    fn read(root: &Root, path: &str) -> Self {
        let text = root.text(path).unwrap_or_default();
        let chosen = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        match chosen.map(|(word, _)| word) {
            Some("always" | "force" | "within_size") => Self::Always,
            Some("madvise" | "advise") => Self::OnAdvice,
            Some("never" | "deny") => Self::Never,
            _ => Self::Unknown,
        }
    }
}

fn sizes(root: &Root) -> Vec<HugeSize> {
    let names = root.names("sys/kernel/mm/hugepages");
    let mut sizes: Vec<_> = names.iter().filter_map(|name| HugeSize::read(root, name)).collect();
    sizes.sort_by_key(|size| std::cmp::Reverse(size.bytes));
    sizes
}

fn default_size(root: &Root) -> Option<u64> {
    let meminfo = root.text("proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("Hugepagesize:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The hugetlbfs lines of `/proc/self/mounts`: device, path, type, options.
fn mounts(root: &Root, default_size: Option<u64>) -> Vec<HugeMount> {
    let text = root.text("proc/self/mounts").unwrap_or_default();
    let mount = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (path, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
        let path = PathBuf::from(unescape(path));
        let named = options.split(',').find_map(|option| option.strip_prefix("pagesize="));
        let page_size = named.map_or(default_size, parse_size);
        let access = access(&path);
        (kind == "hugetlbfs").then_some(HugeMount { path, page_size, access })
    };
    text.lines().filter_map(mount).collect()
}

/// A size as mount options have it: `2M`, `1G`, `2048K`.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" => 1,
        "K" | "k" | "kB" => 1 << 10,
        "M" | "m" => 1 << 20,
        "G" | "g" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// `/proc/self/mounts` writes a blank as `\040`, a tab as `\011`, a backslash as `\134`.
fn unescape(path: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(path.to_owned(), |path, (from, to)| path.replace(from, to))
}

fn access(path: &Path) -> Access {
    use std::os::unix::ffi::OsStrExt;
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_bytes()) else {
        return Access::ReadOnly;
    };
    // SAFETY: `path` is a NUL-terminated string that outlives the call, which only reads it.
    let refused = unsafe { libc::access(path.as_ptr(), libc::W_OK | libc::X_OK) };
    if refused == 0 { Access::Writable } else { Access::ReadOnly }
}

fn memlock() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit for the kernel to write to, borrowed for this call only.
    let refused = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    (refused == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

impl fmt::Display for HugeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { total, free, .. } = self.counts;
        write!(f, "{free} of {total} {} pages free", Bytes(self.bytes))?;
        if self.reserved > 0 {
            write!(f, ", {} of them reserved", self.reserved)?;
        }
        Ok(())
    }
}

/// A size in the largest unit that divides it.
pub(crate) struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let fits = units.iter().find(|(bits, _)| self.0 != 0 && self.0.trailing_zeros() >= *bits);
        match fits {
            Some((bits, unit)) => write!(f, "{} {unit}", self.0 >> bits),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
#[path = "hugepages_tests.rs"]
mod tests;
