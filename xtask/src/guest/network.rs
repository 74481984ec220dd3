//! A network of a guest's own: the namespace that QEMU, a peer and the programs beside it are in.

use super::qemu::Launch;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

/// What the holder of a namespace says once its commands have been carried out.
const READY: &str = "ready";

/// Where programs are started: in a namespace, or where we are. A namespace ends with this value.
#[derive(Debug, Default)]
pub(crate) struct Network {
    holder: Option<Child>,
    /// What goes before the words of a program.
    prefix: Vec<String>,
}

impl Network {
    /// A namespace in which a shell has carried out these commands; without any, where we are. A plain
    /// user is root there, and may make TAPs.
    pub(crate) fn of(commands: &[String]) -> Result<Self> {
        if commands.is_empty() {
            return Ok(Self::default());
        }
        let (unshare, enter): (&[&str], &[&str]) = match is_root()? {
            true => (&["--net"], &["--net"]),
            false => (
                &["--net", "--user", "--map-root-user"],
                &["--net", "--user", "--preserve-credentials"],
            ),
        };
        let script = format!("set -e\n{}\necho {READY}\nexec sleep infinity", commands.join("\n"));
        let mut holder = Command::new("unshare")
            .args(unshare)
            .args(["--", "setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start unshare")?;
        let target = ["nsenter".into(), format!("--target={}", holder.id())];
        let prefix = target.into_iter().chain(enter.iter().map(|&word| word.into()));
        let prefix = prefix.chain(["--".into()]).collect();
        let said = wait(&mut holder);
        let network = Self { holder: Some(holder), prefix };
        said.map(|()| network)
    }

    /// A program here that dies with us.
    pub(crate) fn launch(&self, program: &str) -> Launch {
        Launch::new(&self.prefix, program)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(holder) = &mut self.holder {
            // Both fail only for one that has ended already.
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

/// Whether we may make a namespace without one for users.
fn is_root() -> Result<bool> {
    let own = std::fs::metadata("/proc/self").context("there is no /proc")?;
    Ok(own.uid() == 0)
}

/// Until the commands have been carried out.
fn wait(holder: &mut Child) -> Result<()> {
    let pipe = holder.stdout.take().context("a pipe")?;
    let mut lines = BufReader::new(pipe).lines().map_while(Result::ok);
    if lines.any(|line| line == READY) {
        return Ok(());
    }
    let mut said = String::new();
    if let Some(mut pipe) = holder.stderr.take() {
        pipe.read_to_string(&mut said).context("what the network's commands say")?;
    }
    bail!("a `network:` line failed: {}", said.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_commands_programs_start_where_we_are() {
        let network = Network::of(&[]).unwrap();
        let command = network.launch("true").finish().unwrap();
        assert_eq!(command.get_program(), "setpriv");
    }
}
