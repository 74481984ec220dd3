//! What kind of memory is wanted.

use super::attempt;
use super::backing::Backing;
use super::error::MemError;
use super::page::PagePolicy;
use super::report::{Attempt, Report};
use super::segment::Segment;
use crate::Root;

/// On which node the memory should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Node {
    /// Wherever the kernel puts it: usually the node of the thread that asks.
    #[default]
    Any,
    /// This one if it has room; the report tells if not.
    Prefer(u32),
    /// This one, else an error.
    Require(u32),
}

/// Whether the pages are locked in memory. Huge pages always are: they are never swapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lock {
    /// Yes, else an error.
    Yes,
    /// If the process may; the report tells if not.
    #[default]
    IfAllowed,
    /// No.
    No,
}

/// A request for a segment. Without further calls: [`PagePolicy::Auto`] from a memfd, on any
/// node, locked if allowed.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until `map` is called"]
pub struct Request {
    pub(super) len: usize,
    pub(super) pages: PagePolicy,
    pub(super) node: Node,
    pub(super) backing: Backing,
    pub(super) lock: Lock,
    pub(super) name: String,
}

impl Request {
    /// A request for at least `len` bytes; more are given to fill the last page.
    pub fn new(len: usize) -> Self {
        Self {
            len,
            pages: PagePolicy::default(),
            node: Node::default(),
            backing: Backing::default(),
            lock: Lock::default(),
            name: "segment".into(),
        }
    }

    /// Which page sizes to try.
    pub fn pages(self, pages: PagePolicy) -> Self {
        Self { pages, ..self }
    }

    /// On which node.
    pub fn node(self, node: Node) -> Self {
        Self { node, ..self }
    }

    /// Where the memory comes from.
    pub fn backing(self, backing: Backing) -> Self {
        Self { backing, ..self }
    }

    /// Whether to lock it.
    pub fn lock(self, lock: Lock) -> Self {
        Self { lock, ..self }
    }

    /// The name in reports and in `/proc/PID/maps`; what is over 200 bytes is cut.
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Maps the memory: zeroed, every page faulted in, its node verified.
    ///
    /// # Errors
    ///
    /// [`MemError::Unavailable`] with the report of every attempt if none worked;
    /// [`MemError::Empty`] and [`MemError::TooLong`] for a length that makes no sense.
    pub fn map(self) -> Result<Segment, MemError> {
        self.map_in(&Root::host())
    }

    /// As [`map`](Self::map), with the machine described by the tree at `root`: for tests of what
    /// a report says on another machine.
    ///
    /// # Errors
    ///
    /// As [`map`](Self::map).
    pub fn map_in(self, root: &Root) -> Result<Segment, MemError> {
        self.check()?;
        let mut report = Report { name: self.name.clone(), asked: self.len, attempts: Vec::new() };
        for &pages in self.pages.attempts(self.len) {
            let backing = self.backing.label(pages);
            let (mapped, outcome) = match attempt::run(&self, pages, root) {
                Ok((mapped, got)) => (Some(mapped), Ok(got)),
                Err(failure) => (None, Err(failure)),
            };
            report.attempts.push(Attempt { pages, backing, outcome });
            if let Some(mapped) = mapped {
                return Ok(Segment::new(mapped, report));
            }
        }
        Err(MemError::Unavailable(Box::new(report)))
    }

    fn check(&self) -> Result<(), MemError> {
        let limit = isize::MAX as usize >> 1;
        match self.len {
            0 => Err(MemError::Empty),
            len if len > limit => Err(MemError::TooLong { len, limit }),
            _ => Ok(()),
        }
    }
}
