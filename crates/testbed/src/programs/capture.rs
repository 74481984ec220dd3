//! `tcpdump`, `tshark` and `capinfos`: what was on the wire, as others read it.

use super::{Output, Program, ProgramError, Running};
use crate::netns::Netns;
use std::path::{Path, PathBuf};
use std::time::Duration;

const START: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(60);

/// A `tcpdump` that writes what passes an interface into a pcap file.
#[derive(Debug)]
pub struct Capture {
    running: Running,
    path: PathBuf,
}

/// What a [`Capture`] has caught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The pcap file.
    pub path: PathBuf,
    /// Packets in it.
    pub packets: u64,
    /// Packets that the kernel had no room for.
    pub dropped: u64,
}

impl Capture {
    /// Starts to capture at `interface` inside `at`, packets that match `filter` (tcpdump's
    /// language; empty for all). On return the capture has begun.
    ///
    /// # Errors
    /// If `tcpdump` is missing, or refuses the interface or the filter.
    pub fn start(
        at: &Netns,
        interface: &str,
        filter: &str,
        path: &Path,
    ) -> Result<Self, ProgramError> {
        let mut running = at
            .program("tcpdump")
            .words("-n -U -Z root --immediate-mode -i")
            .args([interface, "-w"])
            .arg(path)
            .words(filter)
            .spawn()?;
        running.wait_for("listening on", START)?;
        Ok(Self { running, path: path.to_owned() })
    }

    /// Ends the capture and counts.
    ///
    /// # Errors
    /// If `tcpdump` does not end, or does not say how many packets there were.
    pub fn stop(self) -> Result<Captured, ProgramError> {
        let output = self.running.interrupt(END)?;
        match counts(&output.stderr) {
            Some((packets, dropped)) => Ok(Captured { path: self.path, packets, dropped }),
            None => Err(output.unreadable("packet counts")),
        }
    }
}

fn counts(text: &str) -> Option<(u64, u64)> {
    let count = |label: &str| {
        let line = text.lines().find(|line| line.contains(label))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some((count("captured")?, count("dropped by kernel")?))
}

/// How `tcpdump` describes the packets of a file, one line a packet, link header included.
///
/// # Errors
/// If `tcpdump` is missing or cannot read the file.
pub fn tcpdump_lines(file: &Path, filter: &str) -> Result<Vec<String>, ProgramError> {
    let output =
        Program::new("tcpdump").words("-n -e -t -Z root -r").arg(file).words(filter).run()?;
    Ok(output.stdout.lines().map(str::to_owned).collect())
}

/// The values of `fields` (tshark's names, such as `ip.src`) of the packets of a file that match
/// the display filter `filter` (empty for all), one row a packet.
///
/// # Errors
/// If `tshark` is missing, or refuses the file, a field or the filter.
pub fn tshark_fields(
    file: &Path,
    filter: &str,
    fields: &[&str],
) -> Result<Vec<Vec<String>>, ProgramError> {
    let columns = fields.iter().flat_map(|field| ["-e", field]);
    let output = tshark(file, filter).words("-T fields").args(columns).run()?;
    let row = |line: &str| line.split('\t').map(str::to_owned).collect();
    Ok(output.stdout.lines().map(row).collect())
}

/// What `tshark` finds wrong in a file, one line a complaint: malformed packets, and wrong IPv4,
/// TCP, UDP and ICMP checksums. Empty is good.
///
/// # Errors
/// If `tshark` is missing or cannot read the file.
pub fn tshark_complaints(file: &Path) -> Result<Vec<String>, ProgramError> {
    let rows = tshark(file, "_ws.malformed || _ws.expert.severity >= 8388608")
        .words("-T fields -e frame.number -e _ws.malformed -e _ws.expert.message")
        .run()?;
    Ok(rows.stdout.lines().map(str::to_owned).collect())
}

fn tshark(file: &Path, filter: &str) -> Program {
    let program = Program::new("tshark")
        .args(["-n", "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"])
        .args(["-o", "udp.check_checksum:TRUE", "-r"])
        .arg(file);
    if filter.is_empty() { program } else { program.args(["-Y", filter]) }
}

/// What `capinfos` says about a capture file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capinfos {
    /// The file's format: `pcap`, `nsecpcap`, `pcapng`.
    pub format: String,
    /// The link type: `ether`.
    pub link: String,
    /// How many packets there are.
    pub packets: u64,
    /// Their length together, in bytes.
    pub bytes: u64,
}

/// Asks `capinfos` about a capture file; a file cut short is an error.
///
/// # Errors
/// If `capinfos` is missing or finds the file damaged.
pub fn capinfos(file: &Path) -> Result<Capinfos, ProgramError> {
    let output = Program::new("capinfos").words("-M -c -d -t -E").arg(file).run()?;
    infos(&output).ok_or_else(|| output.unreadable("packet count"))
}

fn infos(output: &Output) -> Option<Capinfos> {
    let value = |label: &str| {
        let line = output.stdout.lines().find_map(|line| line.strip_prefix(label))?;
        line.trim_start_matches(':').split_whitespace().next()
    };
    Some(Capinfos {
        format: value("File type")?.to_owned(),
        link: value("File encapsulation")?.to_owned(),
        packets: value("Number of packets")?.parse().ok()?,
        bytes: value("Data size")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    #[test]
    fn tcpdumps_counts_are_read() {
        let text =
            "12 packets captured\n24 packets received by filter\n1 packet dropped by kernel\n";
        assert_eq!(counts(text), Some((12, 1)));
        assert_eq!(counts("1 packet captured\n0 packets dropped by kernel\n"), Some((1, 0)));
    }

    #[test]
    fn capinfos_report_is_read() {
        let stdout = "File name:           e.pcap\nFile type:           pcap\n\
                      File encapsulation:  ether\nNumber of packets:   3\n\
                      Data size:           180 bytes\n";
        let output = Output {
            command: String::new(),
            status: ExitStatus::from_raw(0),
            stdout: stdout.to_owned(),
            stderr: String::new(),
        };
        let expected =
            Capinfos { format: "pcap".into(), link: "ether".into(), packets: 3, bytes: 180 };
        assert_eq!(infos(&output), Some(expected));
    }
}
