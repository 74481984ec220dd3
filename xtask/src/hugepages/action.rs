//! The steps, each of which can be shown as a shell command or be done.

use super::rooted;
use anyhow::{Context, Result, ensure};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One step; all paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Write { path: PathBuf, text: String },
    MakeFolder(PathBuf),
    Mount { folder: PathBuf, options: String },
    Unmount(PathBuf),
    Remove(PathBuf),
}

impl Action {
    pub(super) fn write(path: PathBuf, text: String) -> Self {
        Self::Write { path, text }
    }

    pub(super) fn is_write_to(&self, file: &Path) -> bool {
        matches!(self, Self::Write { path, .. } if path == file)
    }

    /// Does it, with files looked up under `root`.
    pub(super) fn apply(&self, root: &Path) -> Result<()> {
        match self {
            Self::Write { path, text } => write(&rooted(root, path), text),
            Self::MakeFolder(folder) => fs::create_dir_all(rooted(root, folder))
                .with_context(|| format!("cannot make the folder {}", folder.display())),
            Self::Mount { folder, options } => {
                let words = ["-t", "hugetlbfs", "-o", options, "none"];
                run(Command::new("mount").args(words).arg(rooted(root, folder)))
            }
            Self::Unmount(folder) => run(Command::new("umount").arg(rooted(root, folder))),
            Self::Remove(path) => remove(&rooted(root, path)),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { path, text } => {
                write!(f, "echo '{}' > {}", text.trim_end(), path.display())
            }
            Self::MakeFolder(folder) => write!(f, "mkdir -p {}", folder.display()),
            Self::Mount { folder, options } => {
                write!(f, "mount -t hugetlbfs -o {options} none {}", folder.display())
            }
            Self::Unmount(folder) => write!(f, "umount {}", folder.display()),
            Self::Remove(path) => write!(f, "rm -f {}", path.display()),
        }
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    // The kernel's files are there already; only our own may want a folder.
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
