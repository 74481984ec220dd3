//! The test files for guests, and what Cargo builds of them: static programs of the usual target,
//! in a target folder of their own, so that the usual build stays as it is.

use super::declaration::{Built, Declaration, Profile};
use crate::workspace::{Workspace, cargo, target};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TRIPLE: &str = "x86_64-unknown-linux-gnu";
const FLAGS: &str = "-C target-feature=+crt-static -C strip=debuginfo";

/// A test file.
#[derive(Debug, Clone)]
pub(crate) struct Suite {
    pub(crate) package: String,
    /// The file's name without its end.
    pub(crate) name: String,
    pub(crate) declaration: Declaration,
}

impl Suite {
    /// All of the workspace.
    pub(crate) fn all() -> Result<Vec<Self>> {
        let mut suites = Vec::new();
        for package in Workspace::load()?.packages {
            let tests = package.targets.iter().filter(|target| target.is_test());
            for target in tests.filter(|target| target.name.starts_with("guest_")) {
                let declaration = Declaration::of_file(&target.src_path)?;
                let name = target.name.clone();
                suites.push(Self { package: package.name.clone(), name, declaration });
            }
        }
        Ok(suites)
    }

    /// Whether the user meant all of this file with `word`.
    pub(crate) fn is_meant_by(&self, word: &str) -> bool {
        self.name.contains(word) || self.package == word
    }
}

/// What Cargo says about a file that it made.
#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    executable: Option<PathBuf>,
    target: Option<Made>,
}

#[derive(Debug, Deserialize)]
struct Made {
    name: String,
    kind: Vec<String>,
}

/// Builds the test programs of `suites`, which have one profile, in their order.
pub(crate) fn build_tests(suites: &[&Suite]) -> Result<Vec<PathBuf>> {
    let Some(first) = suites.first() else { return Ok(Vec::new()) };
    let mut command = static_cargo("test", first.declaration.profile);
    command.arg("--no-run");
    for suite in suites {
        command.args(["--package", &suite.package, "--test", &suite.name]);
    }
    let made = run(&mut command).context("the guest tests do not build")?;
    let program = |suite: &&Suite| find(&made, "test", &suite.name);
    suites.iter().map(program).collect()
}

/// Builds a program of the workspace, to run in a guest or beside it.
pub(crate) fn build_program(built: &Built, profile: Profile) -> Result<PathBuf> {
    let mut command = static_cargo("build", profile);
    command.args(["--package", &built.package, &format!("--{}", built.kind), &built.name]);
    let made = run(&mut command).with_context(|| format!("{} does not build", built.name))?;
    find(&made, &built.kind, &built.name)
}

fn static_cargo(verb: &str, profile: Profile) -> Command {
    let mut command = cargo();
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    command.env("RUSTFLAGS", format!("{flags} {FLAGS}").trim());
    command.args([verb, "--target", TRIPLE, "--profile", profile.name(), "--target-dir"]);
    command.arg(target().join("guest"));
    command.arg("--message-format=json-render-diagnostics");
    command
}

fn run(command: &mut Command) -> Result<Vec<Message>> {
    let output = command.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo ended with {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn find(made: &[Message], kind: &str, name: &str) -> Result<PathBuf> {
    let is_it = |message: &&Message| {
        let target = message.target.as_ref();
        message.reason == "compiler-artifact"
            && message.executable.is_some()
            && target.is_some_and(|it| it.name == name && it.kind.iter().any(|each| each == kind))
    };
    match made.iter().find(is_it).and_then(|message| message.executable.clone()) {
        Some(path) => Ok(path),
        None => bail!("cargo built no {kind} {name}"),
    }
}

/// The names of the ignored tests of a test program.
pub(crate) fn names(program: &Path) -> Result<Vec<String>> {
    let said = super::quiet(Command::new(program).args(["--ignored", "--list", "--format=terse"]))?;
    Ok(said.lines().filter_map(|line| Some(line.strip_suffix(": test")?.into())).collect())
}
