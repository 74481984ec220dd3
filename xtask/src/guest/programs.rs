//! Programs of this machine, packed with the shared libraries that they load.

use super::cpio::Archive;
use super::quiet;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// DPDK's drivers that are not linked into its programs but loaded from its folder.
const PLUGINS: &[&str] = &[
    "librte_mempool_ring",
    "librte_mempool_stack",
    "librte_net_virtio",
    "librte_net_vhost",
    "librte_net_ring",
    "librte_net_null",
    "librte_net_tap",
    "librte_net_af_packet",
];

/// Debian packages of programs that a declaration may ask for, for the message about a missing one.
const PACKAGES: &[(&str, &str)] = &[
    ("lspci", "pciutils"),
    ("ping", "iputils-ping"),
    ("ip", "iproute2"),
    ("dpdk-testpmd", "dpdk"),
    ("setpriv", "util-linux"),
];

/// What `programs` lacks on this machine, with the command that mends it.
pub(crate) fn missing(programs: &[String]) -> Vec<String> {
    let absent = programs.iter().filter(|name| find(name).is_none());
    absent.map(|name| format!("{name} (apt-get install {})", package_of(name))).collect()
}

fn package_of(program: &str) -> &str {
    let known = PACKAGES.iter().find(|(name, _)| *name == program);
    known.map_or(program, |(_, package)| package)
}

/// Packs a program under its name, its libraries where the loader looks for them.
pub(crate) fn pack(name: &str, into: &mut Archive) -> Result<()> {
    let path = find(name).with_context(|| format!("there is no program {name}"))?;
    into.file(&format!("usr/bin/{name}"), 0o755, &read(&path)?);
    let libraries = libraries(&path)?;
    let is_dpdk = libraries.iter().any(|library| library.contains("librte_eal"));
    pack_libraries(&libraries, into)?;
    if is_dpdk { pack_plugins(&libraries, into) } else { Ok(()) }
}

fn pack_libraries(libraries: &[String], into: &mut Archive) -> Result<()> {
    for library in libraries {
        into.file(&place(library), 0o755, &read(Path::new(library))?);
    }
    Ok(())
}

/// A driver that lies in the folder and is linked as well ends the program.
fn pack_plugins(linked: &[String], into: &mut Archive) -> Result<()> {
    let Some(folder) = plugin_folder(linked) else { return Ok(()) };
    for plugin in PLUGINS {
        let is_linked = linked.iter().any(|library| library.contains(&format!("/{plugin}.so")));
        let file = if is_linked { None } else { plugin_file(&folder, plugin) };
        if let Some(file) = file {
            into.file(&place(&file.to_string_lossy()), 0o755, &read(&file)?);
            pack_libraries(&libraries(&file)?, into)?;
        }
    }
    Ok(())
}

fn plugin_folder(linked: &[String]) -> Option<PathBuf> {
    let plugin = linked.iter().find(|library| library.contains("/dpdk/pmds-"))?;
    Some(Path::new(plugin).parent()?.to_owned())
}

/// The file itself, `librte_net_virtio.so.23.0`, not the links to it.
fn plugin_file(folder: &Path, plugin: &str) -> Option<PathBuf> {
    std::fs::canonicalize(folder.join(format!("{plugin}.so"))).ok()
}

/// Debian's `/lib` is a link to `/usr/lib`, and so is the guest's.
fn place(path: &str) -> String {
    let path = path.trim_start_matches('/');
    if path.starts_with("lib") { format!("usr/{path}") } else { path.to_owned() }
}

/// What the loader would load, as absolute paths.
fn libraries(program: &Path) -> Result<Vec<String>> {
    let said = quiet(Command::new("ldd").arg(program));
    // A static program has none, and ldd calls that a failure.
    let said = said.unwrap_or_default();
    let words =
        said.lines().filter_map(|line| line.split_whitespace().find(|w| w.starts_with('/')));
    Ok(words.map(Into::into).collect())
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_lie_where_the_links_of_the_guest_lead() {
        assert_eq!(place("/lib/x86_64-linux-gnu/libc.so.6"), "usr/lib/x86_64-linux-gnu/libc.so.6");
        assert_eq!(place("/lib64/ld-linux-x86-64.so.2"), "usr/lib64/ld-linux-x86-64.so.2");
        assert_eq!(place("/usr/lib/a.so"), "usr/lib/a.so");
    }

    #[test]
    fn what_is_missing_is_told_with_its_package() {
        let told = missing(&["sh".into(), "no-such-program".into()]);
        assert_eq!(told, ["no-such-program (apt-get install no-such-program)"]);
    }
}
