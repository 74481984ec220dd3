//! What BARs a function has, as the kernel lists them.

use std::io;

/// The kernel's `IORESOURCE_*` flags, as its `resource` file shows them.
const IO: u64 = 0x100;
const MEMORY: u64 = 0x200;
const PREFETCH: u64 = 0x2000;
const WIDE: u64 = 0x10_0000;

/// How many base address registers a function has.
pub const BARS: usize = 6;

/// In which space a BAR is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarKind {
    /// Memory: mapped.
    Memory {
        /// Reads have no side effects, so that the processor may combine and speculate.
        prefetchable: bool,
        /// It has a 64-bit address, and so takes the next number too.
        wide: bool,
    },
    /// I/O ports: called.
    Io,
}

/// One BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarInfo {
    /// Its number, below 6.
    pub index: u8,
    /// The physical address, or the first port.
    pub start: u64,
    /// The length in bytes.
    pub len: u64,
    /// In which space.
    pub kind: BarKind,
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// The BARs that a `resource` file lists: a line each of start, end and flags. What comes after
/// the first six lines are the expansion ROM and bridge windows.
pub(super) fn parse(text: &str) -> io::Result<Vec<BarInfo>> {
    let lines = text.lines().take(BARS).enumerate();
    lines.filter_map(|(index, line)| bar(index as u8, line).transpose()).collect()
}

fn bar(index: u8, line: &str) -> io::Result<Option<BarInfo>> {
    let wrong = || invalid(format!("line {}: {line:?} is no range with flags", index + 1));
    let numbers: Option<Vec<u64>> = line.split_whitespace().map(hex).collect();
    let Some(&[start, end, flags]) = numbers.as_deref() else { return Err(wrong()) };
    let kind = match flags & (IO | MEMORY) {
        0 => return Ok(None),
        IO => BarKind::Io,
        MEMORY => BarKind::Memory { prefetchable: flags & PREFETCH != 0, wide: flags & WIDE != 0 },
        _ => return Err(wrong()),
    };
    let len = end.checked_sub(start).and_then(|less| less.checked_add(1)).ok_or_else(wrong)?;
    // A BAR that has no address is listed from 0 on.
    Ok((start != 0).then_some(BarInfo { index, start, len, kind }))
}

fn hex(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REAL: &str = "\
0x000000000000c000 0x000000000000c01f 0x0000000000040101
0x00000000febd1000 0x00000000febd1fff 0x0000000000040200
0x0000000000000000 0x0000000000000000 0x0000000000000000
0x0000000000000000 0x0000000000003fff 0x0000000000140204
0x00000000fe000000 0x00000000fe003fff 0x000000000014220c
0x0000000000000000 0x0000000000000000 0x0000000000000000
0x00000000feb80000 0x00000000febbffff 0x0000000000046200
";

    #[test]
    fn ports_windows_and_wide_prefetchable_windows_are_told_apart() {
        let bars = parse(REAL).unwrap();
        let kinds: Vec<_> = bars.iter().map(|bar| (bar.index, bar.len, bar.kind)).collect();
        let plain = BarKind::Memory { prefetchable: false, wide: false };
        let wide = BarKind::Memory { prefetchable: true, wide: true };
        assert_eq!(kinds, [(0, 32, BarKind::Io), (1, 4096, plain), (4, 16384, wide)]);
    }

    #[test]
    fn a_range_that_ends_before_it_starts_is_an_error_with_its_line() {
        let error = parse("0x2000 0x1000 0x200\n").unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
        assert!(parse("0x0 0xffffffffffffffff 0x200\n").is_err());
        assert!(parse("12 34\n").is_err());
        assert!(parse("0x1000 0x1fff 0x300\n").is_err());
    }

    proptest! {
        #[test]
        fn noise_never_panics(text in "[0-9a-fx \n]{0,200}") {
            let _ = parse(&text);
        }
    }
}
