//! Whole frames, four at a time, with SSE4.1 and AVX2.
//!
//! A group of four is taken if all of it is done, whole, and of lengths that can be; what is in any
//! other way is left to the loop that goes one by one. What is checked is what is used: a status is read
//! once. The first quadwords are read after all of the statuses, since they may be older otherwise.

use super::meta::Tables;
use super::whole::{Frames, Stretch, Taken};
use linecard_eal::barrier;
use linecard_ixgbe_regs::descriptor::{packet_type as bits, receive};
use linecard_mbuf::Mbuf;
use linecard_mbuf::driver::received_line;
use std::arch::x86_64::*;

/// Descriptors of a group.
const FOUR: usize = 4;

/// What the device can say of a frame is checked in vectors of statuses, each as two words of 32 bits:
/// flags, and below the tag the length.
struct Check {
    /// Subtracts 1 from lengths.
    one: __m128i,
    mask: __m128i,
    whole: __m128i,
    /// A word above it is wrong.
    most: __m128i,
}

impl Check {
    #[target_feature(enable = "sse4.1")]
    fn new(room: u16) -> Self {
        let pair = |flags: i32, length: i32| _mm_setr_epi32(flags, length, flags, length);
        let whole = super::whole::WHOLE as i32;
        Check {
            // Within 16 bits, so that a length of 0 becomes too large.
            one: pair(0, 0xFFFF),
            mask: pair(whole, 0xFFFF),
            whole: pair(whole, 0),
            most: pair(0, i32::from(room) - 1),
        }
    }

    /// Of two statuses: 0 if the frame is whole, and its length less 1.
    #[target_feature(enable = "sse4.1")]
    fn of(&self, statuses: __m128i) -> __m128i {
        let less = _mm_add_epi16(statuses, self.one);
        _mm_xor_si128(_mm_and_si128(less, self.mask), self.whole)
    }
}

/// The bytes of a descriptor as the header's fields want them: nothing for the packet type, the length
/// twice (in 32 bits and in 16), the tag, and the hash.
#[target_feature(enable = "sse4.1")]
fn fields<const TOLD: bool>() -> __m128i {
    match TOLD {
        true => _mm_setr_epi8(-1, -1, -1, -1, 12, 13, -1, -1, 12, 13, 14, 15, 4, 5, 6, 7),
        false => _mm_setr_epi8(-1, -1, -1, -1, 12, 13, -1, -1, 12, 13, 14, 15, -1, -1, -1, -1),
    }
}

/// Reads a descriptor: each quadword of it at once, and no more than that.
///
/// # Safety
/// `index` is in the stretch.
#[inline(always)]
unsafe fn read(stretch: Stretch, index: usize) -> __m128i {
    // SAFETY: in the ring, aligned; the device may write it meanwhile, hence volatile.
    unsafe { stretch.cells.at(index).cast::<__m128i>().read_volatile() }
}

/// Groups of four, while they are what they should be, and then one by one.
///
/// # Safety
/// As for [`Frames::take`], of frames that stand together.
#[target_feature(enable = "sse4.1")]
pub(super) unsafe fn sse4<const TOLD: bool>(
    frames: &Frames,
    next: u32,
    into: *mut Mbuf,
    limit: usize,
) -> Taken {
    let (stretch, tables) = (frames.stretch(next, into), frames.meaning.tables());
    let (check, fields) = (Check::new(frames.room), fields::<TOLD>());
    let rearm = _mm_cvtsi64_si128(frames.rearm.word() as i64);
    let (mut sum, mut packets) = (_mm_setzero_si128(), 0);
    while packets + FOUR <= limit {
        // SAFETY: below the limit, and so are the three behind it.
        let (at, words) = unsafe {
            let at = stretch.skip(packets);
            (at, [read(at, 0), read(at, 1), read(at, 2), read(at, 3)])
        };
        let [first, second] = [[words[0], words[1]], [words[2], words[3]]]
            .map(|[one, other]| check.of(_mm_unpackhi_epi64(one, other)));
        let wrong = _mm_cmpgt_epi32(_mm_max_epi32(first, second), check.most);
        if _mm_movemask_epi8(wrong) != 0 {
            break;
        }
        // Pairs with the device's order: the first quadwords and the data, then DD.
        barrier::dma_observe();
        sum = _mm_add_epi32(sum, _mm_add_epi32(first, second));
        if TOLD {
            // SAFETY: a group of whole frames.
            unsafe { tell(tables, at, words, rearm, fields) };
        } else {
            for (index, word) in words.into_iter().enumerate() {
                // SAFETY: as in `Frames::ones`.
                unsafe { take(at, index, [rearm, _mm_shuffle_epi8(word, fields)]) };
            }
        }
        packets += FOUR;
    }
    let fours = Taken { packets, bytes: total(sum, packets) };
    // SAFETY: the caller's promise.
    unsafe { frames.rest::<TOLD>(fours, stretch, limit) }
}

