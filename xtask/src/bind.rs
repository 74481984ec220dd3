//! `cargo xtask bind`: `linecard bind`, built from this checkout.

use crate::workspace::cargo;
use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Bind {
    /// Say who drives which network device
    Status(Words),
    /// Give devices to another driver, such as one for user space
    #[command(name = "bind")]
    Give(Words),
    /// Give devices back to the kernel's own drivers
    Unbind(Words),
}

#[derive(Debug, Args)]
pub(crate) struct Words {
    /// As for `linecard bind`: devices, `--driver NAME`, `--force`, `--json`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

pub(crate) fn run(bind: &Bind) -> Result<()> {
    let (verb, words) = match bind {
        Bind::Status(words) => (Some("status"), words),
        Bind::Give(words) => (None, words),
        Bind::Unbind(words) => (Some("unbind"), words),
    };
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "linecard", "--", "bind"]);
    let status = command.args(verb).args(&words.words).status().context("cannot start cargo")?;
    ensure!(status.success(), "linecard bind ended with {status}");
    Ok(())
}
