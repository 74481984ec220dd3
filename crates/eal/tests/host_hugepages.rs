//! Huge pages of the real kernel: got, verified, and given back whatever happens.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use linecard_eal::mem::{
    Backing, HugePages, IovaMode, MemError, Node, PagePolicy, PageSize, Pages, Request, Segment,
};
use linecard_testbed::{Need, needs};

const SIZE: usize = PageSize::Size2M.bytes();
const COUNT: u64 = 16;
const CHILD: &str = "LINECARD_EAL_CHILD";

/// The kernel's pool of one page size, resized for a test and restored afterwards. There is only
/// one, so tests that use it wait for each other.
struct Pool {
    bytes: u64,
    before: String,
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl Pool {
    /// A pool of exactly that many pages, all free. `None` if this test cannot have it, which has
    /// then been said.
    fn of(bytes: u64, count: u64) -> Option<Self> {
        if !needs(&[Need::Root]) {
            return None;
        }
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = Self::resized(bytes, count, alone);
        if pool.is_none() {
            needs(&[Need::Unmet(&format!("{count} huge pages of {bytes} bytes to itself"))]);
        }
        pool
    }

    fn resized(bytes: u64, count: u64, alone: MutexGuard<'static, ()>) -> Option<Self> {
        let before = fs::read_to_string(Self::file(bytes)).ok()?;
        let pool = Self { bytes, before, _alone: alone };
        fs::write(Self::file(bytes), count.to_string()).ok()?;
        let got = HugePages::discover().of_size(bytes)?.counts;
        (got.total == count && got.free == count).then_some(pool)
    }

    fn usual() -> Option<Self> {
        Self::of(SIZE as u64, COUNT)
    }

    fn file(bytes: u64) -> String {
        format!("/sys/kernel/mm/hugepages/hugepages-{}kB/nr_hugepages", bytes / 1024)
    }

    fn free(&self) -> u64 {
        HugePages::discover().of_size(self.bytes).unwrap().counts.free
    }

    fn reserved(&self) -> u64 {
        HugePages::discover().of_size(self.bytes).unwrap().reserved
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        fs::write(Self::file(self.bytes), self.before.trim()).unwrap();
    }
}

fn four_pages() -> Request {
    Request::new(4 * SIZE).pages(PagePolicy::Exactly(PageSize::Size2M)).name("test")
}

fn write_everywhere(segment: &Segment) {
    for offset in (0..segment.len()).step_by(4096) {
        // SAFETY: `offset` is within the segment, which nobody else has.
        unsafe { segment.base().add(offset).write(1) };
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn pages_are_taken_when_mapped_and_given_back_when_dropped() {
    let Some(pool) = Pool::usual() else { return };
    for backing in [Backing::Memfd, Backing::Anonymous] {
        let segment = four_pages().backing(backing).map().unwrap();
        assert_eq!((segment.page_size(), segment.is_huge()), (PageSize::Size2M, true));
        assert_eq!((pool.free(), pool.reserved()), (COUNT - 4, 0));
        write_everywhere(&segment);
        drop(segment);
        assert_eq!(pool.free(), COUNT);
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_panic_gives_pages_back() {
    let Some(pool) = Pool::usual() else { return };
    let thread = std::thread::spawn(|| {
        let segment = four_pages().map().unwrap();
        panic!("with {} bytes in hand", segment.len());
    });
    assert!(thread.join().is_err());
    assert_eq!(pool.free(), COUNT);
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_child_holds_pages_until_it_is_killed() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let segment = four_pages().map().unwrap();
    println!("\nholding {}", segment.len());
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn kill_9_gives_pages_back() {
    let Some(pool) = Pool::usual() else { return };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_child_holds_pages_until_it_is_killed", "--ignored", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let holding = lines.map_while(Result::ok).find(|line| line.starts_with("holding"));
    let while_held = pool.free();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(holding.is_some());
    assert_eq!(while_held, COUNT - 4);
    let deadline = Instant::now() + Duration::from_secs(30);
    while pool.free() != COUNT && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(pool.free(), COUNT);
}

/// A hugetlbfs in a directory of its own.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "hugetlbfs", "-o", "pagesize=2M", "linecard-test"]).arg(dir.path());
        assert!(mount.status().unwrap().success());
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg(self.path()).status().unwrap().success());
    }
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_file_on_hugetlbfs_never_has_a_name_while_it_is_mapped() {
    if !needs(&[Need::Tool("mount"), Need::Tool("umount")]) {
        return;
    }
    let Some(pool) = Pool::usual() else { return };
    let mount = Mount::new();
    let found = HugePages::discover().mounts;
    let ours = found.iter().find(|found| found.path == mount.path()).unwrap();
    assert_eq!(ours.page_size, Some(SIZE as u64));
    let segment = four_pages().backing(Backing::Hugetlbfs(mount.path().into())).map().unwrap();
    assert_eq!(fs::read_dir(mount.path()).unwrap().count(), 0);
    assert_eq!(pool.free(), COUNT - 4);
    // SAFETY: only looked at.
    assert!(unsafe { segment.file() }.is_some());
    drop(segment);
    assert_eq!(pool.free(), COUNT);
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_mount_of_another_page_size_is_an_error_that_says_so() {
    if !needs(&[Need::Root, Need::Tool("mount"), Need::Tool("umount")]) {
        return;
    }
    let mount = Mount::new();
    let request = Request::new(1).pages(PagePolicy::Exactly(PageSize::Size1G));
    let error = request.backing(Backing::Hugetlbfs(mount.path().into())).map().unwrap_err();
    assert!(error.to_string().contains("its pages are of 2 MiB"), "{error}");
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn one_page_too_many_is_an_error_and_takes_nothing() {
    let Some(pool) = Pool::usual() else { return };
    let request = Request::new((COUNT as usize + 1) * SIZE);
    let error = request.pages(PagePolicy::Exactly(PageSize::Size2M)).map().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("16 of 16 2 MiB pages free"), "{text}");
    assert!(text.contains("setup-hugepages --size 2M --count 17"), "{text}");
    assert_eq!((pool.free(), pool.reserved()), (COUNT, 0));
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn without_huge_pages_the_report_tells_why_smaller_ones_were_taken() {
    let Some(_pool) = Pool::of(SIZE as u64, 0) else { return };
    let segment = Request::new(4 * SIZE).map().unwrap();
    let report = segment.report();
    assert_eq!(report.attempts[0].pages, Pages::Huge(PageSize::Size2M));
    let failure = report.attempts[0].outcome.as_ref().unwrap_err();
    assert_eq!(failure.errno, Some(libc::ENOMEM));
    assert!(failure.hint.as_ref().unwrap().contains("0 of 0 2 MiB pages free"));
    assert!(!segment.is_huge());
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn a_required_node_is_verified() {
    let Some(_pool) = Pool::usual() else { return };
    for pages in [PagePolicy::Exactly(PageSize::Size2M), PagePolicy::Small] {
        let request = Request::new(4 * SIZE).pages(pages);
        assert_eq!(request.node(Node::Require(0)).map().unwrap().node(), Some(0));
    }
}

/// The frame that the kernel tells for an address, in bytes; written anew, as a second opinion.
fn frame_of(address: usize) -> u64 {
    let mut entry = [0; 8];
    let pagemap = fs::File::open("/proc/self/pagemap").unwrap();
    pagemap.read_exact_at(&mut entry, (address / 4096 * 8) as u64).unwrap();
    (u64::from_ne_bytes(entry) & ((1 << 55) - 1)) * 4096
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn physical_addresses_are_contiguous_within_a_page_and_what_the_kernel_says() {
    let Some(_pool) = Pool::usual() else { return };
    let segment = four_pages().map().unwrap();
    let map = segment.physical().unwrap();
    for offset in (0..segment.len()).step_by(4096) {
        let address = map.contiguous(offset, 4096).unwrap();
        assert_eq!(address.raw(), frame_of(segment.address().raw() + offset));
    }
    for page in (0..segment.len()).step_by(SIZE) {
        assert_eq!(map.contiguous(page, SIZE).unwrap().raw() % SIZE as u64, 0);
    }
    let iova = segment.iova(IovaMode::Physical).unwrap();
    assert_eq!(iova.at(SIZE + 5).unwrap().raw(), map.at(SIZE + 5).unwrap().raw());
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn physical_addresses_are_hidden_from_a_thread_without_privilege() {
    if !needs(&[Need::Root]) {
        return;
    }
    let segment = Request::new(4096).pages(PagePolicy::Small).map().unwrap();
    let unprivileged = std::thread::scope(|scope| {
        let look = || {
            // SAFETY: the raw call changes the ids of this thread only, which ends after it; no
            // memory is involved.
            let refused = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
            assert_eq!(refused, 0);
            segment.physical()
        };
        scope.spawn(look).join().unwrap()
    });
    assert!(matches!(unprivileged, Err(MemError::PhysicalHidden)), "{unprivileged:?}");
}

#[test]
#[ignore = "host level: cargo xtask test host"]
fn merged_pages_are_merged_whatever_they_are_backed_by() {
    let Some(_pool) = Pool::of(SIZE as u64, 0) else { return };
    for backing in [Backing::Memfd, Backing::Anonymous] {
        let segment = Request::new(8 * SIZE).backing(backing).map().unwrap();
        write_everywhere(&segment);
        let explained = segment.report().to_string().contains("the kernel merged");
        assert!(segment.transparent_huge() || explained, "{}", segment.report());
    }
}
