//! The model checkers: loom tries all interleavings of small cases, shuttle many of larger ones.

use crate::workspace::{cargo, target};
use anyhow::{Context, Result, ensure};
use clap::Args;

/// Who has models, for which checkers, and cargo's options for where they are.
const MODELS: &[(&str, &[&str], &[&str])] = &[
    ("linecard-ring-checks", &["loom", "shuttle"], &[]),
    ("linecard-flow-classify", &["loom"], &["--lib"]),
];

#[derive(Debug, Args)]
pub(crate) struct Models {
    /// Only tests whose name contains this
    filter: Vec<String>,
}

pub(super) fn run(models: &Models) -> Result<()> {
    MODELS.iter().try_for_each(|(package, checkers, place)| {
        checkers.iter().try_for_each(|checker| check(package, checker, place, &models.filter))
    })
}

/// Every checker has a target folder of its own: its cfg rebuilds everything.
fn check(package: &str, checker: &str, place: &[&str], filter: &[String]) -> Result<()> {
    println!("models: {package}, {checker}");
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let status = cargo()
        .env("RUSTFLAGS", format!("{flags} --cfg {checker}"))
        .args(["test", "--package", package, "--release", "--target-dir"])
        .arg(target().join(checker))
        .args(place)
        .arg("--")
        .args(filter)
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "the models of {package} fail under {checker}");
    Ok(())
}
