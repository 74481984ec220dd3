//! Meters: token buckets that colour packets green, yellow or red.
//!
//! A [`Profile`] says how fast and how far buckets fill, for as many [`Meter`]s as there are: 24 bytes each,
//! to be kept wherever flows are, by [`Position`](crate::exact::Position) for example.
//!
//! | profile | source | buckets |
//! |---|---|---|
//! | [`SrTcm`] | RFC 2697 | one rate: what the committed one has no room for goes to the excess one |
//! | [`TrTcm`] | RFC 2698 | two rates: the peak one holds all that the committed one does |
//! | [`TrTcm4115`] | RFC 4115 | two rates: the excess one is beside the committed one |
//!
//! Tokens are counted in bytes times ticks of a second, so that a tick of the clock adds exactly the rate, and
//! nothing is ever rounded: over any time no more is green than burst and rate allow, and not a byte
//! less than that. There is a multiplication for the time and one for the packet, and no division.
//!
//! ```
//! use linecard_flow_classify::meter::{Bucket, Color, Meter, SrTcm};
//!
//! // 1 Mbyte a second, 3000 bytes at once, and 1500 more after a rest; the clock ticks in microseconds.
//! let profile = SrTcm::new(Bucket { rate: 1_000_000, burst: 3000 }, 1500, 1_000_000)?;
//! let mut meter = Meter::full(&profile, 0);
//! let colors = [0; 4].map(|now| meter.color(&profile, now, 1500));
//! assert_eq!(colors, [Color::Green, Color::Green, Color::Yellow, Color::Red]);
//! assert_eq!(meter.color(&profile, 1499, 1500), Color::Red);
//! assert_eq!(meter.color(&profile, 1500, 1500), Color::Green);
//! # Ok::<(), linecard_flow_classify::meter::Error>(())
//! ```

mod profile;

pub use profile::{Bucket, Error, SrTcm, TrTcm, TrTcm4115};

/// What became of a packet, the best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Color {
    /// Within what was committed.
    #[default]
    Green,
    /// Beyond that, and within the excess or the peak.
    Yellow,
    /// Beyond both.
    Red,
}

/// Bytes times ticks of a second, of both buckets of a meter; see [`Profile`].
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Of the committed bucket.
    pub committed: u64,
    /// Of the excess or peak bucket.
    pub other: u64,
}

mod sealed {
    pub trait Sealed {}
}

/// [`SrTcm`], [`TrTcm`] or [`TrTcm4115`].
pub trait Profile: sealed::Sealed {
    /// Full buckets.
    #[doc(hidden)]
    fn full(&self) -> Tokens;

    /// Buckets after some ticks.
    #[doc(hidden)]
    fn refill(&self, tokens: Tokens, ticks: u64) -> Tokens;

    /// Takes a packet's tokens out of the buckets that give it its colour, which is not better than `worst`.
    #[doc(hidden)]
    fn take(&self, tokens: &mut Tokens, bytes: u32, worst: Color) -> Color;
}

/// The buckets of one flow. Use it with the profile that it was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    tokens: Tokens,
    /// The latest tick that was seen.
    now: u64,
}

impl Meter {
    /// Full buckets at tick `now`, which is how the RFCs begin.
    pub fn full(profile: &impl Profile, now: u64) -> Self {
        Self { tokens: profile.full(), now }
    }

    /// The colour of a packet of `bytes` at tick `now`, whatever it was before (*colour-blind*).
    ///
    /// Ticks may repeat and wrap; a tick from before the last one counts as the last one.
    #[inline]
    pub fn color(&mut self, profile: &impl Profile, now: u64, bytes: u32) -> Color {
        self.remark(profile, now, bytes, Color::Green)
    }

    /// The colour of a packet that had one already (*colour-aware*): the same, or a worse one.
    #[inline]
    pub fn remark(&mut self, profile: &impl Profile, now: u64, bytes: u32, had: Color) -> Color {
        let ticks = now.wrapping_sub(self.now);
        // The other half of the numbers is the past: a clock of another core that is a little behind.
        if ticks.wrapping_sub(1) < u64::MAX / 2 {
            self.tokens = profile.refill(self.tokens, ticks);
            self.now = now;
        }
        profile.take(&mut self.tokens, bytes, had)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
