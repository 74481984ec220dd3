//! The kernel's list format, as in `0-3,8,10-11` (cpus, nodes).

/// More ids than any kernel has; a longer range is a mistake, not a machine.
const MOST: u32 = 1 << 16;

/// Parses a list; an empty text is an empty list. `None` when it is not in the kernel's format.
pub(crate) fn parse(text: &str) -> Option<Vec<u32>> {
    let mut ids = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= MOST {
            return None;
        }
        ids.extend(first..=last);
    }
    ids.sort_unstable();
    ids.dedup();
    Some(ids)
}

/// Writes ids in the same format; they must be sorted.
pub(crate) fn format(ids: &[u32]) -> String {
    let runs = ids.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [only] => only.to_string(),
        [first, .., last] => format!("{first}-{last}"),
        [] => String::new(),
    });
    runs.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_and_singles_are_understood() {
        assert_eq!(parse("0-2,5\n"), Some(vec![0, 1, 2, 5]));
        assert_eq!(parse(""), Some(vec![]));
        assert_eq!(parse("3-1"), None);
        assert_eq!(parse("0-4294967295"), None);
        assert_eq!(parse("x"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(ids in proptest::collection::btree_set(0u32..500, 0..60)) {
            let ids: Vec<u32> = ids.into_iter().collect();
            prop_assert_eq!(parse(&format(&ids)), Some(ids));
        }
    }
}
