//! The type-length-value options that IPv4 and TCP share (RFC 791, RFC 9293).

/// One option: its kind and its value, without the kind and length bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlvOption<'a> {
    /// The option's kind.
    pub kind: u8,
    /// Its value.
    pub value: &'a [u8],
}

/// Walks the options of an IPv4 or TCP header.
///
/// Padding (kind 1) is skipped. The walk ends at kind 0, at the end of the bytes, or at an option
/// whose length is below 2 or past the end; [`TlvOptions::is_malformed`] tells the last case.
#[derive(Debug, Clone)]
pub struct TlvOptions<'a> {
    rest: &'a [u8],
    malformed: bool,
}

impl<'a> TlvOptions<'a> {
    const END: u8 = 0;
    const NOP: u8 = 1;

    /// A walk over the bytes after the fixed header.
    pub fn new(options: &'a [u8]) -> Self {
        Self { rest: options, malformed: false }
    }

    /// Whether the walk ended at an option with an impossible length.
    pub fn is_malformed(&self) -> bool {
        self.malformed
    }

    fn take(&mut self, kind: u8, after_kind: &'a [u8]) -> Option<TlvOption<'a>> {
        let value = after_kind
            .split_first()
            .and_then(|(&len, after)| after.split_at_checked(usize::from(len).checked_sub(2)?));
        self.malformed = value.is_none();
        let (value, rest) = value?;
        self.rest = rest;
        Some(TlvOption { kind, value })
    }
}

impl<'a> Iterator for TlvOptions<'a> {
    type Item = TlvOption<'a>;

    fn next(&mut self) -> Option<TlvOption<'a>> {
        while let Some((&kind, after)) = core::mem::take(&mut self.rest).split_first() {
            match kind {
                Self::END => break,
                Self::NOP => self.rest = after,
                _ => return self.take(kind, after),
            }
        }
        None
    }
}