/// As [`sse4`], with vectors of twice the length where that saves any.
///
/// # Safety
/// As for [`sse4`].
#[target_feature(enable = "avx2")]
pub(super) unsafe fn avx2<const TOLD: bool>(
    frames: &Frames,
    next: u32,
    into: *mut Mbuf,
    limit: usize,
) -> Taken {
    let (stretch, tables) = (frames.stretch(next, into), frames.meaning.tables());
    let (check, fields) = (Check::new(frames.room), fields::<TOLD>());
    let (twice, most) = (_mm256_broadcastsi128_si256(fields), check.most);
    let most = _mm256_broadcastsi128_si256(most);
    let one = _mm256_broadcastsi128_si256(check.one);
    let mask = _mm256_broadcastsi128_si256(check.mask);
    let whole = _mm256_broadcastsi128_si256(check.whole);
    let rearm = _mm_cvtsi64_si128(frames.rearm.word() as i64);
    let line = _mm256_broadcastsi128_si256(rearm);
    let (mut sum, mut packets) = (_mm256_setzero_si256(), 0);
    while packets + FOUR <= limit {
        // SAFETY: below the limit, and so are the three behind it.
        let (at, words) = unsafe {
            let at = stretch.skip(packets);
            (at, [read(at, 0), read(at, 1), read(at, 2), read(at, 3)])
        };
        let front = _mm256_set_m128i(words[1], words[0]);
        let back = _mm256_set_m128i(words[3], words[2]);
        let less = _mm256_add_epi16(_mm256_unpackhi_epi64(front, back), one);
        let checked = _mm256_xor_si256(_mm256_and_si256(less, mask), whole);
        let wrong = _mm256_cmpgt_epi32(checked, most);
        if _mm256_testz_si256(wrong, wrong) == 0 {
            break;
        }
        // Pairs with the device's order: the first quadwords and the data, then DD.
        barrier::dma_observe();
        sum = _mm256_add_epi32(sum, checked);
        if TOLD {
            // SAFETY: a group of whole frames.
            unsafe { tell(tables, at, words, rearm, fields) };
        } else {
            for (index, two) in [front, back].into_iter().enumerate() {
                let two = _mm256_shuffle_epi8(two, twice);
                let even = _mm256_inserti128_si256::<1>(line, _mm256_castsi256_si128(two));
                let odd = _mm256_blend_epi32::<0xF0>(line, two);
                // SAFETY: as in `Frames::ones`.
                unsafe {
                    take(at, 2 * index, even);
                    take(at, 2 * index + 1, odd);
                }
            }
        }
        packets += FOUR;
    }
    let sum = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
    let fours = Taken { packets, bytes: total(sum, packets) };
    // SAFETY: the caller's promise.
    unsafe { frames.rest::<TOLD>(fours, stretch, limit) }
}

/// Bytes of `packets`, of sums of their lengths less 1. A ring's worth of lengths is far from the
/// 32 bits' end.
#[target_feature(enable = "sse4.1")]
fn total(sum: __m128i, packets: usize) -> u64 {
    let [one, other] = [_mm_extract_epi32::<1>(sum), _mm_extract_epi32::<3>(sum)];
    one as u64 + other as u64 + packets as u64
}

/// Makes a packet of the buffer at `index`, with `line` as its header's fields.
///
/// # Safety
/// As for [`linecard_mbuf::driver::received`]: the buffer is posted, and given up; its frame is whole.
#[inline(always)]
unsafe fn take<T: Copy>(at: Stretch, index: usize, line: T) {
    // SAFETY: the caller's promise.
    unsafe { at.into.add(index).write(received_line(*at.posted.add(index), line)) }
}

