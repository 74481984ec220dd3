//! QEMU's monitor on behalf of the tests in a guest.
//!
//! A test writes one line, a command of the human monitor (`set_link n0 off`), and reads one line,
//! `{"ok": text}` or `{"error": text}`. A command after `peer: ` is for the peer.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Before a command for the peer's QEMU.
const PEER: &str = "peer: ";

/// The control protocol of QEMU (its documentation's "QMP"): a line of JSON each way.
#[derive(Debug)]
pub(crate) struct Monitor {
    reader: BufReader<UnixStream>,
}

impl Monitor {
    pub(crate) fn connect(stream: UnixStream) -> Result<Self> {
        let mut monitor = Self { reader: BufReader::new(stream) };
        monitor.read().context("QEMU does not greet")?;
        monitor.execute(&json!({"execute": "qmp_capabilities"}))?;
        Ok(monitor)
    }

    /// What QEMU says to a command of its human monitor.
    fn human(&mut self, line: &str) -> Result<String> {
        let arguments = json!({"command-line": line});
        let said =
            self.execute(&json!({"execute": "human-monitor-command", "arguments": arguments}))?;
        let text = said.as_str().unwrap_or_default().trim().to_owned();
        let is_refused =
            ["Error", "unknown command", "invalid"].iter().any(|sign| text.starts_with(sign));
        if is_refused { bail!("{text}") } else { Ok(text) }
    }

    fn execute(&mut self, request: &Value) -> Result<Value> {
        self.reader.get_mut().write_all(format!("{request}\n").as_bytes())?;
        loop {
            let mut said = self.read()?;
            if let Some(error) = said.get("error") {
                bail!("{}", error.get("desc").and_then(Value::as_str).unwrap_or("QEMU refuses"));
            }
            if let Some(answer) = said.get_mut("return") {
                return Ok(answer.take());
            }
            // Anything else is an event.
        }
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            bail!("QEMU is gone");
        }
        serde_json::from_str(&line).context("QEMU does not speak JSON")
    }
}

/// The monitors of a guest and its peer.
#[derive(Debug)]
pub(crate) struct Monitors {
    pub(crate) guest: Monitor,
    pub(crate) peer: Option<Monitor>,
    /// The guest's folder: `{run}` in commands.
    pub(crate) run: PathBuf,
}

impl Monitors {
    /// Answers the requests of the tests until the guest is gone. `note` hears of each.
    pub(crate) fn serve(mut self, requests: UnixStream, note: impl Fn(String)) -> Result<()> {
        let mut answers = requests.try_clone().context("cannot share a socket")?;
        for line in BufReader::new(requests).lines().map_while(Result::ok) {
            let answer = match self.obey(line.trim()) {
                Ok(text) => json!({"ok": text}),
                Err(error) => json!({"error": error.to_string()}),
            };
            note(format!("monitor: {line}: {answer}"));
            if answers.write_all(format!("{answer}\n").as_bytes()).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn obey(&mut self, line: &str) -> Result<String> {
        let line = line.replace("{run}", &self.run.to_string_lossy());
        match line.strip_prefix(PEER) {
            None => self.guest.human(&line),
            Some(command) => self.peer.as_mut().context("there is no peer")?.human(command),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// A QEMU that greets, tells of an event before every answer, and answers `answers`.
    fn qemu(answers: Vec<Value>) -> UnixStream {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        thread::spawn(move || {
            theirs.write_all(b"{\"QMP\": {}}\n").unwrap();
            let mut requests = BufReader::new(theirs.try_clone().unwrap()).lines();
            for answer in [json!({"return": {}})].into_iter().chain(answers) {
                requests.next().unwrap().unwrap();
                let event = json!({"event": "RTC_CHANGE"});
                theirs.write_all(format!("{event}\n{answer}\n").as_bytes()).unwrap();
            }
        });
        ours
    }

    #[test]
    fn events_are_not_taken_for_answers() {
        let mut monitor = Monitor::connect(qemu(vec![json!({"return": "yes\r\n"})])).unwrap();
        assert_eq!(monitor.human("info status").unwrap(), "yes");
    }

    #[test]
    fn refusals_of_both_kinds_are_errors() {
        let said = json!({"return": "Error: Device 'x' not found\r\n"});
        let refused = json!({"error": {"class": "GenericError", "desc": "no"}});
        let mut monitor = Monitor::connect(qemu(vec![said, refused])).unwrap();
        assert!(monitor.human("device_del x").unwrap_err().to_string().contains("'x' not found"));
        assert_eq!(monitor.human("device_del y").unwrap_err().to_string(), "no");
        assert!(monitor.human("info status").is_err(), "it is gone");
    }

    #[test]
    fn a_guest_gets_one_line_for_one_line() {
        let monitor = Monitor::connect(qemu(vec![json!({"return": ""})])).unwrap();
        let (guest, host) = UnixStream::pair().unwrap();
        let peer = Monitor::connect(qemu(vec![json!({"return": "moved"})])).unwrap();
        let monitors = Monitors { guest: monitor, peer: Some(peer), run: "/run/g".into() };
        let served = thread::spawn(move || monitors.serve(host, |_| ()));
        for (asked, said) in [("set_link n0 off", ""), ("peer: info migrate", "moved")] {
            (&guest).write_all(format!("{asked}\n").as_bytes()).unwrap();
            let mut answer = String::new();
            BufReader::new(&guest).read_line(&mut answer).unwrap();
            assert_eq!(answer, format!("{{\"ok\":\"{said}\"}}\n"));
        }
        guest.shutdown(std::net::Shutdown::Both).unwrap();
        served.join().unwrap().unwrap();
    }
}
