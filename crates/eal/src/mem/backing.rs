//! The file behind a segment: a memfd, or a file on hugetlbfs that never has a lasting name.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::hugepages::Bytes;
use super::page::{PageSize, Pages};
use super::report::{Failure, Step};

/// Where the memory comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Backing {
    /// A file without a name (`memfd_create`), sealed against shrinking: it can be shared by
    /// passing its descriptor, needs no mount, and is gone when the last holder is.
    #[default]
    Memfd,
    /// A file in a directory where hugetlbfs is mounted, unlinked before a page is in it. Base
    /// pages, where the policy allows them, come from a memfd instead.
    Hugetlbfs(PathBuf),
    /// Private memory without a file. It cannot be shared with another process.
    Anonymous,
}

/// `MFD_NOEXEC_SEAL` of `linux/memfd.h` (6.3): the memory can never be made executable.
const NOEXEC_SEAL: libc::c_uint = 8;
/// The kernel's limit on a memfd's name.
const NAME_MAX: usize = 200;

impl Backing {
    /// What a report calls it.
    pub(super) fn label(&self, pages: Pages) -> String {
        match (self, pages) {
            (Self::Anonymous, _) => "anonymous".into(),
            (Self::Hugetlbfs(dir), Pages::Huge(_)) => format!("hugetlbfs at {}", dir.display()),
            _ => "memfd".into(),
        }
    }

    /// Opens the file and gives it its length; no file for anonymous memory.
    pub(super) fn open(
        &self,
        pages: Pages,
        name: &str,
        len: usize,
    ) -> Result<Option<File>, Failure> {
        let file = match (self, pages) {
            (Self::Anonymous, _) => return Ok(None),
            (Self::Hugetlbfs(dir), Pages::Huge(size)) => on_hugetlbfs(dir, size)?,
            (_, pages) => memfd(name, pages).map_err(|e| Failure::system(Step::Open, &e))?,
        };
        file.set_len(len as u64).map_err(|e| Failure::system(Step::Resize, &e))?;
        if self.label(pages) == "memfd" {
            seal(&file).map_err(|e| Failure::system(Step::Resize, &e))?;
        }
        Ok(Some(file))
    }
}

fn memfd(name: &str, pages: Pages) -> io::Result<File> {
    let huge = match pages {
        Pages::Huge(size) => libc::MFD_HUGETLB | size.bits() << libc::MFD_HUGE_SHIFT,
        Pages::Transparent | Pages::Base => 0,
    };
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING | huge;
    let clean: String = name.chars().filter(|c| *c != '\0').collect();
    let short = clean.char_indices().take_while(|(at, _)| *at < NAME_MAX).map(|(_, c)| c);
    let name = CString::new(format!("linecard:{}", short.collect::<String>()))?;
    match memfd_create(&name, flags | NOEXEC_SEAL) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => memfd_create(&name, flags),
        result => result,
    }
}

fn memfd_create(name: &CString, flags: libc::c_uint) -> io::Result<File> {
    // SAFETY: `name` is NUL-terminated and outlives the call, which only reads it.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` was just made, is open, and nobody else knows of it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// A peer that is given the descriptor must not be able to cut the file short: our next access
/// would be a SIGBUS.
fn seal(file: &File) -> io::Result<()> {
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: F_ADD_SEALS takes an int and no pointer; the descriptor is open while borrowed.
    let refused = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) };
    if refused == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn on_hugetlbfs(dir: &Path, size: PageSize) -> Result<File, Failure> {
    let file = unnamed(dir).map_err(|e| Failure::system(Step::Open, &e).hint(mount_hint(dir)))?;
    match hugetlb_page(&file) {
        Some(bytes) if bytes == size.bytes() as u64 => Ok(file),
        Some(bytes) => {
            Err(Failure::found(Step::Open, format!("its pages are of {}", Bytes(bytes))))
        }
        None => Err(Failure::found(Step::Open, "it is not a hugetlbfs").hint(mount_hint(dir))),
    }
}

fn mount_hint(dir: &Path) -> String {
    format!("mount one: mount -t hugetlbfs -o pagesize=2M none {}", dir.display())
}

/// A file without a name; before Linux 5.17 hugetlbfs lacks `O_TMPFILE`, and the name is removed
/// while the file is still empty.
fn unnamed(dir: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    if let Ok(file) = options.clone().custom_flags(libc::O_TMPFILE).open(dir) {
        return Ok(file);
    }
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    // Relaxed: only uniqueness matters, nothing is published with it.
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let path = dir.join(format!("linecard-{}-{serial}", std::process::id()));
    let file = options.create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// The page size of the hugetlbfs that a file is on; `None` if it is on anything else.
fn hugetlb_page(file: &File) -> Option<u64> {
    let mut stat = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the kernel writes one statfs to `stat`, which is exactly that large.
    let refused = unsafe { libc::fstatfs(file.as_raw_fd(), stat.as_mut_ptr()) };
    // SAFETY: all-zero bytes are a valid statfs (integers only), and the kernel wrote more of it.
    let stat = unsafe { stat.assume_init() };
    let hugetlb = refused == 0 && stat.f_type == libc::HUGETLBFS_MAGIC;
    hugetlb.then(|| stat.f_bsize.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_memfd_cannot_be_cut_short_by_whoever_gets_it() {
        let file = Backing::Memfd.open(Pages::Base, "a\0b", 8192).unwrap().unwrap();
        assert!(file.set_len(4096).is_err());
        file.write_at(b"x", 8191).unwrap();
    }

    #[test]
    fn a_directory_that_is_no_hugetlbfs_is_refused_with_a_hint_and_left_empty() {
        let dir = tempfile::tempdir().unwrap();
        let pages = Pages::Huge(PageSize::Size2M);
        let backing = Backing::Hugetlbfs(dir.path().into());
        let failure = backing.open(pages, "x", 1 << 21).unwrap_err();
        assert!(failure.to_string().contains("mount -t hugetlbfs"), "{failure}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_very_long_name_is_cut() {
        assert!(memfd(&"é".repeat(500), Pages::Base).is_ok());
    }
}
