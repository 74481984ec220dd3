//! Third-party programs, run with a time limit and never left behind.
//!
//! [`Program`] says what to run, [`Program::run`] waits for it, [`Program::spawn`] leaves it
//! [`Running`] until it is told to stop or is dropped. Everything a program prints is kept, so
//! that a failure can be read from the test's own output.
//!
//! The judges of host tests build on it: [`ping()`] the kernel's stack answers, [`iperf`] loads
//! it, [`capture`] reads what was on the wire.

pub mod capture;
pub mod iperf;
pub mod ping;

pub use ping::{Ping, ping};

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a program may take unless [`Program::within`] says otherwise.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(120);

const POLL: Duration = Duration::from_millis(5);

/// Why a program did not do what a test asked of it.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It could not be started.
    #[error("cannot start `{command}`: {cause}; is its Debian package installed?")]
    Start {
        /// The command line.
        command: String,
        /// What the kernel said.
        cause: std::io::Error,
    },
    /// It ended with a failure.
    #[error("`{command}` ended with {status}: {printed}")]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it printed: standard output, then standard error.
        printed: String,
    },
    /// It was still running at its time limit, and was killed.
    #[error("`{command}` was not done after {limit:?}; it had printed: {printed}")]
    TimedOut {
        /// The command line.
        command: String,
        /// The limit.
        limit: Duration,
        /// What it had printed until then.
        printed: String,
    },
    /// Its output is not of the form this module reads.
    #[error("cannot read the output of `{command}`: no {what} in: {printed}")]
    Unreadable {
        /// The command line.
        command: String,
        /// What was looked for.
        what: &'static str,
        /// What it printed.
        printed: String,
    },
    /// The kernel refused something that was asked of it without a program.
    #[error("{what}: {cause}")]
    System {
        /// What was asked.
        what: String,
        /// What the kernel said.
        cause: std::io::Error,
    },
}

/// A command line to be run.
#[derive(Debug)]
pub struct Program {
    command: Command,
    limit: Duration,
}

impl Program {
    /// The program `name`, looked up in `PATH`, without arguments.
    #[must_use]
    pub fn new(name: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(name);
        command.stdin(Stdio::null()).env("LC_ALL", "C");
        // SAFETY: between fork and exec only `signal` is called, which is async-signal-safe.
        unsafe { command.pre_exec(heed_interrupts) };
        Self { command, limit: DEFAULT_LIMIT }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Adds the words of `line`, which contains no quoting.
    #[must_use]
    pub fn words(self, line: &str) -> Self {
        self.args(line.split_whitespace())
    }

    /// Sets an environment variable of the program.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Kills the program when it is not done after `limit`.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the program to its end and demands success.
    ///
    /// # Errors
    /// If it cannot be started, fails, or takes longer than its limit.
    pub fn run(self) -> Result<Output, ProgramError> {
        let ended = self.finish()?;
        if ended.status.success() { Ok(ended) } else { Err(ended.failed()) }
    }

    /// Runs the program to its end, whatever its exit status.
    ///
    /// # Errors
    /// If it cannot be started or takes longer than its limit.
    pub fn finish(self) -> Result<Output, ProgramError> {
        let limit = self.limit;
        self.spawn()?.wait(limit)
    }

    /// Starts the program and leaves it running, its standard input open.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(mut self) -> Result<Running, ProgramError> {
        let text = self.text();
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self
            .command
            .spawn()
            .map_err(|cause| ProgramError::Start { command: text.clone(), cause })?;
        let stdout = Collector::of(child.stdout.take());
        let stderr = Collector::of(child.stderr.take());
        Ok(Running { child, text, stdout, stderr })
    }

    fn text(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    }
}

