//! A guest from its start to its end, and the programs beside it.

use super::declaration::{Declaration, Home};
use super::kernel::Kernel;
use super::monitor::{Monitor, Monitors};
use super::network::Network;
use super::qemu::{self, Channels, Launch};
use super::results::{Line, Results, Tally, is_disaster, meaning};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program beside the guest may take to open its socket.
const SOCKET_LIMIT: Duration = Duration::from_secs(20);

/// What is to be run.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    pub(crate) declaration: &'a Declaration,
    pub(crate) kernel: &'a Kernel,
    pub(crate) root: Vec<u8>,
    /// Where the log goes.
    pub(crate) log: PathBuf,
    /// How many tests there are.
    pub(crate) tests: usize,
}

/// How a guest went.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    /// What was wrong apart from failed tests.
    pub(crate) complaints: Vec<String>,
    /// From the start of QEMU to the first test.
    pub(crate) first_test: Option<Duration>,
    pub(crate) took: Duration,
}

/// A line, and who said it.
#[derive(Debug)]
enum Said {
    Console(String),
    Results(String),
    /// A line of the tests that waits for its end.
    Begun(String),
    Beside(String),
    /// The guest will say no more.
    End,
}

/// Programs that end with this value.
#[derive(Debug, Default)]
pub(crate) struct Children(Vec<Child>);

