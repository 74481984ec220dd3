//! The guest's root file system.

use super::cpio::Archive;
use super::declaration::{Clock, Declaration};
use super::kernel::Kernel;
use super::modules::Modules;
use super::programs;
use super::quiet;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

const INIT: &str = include_str!("init.sh");
const PASSWD: &str = "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";
const BUSYBOX: &str = "busybox";

/// What is to run in the guest.
#[derive(Debug)]
pub(crate) enum Task<'a> {
    /// The tests with these names, of a test program.
    Tests { program: &'a Path, names: &'a [String] },
    /// A shell on the console, with the test program at hand, if there is one.
    Shell { program: Option<&'a Path> },
}

/// Packs the root file system of a guest.
pub(crate) fn pack(
    declaration: &Declaration,
    kernel: &Kernel,
    built: &[PathBuf],
    task: &Task<'_>,
) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    skeleton(&mut archive)?;
    let modules = Modules::of(kernel)?;
    let wanted = [declaration.modules.as_slice(), &declaration.carried].concat();
    modules.pack(&wanted, kernel, &mut archive)?;
    // Those of the workspace and of this machine come first, busybox's after them.
    for program in built {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        archive.file(&format!("usr/bin/{name}"), 0o755, &read(program)?);
    }
    for program in &declaration.programs {
        programs::pack(program, &mut archive)?;
    }
    busybox(&mut archive)?;
    orders(declaration, task, &mut archive)?;
    Ok(archive.finish())
}

fn skeleton(archive: &mut Archive) -> Result<()> {
    for link in ["bin", "sbin", "lib", "lib64"] {
        archive.symlink(link, &format!("usr/{link}"));
    }
    // The kernel calls /sbin/modprobe when it wants a module.
    archive.symlink("usr/sbin", "bin");
    for folder in ["dev", "proc", "sys", "tmp", "run", "var/run", "usr/lib64"] {
        archive.directory(folder);
    }
    archive.character_device("dev/console", (5, 1));
    archive.file("etc/passwd", 0o644, PASSWD.as_bytes());
    archive.file("etc/group", 0o644, GROUP.as_bytes());
    archive.file("init", 0o755, INIT.as_bytes());
    let ids = Path::new("/usr/share/misc/pci.ids");
    if ids.is_file() {
        archive.file("usr/share/misc/pci.ids", 0o644, &read(ids)?);
    }
    Ok(())
}

/// Busybox and its names. It must be the static one.
fn busybox(archive: &mut Archive) -> Result<()> {
    programs::pack(BUSYBOX, archive)?;
    for applet in quiet(Command::new(BUSYBOX).arg("--list"))?.lines() {
        archive.symlink(&format!("usr/bin/{applet}"), BUSYBOX);
    }
    Ok(())
}

/// What `init.sh` reads.
fn orders(declaration: &Declaration, task: &Task<'_>, archive: &mut Archive) -> Result<()> {
    let modules = declaration.modules.join("\n");
    archive.file("etc/linecard/modules", 0o644, modules.as_bytes());
    archive.file("etc/linecard/environment", 0o644, environment(declaration).as_bytes());
    let (program, run) = match task {
        Task::Tests { program, names } => (Some(*program), run_tests(names)),
        Task::Shell { program } => (*program, RUN_SHELL.to_owned()),
    };
    if let Some(program) = program {
        archive.file("test", 0o755, &read(program)?);
    }
    archive.file("etc/linecard/run", 0o644, run.as_bytes());
    if let Some(peer) = &declaration.peer {
        archive.file("etc/linecard/peer", 0o644, run_peer(&peer.script).as_bytes());
    }
    Ok(())
}

fn environment(declaration: &Declaration) -> String {
    let mut text = String::from("export LINECARD_GUEST=1\n");
    if declaration.clock == Clock::Instructions {
        text.push_str("export LINECARD_ICOUNT=1\n");
    }
    if crate::test::all_required() {
        text.push_str("export LINECARD_REQUIRE_ALL=1\n");
    }
    text
}

/// After its last line the host ends the guest.
fn run_tests(names: &[String]) -> String {
    format!(
        "exec </dev/null >/dev/ttyS1 2>&1\n\
         echo \"##linecard ready $(cut -d' ' -f1 /proc/uptime)\"\n\
         /test --ignored --test-threads=1 --nocapture --exact {}\n\
         echo \"##linecard exit $?\"\n\
         sleep 60\n\
         poweroff -f\n",
        names.join(" ")
    )
}

/// It runs until it is killed from outside.
fn run_peer(script: &[String]) -> String {
    format!(
        "exec </dev/null >/dev/ttyS0 2>&1\n{}\nwhile true; do sleep 60; done\n",
        script.join("\n")
    )
}

const RUN_SHELL: &str = "\
    echo 'The test program, if any, is /test. poweroff -f ends the guest, and so does Ctrl-A X.'\n\
    setsid cttyhack sh\n\
    poweroff -f\n";

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
