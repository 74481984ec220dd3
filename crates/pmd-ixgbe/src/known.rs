//! Pools that the device was told of.

use crate::function::Function;
use crate::trouble::Trouble;
use linecard_eal::device::{Mapping, Place};
use linecard_mbuf::driver::Place as Data;
use linecard_mbuf::{Mbuf, MbufPool};
use linecard_mempool::Home;
use std::ops::Range;
use std::sync::Arc;

/// A pool that the device was told of.
#[derive(Debug)]
pub(crate) struct KnownPool {
    pub(crate) home: Home,
    ranges: Vec<Range<usize>>,
    /// Before the pool: the device forgets the memory first.
    _mappings: Vec<Mapping>,
    _pool: MbufPool,
}

/// The pools that the device was told of.
#[derive(Clone, Debug)]
pub(crate) struct Known(pub(crate) Arc<Vec<Arc<KnownPool>>>);

impl Known {
    /// The one that most packets will come from.
    pub(crate) fn first(&self) -> Home {
        self.0[0].home
    }

    /// Whether the device knows all of a packet's memory.
    pub(crate) fn all(&self, packet: &Mbuf) -> bool {
        packet.device_segments().all(|(place, len)| self.has(place, len))
    }

    fn has(&self, place: Data, len: usize) -> bool {
        let start = place.address.as_ptr().addr();
        let within = |range: &Range<usize>| start >= range.start && start + len <= range.end;
        self.0.iter().flat_map(|pool| &pool.ranges).any(within)
    }
}

/// Makes a pool known to the device.
pub(crate) fn introduce(function: &Function, pool: &MbufPool) -> Result<KnownPool, Trouble> {
    let dma = function.device.dma();
    pool.raw().with_segments(|segments| {
        let mut known = KnownPool {
            home: pool.raw().home(),
            ranges: Vec::new(),
            _mappings: Vec::new(),
            _pool: pool.clone(),
        };
        for segment in segments {
            // SAFETY: the device is told of buffers only that the queues own while they are posted;
            // the pool outlives the mapping, and queues stop before they let go of either.
            known._mappings.push(unsafe { dma.map(segment, Place::Native) }?);
            let start = segment.base().as_ptr().addr();
            known.ranges.push(start..start + segment.len());
        }
        Ok(known)
    })
}
