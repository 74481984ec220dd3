//! Low places for segments.
//!
//! The kernel puts mappings near the top of 47 bits. A device that sees memory where the process
//! does ([`Place::Native`](crate::device::Place)) needs addresses that its IOMMU can hold, and many
//! hold 39 bits. So segments go to the lowest hole above 4 GiB, where nothing else is put.

/// Below are 32-bit addresses, which some devices need for themselves.
const FROM: u64 = 1 << 32;
/// 39 bits, less what an unlucky neighbour may take.
const TO: u64 = 1 << 39;

/// The lowest place for `len` bytes, a multiple of `align`, that `maps` shows to be free.
pub(super) fn hole(maps: &str, len: usize, align: usize) -> Option<usize> {
    let (len, align) = (len as u64, align as u64);
    let mut place = FROM.next_multiple_of(align);
    for (start, end) in maps.lines().filter_map(range) {
        if place.checked_add(len)? <= start {
            break;
        }
        place = place.max(end.checked_next_multiple_of(align)?);
    }
    (place.checked_add(len)? <= TO).then_some(place as usize)
}

/// The range of a line of `/proc/PID/maps`; they are sorted.
fn range(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    Some((hex(start)?, hex(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn the_first_hole_above_four_gigabytes_is_taken() {
        let maps = "00400000-00500000 r-xp\n100000000-100200000 rw-s\n100400000-100401000 rw-s\n\
                    7f0000000000-7f0000001000 r--p\n";
        assert_eq!(hole(maps, 2 * MIB, 2 * MIB), Some(0x1_0020_0000));
        assert_eq!(hole(maps, 4 * MIB, 2 * MIB), Some(0x1_0060_0000));
        assert_eq!(hole(maps, 4096, 4096), Some(0x1_0020_0000));
        assert_eq!(hole("", 1 << 30, 1 << 30), Some(0x1_0000_0000));
    }

    #[test]
    fn what_does_not_fit_below_39_bits_goes_elsewhere() {
        assert_eq!(hole("", 1 << 39, 4096), None);
        assert_eq!(hole("100000000-7fffffffff rw-p\n", 4096, 4096), None);
        assert_eq!(hole("100000000-ffffffffffffffff rw-p\n", usize::MAX, 4096), None);
        assert_eq!(hole("nonsense\n-\n", 4096, 4096), Some(0x1_0000_0000));
    }
}
