//! One attempt at a request, step by step.

use std::fs::File;
use std::io;

use super::area::Area;
use super::hugepages::{Bytes, HugePages, HugeSize, ThpMode};
use super::page::{PageSize, Pages};
use super::placement::{self, Placement, Policy};
use super::report::{Failure, Got, Step};
use super::request::{Lock, Node, Request};
use crate::{Root, numa::Nodes};

/// What an attempt leaves behind when it works.
#[derive(Debug)]
pub(super) struct Mapped {
    pub(super) area: Area,
    pub(super) file: Option<File>,
    pub(super) pages: Pages,
    pub(super) merged: bool,
}

/// Makes the attempt. Whatever it mapped or opened is gone again if it fails.
pub(super) fn run(request: &Request, pages: Pages, root: &Root) -> Result<(Mapped, Got), Failure> {
    let len = request.len.next_multiple_of(pages.unit());
    let mut trial =
        Trial { request, pages, root, nodes: Nodes::discover_in(root), remarks: vec![] };
    trial.check_room(len)?;
    let file =
        request.backing.open(pages, &request.name, len).map_err(|f| trial.explain(f, len))?;
    let area = Area::map(file.as_ref(), pages, len)
        .map_err(|e| trial.explain(Failure::system(Step::Map, &e), len))?;
    trial.bind(&area)?;
    trial.populate(&area)?;
    let merged = trial.merge(&area)?;
    let node = trial.verify(&area)?;
    trial.lock(&area)?;
    Ok((Mapped { area, file, pages, merged }, Got { len, node, remarks: trial.remarks }))
}

struct Trial<'a> {
    request: &'a Request,
    pages: Pages,
    root: &'a Root,
    nodes: Nodes,
    remarks: Vec<String>,
}

