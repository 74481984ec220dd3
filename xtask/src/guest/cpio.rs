//! The archive that Linux unpacks as its first root file system: cpio, "newc" form (the kernel's
//! `Documentation/driver-api/early-userspace/buffer-format.rst`).

use std::collections::BTreeSet;

const DIRECTORY: u32 = 0o04_0000;
const FILE: u32 = 0o10_0000;
const SYMLINK: u32 = 0o12_0000;
const CHARACTER_DEVICE: u32 = 0o02_0000;

/// An archive that grows. Paths have no leading slash; folders are made as they are needed.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    paths: BTreeSet<String>,
}

impl Archive {
    pub(crate) fn directory(&mut self, path: &str) {
        self.parents_of(path);
        self.entry(path, DIRECTORY | 0o755, (0, 0), &[]);
    }

    pub(crate) fn file(&mut self, path: &str, permissions: u32, content: &[u8]) {
        self.parents_of(path);
        self.entry(path, FILE | permissions, (0, 0), content);
    }

    pub(crate) fn symlink(&mut self, path: &str, target: &str) {
        self.parents_of(path);
        self.entry(path, SYMLINK | 0o777, (0, 0), target.as_bytes());
    }

    pub(crate) fn character_device(&mut self, path: &str, device: (u32, u32)) {
        self.parents_of(path);
        self.entry(path, CHARACTER_DEVICE | 0o600, device, &[]);
    }

    /// The archive's bytes.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn parents_of(&mut self, path: &str) {
        let slashes: Vec<usize> = path.match_indices('/').map(|(at, _)| at).collect();
        for at in slashes {
            self.entry(&path[..at], DIRECTORY | 0o755, (0, 0), &[]);
        }
    }

    /// The first entry of a path stays; the kernel would take the last.
    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        if !self.paths.insert(path.into()) {
            return;
        }
        self.entries += 1;
        let size = u32::try_from(content.len()).expect("files of a guest are below 4 GiB");
        let name = u32::try_from(path.len() + 1).expect("a path is short");
        // ino, mode, uid, gid, links, mtime, size, device, device of a node, name size, checksum
        let (major, minor) = device;
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, major, minor, name, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn archive() -> Vec<u8> {
        let mut archive = Archive::default();
        archive.file("etc/deep/hello", 0o644, b"world");
        archive.symlink("bin", "usr/bin");
        archive.directory("etc");
        archive.finish()
    }

    #[test]
    fn every_entry_begins_at_a_multiple_of_four() {
        let bytes = archive();
        let magic = |at: usize| bytes[at..].starts_with(b"070701");
        let starts: Vec<usize> = (0..bytes.len()).filter(|&at| magic(at)).collect();
        assert_eq!(starts.len(), 5, "etc, etc/deep, the file, the link, the end");
        assert!(starts.iter().all(|at| at % 4 == 0));
    }

    #[test]
    fn cpio_of_others_reads_it() {
        let mut cpio = Command::new("cpio");
        cpio.arg("-t").stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut child) = cpio.stderr(Stdio::null()).spawn() else {
            return; // not installed: the kernel reads it in every guest test
        };
        child.stdin.take().unwrap().write_all(&archive()).unwrap();
        let output = child.wait_with_output().unwrap();
        let listed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(listed, "etc\netc/deep\netc/deep/hello\nbin\n");
    }
}
