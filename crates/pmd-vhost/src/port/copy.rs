//! Bytes between packets and guest memory.

use crate::memory::{Span, View};

/// Reads the bytes of a chain in order, each once.
pub(super) struct Reader<'a> {
    spans: &'a [Span],
    first: Span,
}

impl<'a> Reader<'a> {
    #[inline(always)]
    pub(super) fn new(spans: &'a [Span]) -> Self {
        let mut reader = Reader { spans, first: Span::NONE };
        reader.next_span();
        reader
    }

    #[inline(always)]
    fn next_span(&mut self) {
        if let Some((first, rest)) = self.spans.split_first() {
            (self.first, self.spans) = (*first, rest);
        }
    }

    /// Fills `into`; says how many bytes there were.
    #[inline(always)]
    pub(super) fn read(&mut self, into: &mut [u8]) -> usize {
        let mut done = 0;
        loop {
            let n = (into.len() - done).min(self.first.len as usize);
            // SAFETY: `n` bytes of a span, which is mapped while the queue is inside its door, and as
            // many of `into`, which is our own memory. The guest may write them meanwhile: what is
            // copied may be any mixture, and is not looked at here.
            unsafe {
                into.as_mut_ptr().add(done).copy_from_nonoverlapping(self.first.at, n);
            }
            self.first = self.first.skip(n as u32);
            done += n;
            if done == into.len() || self.spans.is_empty() {
                return done;
            }
            self.next_span();
        }
    }
}

/// Writes bytes into chains in order.
pub(super) struct Writer<'a, I> {
    view: &'a View,
    chains: I,
    spans: &'a [Span],
    first: Span,
}

impl<'a, I: Iterator<Item = &'a [Span]>> Writer<'a, I> {
    pub(super) fn new(view: &'a View, chains: I) -> Self {
        Writer { view, chains, spans: &[], first: Span::NONE }
    }

    /// Writes `from`, as far as there is room in the chains.
    pub(super) fn write(&mut self, mut from: &[u8]) {
        while !from.is_empty() {
            if self.first.len == 0 && !self.next_span() {
                return;
            }
            let n = from.len().min(self.first.len as usize);
            put(self.view, self.first, &from[..n]);
            self.first = self.first.skip(n as u32);
            from = &from[n..];
        }
    }

    /// Goes on to the next span, of the next chain if this one has no more.
    fn next_span(&mut self) -> bool {
        loop {
            if let Some((first, rest)) = self.spans.split_first() {
                (self.first, self.spans) = (*first, rest);
                return true;
            }
            match self.chains.next() {
                Some(spans) => self.spans = spans,
                None => return false,
            }
        }
    }
}

/// Writes `bytes` to the start of a span that is at least as long.
#[inline(always)]
pub(super) fn put(view: &View, span: Span, bytes: &[u8]) {
    debug_assert!(bytes.len() <= span.len as usize);
    // SAFETY: the span is mapped while the queue is inside its door, and long enough; `bytes` are our
    // own memory, which is no part of the guest's.
    unsafe { span.at.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    view.wrote(Span { at: span.at, len: bytes.len() as u32 });
}
