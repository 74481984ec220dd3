//! Tests of one file in its guest: what they need is built first, then the guest boots.

use super::boot::{self, Order, Outcome, Programs};
use super::initramfs::{Task, pack};
use super::kernel::Kernel;
use super::suites::{Suite, Workshop};
use super::{build_for_guest, build_for_host};
use crate::workspace::target;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// A suite with all that its guest takes.
#[derive(Debug)]
pub(crate) struct SuiteRun<'a> {
    suite: &'a Suite,
    program: &'a Path,
    kernel: Kernel,
    built: Vec<PathBuf>,
    programs: Programs,
}

impl<'a> SuiteRun<'a> {
    /// Fetches and builds what the guest lacks. `program` has the suite's tests.
    pub(crate) fn prepare(
        suite: &'a Suite,
        program: &'a Path,
        workshop: &mut Workshop,
    ) -> Result<Self> {
        let built = build_for_guest(&suite.declaration, workshop)?;
        let kernel = Kernel::cached()?;
        let programs = build_for_host(&suite.declaration, workshop)?;
        Ok(Self { suite, program, kernel, built, programs })
    }

    /// Runs the tests with these names. `print` gets every line of theirs.
    pub(crate) fn boot(&self, tests: &[String], print: impl Fn(&str)) -> Result<Outcome> {
        let declaration = &self.suite.declaration;
        let task = Task::Tests { program: self.program, names: tests };
        let root = pack(declaration, &self.kernel, &self.built, &task)?;
        let log = log_file(self.suite);
        std::fs::create_dir_all(log.parent().unwrap_or(&log))
            .context("cannot make the folder of logs")?;
        print(&format!("boots, with {} MiB to unpack", root.len() >> 20));
        let (kernel, tests) = (&self.kernel, tests.len());
        let order = Order { declaration, kernel, root, log: log.clone(), tests };
        let outcome = boot::run(&order, &self.programs, &print)?;
        if outcome.first_test.is_some() {
            return Ok(outcome);
        }
        // Nothing of ours has run in it yet: an interpreted machine on a busy one sometimes dies in its
        // firmware. Once more, and no oftener: what never boots fails.
        print(&format!("did not boot ({}), once more", outcome.complaints.join("; ")));
        std::fs::rename(&log, log.with_extension("first.log")).context("cannot keep the log")?;
        boot::run(&order, &self.programs, print)
    }
}

/// Where the log of a suite is.
pub(crate) fn log_file(suite: &Suite) -> PathBuf {
    target().join("guest-logs").join(format!("{}-{}.log", suite.package, suite.name))
}
