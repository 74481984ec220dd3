//! The house: which crate stands on which floor, and that arrows only point down.

use super::Finding;
use crate::workspace::{Dependency, Package, Workspace};
use std::path::Path;

/// Where a crate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On a floor: it may use what stands lower.
    Floor(u8),
    /// For tests: it may use what stands lower, and is only ever a dev-dependency.
    TestFloor(u8),
    /// Beside the house: it may use everything, and is only ever a dev-dependency.
    Outside,
}

use Place::{Floor, Outside, TestFloor};

const HOUSE: &[(&str, Place)] = &[
    ("linecard-ring", Floor(0)),
    ("linecard-net", Floor(0)),
    ("linecard-eal", Floor(0)),
    ("linecard-ixgbe-regs", Floor(0)),
    ("linecard-mempool", Floor(1)),
    ("linecard-flow-classify", Floor(1)),
    ("linecard-ixgbe-model", TestFloor(1)),
    ("linecard-mbuf", Floor(2)),
    ("linecard-virtqueue", Floor(3)),
    ("linecard-pmd-core", Floor(3)),
    ("linecard-pmd-soft", Floor(4)),
    ("linecard-pmd-kernel", Floor(4)),
    ("linecard-pmd-virtio", Floor(4)),
    ("linecard-pmd-vhost", Floor(4)),
    ("linecard-pmd-ixgbe", Floor(4)),
    ("linecard", Floor(5)),
    ("linecard-ring-checks", Outside),
    ("linecard-testbed", Outside),
    ("linecard-benches", Outside),
    ("xtask", Outside),
];

/// Crates of which only some others of ours may be used.
const ONLY: &[(&str, &[&str])] = &[
    ("linecard-flow-classify", &["linecard-net"]),
    ("linecard-ixgbe-model", &["linecard-ixgbe-regs"]),
];

/// Crates that stay usable where there is no operating system to speak of.
const PLATFORM_FREE: &[&str] = &["linecard-net", "linecard-flow-classify"];
const PLATFORM: &[&str] = &["libc", "memmap2", "linecard-eal"];

/// Has no dependency at all, but for its models' sake.
const BARE: &str = "linecard-ring";
const MODELS: &[&str] = &["cfg(loom)", "cfg(shuttle)"];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let packages = workspace.packages.iter();
    packages.flat_map(|package| check_package(&workspace.root, package)).collect()
}

fn check_package(root: &Path, package: &Package) -> Vec<Finding> {
    let path = package.manifest_path.strip_prefix(root).unwrap_or(&package.manifest_path);
    let manifest = std::fs::read_to_string(&package.manifest_path).unwrap_or_default();
    let complaints = complaints(&package.name, &package.dependencies);
    let finding = |(dependency, message): (String, String)| {
        Finding::new(path, line_of(&manifest, &dependency), "floors", message)
    };
    complaints.into_iter().map(finding).collect()
}

/// The line of a manifest that begins with `name`.
fn line_of(manifest: &str, name: &str) -> usize {
    let is_key =
        |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '.', '=']));
    manifest.lines().position(|line| is_key(line.trim_start())).map_or(1, |index| index + 1)
}

/// Each with the dependency it is about.
fn complaints(name: &str, dependencies: &[Dependency]) -> Vec<(String, String)> {
    let Some(place) = place(name) else {
        let message = format!("`{name}` has no floor: add it to HOUSE in xtask/src/tidy/floors.rs");
        return vec![("name".to_owned(), message)];
    };
    let used = dependencies.iter().filter(|dependency| !dependency.is_dev());
    used.filter_map(|dependency| {
        let message = against_floors(name, place, dependency)
            .or_else(|| against_freedom(name, dependency))?;
        Some((dependency.name.clone(), message))
    })
    .collect()
}

fn place(name: &str) -> Option<Place> {
    HOUSE.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, place)| *place)
}

