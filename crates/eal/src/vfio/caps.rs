//! Capabilities behind an answer: a chain of headers, counted from the answer's start.

/// One: its id, and what comes after the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cap<'a> {
    pub(crate) id: u16,
    pub(crate) body: &'a [u8],
}

const HEADER: usize = 8;

/// Those of an answer, from `first` on. A chain that leaves the answer, or goes back, ends.
pub(crate) fn chain(bytes: &[u8], first: u32) -> impl Iterator<Item = Cap<'_>> {
    let mut at = first as usize;
    std::iter::from_fn(move || {
        let body = bytes.get(at.checked_add(HEADER)?..).filter(|_| at != 0)?;
        let id = u16::from_ne_bytes(bytes[at..at + 2].try_into().ok()?);
        let next = word(bytes, at + 4)? as usize;
        at = if next > at { next } else { 0 };
        Some(Cap { id, body })
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn double(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_ne_bytes)
}

/// A list of pairs of 64-bit numbers after a count and a reserved word: both the windows of a
/// region (offset, size) and the ranges of an IOMMU (start, last) are so.
pub(crate) fn pairs(body: &[u8]) -> Vec<(u64, u64)> {
    let count = word(body, 0).unwrap_or(0) as usize;
    let list = body.get(8..).unwrap_or_default().chunks_exact(16);
    list.take(count).map(|pair| (double(&pair[..8]), double(&pair[8..]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(id: u16, next: u32) -> Vec<u8> {
        let mut bytes = id.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        bytes.extend(next.to_ne_bytes());
        bytes
    }

    #[test]
    fn a_chain_is_followed_to_its_end() {
        let mut bytes = vec![0; 8];
        bytes.extend(header(3, 16));
        bytes.extend(header(1, 0));
        bytes.extend(1u32.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend(0x1000u64.to_ne_bytes());
        bytes.extend(0x2000u64.to_ne_bytes());
        let caps: Vec<_> = chain(&bytes, 8).collect();
        assert_eq!(caps.iter().map(|cap| cap.id).collect::<Vec<_>>(), [3, 1]);
        assert_eq!(pairs(caps[1].body), [(0x1000, 0x2000)]);
    }

    #[test]
    fn a_chain_into_a_circle_or_beyond_the_end_ends() {
        let mut bytes = vec![0; 8];
        bytes.extend(header(3, 8));
        assert_eq!(chain(&bytes, 8).count(), 1);
        assert_eq!(chain(&bytes, 4000).count() + chain(&bytes, 0).count(), 0);
    }

    #[test]
    fn a_list_that_claims_more_than_there_is_is_cut() {
        let mut body = u32::MAX.to_ne_bytes().to_vec();
        body.extend([0; 4 + 16 + 7]);
        assert_eq!(pairs(&body), [(0, 0)]);
    }

    proptest! {
        #[test]
        fn noise_never_panics(bytes: Vec<u8>, first: u32) {
            chain(&bytes, first).for_each(|cap| drop(pairs(cap.body)));
            chain(&bytes, first % 64).for_each(|cap| drop(pairs(cap.body)));
        }
    }
}
