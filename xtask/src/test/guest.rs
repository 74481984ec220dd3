//! `cargo xtask test guest`.

use super::all_required;
use crate::guest::declaration::Profile;
use crate::guest::{Outcome, Suite, SuiteRun, Tally, Workshop, log_file, missing, names};
use anyhow::{Result, ensure};
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

/// Tests in this module of a file measure for `cargo xtask compare`, and take longer than a test may.
const COMPARED: &str = "compared::";

#[derive(Debug, Args)]
pub(crate) struct Guest {
    /// Only test files whose name contains one of these, or else tests whose name does
    filter: Vec<String>,
    /// Only list the tests
    #[arg(long)]
    list: bool,
    /// Count instructions: one CPU, a tick of the TSC is an instruction
    #[arg(long)]
    icount: bool,
    /// How many guests run at once
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

/// A test file with the tests in it that were asked for.
#[derive(Debug)]
struct Job {
    suite: Suite,
    program: PathBuf,
    tests: Vec<String>,
}

pub(super) fn run(guest: &Guest) -> Result<()> {
    let mut workshop = Workshop::default();
    let jobs = jobs(guest, &mut workshop)?;
    if guest.list {
        for job in &jobs {
            job.tests
                .iter()
                .for_each(|test| println!("{} {}: {test}", job.suite.package, job.suite.name));
        }
        return Ok(());
    }
    let tally = run_all(guest, jobs, workshop)?;
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    ensure!(tally.failed == 0, "{} guest tests failed", tally.failed);
    ensure!(
        tally.skipped == 0 || !all_required(),
        "{} guest tests were skipped, and LINECARD_REQUIRE_ALL or CI demands all of them",
        tally.skipped
    );
    Ok(())
}

/// What the user asked for, built.
fn jobs(guest: &Guest, workshop: &mut Workshop) -> Result<Vec<Job>> {
    let meant = |suite: &Suite| guest.filter.iter().any(|word| suite.is_meant_by(word));
    let mut suites = Suite::all()?;
    if suites.iter().any(meant) {
        suites.retain(meant);
    }
    let mut jobs = Vec::new();
    for profile in [Profile::Checked, Profile::Optimized] {
        let of_profile: Vec<&Suite> =
            suites.iter().filter(|suite| suite.declaration.profile == profile).collect();
        for (suite, program) in of_profile.iter().zip(workshop.tests(&of_profile)?) {
            let mut tests = names(&program)?;
            tests.retain(|test| !test.starts_with(COMPARED));
            if !meant(suite) && !guest.filter.is_empty() {
                tests.retain(|test| guest.filter.iter().any(|word| test.contains(word)));
            }
            let mut suite = Suite::clone(suite);
            if guest.icount {
                suite.declaration = suite.declaration.counting_instructions();
            }
            jobs.push(Job { suite, program, tests });
        }
    }
    jobs.retain(|job| !job.tests.is_empty());
    Ok(jobs)
}

fn run_all(guest: &Guest, mut jobs: Vec<Job>, workshop: Workshop) -> Result<Tally> {
    // The longest first, as far as their limits tell.
    jobs.sort_by_key(|job| job.suite.declaration.limit);
    let (queue, workshop) = (Mutex::new(jobs), Mutex::new(workshop));
    let total = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..guest.jobs.max(1) {
            scope.spawn(|| {
                while let Some(job) = next(&queue) {
                    let tally = run_job(&job, &workshop);
                    let mut total = locked(&total);
                    *total = total.plus(tally);
                }
            });
        }
    });
    Ok(*locked(&total))
}

fn next(queue: &Mutex<Vec<Job>>) -> Option<Job> {
    locked(queue).pop()
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn run_job(job: &Job, workshop: &Mutex<Workshop>) -> Tally {
    let name = &job.suite.name;
    let all = job.tests.len();
    let lacks = missing(&job.suite.declaration);
    if !lacks.is_empty() {
        println!("{name} | SKIPPED {all} tests: needs {}", lacks.join(", "));
        return Tally { skipped: all, ..Tally::default() };
    }
    match boot_job(job, workshop) {
        Ok(outcome) => report(job, &outcome, &log_file(&job.suite)),
        Err(error) => {
            println!("{name} | FAILED: {error:#}");
            Tally { failed: all, ..Tally::default() }
        }
    }
}

/// Fetching and building happen one at a time.
fn boot_job(job: &Job, workshop: &Mutex<Workshop>) -> Result<Outcome> {
    let run = SuiteRun::prepare(&job.suite, &job.program, &mut locked(workshop))?;
    run.boot(&job.tests, |line| println!("{} | {line}", job.suite.name))
}

fn report(job: &Job, outcome: &Outcome, log: &Path) -> Tally {
    let name = &job.suite.name;
    let first =
        outcome.first_test.map_or("never".into(), |at| format!("{:.1} s", at.as_secs_f32()));
    println!(
        "{name} | first test after {first}, all done after {:.1} s",
        outcome.took.as_secs_f32()
    );
    for complaint in &outcome.complaints {
        println!("{name} | FAILED: {complaint}");
    }
    if outcome.tally.failed > 0 {
        println!("{name} | the log: {}", log.display());
    } else {
        // Logs are kept of failures only; a missing one is as good.
        let _ = std::fs::remove_file(log);
    }
    outcome.tally
}
