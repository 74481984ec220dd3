//! The model checkers: loom tries all interleavings of small cases, shuttle many of larger ones.

use crate::workspace::{cargo, target};
use anyhow::{Context, Result, ensure};
use clap::Args;

const PACKAGE: &str = "linecard-ring-checks";

#[derive(Debug, Args)]
pub(crate) struct Models {
    /// Only tests whose name contains this
    filter: Vec<String>,
}

pub(super) fn run(models: &Models) -> Result<()> {
    ["loom", "shuttle"].into_iter().try_for_each(|checker| check(checker, &models.filter))
}

/// Every checker has a target folder of its own: its cfg rebuilds everything.
fn check(checker: &str, filter: &[String]) -> Result<()> {
    println!("models: {checker}");
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let status = cargo()
        .env("RUSTFLAGS", format!("{flags} --cfg {checker}"))
        .args(["test", "--package", PACKAGE, "--release", "--target-dir"])
        .arg(target().join(checker))
        .arg("--")
        .args(filter)
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "the models fail under {checker}");
    Ok(())
}
