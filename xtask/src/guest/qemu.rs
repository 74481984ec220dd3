//! The command line of QEMU, and the sockets that it and the programs beside it inherit.

use super::declaration::{Clock, Declaration, Iommu};
use super::kernel::Kernel;
use super::network::Network;
use anyhow::{Context, Result, bail};
use command_fds::{CommandFdExt, FdMapping};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

pub(crate) const PROGRAM: &str = "qemu-system-x86_64";

/// The first descriptor that a child inherits beside its standard ones.
const FIRST_FD: i32 = 10;

/// A command with descriptors to inherit.
#[derive(Debug)]
pub(crate) struct Launch {
    command: Command,
    inherited: Vec<FdMapping>,
}

impl Launch {
    /// A program that dies with us. `prefix` are the words that put it into its place.
    pub(crate) fn new(prefix: &[String], program: &str) -> Self {
        let mut words = prefix.iter().map(String::as_str).chain(["setpriv"]);
        let mut command = Command::new(words.next().expect("one at least"));
        command.args(words).args(["--pdeathsig", "KILL", "--", program]).stdin(Stdio::null());
        Self { command, inherited: Vec::new() }
    }

    pub(crate) fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    fn args(&mut self, words: &[&str]) -> &mut Self {
        self.command.args(words);
        self
    }

    /// The number that `socket` will have in the child.
    pub(crate) fn inherit(&mut self, socket: OwnedFd) -> i32 {
        let child_fd = FIRST_FD + i32::try_from(self.inherited.len()).expect("they are few");
        self.inherited.push(FdMapping { parent_fd: socket, child_fd });
        child_fd
    }

    /// A serial line or a monitor: its other end.
    fn channel(&mut self, id: &str) -> Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair().context("cannot make a socket")?;
        let fd = self.inherit(theirs.into());
        self.args(&["-chardev", &format!("socket,id={id},fd={fd}")]);
        Ok(ours)
    }

    pub(crate) fn finish(mut self) -> Result<Command> {
        self.command.fd_mappings(self.inherited).context("two sockets with one number")?;
        Ok(self.command)
    }
}

/// Replaces `{run}` by the guest's folder and `{socket:NAME}` by the number of the inherited end
/// of the socket pair NAME.
pub(crate) fn expand(
    text: &str,
    run: &Path,
    ends: &mut BTreeMap<String, OwnedFd>,
    launch: &mut Launch,
) -> Result<String> {
    let mut text = text.replace("{run}", &run.to_string_lossy());
    while let Some((before, rest)) = text.split_once("{socket:") {
        let Some((name, after)) = rest.split_once('}') else { bail!("`{text}` lacks a }}") };
        let end = ends.remove(name).with_context(|| {
            format!("the socket {name} has two ends: one for a `guest:`, one for a `host:` line")
        })?;
        text = format!("{before}{}{after}", launch.inherit(end));
    }
    Ok(text)
}

/// The names in `{socket:NAME}`.
pub(crate) fn socket_names(text: &str) -> impl Iterator<Item = &str> {
    text.split("{socket:").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}

/// Our ends of what a guest says and hears.
#[derive(Debug)]
pub(crate) struct Channels {
    pub(crate) console: UnixStream,
    pub(crate) results: UnixStream,
    /// A test's requests for the monitor.
    pub(crate) requests: UnixStream,
    pub(crate) monitor: UnixStream,
}

/// The machine, without console: memory, CPUs, IOMMU, clock, kernel.
pub(crate) fn machine(
    declaration: &Declaration,
    kernel: &Kernel,
    root: &Path,
    network: &Network,
) -> Launch {
    let mut launch = network.launch(PROGRAM);
    launch.args(&["-nodefaults", "-display", "none", "-no-reboot", "-cpu", "max"]);
    launch.args(&["-accel", accelerator(declaration), "-smp", &declaration.cpus.to_string()]);
    memory(declaration, &mut launch);
    if declaration.iommu == Iommu::Intel {
        launch.args(&["-device", "intel-iommu,intremap=on,device-iotlb=on"]);
    }
    if declaration.clock == Clock::Instructions {
        launch.args(&["-icount", "shift=0", "-rtc", "clock=vm,base=2024-01-01"]);
    }
    launch.command().arg("-kernel").arg(kernel.image()).arg("-initrd").arg(root);
    launch.args(&["-append", &kernel_line(declaration)]);
    launch
}