impl Trial<'_> {
    /// Refuses early what the kernel would only refuse with a SIGBUS or its OOM killer.
    fn check_room(&self, len: usize) -> Result<(), Failure> {
        match (self.pages, self.request.node) {
            (Pages::Huge(size), Node::Require(node)) => self.check_node(size, node, len),
            (Pages::Huge(_), _) => Ok(()),
            (Pages::Transparent | Pages::Base, _) => self.check_memory(len),
        }
    }

    fn check_node(&self, size: PageSize, node: u32, len: usize) -> Result<(), Failure> {
        let needed = (len / size.bytes()) as u64;
        let found = HugePages::discover_in(self.root);
        let counts = found.of_size(size.bytes() as u64).and_then(|size| size.on_node(node));
        match counts {
            Some(counts) if counts.free < needed => {
                let reason =
                    format!("{} of {} {size} pages free on node {node}", counts.free, counts.total);
                let total = counts.total - counts.free.min(counts.total) + needed;
                Err(Failure::found(Step::Bind, reason)
                    .hint(format!("{} --node {node}", setup(size, total))))
            }
            _ => Ok(()),
        }
    }

    fn check_memory(&self, len: usize) -> Result<(), Failure> {
        let Some(available) = available(self.root).filter(|bytes| *bytes < len as u64) else {
            return Ok(());
        };
        let reason = format!("{len} bytes wanted, {available} available on this machine");
        Err(Failure::found(Step::Map, reason).hint("ask for less, or add memory"))
    }

    /// Binds the pages to a node. A machine with one node needs no binding, and may not know how.
    fn bind(&mut self, area: &Area) -> Result<(), Failure> {
        let (node, policy) = match self.request.node {
            Node::Any => return Ok(()),
            Node::Prefer(node) => (node, Policy::Preferred),
            Node::Require(node) => (node, Policy::Bind),
        };
        if self.nodes.only() == Some(node) {
            return Ok(());
        }
        match placement::bind(area, node, policy) {
            Ok(()) => Ok(()),
            Err(error) if matches!(policy, Policy::Preferred) => {
                self.remarks.push(format!("node {node} could not be preferred: {error}"));
                Ok(())
            }
            Err(error) => Err(self.unbound(&error)),
        }
    }

    fn unbound(&self, error: &io::Error) -> Failure {
        let online: Vec<u32> = self.nodes.ids().collect();
        let hint = format!(
            "online nodes: {}; this process may use those of Mems_allowed_list in /proc/self/status",
            crate::cpulist::format(&online)
        );
        Failure::system(Step::Bind, error).hint(hint)
    }

    fn populate(&self, area: &Area) -> Result<(), Failure> {
        // Advice may fail (a kernel without THP): what counts is what `merge` finds.
        let _ = match self.pages {
            Pages::Transparent => area.advise(libc::MADV_HUGEPAGE),
            Pages::Base => area.advise(libc::MADV_NOHUGEPAGE),
            Pages::Huge(_) => Ok(()),
        };
        // Packets have no place in a core dump; a kernel that cannot leave them out still works.
        let _ = area.advise(libc::MADV_DONTDUMP);
        area.populate().map_err(|e| self.explain(Failure::system(Step::Populate, &e), area.len()))
    }

    /// Whether the kernel merged the pages; an error where that was the point of the attempt.
    fn merge(&self, area: &Area) -> Result<bool, Failure> {
        if self.pages != Pages::Transparent {
            return Ok(false);
        }
        if area.merged() < area.len() {
            let refusal = area.collapse().err();
            let merged = area.merged();
            if merged < area.len() {
                return Err(self.unmerged(merged, area.len(), refusal));
            }
        }
        Ok(true)
    }

    fn unmerged(&self, merged: usize, len: usize, refusal: Option<io::Error>) -> Failure {
        let found = HugePages::discover_in(self.root);
        let mut reason = format!("the kernel merged {merged} of {len} bytes");
        if let Some(error) = &refusal {
            reason = format!("{reason} ({error})");
        }
        let (mode, file) = match self.request.backing.label(self.pages).as_str() {
            "anonymous" => (found.transparent, "enabled"),
            _ => (found.transparent_shared, "shmem_enabled"),
        };
        let word = if file == "enabled" { "madvise" } else { "advise" };
        let errno = refusal.and_then(|error| error.raw_os_error());
        let failure = Failure { errno, ..Failure::found(Step::Merge, reason) };
        match mode {
            ThpMode::Never => {
                failure.hint(format!("echo {word} > /sys/kernel/mm/transparent_hugepage/{file}"))
            }
            ThpMode::Unknown => failure.hint("this kernel has no transparent huge pages"),
            _ => failure,
        }
    }

    fn verify(&mut self, area: &Area) -> Result<Option<u32>, Failure> {
        let stride = self.pages.unit();
        let placement = match placement::verify(area.base().as_ptr(), area.len(), stride) {
            Placement::Unknown => self.nodes.only().map_or(Placement::Unknown, Placement::One),
            known => known,
        };
        self.judge(placement)
    }

    fn judge(&mut self, placement: Placement) -> Result<Option<u32>, Failure> {
        match (placement, self.request.node) {
            (Placement::One(node), Node::Require(wanted)) if node != wanted => {
                Err(Failure::found(Step::Verify, format!("the pages are on node {node}")))
            }
            (Placement::Spread(a, b), Node::Require(_)) => {
                Err(Failure::found(Step::Verify, format!("the pages are on nodes {a} and {b}")))
            }
            (Placement::One(node), Node::Prefer(wanted)) if node != wanted => {
                self.remarks.push(format!("node {wanted} was preferred"));
                Ok(Some(node))
            }
            (Placement::One(node), _) => Ok(Some(node)),
            (Placement::Spread(a, b), _) => {
                self.remarks.push(format!("spread over nodes {a} and {b}"));
                Ok(None)
            }
            (Placement::Unknown, _) => {
                self.remarks.push("the kernel does not tell which node it is on".into());
                Ok(None)
            }
        }
    }

    fn lock(&mut self, area: &Area) -> Result<(), Failure> {
        if matches!(self.pages, Pages::Huge(_)) || self.request.lock == Lock::No {
            return Ok(());
        }
        let Err(error) = area.lock() else { return Ok(()) };
        let limit = HugePages::discover_in(self.root).memlock;
        let limit = limit.map_or("unlimited".into(), |bytes| Bytes(bytes).to_string());
        let hint = format!("the limit is {limit} (ulimit -l); raise it or grant CAP_IPC_LOCK");
        let failure = Failure::system(Step::Lock, &error).hint(hint);
        if self.request.lock == Lock::Yes {
            return Err(failure);
        }
        self.remarks.push(format!("not locked: {failure}"));
        Ok(())
    }

    /// Adds what is known about a shortage of huge pages.
    fn explain(&self, failure: Failure, len: usize) -> Failure {
        let Pages::Huge(size) = self.pages else { return failure };
        if failure.hint.is_some() || failure.errno.is_none() {
            return failure;
        }
        let needed = (len / size.bytes()) as u64;
        match HugePages::discover_in(self.root).of_size(size.bytes() as u64) {
            None => failure.hint(format!("this kernel has no {size} pages")),
            Some(pool) if pool.available() >= needed => {
                failure.hint(format!("{pool}: a hugetlb or memory cgroup may limit this process"))
            }
            Some(pool) => failure.hint(format!("{pool}: {}", setup(size, wanted(pool, needed)))),
        }
    }
}

/// The pool size at which `needed` more pages can be had.
fn wanted(pool: &HugeSize, needed: u64) -> u64 {
    let idle = pool.counts.free.saturating_sub(pool.reserved);
    pool.counts.total.saturating_sub(idle) + needed
}

/// The command that makes a pool of `count` pages.
fn setup(size: PageSize, count: u64) -> String {
    let name = if size == PageSize::Size1G { "1G" } else { "2M" };
    let dir = HugeSize::directory(size.bytes() as u64);
    format!(
        "echo {count} > /sys/kernel/mm/hugepages/{dir}/nr_hugepages \
         or cargo xtask setup-hugepages --size {name} --count {count}"
    )
}

/// `MemAvailable` in bytes.
fn available(root: &Root) -> Option<u64> {
    let meminfo = root.text("proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