impl Children {
    /// Starts one that talks to the terminal.
    pub(crate) fn start(&mut self, launch: Launch) -> Result<()> {
        self.0.push(launch.finish()?.spawn()?);
        Ok(())
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Both fail only for one that has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The guest's folder and the ends of its sockets.
#[derive(Debug)]
pub(crate) struct Bench {
    run: tempfile::TempDir,
    /// By name, what QEMU inherits.
    near: BTreeMap<String, OwnedFd>,
    /// By name, what the programs beside it inherit.
    far: BTreeMap<String, OwnedFd>,
    network: Network,
}

impl Bench {
    pub(crate) fn new(declaration: &Declaration, root: &[u8]) -> Result<Self> {
        let run = tempfile::Builder::new().prefix("lc-guest-").tempdir()?;
        std::fs::write(run.path().join("root"), root)
            .context("cannot write the root file system")?;
        let network = Network::of(&declaration.network)?;
        let mut bench = Self { run, near: BTreeMap::new(), far: BTreeMap::new(), network };
        for name in declaration.helpers.iter().flat_map(|command| qemu::socket_names(command)) {
            let (near, far) = UnixStream::pair().context("cannot make a socket")?;
            bench.near.insert(name.into(), near.into());
            bench.far.insert(name.into(), far.into());
        }
        Ok(bench)
    }

    /// The file of the root file system.
    pub(crate) fn root(&self) -> PathBuf {
        self.run.path().join("root")
    }

    /// Where QEMU is started.
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// A declared program of the host, ready to start. `programs` are those of the workspace.
    pub(crate) fn helper(&mut self, command: &str, programs: &Programs) -> Result<Launch> {
        let mut words = command.split_whitespace();
        let word = words.next().context("an empty command")?;
        let program = programs.get(word).cloned().unwrap_or_else(|| word.into());
        let mut launch = self.network.launch(&program.to_string_lossy());
        for word in words {
            let word = qemu::expand(word, self.run.path(), &mut self.far, &mut launch)?;
            launch.command().arg(word);
        }
        Ok(launch)
    }

    /// Gives QEMU declared options. `life` stands for `{life}` in them.
    pub(crate) fn options(
        &mut self,
        options: &[(String, String)],
        life: &str,
        launch: &mut Launch,
    ) -> Result<()> {
        for (option, value) in options {
            let value = &value.replace("{life}", life);
            let value = qemu::expand(value, self.run.path(), &mut self.near, launch)?;
            launch.command().arg(format!("-{option}")).arg(&value);
            match option.as_str() {
                "chardev" => wait_for_socket(&value)?,
                // It would log every line of the protocol.
                "qtest" => drop(launch.command().args(["-qtest-log", "none"])),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Programs of the workspace that were built, by the word that a `host:` line uses.
pub(crate) type Programs = BTreeMap<String, PathBuf>;

/// QEMU does not wait for a socket that it shall connect to, so we do.
fn wait_for_socket(chardev: &str) -> Result<()> {
    if !chardev.starts_with("socket,") || chardev.contains("server=on") {
        return Ok(());
    }
    let Some(path) = chardev.split(',').find_map(|part| part.strip_prefix("path=")) else {
        return Ok(());
    };
    let start = Instant::now();
    while !Path::new(path).exists() {
        if start.elapsed() > SOCKET_LIMIT {
            bail!("nobody made the socket {path} within {SOCKET_LIMIT:?}");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Boots, runs, and ends a guest. `print` gets every line of the tests.
pub(crate) fn run(order: &Order<'_>, programs: &Programs, print: impl Fn(&str)) -> Result<Outcome> {
    let mut bench = Bench::new(order.declaration, &order.root)?;
    let (sender, receiver) = channel();
    let mut helpers = Children::default();
    for command in &order.declaration.helpers {
        let launch = bench.helper(command, programs)?;
        helpers
            .0
            .push(start(launch, &sender).with_context(|| format!("cannot start `{command}`"))?);
    }
    // Killed when this returns, as is the guest.
    let (_peers, peer) = peers(order, &mut bench, &sender)?;
    let mut launch = qemu::machine(order.declaration, order.kernel, &bench.root(), bench.network());
    bench.options(&order.declaration.options, "0", &mut launch)?;
    let Channels { console, results, requests, monitor } = qemu::channels(&mut launch)?;
    let started = Instant::now();
    let mut guest = Children(vec![start(launch, &sender).context("cannot start QEMU")?]);
    listen(console, &sender, Said::Console);
    listen_to_tests(results, &sender);
    answer(requests, (monitor, peer), bench.run.path().to_owned(), sender);
    let mut watch = Watch::new(order, started)?;
    watch.until_the_end(&receiver, &print);
    watch.qemu_went_well(&mut guest);
    drop(guest);
    watch.helpers_went_well(&mut helpers, &order.declaration.helpers);
    watch.finish(order.tests)
}

/// The peer, if there is one, and its second QEMU, if it moves; and the monitor of the first.
fn peers(
    order: &Order<'_>,
    bench: &mut Bench,
    sender: &Sender<Said>,
) -> Result<(Children, Option<UnixStream>)> {
    let (mut children, mut monitor) = (Children::default(), None);
    let Some(peer) = &order.declaration.peer else { return Ok((children, monitor)) };
    let lives: &[&str] = if peer.home == Home::Moves { &["0", "1"] } else { &["0"] };
    for life in lives {
        let mut launch = qemu::peer(order.kernel, &bench.root(), bench.network());
        bench.options(&peer.options, life, &mut launch)?;
        if *life == "0" {
            monitor = Some(qemu::monitor(&mut launch)?);
        } else {
            qemu::incoming(&mut launch, bench.run.path());
        }
        children.0.push(start(launch, sender).context("cannot start the peer")?);
    }
    Ok((children, monitor))
}

fn start(launch: Launch, sender: &Sender<Said>) -> Result<Child> {
    let mut command = launch.finish()?;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdout.take().into_iter().for_each(|pipe| listen(pipe, sender, Said::Beside));
    child.stderr.take().into_iter().for_each(|pipe| listen(pipe, sender, Said::Beside));
    Ok(child)
}

/// Passes on lines in a thread, which ends with its pipe.
fn listen(pipe: impl Read + Send + 'static, to: &Sender<Said>, said: fn(String) -> Said) {
    let to = to.clone();
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            tell(&to, said(text(&line)));
        }
    });
}

/// The tests' own line: also what has no end yet, since that names a test that hangs.
fn listen_to_tests(mut pipe: UnixStream, to: &Sender<Said>) {
    let to = to.clone();
    thread::spawn(move || {
        let (mut chunk, mut pending) = ([0; 4096], Vec::new());
        while let Ok(read @ 1..) = pipe.read(&mut chunk) {
            pending.extend_from_slice(&chunk[..read]);
            while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                tell(&to, Said::Results(text(&line)));
            }
            if !pending.is_empty() {
                tell(&to, Said::Begun(text(&pending)));
            }
        }
        tell(&to, Said::End);
    });
}

/// When nobody listens any more, nobody needs to know.
fn tell(to: &Sender<Said>, said: Said) {
    let _ = to.send(said);
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end_matches(['\r', '\n']).to_owned()
}

/// `streams` lead to the monitors of the guest, and of its peer.
fn answer(
    requests: UnixStream,
    streams: (UnixStream, Option<UnixStream>),
    run: PathBuf,
    to: Sender<Said>,
) {
    thread::spawn(move || {
        let told = to.clone();
        let note = move |line| tell(&told, Said::Beside(line));
        let connect = || {
            let (guest, peer) = streams;
            let peer = peer.map(Monitor::connect).transpose()?;
            Ok(Monitors { guest: Monitor::connect(guest)?, peer, run })
        };
        let served = connect().and_then(|monitors| monitors.serve(requests, note));
        if let Err(error) = served {
            tell(&to, Said::Beside(format!("monitor: {error:#}")));
        }
    });
}

/// Follows a guest and keeps its log.
#[derive(Debug)]
struct Watch {
    log: std::fs::File,
    started: Instant,
    limit: Duration,
    results: Results,
    complaints: Vec<String>,
    first_test: Option<Duration>,
    exit: Option<String>,
}

impl Watch {
    fn new(order: &Order<'_>, started: Instant) -> Result<Self> {
        let log = std::fs::File::create(&order.log)
            .with_context(|| format!("cannot write {}", order.log.display()))?;
        Ok(Self {
            log,
            started,
            limit: order.declaration.limit,
            results: Results::default(),
            complaints: Vec::new(),
            first_test: None,
            exit: None,
        })
    }

    /// Until the tests have ended, or the guest, or its time.
    fn until_the_end(&mut self, said: &Receiver<Said>, print: &impl Fn(&str)) {
        while self.exit.is_none() {
            let left = self.limit.saturating_sub(self.started.elapsed());
            match said.recv_timeout(left) {
                Ok(Said::End) | Err(RecvTimeoutError::Disconnected) => {
                    return self.complain("the guest ended before its tests did".into());
                }
                Ok(line) => self.hear(line, print),
                Err(RecvTimeoutError::Timeout) => return self.complain(self.too_late()),
            }
        }
        // What was said just before the end, such as an oops on the slower line.
        while let Ok(line) = said.recv_timeout(Duration::from_millis(100)) {
            self.hear(line, print);
        }
    }

    fn too_late(&self) -> String {
        let at = match (self.results.interrupted(), self.first_test) {
            (Some(test), _) => format!("in {test}"),
            (None, Some(_)) => "between tests".into(),
            (None, None) => "before the first test".into(),
        };
        format!("killed at its limit of {} s, {at}", self.limit.as_secs())
    }

    fn complain(&mut self, complaint: String) {
        self.note("host", &complaint);
        self.complaints.push(complaint);
    }

    fn hear(&mut self, said: Said, print: &impl Fn(&str)) {
        match said {
            Said::Console(line) => self.outside("console", &line),
            Said::Beside(line) => self.outside("beside", &line),
            Said::Results(line) => self.result(&line, print),
            Said::Begun(line) => self.results.begin(&line),
            Said::End => {}
        }
    }

    fn outside(&mut self, who: &str, line: &str) {
        self.note(who, line);
        if is_disaster(line) {
            self.complaints.push(line.trim().into());
        }
    }

    fn result(&mut self, line: &str, print: &impl Fn(&str)) {
        self.note("tests", line);
        match meaning(line) {
            Line::Ready(_) => self.first_test = Some(self.started.elapsed()),
            Line::Exit(status) => self.exit = Some(status.into()),
            Line::NoModule(module) => self.complaints.push(format!("cannot load {module}")),
            Line::Text => {
                self.results.hear(line);
                if !line.is_empty() {
                    print(line);
                }
            }
        }
    }

    fn note(&mut self, who: &str, line: &str) {
        let at = self.started.elapsed().as_secs_f32();
        // A full disk must not fail the tests.
        let _ = writeln!(self.log, "{at:7.2} {who:7} {line}");
    }

    /// QEMU runs until it is killed, so that an end of its own is one too early: a reset of the
    /// machine ends it with success, a fault of QEMU with a signal.
    fn qemu_went_well(&mut self, guest: &mut Children) {
        if self.exit.is_some() {
            return;
        }
        // Its sockets are closed just before it is gone.
        thread::sleep(Duration::from_millis(200));
        if let Some(Ok(Some(status))) = guest.0.first_mut().map(Child::try_wait) {
            self.complain(format!("QEMU ended with {status}"));
        }
    }

    /// Those that ended by themselves, and badly.
    fn helpers_went_well(&mut self, helpers: &mut Children, commands: &[String]) {
        for (child, command) in helpers.0.iter_mut().zip(commands) {
            if let Ok(Some(status)) = child.try_wait()
                && !status.success()
            {
                self.complain(format!("`{command}` ended with {status}"));
            }
        }
    }

    fn finish(self, tests: usize) -> Result<Outcome> {
        Ok(Outcome {
            tally: self.results.tally(tests, self.complaints.len()),
            complaints: self.complaints,
            first_test: self.first_test,
            took: self.started.elapsed(),
        })
    }
}
