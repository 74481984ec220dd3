//! The chain of IPv6 extension headers (RFC 8200 §4; RFC 4302 for AH).

use super::{U16, U32, header, protocol};

/// Extension headers walked at most; a longer chain ends as [`ChainEnd::TooLong`].
pub const MAX_EXTENSIONS: u8 = 8;

header! {
    /// The fragment extension header.
    pub struct Ipv6Fragment[8] {
        /// What follows ([`super::protocol`]).
        pub next_header: u8,
        /// Reserved, 0.
        pub reserved: u8,
        /// Offset in units of 8 bytes (13 bits), two reserved bits, more-fragments (1 bit).
        pub offset_more: U16,
        /// Identification, the same in every fragment of a packet.
        pub id: U32,
    }
}

impl Ipv6Fragment {
    /// Offset of this fragment in its packet, in bytes.
    pub fn fragment_offset(&self) -> usize {
        usize::from(self.offset_more.get() & 0xfff8)
    }

    /// Whether more fragments follow.
    pub fn has_more_fragments(&self) -> bool {
        self.offset_more.get() & 1 != 0
    }
}

/// One extension header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Its own number: hop-by-hop, routing, fragment, AH or destination options.
    pub kind: u8,
    /// All its bytes, the next-header byte first.
    pub bytes: &'a [u8],
}

impl Extension<'_> {
    /// The fragment header, if this is one.
    pub fn fragment(&self) -> Option<&Ipv6Fragment> {
        let is_fragment = self.kind == protocol::FRAGMENT;
        is_fragment.then(|| Ipv6Fragment::ref_from_prefix(self.bytes)).flatten().map(|(f, _)| f)
    }

    /// Whether this is a routing header with segments left: the packet's last destination is
    /// not the one in the fixed header.
    pub fn is_source_route(&self) -> bool {
        self.kind == protocol::ROUTING && self.bytes.get(3).is_some_and(|&left| left > 0)
    }
}

/// Why a walk over a chain stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainEnd {
    /// At a protocol that is no extension header, which begins the rest.
    UpperLayer,
    /// At a fragment that is not the first: the rest is a piece of an upper layer.
    LaterFragment,
    /// An extension header did not fit.
    Truncated,
    /// After [`MAX_EXTENSIONS`] headers.
    TooLong,
}

/// Walks the extension headers after a fixed header, at most [`MAX_EXTENSIONS`] of them.
///
/// ESP and "no next header" are upper layers here: nothing after them can be read.
#[derive(Debug, Clone)]
pub struct ExtensionChain<'a> {
    next: u8,
    rest: &'a [u8],
    left: u8,
    end: Option<ChainEnd>,
}

impl<'a> ExtensionChain<'a> {
    /// A walk over `rest`, whose first header `next_header` names.
    pub fn new(next_header: u8, rest: &'a [u8]) -> Self {
        Self { next: next_header, rest, left: MAX_EXTENSIONS, end: None }
    }

    /// The header the walk has come to; the upper protocol once the walk is over.
    pub fn protocol(&self) -> u8 {
        self.next
    }

    /// The bytes not walked over yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Why the walk is over, once it is.
    pub fn end(&self) -> Option<ChainEnd> {
        self.end
    }

    fn stop<T>(&mut self, why: ChainEnd) -> Option<T> {
        self.end = Some(why);
        None
    }

    fn advance(&mut self, len: usize) -> Option<Extension<'a>> {
        let Some((bytes, rest)) = self.rest.split_at_checked(len) else {
            return self.stop(ChainEnd::Truncated);
        };
        let extension = Extension { kind: self.next, bytes };
        (self.next, self.rest, self.left) = (bytes[0], rest, self.left - 1);
        if extension.fragment().is_some_and(|fragment| fragment.fragment_offset() > 0) {
            self.end = Some(ChainEnd::LaterFragment);
        }
        Some(extension)
    }
}

impl<'a> Iterator for ExtensionChain<'a> {
    type Item = Extension<'a>;

    #[inline]
    fn next(&mut self) -> Option<Extension<'a>> {
        if self.end.is_some() {
            return None;
        }
        if !is_extension(self.next) {
            return self.stop(ChainEnd::UpperLayer);
        }
        if self.left == 0 {
            return self.stop(ChainEnd::TooLong);
        }
        match extension_len(self.next, self.rest) {
            Some(len) => self.advance(len),
            None => self.stop(ChainEnd::Truncated),
        }
    }
}

#[inline]
fn is_extension(next: u8) -> bool {
    use protocol::{AH, DEST_OPTS, FRAGMENT, HOP_BY_HOP, ROUTING};
    matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | AH | DEST_OPTS)
}

/// Bytes the header says it takes, at least 8: units of 8 bytes past the first 8, but of 4 for AH.
fn extension_len(kind: u8, bytes: &[u8]) -> Option<usize> {
    let units = usize::from(*bytes.get(1)?);
    Some(match kind {
        protocol::FRAGMENT => Ipv6Fragment::LEN,
        protocol::AH => (units + 2) * 4,
        _ => (units + 1) * 8,
    })
}