/// Takes four frames with what their descriptors say of them.
///
/// # Safety
/// They are whole; the rest is [`Frames::take`]'s.
#[inline]
#[target_feature(enable = "sse4.1")]
unsafe fn tell(
    tables: Tables<'_>,
    at: Stretch,
    words: [__m128i; FOUR],
    rearm: __m128i,
    fields: __m128i,
) {
    // SAFETY: a group has four.
    let firsts = unsafe {
        let first = |index| at.cells.first(index) as i64;
        [_mm_set_epi64x(first(1), first(0)), _mm_set_epi64x(first(3), first(2))]
    };
    let statuses = [high(words[0], words[1]), high(words[2], words[3])];
    let indices = indices(low_words(firsts), low_words(statuses));
    let one = |index: usize, first: __m128i, type_at: i32, flags_at: i32| {
        let word = _mm_shuffle_epi8(first, fields);
        let kind = tables.packet_type(type_at as usize);
        let flags = tables.flags(flags_at as usize);
        let start = _mm_insert_epi64::<1>(rearm, flags.bits() as i64);
        // SAFETY: the caller's promise.
        unsafe { take(at, index, [start, _mm_insert_epi32::<0>(word, kind as i32)]) };
    };
    let pick = |firsts: __m128i, word: __m128i, odd: bool| {
        let (firsts, word) = (_mm_castsi128_pd(firsts), _mm_castsi128_pd(word));
        // The first quadword of this descriptor, and the second of it as it was checked.
        _mm_castpd_si128(match odd {
            false => _mm_shuffle_pd::<0b10>(firsts, word),
            true => _mm_shuffle_pd::<0b11>(firsts, word),
        })
    };
    let word = |at: usize| pick(firsts[at / 2], words[at], at % 2 == 1);
    one(0, word(0), _mm_extract_epi16::<0>(indices), _mm_extract_epi16::<1>(indices));
    one(1, word(1), _mm_extract_epi16::<2>(indices), _mm_extract_epi16::<3>(indices));
    one(2, word(2), _mm_extract_epi16::<4>(indices), _mm_extract_epi16::<5>(indices));
    one(3, word(3), _mm_extract_epi16::<6>(indices), _mm_extract_epi16::<7>(indices));
}

#[target_feature(enable = "sse4.1")]
fn high(one: __m128i, other: __m128i) -> __m128i {
    _mm_unpackhi_epi64(one, other)
}

/// The lower halves of four quadwords.
#[target_feature(enable = "sse4.1")]
fn low_words([front, back]: [__m128i; 2]) -> __m128i {
    let [front, back] = [front, back].map(|two| _mm_castsi128_ps(two));
    _mm_castps_si128(_mm_shuffle_ps::<0b10_00_10_00>(front, back))
}

/// The indices that [`Meaning`](super::Meaning) has its tables by, of the lower halves of the first and
/// second quadwords: of a packet's type in the lower 16 bits of each word, of its flags in the upper.
#[inline]
#[target_feature(enable = "sse4.1")]
fn indices(first: __m128i, status: __m128i) -> __m128i {
    const UDP: i32 = bits::UDP as i32;
    const _: () = assert!(receive::PACKET_TYPE.lsb == 4 && receive::RSS_TYPE.lsb == 0);
    let and = |word, mask| _mm_and_si128(word, _mm_set1_epi32(mask));
    let kind = _mm_srli_epi32::<4>(first);
    let types = _mm_or_si128(and(kind, 0x7F), and(_mm_srli_epi32::<8>(first), 0x180));
    let checked = and(_mm_srli_epi32::<5>(status), 0b11);
    let wrong = and(_mm_srli_epi32::<28>(status), 0b1100);
    let tag = and(_mm_slli_epi32::<1>(status), 0b1_0000);
    let bare = _mm_cmpeq_epi32(and(first, 0xF), _mm_setzero_si128());
    let hash = _mm_andnot_si128(bare, _mm_set1_epi32(1 << 6));
    let flags = _mm_or_si128(_mm_or_si128(checked, wrong), _mm_or_si128(tag, and(kind, UDP)));
    let director = and(_mm_slli_epi32::<5>(status), 0b1000_0000);
    let flags = _mm_or_si128(flags, _mm_or_si128(hash, director));
    _mm_or_si128(types, _mm_slli_epi32::<16>(flags))
}
