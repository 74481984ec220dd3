//! The cpuset that this process is confined to, in cgroups of either version.

use std::path::{Path, PathBuf};

use crate::{Root, cpulist};

/// The cpus of the cpuset; `None` if no cgroup limits them.
///
/// A group without the file (the controller is not enabled in it) is limited by its parent.
pub(super) fn cpuset(root: &Root) -> Option<Vec<u32>> {
    let groups = root.text("proc/self/cgroup").ok()?;
    let mut lists = groups.lines().filter_map(|line| group(root, line));
    let first = lists.next()?;
    // Version 1 and 2 may both be mounted; only one of them can have the controller.
    Some(lists.fold(first, |cpus, more| cpus.into_iter().filter(|c| more.contains(c)).collect()))
}

/// The list of one line of `/proc/self/cgroup`: `3:cpuset:/path` (version 1), `0::/path` (2).
fn group(root: &Root, line: &str) -> Option<Vec<u32>> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let path = path.trim_start_matches('/');
    if controllers.split(',').any(|name| name == "cpuset") {
        let files = ["cpuset.effective_cpus", "cpuset.cpus"];
        return nearest(root, Path::new("sys/fs/cgroup/cpuset"), path, &files);
    }
    if !controllers.is_empty() {
        return None;
    }
    let files = ["cpuset.cpus.effective"];
    let unified = Path::new("sys/fs/cgroup/unified");
    nearest(root, Path::new("sys/fs/cgroup"), path, &files)
        .or_else(|| nearest(root, unified, path, &files))
}

/// The first of the files that holds a list, in the group or the nearest ancestor that has one.
fn nearest(root: &Root, mount: &Path, path: &str, files: &[&str]) -> Option<Vec<u32>> {
    let read = |file: PathBuf| root.text(file).ok().and_then(|text| cpulist::parse(&text));
    let in_group = |group: &Path| {
        let mut lists = files.iter().filter_map(|file| read(mount.join(group).join(file)));
        lists.find(|cpus| !cpus.is_empty())
    };
    Path::new(path).ancestors().find_map(in_group)
}

#[cfg(test)]
mod tests {
    use super::super::topology::tests::write;
    use super::*;

    fn cpuset_of(files: &[(&str, &str)]) -> Option<Vec<u32>> {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in files {
            write(dir.path(), file, text);
        }
        cpuset(&Root::at(dir.path()))
    }

    #[test]
    fn version_2_is_read_where_the_controller_is_enabled() {
        let cpus = cpuset_of(&[
            ("proc/self/cgroup", "0::/a/b"),
            ("sys/fs/cgroup/a/cpuset.cpus.effective", "1-2"),
            ("sys/fs/cgroup/cpuset.cpus.effective", "0-7"),
        ]);
        assert_eq!(cpus, Some(vec![1, 2]));
    }

    #[test]
    fn version_1_without_effective_cpus_is_read_from_the_configured_ones() {
        let cpus = cpuset_of(&[
            ("proc/self/cgroup", "9:name=systemd:/x\n5:cpu,cpuset:/a"),
            ("sys/fs/cgroup/cpuset/a/cpuset.cpus", "3"),
        ]);
        assert_eq!(cpus, Some(vec![3]));
    }

    #[test]
    fn no_cgroup_is_no_limit() {
        assert_eq!(cpuset_of(&[]), None);
        assert_eq!(cpuset_of(&[("proc/self/cgroup", "0::/\nbroken")]), None);
    }
}
