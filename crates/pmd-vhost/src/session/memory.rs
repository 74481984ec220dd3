//! Messages about memory.

use super::Session;
use crate::inflight::Area;
use crate::memory::{DirtyLog, MOST_REGIONS, MemoryTable, Region};
use crate::request::{Reply, Request, Wrong};
use linecard_virtqueue::Features;
use linecard_virtqueue::vhost_user::message::{
    IOTLB_INVALIDATE, IOTLB_UPDATE, Inflight, Iotlb, Log, Region as Place,
};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

impl Session {
    /// Obeys a message about memory.
    pub(super) fn obey_about_memory(&mut self, request: Request) -> Result<Reply, Wrong> {
        match request {
            Request::SetMemory(regions) => self.set_memory(regions)?,
            Request::AddMemory(place, fd) => {
                let mut table = (*self.table).clone();
                table.add(self.map(place, &fd)?)?;
                self.use_table(table);
            }
            Request::RemoveMemory(place) => {
                let mut table = (*self.table).clone();
                table.remove(&place)?;
                self.use_table(table);
            }
            Request::MemorySlots => return Ok(Reply::Number(MOST_REGIONS as u64)),
            Request::SetLog(area, fd) => return self.set_log(area, &fd),
            Request::Translate(said) => self.translate(&said)?,
            Request::Inflight(asked) => return self.give_inflight(asked),
            Request::SetInflight(area, fd) => self.set_inflight(area, &fd)?,
            other => return Err(Wrong::refused(format!("{other:?} here"))),
        }
        Ok(Reply::Done)
    }

    fn map(&self, place: Place, fd: &OwnedFd) -> Result<Region, Wrong> {
        Region::map(place, fd.as_fd(), self.device.shrinking)
    }

    fn set_memory(&mut self, regions: Vec<(Place, OwnedFd)>) -> Result<(), Wrong> {
        let mapped = regions.into_iter().map(|(place, fd)| self.map(place, &fd));
        let table = MemoryTable::new(mapped.collect::<Result<_, _>>()?)?;
        self.use_table(table);
        Ok(())
    }

    /// Every queue uses a new table; when all have left the old one, what is no longer in it is
    /// unmapped.
    fn use_table(&mut self, table: MemoryTable) {
        let table = Arc::new(table);
        self.each(|work| work.set_view(|view| view.table = Arc::clone(&table)));
        self.table = table;
        self.settle();
    }

    fn set_log(&mut self, area: Log, fd: &OwnedFd) -> Result<Reply, Wrong> {
        let log = DirtyLog::map(area, fd.as_fd(), self.device.shrinking)?;
        if !log.covers(self.table.end()) {
            let (bytes, end) = (area.size, self.table.end());
            return Err(Wrong::refused(format!("a log of {bytes} bytes: memory ends at {end:#x}")));
        }
        let log = Some(Arc::new(log));
        let used = log.clone().filter(|_| self.features.contains(Features::LOG_ALL));
        self.each(|work| work.set_view(|view| view.log.clone_from(&used)));
        self.log = log;
        self.settle();
        // QEMU waits for an answer, and wants nothing in it.
        Ok(Reply::Empty)
    }

    fn translate(&mut self, said: &Iotlb) -> Result<(), Wrong> {
        if !self.features.contains(Features::ACCESS_PLATFORM) {
            return Err(Wrong::refused("a translation, and no IOMMU was agreed on"));
        }
        let mut sound = true;
        if said.kind == IOTLB_UPDATE {
            let is_it = |(iova, _): &(u64, u8)| iova.wrapping_sub(said.iova) < said.size;
            self.plans.iter_mut().for_each(|plan| plan.asked = plan.asked.filter(|a| !is_it(a)));
        }
        self.each(|work| {
            work.forget_missing();
            work.set_view(|view| match (&mut view.translations, said.kind) {
                (Some(known), IOTLB_UPDATE) => sound &= known.update(said),
                (Some(known), IOTLB_INVALIDATE) => known.invalidate(said.iova, said.size),
                _ => sound = false,
            });
        });
        self.settle();
        if sound { Ok(()) } else { Err(Wrong::refused(format!("a translation: {said:x?}"))) }
    }

    fn give_inflight(&mut self, asked: Inflight) -> Result<Reply, Wrong> {
        let (area, fd) = Area::make(asked.num_queues, asked.queue_size)?;
        Ok(Reply::Inflight(area, fd))
    }

    fn set_inflight(&mut self, area: Inflight, fd: &OwnedFd) -> Result<(), Wrong> {
        let area = Area::map(area, fd.as_fd(), self.device.shrinking)?;
        self.inflight = Some(Arc::new(area));
        Ok(())
    }
}
