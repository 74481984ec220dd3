//! The `linecard` program, run as a user runs it.

mod capture;
mod cards;
mod files;
mod modes;
mod refusals;
mod report;
mod rules;

use linecard_testbed::programs::{Output, Program};
use serde_json::Value;
use std::time::Duration;

/// The program with these words as arguments; it may take 30 s.
fn linecard(words: &str) -> Program {
    Program::new(env!("CARGO_BIN_EXE_linecard")).words(words).within(Duration::from_secs(120))
}

fn run(words: &str) -> Output {
    linecard(words).finish().expect("it ends in time")
}

/// What `fwd --json` says in its last line; it must have succeeded.
fn forward(words: &str) -> Value {
    let output = linecard(&format!("fwd --json {words}")).run().expect("it succeeds");
    last_line(&output)
}

fn last_line(output: &Output) -> Value {
    let line = output.stdout.lines().last().expect("a line at least");
    serde_json::from_str(line).expect("the last line is JSON")
}
