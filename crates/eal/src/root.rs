//! Where the kernel's descriptions of the machine are read from.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The directory under which `sys/` and `proc/` are found: `/` on a real machine, a made-up tree
/// in a test.
///
/// Everything in this crate that *discovers* something has a form that takes a `Root`, so that a
/// machine with eight NUMA nodes can be tested on a laptop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// The machine that this process runs on.
    pub fn host() -> Self {
        Self(PathBuf::from("/"))
    }

    /// A tree somewhere else.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// The full path of `relative`, which must not start with a slash.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.0.join(relative)
    }

    /// The trimmed text of a file.
    pub(crate) fn text(&self, relative: impl AsRef<Path>) -> io::Result<String> {
        std::fs::read_to_string(self.path(relative)).map(|text| text.trim().to_owned())
    }

    /// The one number, or other value, that a file holds. `None` when it is absent or unreadable.
    pub(crate) fn value<T: FromStr>(&self, relative: impl AsRef<Path>) -> Option<T> {
        self.text(relative).ok()?.parse().ok()
    }

    /// The names in a directory, sorted; none when the directory is absent.
    pub(crate) fn names(&self, relative: impl AsRef<Path>) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(relative)) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

impl Default for Root {
    fn default() -> Self {
        Self::host()
    }
}