/// The guest beside it: its console is what it says. It reboots when it is told to.
pub(crate) fn peer(kernel: &Kernel, root: &Path, network: &Network) -> Launch {
    let mut launch = network.launch(PROGRAM);
    launch.args(&["-nodefaults", "-display", "none", "-cpu", "max", "-accel", "tcg", "-smp", "2"]);
    launch.args(&["-m", "256M", "-machine", "q35"]);
    launch.args(&["-object", "memory-backend-memfd,id=m,size=256M,share=on"]);
    launch.args(&["-numa", "node,memdev=m", "-serial", "stdio"]);
    launch.command().arg("-kernel").arg(kernel.image()).arg("-initrd").arg(root);
    launch.args(&["-append", &format!("{KERNEL} linecard=peer")]);
    launch
}

fn accelerator(declaration: &Declaration) -> &'static str {
    let in_turn = declaration.clock == Clock::Instructions || declaration.has_proxy_device();
    if in_turn { "tcg,thread=single" } else { "tcg" }
}

/// All memory is shared: models and back ends in other processes reach it.
fn memory(declaration: &Declaration, launch: &mut Launch) {
    let Declaration { memory, nodes, cpus, .. } = declaration;
    let irqchip = match declaration.iommu {
        Iommu::Intel => ",kernel-irqchip=split",
        Iommu::None => "",
    };
    launch.args(&["-m", &format!("{}M", memory * nodes), "-machine", &format!("q35{irqchip}")]);
    for node in 0..*nodes {
        let backend = format!("memory-backend-memfd,id=m{node},size={memory}M,share=on");
        let mut numa = format!("node,nodeid={node},memdev=m{node}");
        for cpu in (0..*cpus).filter(|cpu| cpu % nodes == node) {
            numa.push_str(&format!(",cpus={cpu}"));
        }
        launch.args(&["-object", &backend, "-numa", &numa]);
    }
}

/// Without `no_timer_check` the kernel expects ten timer interrupts while it counts to a number, and
/// panics when a busy machine gives QEMU no time to send them. What it says before it has a console
/// goes to the same line.
const KERNEL: &str =
    "earlyprintk=serial,ttyS0,115200 console=ttyS0 quiet panic=-1 oops=panic no_timer_check";

fn kernel_line(declaration: &Declaration) -> String {
    let mut words = vec![KERNEL.to_owned()];
    if declaration.hugepages > 0 {
        let each = (0..declaration.nodes).map(|node| format!("{node}:{}", declaration.hugepages));
        words.push(format!("hugepages={}", each.collect::<Vec<_>>().join(",")));
    }
    if declaration.iommu == Iommu::Intel {
        words.push("intel_iommu=on".into());
    }
    words.extend(declaration.append.iter().cloned());
    words.join(" ")
}

/// Connects the serial lines and the monitor to us.
pub(crate) fn channels(launch: &mut Launch) -> Result<Channels> {
    let console = launch.channel("console")?;
    let results = launch.channel("results")?;
    let requests = launch.channel("requests")?;
    let monitor = launch.channel("monitor")?;
    for serial in ["chardev:console", "chardev:results", "chardev:requests"] {
        launch.args(&["-serial", serial]);
    }
    launch.args(MONITOR);
    Ok(Channels { console, results, requests, monitor })
}

const MONITOR: &[&str] = &["-mon", "chardev=monitor,mode=control"];

/// Connects the monitor of a peer to us.
pub(crate) fn monitor(launch: &mut Launch) -> Result<UnixStream> {
    let monitor = launch.channel("monitor")?;
    launch.args(MONITOR);
    Ok(monitor)
}

/// The peer moves in here.
pub(crate) fn incoming(launch: &mut Launch, run: &Path) {
    let place = format!("unix:{}", run.join("move").display());
    launch.args(&["-incoming", &place]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_the_folder_and_inherited_numbers() {
        let (one, _other) = UnixStream::pair().unwrap();
        let mut ends = BTreeMap::from([("nic".to_owned(), OwnedFd::from(one))]);
        let mut launch = Launch::new(&[], "true");
        let run = Path::new("/run/g");
        let text = expand("a,fd={socket:nic},path={run}/b", run, &mut ends, &mut launch).unwrap();
        assert_eq!(text, "a,fd=10,path=/run/g/b");
        let error = expand("{socket:nic}", run, &mut ends, &mut launch).unwrap_err();
        assert!(error.to_string().contains("two ends"), "{error}");
    }

    #[test]
    fn huge_pages_are_asked_for_node_by_node() {
        let line = kernel_line(&Declaration::default());
        assert!(line.contains("hugepages=0:64,1:64") && line.contains("intel_iommu=on"), "{line}");
    }

    #[test]
    fn names_of_sockets_are_found() {
        assert_eq!(socket_names("x{socket:a}y{socket:b}").collect::<Vec<_>>(), ["a", "b"]);
    }
}
