//! What was there before, for `--undo`.

use super::action::Action;
use super::{Pages, rooted};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Lives in `/run`, for as long as the reservation itself: until the next boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// How many pages there were.
    pub(super) before: u64,
    /// What was mounted.
    pub(super) mount: Option<PathBuf>,
    /// The file that was written for the next boot.
    pub(super) persisted: Option<PathBuf>,
}

impl Record {
    pub(super) fn new(before: u64) -> Self {
        Self { before, mount: None, persisted: None }
    }

    pub(super) fn path(pages: &Pages<'_>) -> PathBuf {
        Path::new("/run/linecard").join(format!("{}.json", pages.key()))
    }

    /// The record of the first of the runs since the last `--undo`; after a boot there is
    /// none, but a file for the boots to come may be.
    pub(super) fn load(pages: &Pages<'_>) -> Result<Option<Self>> {
        let path = rooted(&pages.setup.root, &Self::path(pages));
        match std::fs::read(&path) {
            Ok(bytes) => {
                let record = serde_json::from_slice(&bytes);
                record
                    .map(Some)
                    .with_context(|| format!("{} is damaged; remove it", path.display()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::of_earlier_boot(pages)),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn of_earlier_boot(pages: &Pages<'_>) -> Option<Self> {
        let path = pages.boot_file();
        let is_there = rooted(&pages.setup.root, &path).exists();
        is_there.then_some(Self { before: 0, mount: None, persisted: Some(path) })
    }

    pub(super) fn save(&self, pages: &Pages<'_>) -> Result<Action> {
        Ok(Action::write(Self::path(pages), serde_json::to_string(self)?))
    }
}
