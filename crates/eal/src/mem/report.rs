//! What was tried for a request, why it failed, what was got.

use std::fmt;
use std::io;

use super::page::Pages;

/// The full story of a request for memory; its `Display` is meant for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The name that the request gave.
    pub name: String,
    /// How many bytes were asked for.
    pub asked: usize,
    /// Every attempt in order; only the last one can have succeeded.
    pub attempts: Vec<Attempt>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The pages that were tried.
    pub pages: Pages,
    /// Where they should come from: `memfd`, `hugetlbfs at /mnt/huge`, `anonymous`.
    pub backing: String,
    /// What came of it.
    pub outcome: Result<Got, Failure>,
}

/// What an attempt gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Got {
    /// The length in bytes.
    pub len: usize,
    /// The node that all of its pages are on, when the kernel could tell.
    pub node: Option<u32>,
    /// What is short of the wish, though not of the requirement (not locked, spread over nodes …).
    pub remarks: Vec<String>,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was being done.
    pub step: Step,
    /// The kernel's error number, if it was the kernel that refused.
    pub errno: Option<i32>,
    /// What was wrong.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The steps of an attempt, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opening the file that backs the memory.
    Open,
    /// Giving it its length.
    Resize,
    /// Mapping it, which reserves huge pages.
    Map,
    /// Binding it to a node.
    Bind,
    /// Faulting every page in.
    Populate,
    /// Having the kernel merge base pages.
    Merge,
    /// Checking where the pages are.
    Verify,
    /// Locking the pages in memory.
    Lock,
}

impl Failure {
    /// A refusal by the kernel.
    pub(crate) fn system(step: Step, error: &io::Error) -> Self {
        let reason = error.to_string();
        Self { step, errno: error.raw_os_error(), reason, hint: None }
    }

    /// A finding of our own.
    pub(crate) fn found(step: Step, reason: impl Into<String>) -> Self {
        Self { step, errno: None, reason: reason.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Resize => "resize",
            Self::Map => "map",
            Self::Bind => "bind to node",
            Self::Populate => "populate",
            Self::Merge => "merge",
            Self::Verify => "verify",
            Self::Lock => "lock",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.reason)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len)?;
        if let Some(node) = self.node {
            write!(f, " on node {node}")?;
        }
        self.remarks.iter().try_for_each(|remark| write!(f, "; {remark}"))
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): ", self.pages, self.backing)?;
        match &self.outcome {
            Ok(got) => write!(f, "got {got}"),
            Err(failure) => write!(f, "no: {failure}"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} bytes asked for", self.name, self.asked)?;
        self.attempts.iter().try_for_each(|attempt| write!(f, "\n  {attempt}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::PageSize;

    #[test]
    fn a_report_tells_each_attempt_with_its_reason_and_its_remedy() {
        let refused = io::Error::from_raw_os_error(libc::ENOMEM);
        let failed = Attempt {
            pages: Pages::Huge(PageSize::Size2M),
            backing: "memfd".into(),
            outcome: Err(Failure::system(Step::Map, &refused).hint("0 of 0 pages free")),
        };
        let got = Got { len: 4096, node: Some(0), remarks: vec!["not locked".into()] };
        let worked = Attempt { pages: Pages::Base, backing: "memfd".into(), outcome: Ok(got) };
        let report = Report { name: "pool".into(), asked: 1, attempts: vec![failed, worked] };
        assert_eq!(
            report.to_string(),
            "pool: 1 bytes asked for\n  \
             2 MiB huge pages (memfd): no: map: Cannot allocate memory (os error 12); \
             0 of 0 pages free\n  \
             base pages (memfd): got 4096 bytes on node 0; not locked"
        );
    }
}
