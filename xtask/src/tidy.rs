//! `cargo xtask tidy`: the house rules that neither rustc nor clippy checks.
//!
//! | rule | what it wants |
//! |---|---|
//! | `floors` | dependencies point down only; some crates stay free of some dependencies |
//! | `safety` | `// SAFETY:` above `unsafe {` and `unsafe impl`, `# Safety` on `unsafe fn` and `unsafe trait` |
//! | `ordering` | a comment that names the ordering or its partner, within three lines |
//! | `orphan` | every `.rs` file is compiled |
//! | `fn-length`, `file-length` | at most 70 lines, at most 600 lines of code |
//! | `module-doc` | every `.rs` file begins by saying what it is |
//! | `whitespace`, `machine-path` | nothing trailing, nothing that is true of one machine only |
//!
//! What has a good reason to be otherwise is listed, with it, in `xtask/tidy-allow.toml`.

mod allow;
mod floors;
mod modules;
mod orderings;
mod safety;
mod sizes;
mod source;
mod text;

use crate::workspace::{Workspace, root};
use allow::AllowList;
use anyhow::{Context, Result, bail, ensure};
use source::Source;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: PathBuf,
    line: usize,
    rule: &'static str,
    message: String,
}

impl Finding {
    fn new(path: &Path, line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, rule, message } = self;
        write!(f, "{}:{line}: {rule}: {message}", path.display())
    }
}

pub(crate) fn run() -> Result<()> {
    let root = root();
    let workspace = Workspace::load()?;
    let mut findings = floors::check(&workspace);
    let files = files(&root)?;
    let mut sources = Vec::new();
    for path in &files {
        // A file that is not UTF-8 is data: no rule is for it.
        let Ok(text) = std::fs::read_to_string(root.join(path)) else { continue };
        findings.extend(text::check(path, &text));
        if path.extension().is_some_and(|extension| extension == "rs") {
            match Source::parse(path, text) {
                Ok(source) => sources.push(source),
                Err(finding) => findings.push(finding),
            }
        }
    }
    findings.extend(sources.iter().flat_map(check_source));
    findings.extend(modules::check(&workspace, &files, &sources));
    report(AllowList::load(&root)?.filter(findings), sources.len())
}

fn check_source(source: &Source) -> Vec<Finding> {
    let rules = [safety::check, orderings::check, sizes::check, text::check_module_doc];
    rules.iter().flat_map(|rule| rule(source)).collect()
}

fn report(mut findings: Vec<Finding>, sources: usize) -> Result<()> {
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: {sources} source files, nothing to mend");
            Ok(())
        }
        count => bail!("tidy: {count} to mend"),
    }
}

/// What git tracks or would track, relative to `root`.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .output()
        .context("cannot start git")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let files = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    Ok(files.filter(|path| root.join(path).is_file()).collect())
}
