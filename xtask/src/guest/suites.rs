//! The test files for guests, and what Cargo builds of them: static programs of the usual target,
//! in a target folder of their own, so that the usual build stays as it is.

use super::declaration::{Built, Declaration, Profile};
use crate::workspace::{Workspace, cargo, target};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
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
    /// All of the workspace. Their programs are known by the files' names alone.
    ///
    /// # Errors
    /// A head that is wrong, or a name that two files have.
    pub(crate) fn all() -> Result<Vec<Self>> {
        let mut suites: Vec<Self> = Vec::new();
        for package in Workspace::load()?.packages {
            let tests = package.targets.iter().filter(|target| target.is_test());
            for target in tests.filter(|target| target.name.starts_with("guest_")) {
                let declaration = Declaration::of_file(&target.src_path)?;
                let name = target.name.clone();
                if let Some(other) = suites.iter().find(|suite| suite.name == name) {
                    let packages = format!("{} and {}", other.package, package.name);
                    bail!("{packages} both have a guest test {name}: give one another name");
                }
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

/// What was built already.
#[derive(Debug, Default)]
pub(crate) struct Workshop {
    programs: BTreeMap<(Profile, Built), PathBuf>,
    /// Programs that Cargo built along with the tests of their package.
    beside: BTreeMap<(Profile, String), PathBuf>,
}

impl Workshop {
    /// Builds the test programs of `suites`, which have one profile, in their order.
    pub(crate) fn tests(&mut self, suites: &[&Suite]) -> Result<Vec<PathBuf>> {
        let Some(first) = suites.first() else { return Ok(Vec::new()) };
        let profile = first.declaration.profile;
        let mut command = static_cargo("test", profile);
        command.arg("--no-run");
        for suite in suites {
            command.args(["--package", &suite.package, "--test", &suite.name]);
        }
        let made = run(&mut command).context("the guest tests do not build")?;
        for (name, path) in made.iter().filter_map(|message| message.program("bin")) {
            self.beside.insert((profile, name.into()), path.clone());
        }
        let program = |suite: &&Suite| find(&made, "test", &suite.name);
        suites.iter().map(program).collect()
    }

    /// Builds a program of the workspace, to run in a guest or beside it.
    pub(crate) fn program(&mut self, built: &Built, profile: Profile) -> Result<PathBuf> {
        let key = (profile, built.clone());
        let beside = self.beside.get(&(profile, built.name.clone()));
        let beside = beside.filter(|_| built.kind == "bin");
        if let Some(path) = self.programs.get(&key).or(beside) {
            return Ok(path.clone());
        }
        let path = build_program(built, profile)?;
        self.programs.insert(key, path.clone());
        Ok(path)
    }
}

fn build_program(built: &Built, profile: Profile) -> Result<PathBuf> {
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

impl Message {
    /// Its name and file, if it is about a program of this kind.
    fn program(&self, kind: &str) -> Option<(&str, &PathBuf)> {
        let target = self.target.as_ref().filter(|_| self.reason == "compiler-artifact")?;
        let is_it = target.kind.iter().any(|each| each == kind);
        is_it.then_some((target.name.as_str(), self.executable.as_ref()?))
    }
}

fn find(made: &[Message], kind: &str, name: &str) -> Result<PathBuf> {
    let mut programs = made.iter().filter_map(|message| message.program(kind));
    match programs.find(|(found, _)| *found == name) {
        Some((_, path)) => Ok(path.clone()),
        None => bail!("cargo built no {kind} {name}"),
    }
}

/// The names of the ignored tests of a test program.
pub(crate) fn names(program: &Path) -> Result<Vec<String>> {
    let said = super::quiet(Command::new(program).args(["--ignored", "--list", "--format=terse"]))?;
    Ok(said.lines().filter_map(|line| Some(line.strip_suffix(": test")?.into())).collect())
}
