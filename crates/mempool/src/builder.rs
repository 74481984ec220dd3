//! Describing a pool, and making it.

use crate::backend::{Backend, Store};
use crate::cache::most;
use crate::checks::Watch;
use crate::core::{Core, Parts, Retire};
use crate::error::Error;
use crate::layout::{Layout, MAX_OBJECT, Places};
use crate::mempool::Mempool;
use crate::sizing::Needs;
use core::ops::Range;
use linecard_eal::mem::{Node, PagePolicy, Request, Segment};

/// The largest cache of a thread.
pub const MAX_CACHE: usize = 4096;
/// The largest pool.
pub const MAX_SIZE: usize = 1 << 30;

/// A description of a pool. Defaults: 8191 objects of 2048 bytes, a cache of 256, [`Backend::Fifo`],
/// the largest pages there are, on any node.
#[derive(Debug)]
pub struct Builder {
    name: String,
    size: usize,
    object: usize,
    align: usize,
    cache: Option<usize>,
    backend: Backend,
    pages: PagePolicy,
    node: Node,
    segments: Vec<Segment>,
    poisoned: Option<Range<usize>>,
    needs: Option<Needs>,
    retire: Option<Retire>,
}

impl Builder {
    pub(crate) fn new(name: String) -> Self {
        Builder {
            name,
            size: 8191,
            object: 2048,
            align: 64,
            cache: None,
            backend: Backend::default(),
            pages: PagePolicy::Auto,
            node: Node::Any,
            segments: Vec::new(),
            poisoned: None,
            needs: None,
            retire: None,
        }
    }

    /// How many objects.
    pub fn size(mut self, objects: usize) -> Self {
        self.size = objects;
        self
    }

    /// How many bytes each.
    pub fn object_size(mut self, bytes: usize) -> Self {
        self.object = bytes;
        self
    }

    /// What their addresses are multiples of, if more than a cache line.
    pub fn align(mut self, bytes: usize) -> Self {
        self.align = bytes;
        self
    }

    /// How many objects a thread's cache is for; 0 for no caches.
    pub fn cache(mut self, objects: usize) -> Self {
        self.cache = Some(objects);
        self
    }

    /// In which order objects come back.
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = backend;
        self
    }

    /// Which pages to ask for.
    pub fn pages(mut self, pages: PagePolicy) -> Self {
        self.pages = pages;
        self
    }

    /// Which NUMA node to lie on.
    pub fn node(mut self, node: Node) -> Self {
        self.node = node;
        self
    }

    /// Lies in these segments instead of memory of its own.
    pub fn segments(mut self, segments: Vec<Segment>) -> Self {
        self.segments = segments;
        self
    }

    /// Which bytes of a free object to watch, where checks are compiled in. All of them by default;
    /// fewer if something is kept in objects while they are free.
    pub fn watch(mut self, bytes: Range<usize>) -> Self {
        self.poisoned = Some(bytes);
        self
    }

    /// What may hold objects at once: a pool smaller than their sum is refused.
    pub fn needs(mut self, needs: Needs) -> Self {
        self.needs = Some(needs);
        self
    }

    /// Objects asked for, as far as that is within the limit.
    pub(crate) fn asked(&self) -> usize {
        if self.size <= MAX_SIZE { self.size } else { 0 }
    }

    /// Calls `retire` on every object when all have come back for good.
    pub(crate) fn retire(mut self, retire: Retire) -> Self {
        self.retire = Some(retire);
        self
    }

    /// Makes the pool.
    ///
    /// # Errors
    /// What is out of range and what the range is, or why there is no memory.
    pub fn build(mut self) -> Result<Mempool, Error> {
        let cache_size = self.check()?;
        let layout = Layout::new(self.object, self.align);
        let memory = self.find_memory(layout)?;
        let places = Places::new(layout, &memory, self.size).map_err(|fit| {
            Error::SegmentsTooSmall { fit, size: self.size, stride: layout.stride }
        })?;
        let poisoned = self.poisoned.take().unwrap_or(0..self.object);
        // SAFETY: the segments are owned here and nobody knows the objects yet.
        let watch = unsafe { Watch::new(&places, poisoned) };
        let store = Store::new(self.backend, self.size);
        let parts = Parts {
            name: self.name,
            store,
            cache_size,
            places,
            watch,
            memory,
            retire: self.retire,
        };
        Ok(Mempool::over(Core::new(parts)))
    }

    /// Checks every limit; gives the size of the caches.
    fn check(&self) -> Result<usize, Error> {
        if self.size == 0 || self.size > MAX_SIZE {
            return Err(Error::Size(self.size));
        }
        if self.object == 0 || self.object > MAX_OBJECT {
            return Err(Error::ObjectSize(self.object));
        }
        if !self.align.is_power_of_two() || self.align > 4096 {
            return Err(Error::Alignment(self.align));
        }
        let watched = self.poisoned.clone().unwrap_or(0..self.object);
        if watched.start > watched.end || watched.end > self.object {
            return Err(Error::Watch { watched, object: self.object });
        }
        let cache = self.cache.unwrap_or_else(|| 256.min(self.size / 8));
        if cache > MAX_CACHE || most(cache) > self.size {
            return Err(Error::Cache { cache, size: self.size, max: MAX_CACHE });
        }
        match &self.needs {
            Some(needs) if needs.total(cache) > self.size => Err(Error::Starves {
                size: self.size,
                needed: needs.total(cache),
                terms: needs.terms(cache),
            }),
            _ => Ok(cache),
        }
    }

    /// The supplied segments, or one that is large enough whatever pages it gets.
    fn find_memory(&mut self, layout: Layout) -> Result<Vec<Segment>, Error> {
        if !self.segments.is_empty() {
            return Ok(core::mem::take(&mut self.segments));
        }
        let bytes = layout.bytes(self.size, 4096).max(layout.bytes(self.size, 2 << 20).min({
            // Where objects are small beside a page, the loss at page ends is small too; where they
            // are not, only huge pages lose anything.
            layout.bytes(self.size, 4096) + layout.bytes(self.size, 2 << 20) / 64
        }));
        let request =
            |bytes| Request::new(bytes).pages(self.pages).node(self.node).name(&self.name);
        let segment = request(bytes).map()?;
        if layout.fit(segment.len(), segment.page_size().bytes()) >= self.size {
            return Ok(vec![segment]);
        }
        let exact = layout.bytes(self.size, segment.page_size().bytes());
        drop(segment);
        Ok(vec![request(exact).map()?])
    }
}
