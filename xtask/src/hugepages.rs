//! `cargo xtask setup-hugepages`: reserve huge pages, say what changed, undo it on request.
//!
//! What was there before is recorded in `/run/linecard`, so that `--undo` can return to it. A
//! run that does not get all pages puts the old count back and says what to do: nothing is ever
//! half done.

mod action;
mod record;

use crate::workspace::is_root;
use action::Action;
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use record::Record;
use std::fmt;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Args)]
pub(crate) struct Setup {
    /// The size of a page
    #[arg(long, value_enum, default_value = "2M")]
    size: PageSize,
    /// How many pages there shall be
    #[arg(long, required_unless_present = "undo", conflicts_with = "undo")]
    count: Option<u64>,
    /// Only on this NUMA node
    #[arg(long)]
    node: Option<u32>,
    /// Mount a hugetlbfs of this page size here, too
    #[arg(long, conflicts_with = "undo")]
    mount: Option<PathBuf>,
    /// Whose the mounted folder is
    #[arg(long, requires = "mount")]
    user: Option<String>,
    /// Reserve them at every boot, through tmpfiles.d
    #[arg(long, conflicts_with = "undo")]
    persist: bool,
    /// Return to what was there before
    #[arg(long)]
    undo: bool,
    /// Only print what would be done
    #[arg(long)]
    dry_run: bool,
    /// Where /proc, /sys, /run and /etc are (for tests)
    #[arg(long, hide = true, default_value = "/")]
    root: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PageSize {
    #[value(name = "2M")]
    TwoMebi,
    #[value(name = "1G")]
    OneGibi,
}

impl PageSize {
    fn kib(self) -> u64 {
        match self {
            Self::TwoMebi => 2 << 10,
            Self::OneGibi => 1 << 20,
        }
    }
}

impl fmt::Display for PageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TwoMebi => "2M",
            Self::OneGibi => "1G",
        })
    }
}

/// The pages of one size, on one node or on all, as the kernel's files show them.
#[derive(Debug)]
struct Pages<'a> {
    setup: &'a Setup,
}

impl Pages<'_> {
    /// Names the pages in file names.
    fn key(&self) -> String {
        let node = self.setup.node.map(|node| format!("-node{node}")).unwrap_or_default();
        format!("hugepages-{}kB{node}", self.setup.size.kib())
    }

    /// The kernel's folder, without the injected root.
    fn folder(&self) -> PathBuf {
        let sys = match self.setup.node {
            Some(node) => format!("/sys/devices/system/node/node{node}/hugepages"),
            None => "/sys/kernel/mm/hugepages".to_owned(),
        };
        Path::new(&sys).join(format!("hugepages-{}kB", self.setup.size.kib()))
    }

    fn count_file(&self) -> PathBuf {
        self.folder().join("nr_hugepages")
    }

    /// What tmpfiles.d writes at boot.
    fn boot_file(&self) -> PathBuf {
        Path::new("/etc/tmpfiles.d").join(format!("linecard-{}.conf", self.key()))
    }

    fn read(&self, name: &str) -> Result<u64> {
        let path = rooted(&self.setup.root, &self.folder().join(name));
        let text = std::fs::read_to_string(&path).with_context(|| {
            let node = self.setup.node.map(|node| format!(" on node {node}")).unwrap_or_default();
            format!("this kernel has no {} pages{node} ({})", self.setup.size, path.display())
        })?;
        text.trim().parse().with_context(|| format!("{} has no number", path.display()))
    }

    fn describe(&self) -> Result<String> {
        let (total, free) = (self.read("nr_hugepages")?, self.read("free_hugepages")?);
        Ok(format!("{total} pages of {} ({free} free)", self.setup.size))
    }
}

