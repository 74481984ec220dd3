//! Instructions a packet, from one modelled 82599 to another, in a guest whose clock counts
//! them: our driver beside DPDK's, over UIO. The guest is that of `guest_speed`, a test file, and each
//! side is a test of it.

mod native;

use super::pair::samples;
use super::report::Bar;
use super::{Contest, Sample, dpdk};
use crate::guest::{Suite, SuiteRun, Workshop, log_file, missing};
use anyhow::{Context, Result, ensure};
use std::cell::RefCell;
use std::path::PathBuf;

const FILE: &str = "guest_speed";
const OURS: &str = "compared::our_driver_is_measured";
const PEER: &str = "compared::testpmd_is_measured";

/// The case whose bar is the hardest.
const USUAL: &str = "io loop burst 32";

/// In a guest, and then native; `case` is a filter of the user's, or empty.
pub(super) fn contests(seconds: f64, case: &str) -> Result<Vec<Box<dyn Contest>>> {
    let mut all: Vec<Box<dyn Contest>> = Vec::new();
    if native::CASE.contains(case) {
        all.push(Box::new(native::Native::new(seconds)?));
    }
    if case.is_empty() || !native::CASE.contains(case) {
        all.push(Box::new(Ixgbe::new(case)?));
    }
    Ok(all)
}

#[derive(Debug)]
pub(super) struct Ixgbe {
    suite: Suite,
    tests: PathBuf,
    workshop: RefCell<Workshop>,
    case: String,
}

impl Ixgbe {
    /// `case` is a filter of the user's, or empty.
    pub(super) fn new(case: &str) -> Result<Self> {
        let suite = Suite::all()?.into_iter().find(|suite| suite.name == FILE);
        let suite = suite.with_context(|| format!("there is no test file {FILE}"))?;
        let lacks = missing(&suite.declaration);
        ensure!(lacks.is_empty(), "there is no {}", lacks.join(", no "));
        let mut workshop = Workshop::default();
        let tests = workshop.tests(&[&suite])?.pop().context("no test program")?;
        Ok(Self { suite, tests, workshop: RefCell::new(workshop), case: case.to_owned() })
    }

    fn run(&self, test: &str) -> Result<Vec<Sample>> {
        let run = SuiteRun::prepare(&self.suite, &self.tests, &mut self.workshop.borrow_mut())?;
        let said = RefCell::new(String::new());
        let note = |line: &str| said.borrow_mut().extend([line, "\n"]);
        let outcome = run.boot(&[test.to_owned()], note)?;
        let said = said.into_inner();
        let log = log_file(&self.suite);
        ensure!(
            outcome.tally.passed == 1 && outcome.complaints.is_empty(),
            "the guest failed, {:?}: {said}\nthe log: {}",
            outcome.complaints,
            log.display()
        );
        let mut found = samples(&said)?;
        found.retain(|sample| sample.case.contains(&self.case));
        Ok(found)
    }
}

impl Contest for Ixgbe {
    fn peer_name(&self) -> String {
        format!("testpmd {}", dpdk::version())
    }

    fn ours(&self, _part: &str) -> Result<Vec<Sample>> {
        self.run(OURS)
    }

    fn peer(&self, _part: &str) -> Result<Vec<Sample>> {
        self.run(PEER)
    }

    /// Instructions come out the same every time, but for a few of the guest's kernel.
    fn rounds(&self, _asked: u32) -> u32 {
        1
    }

    fn bar(&self, case: &str, unit: &str) -> Bar {
        if case == USUAL { Bar::AtMost(0.85) } else { Bar::level(unit) }
    }
}
