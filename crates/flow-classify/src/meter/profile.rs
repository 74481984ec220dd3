//! The three ways to fill two buckets and to take from them.

use super::sealed::Sealed;
use super::{Color, Profile, Tokens};

/// A rate in bytes a second, and how many bytes may come at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Bytes a second, up to 2^40 - 1.
    pub rate: u64,
    /// Bytes that the bucket holds. Packets that are larger never get its colour.
    pub burst: u64,
}

/// The fastest rate.
const RATE_LIMIT: u64 = (1 << 40) - 1;

/// The fastest clock: 2^33 ticks a second.
const HZ_LIMIT: u64 = 1 << 33;

/// Tokens of both buckets stay below this, so that nothing overflows on the way.
const TOKENS_LIMIT: u64 = 1 << 62;

/// A profile that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The clock stands still, or is too fast.
    #[error("a clock of {hz} ticks a second: 1 to {HZ_LIMIT} are possible")]
    Clock {
        /// What was asked for.
        hz: u64,
    },
    /// Too much a second.
    #[error("{rate} bytes a second: {RATE_LIMIT} are the most")]
    Rate {
        /// What was asked for.
        rate: u64,
    },
    /// More at once than can be counted in ticks of this clock.
    #[error("a burst of {burst} bytes: with this clock {limit} are the most")]
    Burst {
        /// What was asked for.
        burst: u64,
        /// The most there can be.
        limit: u64,
    },
    /// No packet would ever be anything but red.
    #[error("no bucket holds anything: give one of them a burst of at least the largest packet")]
    NoBurst,
    /// RFC 2698: the peak is what is committed and more.
    #[error("a peak rate of {peak} below the committed rate of {committed}")]
    PeakBelowCommitted {
        /// The committed rate.
        committed: u64,
        /// The peak rate.
        peak: u64,
    },
}

/// A bucket in tokens.
#[derive(Clone, Copy, Debug)]
struct Filling {
    /// Tokens a tick: the rate in bytes a second, since a token is a byte divided by the ticks of a second.
    rate: u64,
    full: u64,
    /// Ticks that fill it from nothing.
    ticks: u64,
}

impl Filling {
    fn new(bucket: Bucket, hz: u64) -> Result<Self, Error> {
        let Bucket { rate, burst } = bucket;
        if !(1..=HZ_LIMIT).contains(&hz) {
            return Err(Error::Clock { hz });
        }
        if rate > RATE_LIMIT {
            return Err(Error::Rate { rate });
        }
        let limit = (TOKENS_LIMIT - 1) / hz;
        if burst > limit {
            return Err(Error::Burst { burst, limit });
        }
        let full = burst * hz;
        let ticks = if rate == 0 { 0 } else { full.div_ceil(rate) };
        Ok(Self { rate, full, ticks })
    }

    /// What comes in `ticks`: never much more than fills it, below 2^63.
    #[inline(always)]
    fn gain(&self, ticks: u64) -> u64 {
        ticks.min(self.ticks) * self.rate
    }

    #[inline(always)]
    fn after(&self, tokens: u64, ticks: u64) -> u64 {
        (tokens + self.gain(ticks)).min(self.full)
    }
}

/// Takes, if there is so much.
#[inline(always)]
fn take(tokens: &mut u64, cost: u64) -> bool {
    let is_enough = *tokens >= cost;
    *tokens -= if is_enough { cost } else { 0 };
    is_enough
}

fn check_burst(buckets: [Filling; 2]) -> Result<(), Error> {
    let holds = buckets.iter().any(|bucket| bucket.full > 0);
    if holds { Ok(()) } else { Err(Error::NoBurst) }
}

/// One rate, three colours: RFC 2697.
#[derive(Clone, Copy, Debug)]
pub struct SrTcm {
    committed: Filling,
    excess: u64,
    /// Ticks that fill both buckets from nothing.
    ticks: u64,
    hz: u64,
}

impl SrTcm {
    /// CIR and CBS; EBS in bytes; and the ticks of a second.
    ///
    /// # Errors
    /// [`Error`]: what is wrong with them.
    pub fn new(committed: Bucket, excess_burst: u64, hz: u64) -> Result<Self, Error> {
        let excess = Bucket { rate: committed.rate, burst: excess_burst };
        let (committed, excess) = (Filling::new(committed, hz)?, Filling::new(excess, hz)?);
        check_burst([committed, excess])?;
        let ticks = committed.ticks + excess.ticks;
        Ok(Self { committed, excess: excess.full, ticks, hz })
    }
}