fn against_floors(name: &str, place: Place, dependency: &Dependency) -> Option<String> {
    let other = &dependency.name;
    let below = match self::place(other)? {
        Floor(floor) => floor,
        _ => return Some(format!("`{other}` is for tests: it may only be a dev-dependency")),
    };
    let only = ONLY.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, only)| only);
    if only.is_some_and(|only| !only.contains(&other.as_str())) {
        return Some(format!("of our crates, `{name}` uses {} only", only?.join(", ")));
    }
    match place {
        Floor(floor) | TestFloor(floor) if below >= floor => Some(format!(
            "`{name}` (floor {floor}) may not use `{other}` (floor {below}): arrows only point down"
        )),
        _ => None,
    }
}

fn against_freedom(name: &str, dependency: &Dependency) -> Option<String> {
    let other = dependency.name.as_str();
    if PLATFORM_FREE.contains(&name) && PLATFORM.contains(&other) {
        return Some(format!("`{name}` does without a platform: no `{other}`"));
    }
    let is_for_models = dependency.target.as_deref().is_some_and(|cfg| MODELS.contains(&cfg));
    (name == BARE && !is_for_models).then(|| {
        format!("`{name}` stands on nothing: `{other}` only under {}", MODELS.join(" or "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependency(name: &str) -> Dependency {
        Dependency { name: name.to_owned(), kind: None, target: None }
    }

    fn count(name: &str, other: Dependency) -> usize {
        complaints(name, &[other]).len()
    }

    #[test]
    fn an_arrow_down_is_fine() {
        assert_eq!(count("linecard-mempool", dependency("linecard-ring")), 0);
        assert_eq!(count("linecard", dependency("linecard-pmd-soft")), 0);
        assert_eq!(count("linecard-benches", dependency("linecard")), 0);
    }

    #[test]
    fn an_arrow_up_or_sideways_is_found() {
        assert_eq!(count("linecard-ring", dependency("linecard-mempool")), 1);
        assert_eq!(count("linecard-pmd-soft", dependency("linecard-pmd-kernel")), 1);
        assert_eq!(count("linecard-eal", dependency("linecard-net")), 1);
    }

    #[test]
    fn a_build_dependency_points_down_too() {
        let build = Dependency { kind: Some("build".to_owned()), ..dependency("linecard") };
        assert_eq!(count("linecard-eal", build), 1);
    }

    #[test]
    fn a_dev_dependency_may_point_anywhere() {
        let dev = Dependency { kind: Some("dev".to_owned()), ..dependency("linecard-testbed") };
        assert_eq!(count("linecard-eal", dev), 0);
        assert_eq!(count("linecard-eal", dependency("linecard-testbed")), 1);
        assert_eq!(count("linecard-pmd-ixgbe", dependency("linecard-ixgbe-model")), 1);
    }

    #[test]
    fn flow_classify_stands_on_net_alone() {
        assert_eq!(count("linecard-flow-classify", dependency("linecard-net")), 0);
        assert_eq!(count("linecard-flow-classify", dependency("linecard-ring")), 1);
        assert_eq!(count("linecard-flow-classify", dependency("libc")), 1);
    }

    #[test]
    fn the_ring_has_dependencies_only_under_its_models() {
        assert_eq!(count("linecard-ring", dependency("libc")), 1);
        let model = Dependency { target: Some("cfg(loom)".to_owned()), ..dependency("loom") };
        assert_eq!(count("linecard-ring", model), 0);
    }

    #[test]
    fn an_unknown_crate_is_told_where_to_enter() {
        let found = complaints("linecard-new", &[]);
        assert!(found[0].1.contains("add it to HOUSE"), "{found:?}");
    }

    #[test]
    fn a_complaint_points_at_the_dependencys_line() {
        let manifest = "[dependencies]\nlinecard-ringlet = 1\nlinecard-ring.workspace = true\n";
        assert_eq!(line_of(manifest, "linecard-ring"), 3);
    }
}