/// `path`, which is absolute, under another root.
fn rooted(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

pub(crate) fn run(setup: &Setup) -> Result<()> {
    let pages = Pages { setup };
    println!("before: {}", pages.describe()?);
    let plan = if setup.undo { undo(&pages)? } else { set_up(&pages)? };
    if setup.dry_run {
        plan.actions.iter().for_each(|action| println!("would: {action}"));
        return Ok(());
    }
    if setup.root == Path::new("/") && !is_root() {
        bail!("this needs root; run: {}", as_root()?);
    }
    plan.apply(&pages)?;
    println!("after:  {}", pages.describe()?);
    if setup.undo { say_what_stays(&pages) } else { Ok(()) }
}

/// This very command, for a user who has `sudo`.
fn as_root() -> Result<String> {
    let program = std::env::current_exe().context("cannot tell this program's path")?;
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    Ok(format!("sudo {} {}", program.display(), arguments.join(" ")))
}

/// What is to be done.
struct Plan {
    actions: Vec<Action>,
    /// What is done instead of the rest, when the kernel gives too few pages.
    back: Vec<Action>,
}

fn set_up(pages: &Pages<'_>) -> Result<Plan> {
    let setup = pages.setup;
    let count = setup.count.context("--count is missing")?;
    let (now, earlier) = (pages.read("nr_hugepages")?, Record::load(pages)?);
    let back = vec![
        Action::write(pages.count_file(), now.to_string()),
        earlier.as_ref().map_or(Ok(Action::Remove(Record::path(pages))), |old| old.save(pages))?,
    ];
    let mut record = earlier.unwrap_or(Record::new(now));
    let mut actions = vec![Action::write(pages.count_file(), count.to_string())];
    if let Some(folder) = &setup.mount {
        ensure!(folder.is_absolute(), "--mount wants an absolute path");
        if is_mounted(&setup.root, folder) {
            println!("{} is mounted already", folder.display());
        } else {
            actions.push(Action::MakeFolder(folder.clone()));
            actions.push(mount(setup, folder)?);
            record.mount = Some(folder.clone());
        }
    }
    if setup.persist {
        let path = pages.boot_file();
        actions.push(Action::write(path.clone(), at_boot(pages, count)));
        record.persisted = Some(path);
    }
    // Recorded first: a run that is cut short can be undone.
    actions.insert(0, record.save(pages)?);
    Ok(Plan { actions, back })
}

fn mount(setup: &Setup, folder: &Path) -> Result<Action> {
    let mut options = format!("pagesize={}", setup.size);
    if let Some(user) = &setup.user {
        let (uid, gid) = ids(&rooted(&setup.root, Path::new("/etc/passwd")), user)?;
        options += &format!(",uid={uid},gid={gid},mode=0770");
    }
    Ok(Action::Mount { folder: folder.to_owned(), options })
}

fn ids(passwd: &Path, user: &str) -> Result<(u32, u32)> {
    let text = std::fs::read_to_string(passwd)?;
    let line = text.lines().find(|line| line.split(':').next() == Some(user));
    let fields: Vec<_> =
        line.with_context(|| format!("there is no user `{user}`"))?.split(':').collect();
    ensure!(fields.len() >= 4, "{} has a damaged line for `{user}`", passwd.display());
    Ok((fields[2].parse()?, fields[3].parse()?))
}

fn is_mounted(root: &Path, folder: &Path) -> bool {
    let mounts =
        std::fs::read_to_string(rooted(root, Path::new("/proc/mounts"))).unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(1).map(Path::new) == Some(folder))
}

/// A line of tmpfiles.d(5), which can write to any file of sysfs: sysctl.d only knows the
/// default page size and no nodes.
fn at_boot(pages: &Pages<'_>, count: u64) -> String {
    let note = "# Written by `cargo xtask setup-hugepages --persist`; `--undo` removes it.";
    format!("{note}\nw {} - - - - {count}\n", pages.count_file().display())
}

fn undo(pages: &Pages<'_>) -> Result<Plan> {
    let record = Record::load(pages)?.with_context(|| {
        format!(
            "there is no record of an earlier run; to return all pages: --size {} --count 0",
            pages.setup.size
        )
    })?;
    let mut actions = Vec::new();
    let mounted = record.mount.filter(|folder| is_mounted(&pages.setup.root, folder));
    actions.extend(mounted.map(Action::Unmount));
    actions.push(Action::write(pages.count_file(), record.before.to_string()));
    actions.extend(record.persisted.map(Action::Remove));
    actions.push(Action::Remove(Record::path(pages)));
    Ok(Plan { actions, back: Vec::new() })
}

fn say_what_stays(pages: &Pages<'_>) -> Result<()> {
    let used = pages.read("nr_hugepages")?.saturating_sub(pages.read("free_hugepages")?);
    if used > 0 {
        println!("{used} of them are in use and return when their programs end");
    }
    Ok(())
}

impl Plan {
    fn apply(&self, pages: &Pages<'_>) -> Result<()> {
        let root = &pages.setup.root;
        for action in &self.actions {
            action.apply(root)?;
            if action.is_write_to(&pages.count_file()) && !pages.setup.undo {
                self.insist(pages, action)?;
            }
        }
        Ok(())
    }

    /// Makes sure that the kernel gave all pages, with one more try on compacted memory.
    fn insist(&self, pages: &Pages<'_>, ask: &Action) -> Result<()> {
        let wanted = pages.setup.count.unwrap_or(0);
        let root = &pages.setup.root;
        if pages.read("nr_hugepages")? < wanted {
            println!("fewer than asked for: compacting memory");
            // Kernels without compaction have no such file; the second reading tells.
            let _ = Action::write("/proc/sys/vm/compact_memory".into(), "1".to_owned()).apply(root);
            ask.apply(root)?;
        }
        let given = pages.read("nr_hugepages")?;
        if given >= wanted {
            return Ok(());
        }
        self.back.iter().try_for_each(|action| action.apply(root))?;
        bail!("{}", shortfall(pages, wanted, given));
    }
}

fn shortfall(pages: &Pages<'_>, wanted: u64, given: u64) -> String {
    let size = pages.setup.size;
    let free = free_mebibytes(&pages.setup.root);
    let need = wanted * pages.setup.size.kib() / 1024;
    let reason = if need > free {
        format!(
            "{wanted} need {need} MiB, and only {free} MiB are free: ask for fewer, or end some programs"
        )
    } else {
        format!(
            "{free} MiB are free, but not in pieces of {size}. Try `echo 3 > /proc/sys/vm/drop_caches; \
             echo 1 > /proc/sys/vm/compact_memory` and then this again, or reserve them at boot with the \
             kernel parameters `hugepagesz={size} hugepages={wanted}`"
        )
    };
    format!(
        "the kernel gave only {given} of {wanted} pages of {size}, so the old count is back: {reason}"
    )
}

fn free_mebibytes(root: &Path) -> u64 {
    let text =
        std::fs::read_to_string(rooted(root, Path::new("/proc/meminfo"))).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

#[cfg(test)]
mod tests;