/// A shell starts what it puts into the background deaf to SIGINT, and children inherit that: tests
/// that are run so would wait in vain for a program that they interrupt.
fn heed_interrupts() -> std::io::Result<()> {
    // SAFETY: the default action is no handler of ours.
    match unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) } {
        libc::SIG_ERR => Err(std::io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// What a program that ended has left.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed to standard output.
    pub stdout: String,
    /// What it printed to standard error.
    pub stderr: String,
}

impl Output {
    /// The error that this end amounts to.
    #[must_use]
    pub fn failed(self) -> ProgramError {
        let printed = self.printed();
        ProgramError::Failed { command: self.command, status: self.status, printed }
    }

    /// The error of an output without `what`.
    #[must_use]
    pub fn unreadable(self, what: &'static str) -> ProgramError {
        let printed = self.printed();
        ProgramError::Unreadable { command: self.command, what, printed }
    }

    /// Standard output, then standard error.
    #[must_use]
    pub fn printed(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// A program at work. Dropping it kills it and waits for its end.
#[derive(Debug)]
pub struct Running {
    child: Child,
    text: String,
    stdout: Collector,
    stderr: Collector,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far: standard output, then standard error.
    #[must_use]
    pub fn printed(&self) -> String {
        format!("{}{}", self.stdout.text(), self.stderr.text())
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Writes `line` and a line feed to its standard input.
    ///
    /// # Errors
    /// If the program has closed its standard input, as by ending.
    pub fn send_line(&mut self, line: &str) -> Result<(), ProgramError> {
        let refused = |cause| ProgramError::System {
            what: format!("cannot write to `{}`", self.text),
            cause,
        };
        let stdin = self.child.stdin.as_mut();
        let stdin = stdin.ok_or_else(|| refused(std::io::ErrorKind::BrokenPipe.into()))?;
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).map_err(refused)
    }

    /// Waits until the program has printed `text`, at most `limit`.
    ///
    /// # Errors
    /// If it ended or the limit passed without that.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Result<(), ProgramError> {
        let start = Instant::now();
        loop {
            let ended = self.ended();
            if self.printed().contains(text) {
                return Ok(());
            }
            if let Some(status) = ended {
                return Err(self.output(status).failed());
            }
            if start.elapsed() > limit {
                return Err(self.timed_out(limit));
            }
            thread::sleep(POLL);
        }
    }

    /// Closes its standard input and waits for its end, at most `limit`, then kills it.
    ///
    /// # Errors
    /// If it had to be killed.
    pub fn wait(mut self, limit: Duration) -> Result<Output, ProgramError> {
        drop(self.child.stdin.take());
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return Ok(self.output(status));
            }
            if start.elapsed() > limit {
                self.kill();
                return Err(self.timed_out(limit));
            }
            thread::sleep(POLL);
        }
    }

    /// Interrupts it (as Ctrl-C does) and waits for its end, at most `limit`, then kills it.
    ///
    /// # Errors
    /// If it had to be killed.
    pub fn interrupt(mut self, limit: Duration) -> Result<Output, ProgramError> {
        if self.is_running() {
            self.signal(libc::SIGINT);
        }
        self.wait(limit)
    }

    fn signal(&self, signal: libc::c_int) {
        let Ok(id) = libc::pid_t::try_from(self.child.id()) else { return };
        // SAFETY: kill only takes numbers. The id is our child's: only this handle waits for it,
        // and `interrupt` has just seen it run, so the kernel has not given the id away.
        unsafe { libc::kill(id, signal) };
    }

    /// Its status if it ended; by then all its output has been read.
    fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten()?;
        self.stdout.join();
        self.stderr.join();
        Some(status)
    }

    fn output(&self, status: ExitStatus) -> Output {
        Output {
            command: self.text.clone(),
            status,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }

    fn timed_out(&self, limit: Duration) -> ProgramError {
        ProgramError::TimedOut { command: self.text.clone(), limit, printed: self.printed() }
    }

    fn kill(&mut self) {
        // Both fail only when the program has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads a pipe to its end in a thread, so that the writer never blocks on a full pipe.
#[derive(Debug)]
struct Collector {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Collector {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let reader = pipe.map(|pipe| {
            let bytes = Arc::clone(&bytes);
            thread::spawn(move || collect(pipe, &bytes))
        });
        Self { bytes, reader }
    }

    fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn join(&mut self) {
        if let Some(reader) = self.reader.take() {
            // The reader does not panic: a read error ends it.
            let _ = reader.join();
        }
    }
}

fn collect(mut pipe: impl Read, bytes: &Mutex<Vec<u8>>) {
    let mut chunk = [0; 4096];
    while let Ok(read @ 1..) = pipe.read(&mut chunk) {
        bytes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&chunk[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn what_a_program_prints_is_kept() {
        let output = Program::new("echo").words("one  two").run().unwrap();
        assert_eq!(output.stdout, "one two\n");
    }

    #[test]
    fn a_failure_tells_the_command_and_what_it_printed() {
        let error = Program::new("sh").arg("-c").arg("echo no >&2; exit 3").run().unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit 3") && text.contains("no\n"), "{text}");
    }

    #[test]
    fn an_unknown_program_is_an_error_that_names_it() {
        let error = Program::new("no-such-program").run().unwrap_err();
        assert!(error.to_string().contains("cannot start `no-such-program`"), "{error}");
    }

    #[test]
    fn a_program_past_its_limit_is_killed() {
        let start = Instant::now();
        let error = Program::new("sleep").arg("60").within(Duration::from_millis(50)).run();
        assert!(matches!(error, Err(ProgramError::TimedOut { .. })), "{error:?}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_running_program_answers_lines() {
        let mut cat = Program::new("cat").spawn().unwrap();
        cat.send_line("hello").unwrap();
        cat.wait_for("hello\n", DEFAULT_LIMIT).unwrap();
        assert!(cat.is_running());
        assert_eq!(cat.wait(DEFAULT_LIMIT).unwrap().stdout, "hello\n");
    }

    #[test]
    fn an_interrupt_ends_a_program_at_once() {
        let sleep = Program::new("sleep").arg("60").spawn().unwrap();
        let output = sleep.interrupt(DEFAULT_LIMIT).unwrap();
        assert_eq!(output.status.signal(), Some(libc::SIGINT));
    }

    #[test]
    fn a_dropped_program_is_gone() {
        let sleep = Program::new("sleep").arg("60").spawn().unwrap();
        let id = sleep.id();
        drop(sleep);
        assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn more_output_than_a_pipe_holds_does_not_block() {
        let output = Program::new("head").words("-c 300000 /dev/zero").run().unwrap();
        assert_eq!(output.stdout.len(), 300_000);
    }
}
