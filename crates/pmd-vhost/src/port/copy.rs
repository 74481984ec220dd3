//! Bytes between packets and guest memory.

use crate::memory::{Span, View};
use linecard_virtqueue::net::{MERGED, VnetHashed};
use zerocopy::IntoBytes;

/// Reads the bytes of a chain in order, each once.
pub(super) struct Reader<'a> {
    spans: &'a [Span],
    first: Span,
}

/// Copies the first bytes of a span, which is as long, to `into`.
///
/// # Safety
/// `n` bytes can be written there, and are our own memory.
#[inline(always)]
pub(super) unsafe fn take(span: Span, into: *mut u8, n: usize) {
    debug_assert!(n <= span.len as usize);
    // SAFETY: the span is mapped while the queue is inside its door; as in `Reader::read`, the guest may
    // write there meanwhile. The rest is the caller's promise.
    unsafe { copy(span.at, into, n) };
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
            unsafe { copy(self.first.at, into.as_mut_ptr().add(done), n) };
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
    unsafe { copy(bytes.as_ptr(), span.at, bytes.len()) };
    view.wrote(Span { at: span.at, len: bytes.len() as u32 });
}

/// Writes the header of `header` bytes of a frame that lies in one buffer, to the start of a span that is at
/// least as long.
///
/// A buffer that comes round again has it already, as a rule. Then its line is left alone, and stays in the
/// caches of both sides: written, it would have to cross to the other core and back with every frame.
///
/// Out of registers: a header that is made in memory is read back in other pieces than it was written
/// in, and such a load waits until all stores before it have found their lines.
#[inline(always)]
pub(super) fn put_plain_header(view: &View, span: Span, header: usize, flags: u8) {
    let (first, buffers) = (u64::from(flags).to_le(), (1u32 << 16).to_le());
    debug_assert!(header <= span.len as usize);
    // SAFETY: as in `put`, of the first 12 bytes.
    unsafe {
        if header == MERGED {
            let (front, back) = (span.at.cast::<u64>(), span.at.add(8).cast::<u32>());
            if front.read_unaligned() != first || back.read_unaligned() != buffers {
                front.write_unaligned(first);
                back.write_unaligned(buffers);
                view.wrote(Span { at: span.at, len: MERGED as u32 });
            }
        } else {
            put_other_header(view, span, header, flags);
        }
    }
}

/// The same of another length.
#[cold]
#[inline(never)]
fn put_other_header(view: &View, span: Span, header: usize, flags: u8) {
    let mut head = VnetHashed::default();
    (head.merged.vnet.flags, head.merged.num_buffers) = (flags, 1);
    put(view, span, &head.as_bytes()[..header]);
}

/// Copies `n` bytes: frames of up to two cache lines, which are most, without a call.
///
/// # Safety
/// `n` bytes can be read at `from`, and written at `to`, which is elsewhere.
#[inline(always)]
unsafe fn copy(from: *const u8, to: *mut u8, n: usize) {
    // SAFETY: both ends are within the `n` bytes; they overlap if there are fewer than two pieces.
    unsafe {
        match n {
            65..=128 => both_ends::<4>(from, to, n),
            32..=64 => both_ends::<2>(from, to, n),
            _ => to.copy_from_nonoverlapping(from, n),
        }
    }
}

/// Sixteen bytes, which every processor copies at once.
type Piece = u128;
const PIECE: usize = size_of::<Piece>();

/// Copies the first and the last `N` pieces of `n` bytes; they may overlap.
///
/// # Safety
/// As for [`copy`], and `n` is at least `N` pieces.
#[inline(always)]
unsafe fn both_ends<const N: usize>(from: *const u8, to: *mut u8, n: usize) {
    let back = n - N * PIECE;
    // SAFETY: the caller's promise. All is read before anything is written.
    unsafe {
        let piece = |at: usize| from.add(at).cast::<Piece>().read_unaligned();
        let first: [Piece; N] = core::array::from_fn(|i| piece(i * PIECE));
        let last: [Piece; N] = core::array::from_fn(|i| piece(back + i * PIECE));
        for i in 0..N {
            to.add(i * PIECE).cast::<Piece>().write_unaligned(first[i]);
            to.add(back + i * PIECE).cast::<Piece>().write_unaligned(last[i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(bytes: &mut [u8]) -> Span {
        Span { at: bytes.as_mut_ptr(), len: bytes.len() as u32 }
    }

    #[test]
    fn as_many_bytes_as_were_asked_for_are_copied_and_no_more() {
        let from: Vec<u8> = (0..400u32).map(|i| (i % 251) as u8 + 1).collect();
        for n in 0..300 {
            let (mut guest, mut ours) = ([0; 400], [0; 400]);
            put(&View::default(), span(&mut guest), &from[..n]);
            assert_eq!((&guest[..n], guest[n]), (&from[..n], 0), "{n} bytes out");
            // SAFETY: as many bytes, of our own.
            unsafe { take(span(&mut guest), ours.as_mut_ptr(), n) };
            assert_eq!((&ours[..n], ours[n]), (&from[..n], 0), "{n} bytes in");
        }
    }

    #[test]
    fn a_header_says_one_buffer_and_nothing_else_whatever_was_there() {
        for (len, flags, left) in [(12, 0, 0xFF), (12, 2, 0), (10, 2, 0xFF), (20, 0, 0xFF)] {
            let mut guest = [left; 24];
            for _ in 0..2 {
                put_plain_header(&View::default(), span(&mut guest), len, flags);
                let mut said = [0; 24];
                (said[0], said[10]) = (flags, 1);
                assert_eq!((&guest[..len], guest[len]), (&said[..len], left), "{len} bytes");
            }
        }
    }
}