impl Sealed for SrTcm {}

impl Profile for SrTcm {
    fn full(&self) -> Tokens {
        Tokens { committed: self.committed.full, other: self.excess }
    }

    #[inline]
    fn refill(&self, tokens: Tokens, ticks: u64) -> Tokens {
        // Below 2^63 + 2^41; with what is in a bucket, below 2^64.
        let all = tokens.committed + ticks.min(self.ticks) * self.committed.rate;
        let committed = all.min(self.committed.full);
        let other = (tokens.other + (all - committed)).min(self.excess);
        Tokens { committed, other }
    }

    #[inline]
    fn take(&self, tokens: &mut Tokens, bytes: u32, worst: Color) -> Color {
        take_beside(tokens, u64::from(bytes).saturating_mul(self.hz), worst)
    }
}

/// Where the excess bucket is beside the committed one.
#[inline(always)]
fn take_beside(tokens: &mut Tokens, cost: u64, worst: Color) -> Color {
    if worst == Color::Green && take(&mut tokens.committed, cost) {
        Color::Green
    } else if worst != Color::Red && take(&mut tokens.other, cost) {
        Color::Yellow
    } else {
        Color::Red
    }
}

/// Two rates, three colours: RFC 2698.
#[derive(Clone, Copy, Debug)]
pub struct TrTcm {
    committed: Filling,
    peak: Filling,
    hz: u64,
}

impl TrTcm {
    /// CIR and CBS; PIR, not below CIR, and PBS; and the ticks of a second.
    ///
    /// # Errors
    /// [`Error`]: what is wrong with them.
    pub fn new(committed: Bucket, peak: Bucket, hz: u64) -> Result<Self, Error> {
        if peak.rate < committed.rate {
            return Err(Error::PeakBelowCommitted { committed: committed.rate, peak: peak.rate });
        }
        let (committed, peak) = (Filling::new(committed, hz)?, Filling::new(peak, hz)?);
        // A packet takes from the peak bucket whatever its colour.
        check_burst([peak; 2])?;
        Ok(Self { committed, peak, hz })
    }
}

impl Sealed for TrTcm {}

impl Profile for TrTcm {
    fn full(&self) -> Tokens {
        Tokens { committed: self.committed.full, other: self.peak.full }
    }

    #[inline]
    fn refill(&self, tokens: Tokens, ticks: u64) -> Tokens {
        Tokens {
            committed: self.committed.after(tokens.committed, ticks),
            other: self.peak.after(tokens.other, ticks),
        }
    }

    #[inline]
    fn take(&self, tokens: &mut Tokens, bytes: u32, worst: Color) -> Color {
        let cost = u64::from(bytes).saturating_mul(self.hz);
        if worst == Color::Red || !take(&mut tokens.other, cost) {
            Color::Red
        } else if worst == Color::Green && take(&mut tokens.committed, cost) {
            Color::Green
        } else {
            Color::Yellow
        }
    }
}

/// Two rates, three colours, for differentiated services: RFC 4115.
#[derive(Clone, Copy, Debug)]
pub struct TrTcm4115 {
    committed: Filling,
    excess: Filling,
    hz: u64,
}

impl TrTcm4115 {
    /// CIR and CBS; EIR and EBS; and the ticks of a second.
    ///
    /// # Errors
    /// [`Error`]: what is wrong with them.
    pub fn new(committed: Bucket, excess: Bucket, hz: u64) -> Result<Self, Error> {
        let (committed, excess) = (Filling::new(committed, hz)?, Filling::new(excess, hz)?);
        check_burst([committed, excess])?;
        Ok(Self { committed, excess, hz })
    }
}

impl Sealed for TrTcm4115 {}

impl Profile for TrTcm4115 {
    fn full(&self) -> Tokens {
        Tokens { committed: self.committed.full, other: self.excess.full }
    }

    #[inline]
    fn refill(&self, tokens: Tokens, ticks: u64) -> Tokens {
        Tokens {
            committed: self.committed.after(tokens.committed, ticks),
            other: self.excess.after(tokens.other, ticks),
        }
    }

    #[inline]
    fn take(&self, tokens: &mut Tokens, bytes: u32, worst: Color) -> Color {
        take_beside(tokens, u64::from(bytes).saturating_mul(self.hz), worst)
    }
}
