//! Packets a second over vfio-user: `linecard fwd` between two modelled cards in another process, beside what
//! the model forwards for a driver whose loop costs nothing.

use super::super::forward::linecard;
use crate::compare::report::Bar;
use crate::compare::{Contest, Sample};
use crate::workspace::{cargo, target};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub(super) const CASE: &str = "native vfio-user fwd burst 32";

/// Until the model's sockets are there.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Native {
    linecard: PathBuf,
    seconds: f64,
}

impl Native {
    pub(super) fn new(seconds: f64) -> Result<Self> {
        let what = ["--package", "linecard-ixgbe-model", "--bins", "--examples"];
        let mut build = cargo();
        let status = build.args(["build", "--quiet", "--release"]).args(what).status();
        ensure!(status.context("cannot start cargo")?.success(), "the model does not build");
        Ok(Self { linecard: linecard()?, seconds })
    }

    fn sample(value: f64) -> Vec<Sample> {
        vec![Sample { case: CASE.to_owned(), unit: "Mpps".to_owned(), value }]
    }
}

/// The model with two cards that always have frames; ended when dropped.
struct Model {
    process: Child,
    folder: PathBuf,
}

impl Model {
    fn start() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("linecard-compare-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let mut command = Command::new(target().join("release/ixgbe-model"));
        command.args(["vfio-user", "--wire", "flood"]).stderr(Stdio::null());
        let sockets = ["one", "other"].map(|name| folder.join(name));
        for socket in &sockets {
            command.arg("--socket").arg(socket);
        }
        let model = Self { process: command.spawn().context("cannot start the model")?, folder };
        let begin = Instant::now();
        while !sockets.iter().all(|socket| socket.exists()) {
            ensure!(begin.elapsed() < PATIENCE, "the model made no sockets");
            thread::sleep(Duration::from_millis(10));
        }
        Ok(model)
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // It may have ended by itself, and the folder is temporary anyway.
        let _ = self.process.kill().and_then(|()| self.process.wait());
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {complaint}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn port(socket: &Path) -> String {
    format!("pci:vfio-user={}", socket.display())
}

impl Contest for Native {
    fn peer_name(&self) -> String {
        "a loop that costs nothing".to_owned()
    }

    fn ours(&self, _part: &str) -> Result<Vec<Sample>> {
        let model = Model::start()?;
        let mut forward = Command::new(&self.linecard);
        forward.args(["fwd", "--json", "--duration", &self.seconds.to_string()]);
        for name in ["one", "other"] {
            forward.arg("--port").arg(port(&model.socket(name)));
        }
        let text = said(&mut forward)?;
        let last: Option<Value> =
            text.lines().last().and_then(|line| serde_json::from_str(line).ok());
        let rate = last.and_then(|last| last["total"]["mpps"].as_f64());
        Ok(Self::sample(rate.with_context(|| format!("no total.mpps in: {text}"))?))
    }

    fn peer(&self, _part: &str) -> Result<Vec<Sample>> {
        let model = Model::start()?;
        let mut pace = Command::new(target().join("release/examples/pace"));
        pace.arg(self.seconds.to_string());
        pace.args(["one", "other"].map(|name| model.socket(name)));
        let text = said(&mut pace)?;
        let rate = text.split_whitespace().next().and_then(|word| word.parse().ok());
        Ok(Self::sample(rate.with_context(|| format!("no rate in: {text}"))?))
    }

    /// The model takes most of the time of both.
    fn bar(&self, _case: &str, _unit: &str) -> Bar {
        Bar::AtLeast(0.8)
    }
}
