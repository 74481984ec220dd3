//! The kernel without its wrapping. QEMU boots the plain ELF file through the entry that it has for
//! hypervisors (PVH), and no guest spends three seconds on unpacking itself.

use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

/// The beginning of an xz stream (The .xz File Format, §2.1.1.1).
const XZ: &[u8] = b"\xfd7zXZ\0";
const ELF: &[u8] = b"\x7fELF";

/// Writes the ELF file within `image` to `place`, in one go.
pub(super) fn extract(image: &Path, place: &Path) -> Result<()> {
    let wrapped =
        std::fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
    let starts = wrapped.windows(XZ.len()).enumerate().filter(|(_, window)| *window == XZ);
    let plain = starts.filter_map(|(at, _)| unpack(&wrapped[at..]).ok());
    let plain = plain.into_iter().find(|plain| plain.starts_with(ELF));
    let plain =
        plain.with_context(|| format!("no xz stream in {} is a kernel", image.display()))?;
    let folder = place.parent().context("a file is in a folder")?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&plain)?;
    file.persist(place)?;
    Ok(())
}

/// What is behind the stream does not matter.
fn unpack(stream: &[u8]) -> Result<Vec<u8>> {
    let mut xz = Command::new("xz")
        .args(["--decompress", "--stdout", "--single-stream"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start xz")?;
    let mut stdin = xz.stdin.take().context("xz has no input")?;
    let output = thread::scope(|scope| {
        // It closes its input at the stream's end, which need not be ours.
        scope.spawn(move || drop(stdin.write_all(stream)));
        xz.wait_with_output()
    })?;
    ensure!(output.status.success(), "xz ended with {}", output.status);
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_found_behind_what_starts_like_it() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::write(&inner, [ELF, b" and so on"].concat()).unwrap();
        let Ok(packed) = Command::new("xz").arg("--stdout").arg(&inner).output() else {
            return; // not installed: the kernel boots as it is, only later
        };
        let image = folder.path().join("image");
        std::fs::write(&image, [b"MZ", XZ, b"noise", &packed.stdout, b"behind"].concat()).unwrap();
        let place = folder.path().join("plain");
        extract(&image, &place).unwrap();
        assert_eq!(std::fs::read(place).unwrap(), [ELF, b" and so on"].concat());
        assert!(extract(&inner, &folder.path().join("none")).is_err());
    }
}
