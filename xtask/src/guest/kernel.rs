//! Debian's kernel, fetched once with apt and kept outside of the repository.

use super::{payload, quiet};
use crate::workspace::is_root;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

const META_PACKAGE: &str = "linux-image-amd64";

/// A kernel that was unpacked.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    root: PathBuf,
    version: String,
}

impl Kernel {
    /// The newest that the cache holds; if it holds none, Debian's of today.
    pub(crate) fn cached() -> Result<Self> {
        let kernel = Self::newest(&cache()?).map_or_else(Self::fetch, Ok)?;
        if !kernel.plain().exists() {
            // Without it the kernel unpacks itself, in every guest: slower, and no failure.
            let _ = payload::extract(&kernel.wrapped(), &kernel.plain());
        }
        Ok(kernel)
    }

    /// Downloads and unpacks Debian's kernel of today. Nothing is installed.
    pub(crate) fn fetch() -> Result<Self> {
        let cache = cache()?;
        std::fs::create_dir_all(&cache)
            .with_context(|| format!("cannot make {}", cache.display()))?;
        // Unpacked under another name first, so that whoever looks finds all of it or nothing.
        let stage = tempfile::Builder::new().prefix("stage-").tempdir_in(&cache)?;
        let package = download(stage.path())?;
        unpack(stage.path(), &package)?;
        let kernel = Self::of(stage.path().join("root")).context("the package has no kernel")?;
        quiet(Command::new(sbin("depmod")).arg("-b").arg(&kernel.root).arg(&kernel.version))?;
        let home = cache.join(&package);
        // Another run may have been faster; then its kernel is as good.
        if std::fs::rename(&kernel.root, &home).is_err() {
            ensure!(home.is_dir(), "cannot keep the kernel in {}", home.display());
        }
        Self::of(home).context("the kernel went away again")
    }

    fn newest(cache: &Path) -> Option<Self> {
        let entries = std::fs::read_dir(cache).ok()?.filter_map(Result::ok);
        let kernels = entries.filter(|entry| is_image(&entry.file_name().to_string_lossy()));
        kernels
            .filter_map(|entry| Self::of(entry.path()))
            .max_by(|a, b| natural(a).cmp(&natural(b)))
    }

    fn of(root: PathBuf) -> Option<Self> {
        let mut versions = std::fs::read_dir(root.join("lib/modules")).ok()?;
        let version = versions.next()?.ok()?.file_name().into_string().ok()?;
        let kernel = Self { root, version };
        kernel.wrapped().is_file().then_some(kernel)
    }

    /// The version, as `uname -r` says it.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// The file that QEMU boots.
    pub(crate) fn image(&self) -> PathBuf {
        let plain = self.plain();
        if plain.is_file() { plain } else { self.wrapped() }
    }

    fn plain(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinux-{}", self.version))
    }

    fn wrapped(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinuz-{}", self.version))
    }

    /// The folder of its modules.
    pub(crate) fn modules(&self) -> PathBuf {
        self.root.join("lib/modules").join(&self.version)
    }
}

/// The numbers of a version: 6.1.0-56 comes after 6.1.0-9.
fn natural(kernel: &Kernel) -> Vec<u64> {
    let parts = kernel.version.split(|c: char| !c.is_ascii_digit());
    parts.filter_map(|part| part.parse().ok()).collect()
}

fn is_image(name: &str) -> bool {
    name.starts_with("linux-image-")
}

fn cache() -> Result<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    Ok(base.context("neither XDG_CACHE_HOME nor HOME is set")?.join("linecard/guest"))
}

/// Downloads the package into `stage`, and gives its name.
fn download(stage: &Path) -> Result<String> {
    let fetch = || -> Result<String> {
        let package = image_package()?;
        quiet(Command::new("apt-get").args(["download", &package]).current_dir(stage))?;
        Ok(package)
    };
    match fetch() {
        // The list of packages may be old or missing, and root may fetch it.
        Err(_) if is_root() => {
            quiet(Command::new("apt-get").args(["update", "-qq"]))?;
            fetch()
        }
        other => other,
    }
    .with_context(|| format!("cannot fetch {META_PACKAGE} (apt-get update may help)"))
}

/// The package that the meta package stands for.
fn image_package() -> Result<String> {
    let said = quiet(Command::new("apt-cache").args(["depends", META_PACKAGE]))?;
    let depends = said.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    let image = depends.map(str::trim).find(|name| is_image(name));
    Ok(image.with_context(|| format!("{META_PACKAGE} depends on no kernel"))?.into())
}

fn unpack(stage: &Path, package: &str) -> Result<()> {
    let mut files = std::fs::read_dir(stage)?.filter_map(Result::ok).map(|entry| entry.path());
    let archive = files.find(|path| path.extension().is_some_and(|end| end == "deb"));
    let archive = archive.with_context(|| format!("apt-get gave no file for {package}"))?;
    quiet(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(stage.join("root"))).map(drop)
}

/// Where Debian keeps what a plain user's `PATH` does not find.
fn sbin(name: &str) -> PathBuf {
    Path::new("/usr/sbin").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let of = |version: &str| Kernel { root: PathBuf::new(), version: version.into() };
        assert!(natural(&of("6.1.0-56-amd64")) > natural(&of("6.1.0-9-amd64")));
    }
}
